//! What a folder holds, decoded: the layers of the lake as far as they are committed, the tables, and what is left over.
//!
//! Two folders are compared by this and not by their bytes, because a run that was killed cuts its batches elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use kinesis_scorer::chain::committed;
use platform::embedded::{Local, OpenError};
use platform::model::{Key, ShardId};
use platform::ports::{GetObject as _, ListObjects as _, ListShards as _, LoadCheckpoint as _};
use rusqlite::{Connection, OpenFlags};
use telemetry::bronze::BronzeReader;
use telemetry::quarantine::QuarantineReader;
use telemetry::sequence::SequenceNumber;
use telemetry::silver::{SilverReader, SilverRow};

use crate::told::Told;

const STREAM: &str = "demo";
const OBJECTS_MAX: usize = 1_000_000;
const BYTES_MAX: usize = 1 << 30;

/// A row of a layer: shard and number of the record that it comes from, and a hash of all it says.
type Row = (String, SequenceNumber, u64);

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Shard → last committed record.
    pub(crate) tips: BTreeMap<String, SequenceNumber>,
    /// Bronze, silver and quarantine: committed rows, in order; one that is there twice is listed twice.
    layers: BTreeMap<&'static str, Vec<Row>>,
    anomalies: Vec<Row>,
    ids: Vec<String>,
    /// Incidents and what was told of them.
    told: Told,
    /// Tables and objects that only an undisturbed end makes equal: device states, stream times, final engine states.
    ends: Vec<String>,
    /// Objects of the three layers that no checkpoint names: written before a crash, never visible.
    pub(crate) orphans: usize,
}

const LAYERS: [&str; 3] = ["bronze", "silver", "quarantine"];

