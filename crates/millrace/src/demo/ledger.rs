//! What the folder's plant is and how far it has come: `demo.json`.
//!
//! Written before a run begins and after it has ended, whole or not at all, so that a killed run is known as one.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use simulator::PlantConfig;

use crate::ui::Usage;

/// Version of the file.
const VERSION: u32 = 1;
/// Most days of one plant.
const DAYS_MAX: u32 = 3_650;

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    version: u32,
    plant: PlantConfig,
    days_done: u32,
    days_wanted: u32,
}

/// The days that a run simulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Days {
    /// Days that earlier runs have finished.
    pub(super) from: u32,
    /// The last day of this run.
    pub(super) to: u32,
    /// An earlier run was stopped before its end; this one ends it.
    pub(super) is_resumed: bool,
}

/// The file.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    entry: Option<Entry>,
}

impl Ledger {
    /// Reads the folder's file, if there is one.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("demo.json");
        let entry = match fs::read(&path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).with_context(|| {
                format!("`{}` is damaged: restore it, or use another folder with --dir", path.display())
            })?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("`{}` cannot be read", path.display())),
        };
        if let Some(Entry { version, .. }) = entry
            && version != VERSION
        {
            anyhow::bail!(
                "`{}` has version {version}, this millrace knows {VERSION}: use another folder with --dir",
                path.display()
            );
        }
        Ok(Self { path, entry })
    }

    /// Says which days to simulate and notes that they have begun. `plant` is the plant without its length.
    pub(super) fn begin(&mut self, plant: &PlantConfig, days: u32) -> anyhow::Result<Days> {
        let mut entry = match self.entry.take() {
            None => Entry { version: VERSION, plant: plant.clone(), days_done: 0, days_wanted: 0 },
            Some(entry) if entry.plant == *plant => entry,
            Some(entry) => {
                let usage = format!(
                    "`{}` holds another plant ({} devices, seed {}, {} poison per million): ask for the same one, or use \
                     another folder with --dir",
                    self.path.display(),
                    entry.plant.devices,
                    entry.plant.seed,
                    entry.plant.poison_per_million,
                );
                return Err(Usage(usage).into());
            }
        };
        let is_resumed = entry.days_wanted > entry.days_done;
        if !is_resumed {
            entry.days_wanted = entry.days_done.saturating_add(days);
        }
        if entry.days_wanted > DAYS_MAX {
            return Err(Usage(format!("a plant lives {DAYS_MAX} days: use another folder with --dir")).into());
        }
        let days = Days { from: entry.days_done, to: entry.days_wanted, is_resumed };
        self.entry = Some(entry);
        self.write()?;
        Ok(days)
    }

    /// Notes that everything up to day `to` is committed.
    pub(super) fn finish(&mut self, to: u32) -> anyhow::Result<()> {
        if let Some(entry) = &mut self.entry {
            entry.days_done = to;
        }
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec_pretty(&self.entry)?;
        let beside = self.path.with_extension("json.new");
        let written = fs::File::create(&beside)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&beside, &self.path))
            .and_then(|()| self.path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all()));
        written.with_context(|| {
            format!(
                "`{}` cannot be written ({} bytes): mend this and run the same command again, it goes on from what is \
                 committed",
                self.path.display(),
                bytes.len()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(dir: &Path, days: u32) -> Days {
        Ledger::open(dir).unwrap().begin(&PlantConfig::default(), days).unwrap()
    }

    #[test]
    fn a_run_that_did_not_end_is_ended_before_new_days_are_added() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(begin(dir.path(), 3), Days { from: 0, to: 3, is_resumed: false });
        assert_eq!(begin(dir.path(), 5), Days { from: 0, to: 3, is_resumed: true });
        Ledger::open(dir.path()).unwrap_or_else(|error| panic!("{error}"));
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.begin(&PlantConfig::default(), 1).unwrap();
        ledger.finish(3).unwrap();
        assert_eq!(begin(dir.path(), 5), Days { from: 3, to: 8, is_resumed: false });
    }

    #[test]
    fn another_plant_in_the_same_folder_is_a_usage_error() {
        let dir = tempfile::tempdir().unwrap();
        begin(dir.path(), 3);
        let other = PlantConfig { seed: 99, ..PlantConfig::default() };
        let error = Ledger::open(dir.path()).unwrap().begin(&other, 3).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("another plant"), "{error}");
    }
}
