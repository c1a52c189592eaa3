//! Reads the lake back: every record must be there, and once after the documented de-duplication by shard and sequence
//! number.

use std::collections::BTreeSet;

use anyhow::Context as _;
use platform::embedded::Local;
use platform::ports::{GetObject as _, ListObjects as _};
use telemetry::bronze::BronzeReader;
use telemetry::sequence::SequenceNumber;

/// Most objects that are looked through.
const OBJECTS_MAX: usize = 10_000_000;
/// Largest object, packed or not.
const OBJECT_BYTES_MAX: usize = 256 << 20;

/// How many different records bronze holds.
pub(super) async fn count(world: &Local) -> anyhow::Result<u64> {
    let mut seen: BTreeSet<(u32, SequenceNumber)> = BTreeSet::new();
    let mut shards: Vec<String> = Vec::new();
    for object in world.list_objects("bronze/", OBJECTS_MAX).await? {
        let key = object.key.as_str();
        let shard = key.rsplit('/').nth(1).unwrap_or_default();
        let index = shards.iter().position(|known| known == shard).unwrap_or_else(|| {
            shards.push(shard.to_owned());
            shards.len() - 1
        });
        let bytes =
            world.get_object(&object.key, OBJECT_BYTES_MAX).await?.with_context(|| format!("`{key}` is gone"))?;
        let reader = BronzeReader::new(&bytes, OBJECT_BYTES_MAX).with_context(|| format!("`{key}`"))?;
        for record in reader.records() {
            let record = record.with_context(|| format!("`{key}`"))?;
            seen.insert((u32::try_from(index)?, record.seq));
        }
    }
    Ok(seen.len() as u64)
}