impl Stored {
    /// Reads a folder that nobody writes to; it may have been left by a killed process. `None`: it has no tables yet.
    ///
    /// # Errors
    /// Something is damaged: the database, an object that is committed, the chain of batches.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>> {
        let local = match Local::open_read_only(dir) {
            Ok(local) => local,
            Err(OpenError::NoData(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut stored = Self::default();
        runtime.block_on(stored.lake(&local))?;
        for anomaly in runtime.block_on(local.recent_anomalies(None, OBJECTS_MAX))? {
            stored.ids.push(anomaly.anomaly.id.to_string());
            stored.anomalies.push((anomaly.shard.clone(), anomaly.seq, hash(serde_json::to_string(&anomaly)?)));
        }
        stored.anomalies.sort();
        stored.tables(dir)?;
        Ok(Some(stored))
    }

    async fn lake(&mut self, local: &Local) -> Result<()> {
        let mut keys: Vec<Key> = Vec::new();
        for layer in LAYERS {
            self.layers.insert(layer, Vec::new());
            keys.extend(
                local.list_objects(&format!("{layer}/"), OBJECTS_MAX).await?.into_iter().map(|found| found.key),
            );
        }
        let mut visible = BTreeSet::new();
        for info in local.list_shards(STREAM).await? {
            let shard = ShardId { region: "local".to_owned(), stream: STREAM.to_owned(), shard: info.shard.clone() };
            let Some(checkpoint) = local.load_checkpoint(&shard).await? else { continue };
            let (objects, whole) = committed(&keys, &shard, &checkpoint);
            ensure!(whole, "the chain of {shard} has a gap");
            for key in &objects {
                let bytes = local.get_object(key, BYTES_MAX).await?.with_context(|| format!("`{key}` is gone"))?;
                self.object(&info.shard, key, bytes).with_context(|| format!("`{key}`"))?;
            }
            visible.extend(objects);
            self.ends.push(format!("{shard} up to {}", checkpoint.stream_time));
            if let Some(snapshot) = &checkpoint.snapshot {
                let bytes = local.get_object(&snapshot.object.key, BYTES_MAX).await?;
                ensure!(bytes.is_some(), "the snapshot `{}` is gone", snapshot.object.key);
                self.ends.push(format!("{shard} state {}", snapshot.object.sha256));
            }
            self.tips.insert(info.shard, checkpoint.last_seq);
        }
        self.layers.values_mut().for_each(|rows| rows.sort());
        self.orphans = keys.len() - visible.len();
        Ok(())
    }

    fn object(&mut self, shard: &str, key: &Key, bytes: Vec<u8>) -> Result<()> {
        let layer = LAYERS.into_iter().find(|layer| key.as_str().starts_with(layer)).context("of no layer")?;
        let rows = self.layers.entry(layer).or_default();
        let mut push = |seq, words| rows.push((shard.to_owned(), seq, words));
        match layer {
            "bronze" => {
                for record in BronzeReader::new(&bytes, BYTES_MAX)?.records() {
                    let record = record?;
                    push(record.seq, hash(format!("{record:?}")));
                }
            }
            "silver" => SilverReader::new(bytes, BYTES_MAX)?.rows().for_each(|row| push(row.seq, hash_of_silver(&row))),
            _ => {
                for record in QuarantineReader::new(&bytes, BYTES_MAX)?.records() {
                    let record = record?;
                    push(record.seq, hash(format!("{record:?}")));
                }
            }
        }
        Ok(())
    }

    fn tables(&mut self, dir: &Path) -> Result<()> {
        let tables = Connection::open_with_flags(dir.join("millrace.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let verdict: String = tables.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        ensure!(verdict == "ok", "the database is damaged: {verdict}");
        let mut states = tables.prepare("SELECT pk || ' ' || seq || ' ' || body FROM states ORDER BY pk")?;
        for state in states.query_map([], |row| row.get::<_, String>(0))? {
            self.ends.push(state?);
        }
        self.told = Told::read(&tables)?;
        Ok(())
    }

    /// How many records are committed.
    pub(crate) fn messages(&self) -> usize {
        self.layers.get("bronze").map_or(0, Vec::len)
    }

    /// How this folder, whose run has ended, differs from that of an undisturbed one.
    pub(crate) fn differences(&self, reference: &Self) -> Vec<String> {
        let mut found = self.differences_so_far(reference);
        found.extend(self.told.differences(self.ids.iter().map(String::as_str)));
        for (what, here, there) in [
            ("last records", format!("{:?}", self.tips), format!("{:?}", reference.tips)),
            ("states", self.ends.join("\n"), reference.ends.join("\n")),
            ("anomalies", self.anomalies.len().to_string(), reference.anomalies.len().to_string()),
        ] {
            if here != there {
                let line = here.lines().zip(there.lines()).find(|(here, there)| here != there);
                let (here, there) = line.unwrap_or((&here, &there));
                found.push(format!("{what}: `{here}`, expected `{there}`"));
            }
        }
        found
    }

    /// How what is committed here differs from what an undisturbed run has committed up to the same records.
    pub(crate) fn differences_so_far(&self, reference: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let is_due = |(shard, seq, _): &&Row| self.tips.get(shard).is_some_and(|tip| seq <= tip);
        for layer in LAYERS {
            let here = || self.layers.get(layer).into_iter().flatten();
            let there = || reference.layers.get(layer).into_iter().flatten().filter(is_due);
            if !here().eq(there()) {
                let first = here().zip(there()).find(|(here, there)| here != there);
                found.push(format!("{layer}: {} rows, expected {}; first {first:?}", here().count(), there().count()));
            }
        }
        // The anomalies of a batch may be there before its checkpoint, never after it.
        let known: BTreeSet<&Row> = reference.anomalies.iter().collect();
        let here: BTreeSet<&Row> = self.anomalies.iter().collect();
        found.extend(here.difference(&known).next().map(|row| format!("an anomaly that should not be: {row:?}")));
        let lost = |row: &&Row| is_due(row) && !here.contains(row);
        found.extend(reference.anomalies.iter().find(lost).map(|row| format!("a lost anomaly: {row:?}")));
        found.extend(self.told.differences_so_far());
        found
    }

    /// Whether nothing that was committed in `earlier` is taken back.
    pub(crate) fn goes_on_from(&self, earlier: &Self) -> bool {
        earlier.tips.iter().all(|(shard, tip)| self.tips.get(shard).is_some_and(|now| now >= tip))
    }
}

/// Copies a folder, so that looking at it changes nothing in it: whoever opens a database that was left by a killed process
/// mends it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn hash(words: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    words.hash(&mut hasher);
    hasher.finish()
}

/// To the bit; most of what a folder holds is this.
fn hash_of_silver(row: &SilverRow<'_>) -> u64 {
    let SilverRow {
        tenant,
        device,
        metric,
        at,
        value,
        score,
        alert,
        expected,
        outcome,
        quality,
        seq: _,
        sub,
        arrived,
        opinion,
    } = *row;
    let opinion = opinion.map(f32::to_bits);
    let numbers = (value.to_bits(), score.to_bits(), alert.to_bits(), expected.to_bits(), opinion);
    hash((tenant, device, metric, at.millis(), numbers, outcome, quality as u8, sub, arrived.millis()))
}

/// What a folder takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    /// Files and folders.
    pub(crate) files: u64,
    /// In blocks of 4 KiB, as most file systems count them.
    pub(crate) bytes: u64,
    /// The largest file.
    pub(crate) largest: u64,
}

/// Measures a folder.
pub(crate) fn size(dir: &Path) -> Result<Size> {
    let mut size = Size::default();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let file = |bytes: u64| Size { files: 0, bytes: bytes.next_multiple_of(4_096), largest: bytes };
        let below = if metadata.is_dir() { self::size(&entry.path())? } else { file(metadata.len()) };
        size.files += 1 + below.files;
        size.bytes += below.bytes;
        size.largest = size.largest.max(below.largest);
    }
    Ok(size)
}
