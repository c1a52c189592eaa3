//! Where things lie in the lake: names that are read, and those that gold is written under.

use platform::model::{Key, ShardId};
use platform::ports::StoreError;

use crate::hour::Hour;

/// The layers that a batch writes to.
pub const LAYERS: [&str; 3] = ["bronze", "quarantine", "silver"];

/// Where an object of a batch lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its partition.
    pub hour: Hour,
    /// Whose batch it is.
    pub shard: ShardId,
}

/// Reads `{layer}/dt=…/hour=…/{region}/{stream}/{shard}/…`; `None` for other names.
#[must_use]
pub fn place(key: &Key) -> Option<Place> {
    let mut parts = key.as_str().split('/');
    let _layer = parts.next().filter(|layer| LAYERS.contains(layer))?;
    let hour = Hour::parse(parts.next()?.strip_prefix("dt=")?, parts.next()?.strip_prefix("hour=")?)?;
    let mut part = || parts.next().map(str::to_owned);
    let shard = ShardId { region: part()?, stream: part()?, shard: part()? };
    part().is_some().then_some(Place { hour, shard })
}

/// The hour and the Region of `{folder}dt=…/hour=…/region=…/…`, and what follows.
pub(crate) fn gold_place<'k>(key: &'k Key, folder: &str) -> Option<(Hour, &'k str, &'k str)> {
    let (dt, rest) = key.as_str().strip_prefix(folder)?.strip_prefix("dt=")?.split_once('/')?;
    let (hour, rest) = rest.strip_prefix("hour=")?.split_once('/')?;
    let (region, rest) = rest.strip_prefix("region=")?.split_once('/')?;
    Some((Hour::parse(dt, hour)?, region, rest))
}

/// Folder of the lists of committed objects.
pub(crate) const SEALED: &str = "gold/sealed/";
/// Folder of the markers.
pub(crate) const DONE: &str = "gold/done/";

/// The list of an hour.
pub(crate) fn sealed(hour: Hour, region: &str) -> Result<Key, StoreError> {
    key(format!("{SEALED}{}/region={region}/objects.ndjson", hour.partition()))
}

/// The marker of a product of an hour.
pub(crate) fn done(hour: Hour, region: &str, product: &str) -> Result<Key, StoreError> {
    key(format!("{DONE}{}/region={region}/{product}.json", hour.partition()))
}

/// A checked name.
pub(crate) fn key(text: String) -> Result<Key, StoreError> {
    Key::new(&text).map_err(|error| StoreError::permanent("name object", text, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_object_is_read_from_its_name() {
        let of = |text: &str| place(&Key::new(text).unwrap());
        let found = of("silver/dt=2026-01-05/hour=10/local/demo/shardId-0/0-7.v1-0-aaaaaaaaaaaa.parquet").unwrap();
        assert_eq!(
            (found.hour.to_string(), found.shard.to_string()),
            ("2026-01-05T10".into(), "local/demo/shardId-0".into())
        );
        for other in ["gold/dt=2026-01-05/hour=10/a/b/c/d", "silver/dt=2026-01-05/hour=10/a/b/c", "silver/x"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
