//! The tables of a backup: how they were taken, and what their checkpoints say.

use std::future::Future;
use std::io::{BufRead as _, BufReader, Cursor, Read as _};

use anomaly_core::Timestamp;
use flate2::read::MultiGzDecoder;
use platform::model::{Checkpoint, Epoch, ShardId};
use serde::{Deserialize, Serialize};

use crate::item::{self, Item, Record, Row};
use crate::manifest::Subject;
use crate::objects::Objects;
use crate::place::{self, Blob, Id};
use crate::{BackupError, Watch, sqlite};

/// The name of the checkpoints' table in a backup, whatever it is called in AWS.
pub const CHECKPOINTS: &str = "checkpoints";
/// That of the results.
pub const RESULTS: &str = "results";
/// Longest line of a part: an item of DynamoDB has 400 KB, which JSON may make some times as much.
const ROW_BYTES_MAX: u64 = 16 << 20;

/// How tables were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By DynamoDB itself, as they were at one instant.
    Export,
    /// Item by item, checkpoints first: what was committed meanwhile may be in one and not in the other.
    Scan,
    /// The database of one machine, as it was at one instant.
    Database,
}

impl How {
    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Scan => "scan",
            Self::Database => "database",
        }
    }

    /// What such a backup is of.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Export | Self::Scan => "of an environment in AWS",
            Self::Database => "of one machine",
        }
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableParts {
    /// [`CHECKPOINTS`], [`RESULTS`]; of one machine, the database's file.
    pub name: String,
    /// Items, or rows of all of the database's tables.
    pub rows: u64,
    /// Where they are.
    pub parts: Vec<Blob>,
}

/// The tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// How.
    pub how: How,
    /// What was committed before is in them.
    pub at: Timestamp,
    /// The tables.
    pub tables: Vec<TableParts>,
}

impl Taken {
    /// A table by its name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&TableParts> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Rows of all tables, and bytes as they lie at the place.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        let rows = self.tables.iter().map(|table| table.rows).sum();
        (rows, self.tables.iter().flat_map(|table| &table.parts).map(|part| part.bytes).sum())
    }
}

/// Who has tables to take.
pub trait TakeTables {
    /// Takes them, as of `begun` where that can be said; parts go below `tables/` of the backup. Again, it begins anew.
    fn take<P: Objects + Sync>(
        &self,
        place: &P,
        id: &Id,
        begun: Timestamp,
        watch: Watch<'_>,
    ) -> impl Future<Output = Result<Taken, BackupError>>;
}

/// The rows of a part, one by one: a part of an export may have more than memory holds.
#[derive(Debug)]
pub struct Rows {
    lines: BufReader<MultiGzDecoder<Cursor<Vec<u8>>>>,
    name: String,
    is_over: bool,
}

impl Rows {
    /// Those of `packed`, lines of JSON under gzip; `name` is for the message.
    #[must_use]
    pub fn new(packed: Vec<u8>, name: &str) -> Self {
        let lines = BufReader::new(MultiGzDecoder::new(Cursor::new(packed)));
        Self { lines, name: name.to_owned(), is_over: false }
    }

    /// The next of them, at most `count_max`; none at the end.
    ///
    /// # Errors
    /// [`BackupError::Damaged`].
    pub fn chunk(&mut self, count_max: usize) -> Result<Vec<Item>, BackupError> {
        self.by_ref().take(count_max).map(|row| row.map(|row| row.item)).collect()
    }

    fn read(&mut self) -> Result<Option<Row>, BackupError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let wrong = |error: std::io::Error| BackupError::damaged(&self.name, error);
            let read = self.lines.by_ref().take(ROW_BYTES_MAX + 1).read_until(b'\n', &mut line).map_err(wrong)?;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 > ROW_BYTES_MAX {
                return Err(BackupError::damaged(&self.name, format!("a line has more than {ROW_BYTES_MAX} bytes")));
            }
            if !line.trim_ascii().is_empty() {
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|error| BackupError::damaged(&self.name, error));
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let row = self.read().transpose();
        self.is_over = !matches!(row, Some(Ok(_)));
        row
    }
}

