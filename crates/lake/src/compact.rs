//! What many small files became: counts and sizes of an hour before and after.
//!
//! Compacting is what the run of `readings` does: silver's objects of an hour, one for each batch, become few, in order of device
//! and time, and orphans stay behind. Bronze and silver are left as they are, for they are what gold is proven against.

use std::fs;
use std::path::Path;

use platform::model::Key;
use platform::ports::StoreError;

use crate::error::LakeError;
use crate::run::{Marker, Task};
use crate::seal::{self, OBJECTS_MAX};
use crate::world::LakeWorld;

/// So many objects of so many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An hour before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// The committed objects of silver.
    pub silver: Sizes,
    /// Silver's objects that were not committed and are left out.
    pub orphans: Sizes,
    /// The objects of `readings` that count.
    pub readings: Sizes,
}

impl Sizes {
    fn add(&mut self, lake: &Path, key: &Key) -> Result<(), StoreError> {
        let metadata = fs::metadata(lake.join(key.as_str())).map_err(|error| StoreError {
            source: Some(error.into()),
            ..StoreError::permanent("look at object", key.as_str(), "it cannot be looked at; restore it or give access")
        })?;
        self.objects += 1;
        self.bytes += metadata.len();
        Ok(())
    }
}

/// Measures an hour whose readings are made. `lake` is the folder of the lake.
///
/// # Errors
/// An object cannot be looked at, and the store's.
pub async fn measure<W: LakeWorld>(
    world: &W,
    lake: &Path,
    task: &Task,
    marker: &Marker,
) -> Result<Compacted, LakeError> {
    let (mut silver, mut orphans, mut readings) = (Sizes::default(), Sizes::default(), Sizes::default());
    let list = seal::list(world, task.hour, &task.region).await?.map(|(list, _)| list).unwrap_or_default();
    let prefix = format!("silver/{}/{}/", task.hour.partition(), task.region);
    for one in world.list_objects(&prefix, OBJECTS_MAX).await? {
        let is_committed = list.binary_search_by(|listed| listed.key.cmp(&one.key)).is_ok();
        if is_committed { &mut silver } else { &mut orphans }.add(lake, &one.key)?;
    }
    let prefix = format!("{}{}/", task.folder(), marker.run);
    for one in world.list_objects(&prefix, OBJECTS_MAX).await? {
        readings.add(lake, &one.key)?;
    }
    Ok(Compacted { silver, orphans, readings })
}
