//! Reads the lake back: every record must be committed, and once.

use std::collections::BTreeSet;

use anyhow::Context as _;
use kinesis_scorer::chain::committed;
use platform::embedded::Local;
use platform::model::{Key, ShardId};
use platform::ports::{GetObject as _, ListObjects as _, LoadCheckpoint as _};
use telemetry::bronze::BronzeReader;

/// Most objects that are looked through.
const OBJECTS_MAX: usize = 10_000_000;
/// Largest object, packed or not.
const OBJECT_BYTES_MAX: usize = 256 << 20;

/// How many records of these shards bronze holds, each once.
pub(super) async fn count(world: &Local, shards: &[ShardId]) -> anyhow::Result<u64> {
    let keys: Vec<Key> =
        world.list_objects("bronze/", OBJECTS_MAX).await?.into_iter().map(|object| object.key).collect();
    let mut count = 0;
    for shard in shards {
        let Some(checkpoint) = world.load_checkpoint(shard).await? else { continue };
        let (objects, whole) = committed(&keys, shard, &checkpoint);
        anyhow::ensure!(whole, "bronze of {shard} has a gap: restore the folder, or use another one with --dir");
        let mut seen = BTreeSet::new();
        for key in objects {
            let gone = || format!("`lake/{key}` is gone: restore the folder from a backup");
            let bytes = world.get_object(key, OBJECT_BYTES_MAX).await?.with_context(gone)?;
            let damaged =
                || format!("`lake/{key}` is damaged: restore it from a backup, or use another folder with --dir");
            let reader = BronzeReader::new(&bytes, OBJECT_BYTES_MAX).with_context(damaged)?;
            for record in reader.records() {
                let record = record.with_context(damaged)?;
                anyhow::ensure!(seen.insert(record.seq), "`{key}`: record {} is committed twice", record.seq);
            }
        }
        count += seen.len() as u64;
    }
    Ok(count)
}