/// The rows of a part.
///
/// # Errors
/// [`BackupError::Damaged`], and the place's.
pub async fn rows(place: &impl Objects, part: &Blob) -> Result<Rows, BackupError> {
    Ok(Rows::new(place::read(place, part).await?, &part.key))
}

/// The newest epoch, if the stream has any.
///
/// # Errors
/// [`BackupError::Damaged`], and the place's.
pub async fn epoch(place: &impl Objects, taken: &Taken) -> Result<Option<Epoch>, BackupError> {
    let mut newest: Option<Epoch> = None;
    for part in taken.table(CHECKPOINTS).into_iter().flat_map(|table| &table.parts) {
        for row in rows(place, part).await? {
            if let Ok(Record::Epoch(_, epoch)) = item::of_checkpoints(&row?.item) {
                newest = newest.into_iter().chain([epoch]).max_by_key(|one| one.epoch);
            }
        }
    }
    Ok(newest)
}

/// All checkpoints. Where the stream's shards are known, each has the hash keys of its shard.
///
/// # Errors
/// [`BackupError::Damaged`], and the place's.
pub async fn checkpoints(
    place: &impl Objects,
    taken: &Taken,
    subject: &Subject,
) -> Result<Vec<(ShardId, Checkpoint)>, BackupError> {
    let mut found = Vec::new();
    if taken.how == How::Database {
        let database = sqlite::assemble(place, taken).await?;
        found = sqlite::checkpoints(&sqlite::path(database.path()))?;
    }
    for part in taken.table(CHECKPOINTS).into_iter().flat_map(|table| &table.parts) {
        for row in rows(place, part).await? {
            let row = row?;
            let name = || item::name(&row.item);
            let record = item::of_checkpoints(&row.item)
                .map_err(|reason| BackupError::damaged(&part.key, format!("{}: {reason}", name())))?;
            if let Record::Checkpoint(shard, checkpoint) = record {
                found.push((shard, *checkpoint));
            }
        }
    }
    if let Some(stream) = &subject.stream {
        let of_stream = |shard: &ShardId| shard.region == subject.region && shard.stream == stream.name;
        for (shard, checkpoint) in found.iter_mut().filter(|(shard, _)| of_stream(shard)) {
            let listed = stream.shards.iter().find(|(name, _)| *name == shard.shard);
            checkpoint.hash_range = checkpoint.hash_range.or(listed.map(|(_, range)| *range));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// The checkpoints that a restored pipeline stands on: of each stream those that [`kinesis_scorer::succeed::living`] leaves, and
/// of the stream that is known none of a shard that the stream has forgotten, once all that it has have one.
#[must_use]
pub fn living(all: &[(ShardId, Checkpoint)], subject: &Subject) -> Vec<(ShardId, Checkpoint)> {
    let mut streams: Vec<(&str, &str)> = all.iter().map(|(shard, _)| (&*shard.region, &*shard.stream)).collect();
    streams.dedup();
    let mut living = Vec::new();
    for (region, name) in streams {
        let of: Vec<_> = all.iter().filter(|(shard, _)| shard.region == region && shard.stream == name).collect();
        let known = subject.stream.as_ref().filter(|stream| region == subject.region && stream.name == name);
        let has = |shard: &str| of.iter().any(|(known, _)| known.shard == shard);
        let is_whole =
            known.is_some_and(|stream| !stream.shards.is_empty() && stream.shards.iter().all(|(one, _)| has(one)));
        let is_listed = |shard: &str| known.is_some_and(|stream| stream.shards.iter().any(|(one, _)| one == shard));
        let kept = of.into_iter().filter(|(shard, _)| !is_whole || is_listed(&shard.shard)).cloned();
        living.extend(kinesis_scorer::succeed::living(kept.collect()));
    }
    living
}
