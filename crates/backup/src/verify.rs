//! Whether a backup is whole: every byte what it was, and a pipeline could go on from it.
//!
//! From the manifest's own hash down: lists and parts by their hashes, counts by what they have, contents by theirs. Then what the
//! checkpoints stand on is looked up: each snapshot and segment under its name with the hash that the checkpoint has.

use std::collections::{BTreeMap, BTreeSet};
use std::{fmt, slice};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use platform::model::{Checkpoint, ContentHash, ShardId};

use crate::item;
use crate::list::{Cursor, LINES_MAX, Line};
use crate::manifest::{Manifest, Sealed};
use crate::objects::Objects;
use crate::place;
use crate::room::Room;
use crate::scan::Table;
use crate::tables::{self, How};
use crate::{BackupError, Step, Watch, area, sqlite};

/// Objects that are read at once.
const AT_ONCE: usize = 16;

/// What is wrong with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is not there.
    Missing,
    /// It is there, and is not what was written.
    Damaged,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        })
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// With what.
    pub what: String,
    /// More of it.
    pub detail: String,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Objects of the lake.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of the tables.
    pub rows: u64,
    /// Anomalies that can be read.
    pub anomalies: u64,
    /// Shards whose state stands on what is in the backup.
    pub shards: u64,
}

/// Verifies. With `is_quick` contents are not read: they are there, and as long as they were.
///
/// # Errors
/// The place's. What is wrong with the backup is told, and no error.
pub async fn verify<P: Objects + Sync>(
    place: &P,
    sealed: &Sealed,
    is_quick: bool,
    tell: impl FnMut(Finding),
    watch: Watch<'_>,
) -> Result<Totals, BackupError> {
    let (manifest, room) = (&sealed.manifest, &Room::new());
    let mut totals = Totals::default();
    let mut told = Told { tell, count: 0, stands_on: BTreeMap::new(), lost: BTreeSet::new() };
    tables_of(place, manifest, &mut totals, &mut told).await?;
    let mut living = Vec::new();
    match tables::checkpoints(place, &manifest.tables, &manifest.subject).await {
        Ok(all) => living = tables::living(&all, &manifest.subject),
        // The tables were read before, and it is told what is wrong with them.
        Err(BackupError::Damaged { .. } | BackupError::Database { .. }) if told.count > 0 => {}
        Err(error) => told.found(error)?,
    }
    told.stands_on = area::named(&living);
    let mut sought = told.stands_on.clone();
    for one in &manifest.lake {
        let counted = (totals.objects, totals.bytes);
        let mut cursor = Cursor::new(place, &one.lists);
        loop {
            let mut lines = Vec::new();
            while lines.len() < LINES_MAX {
                match cursor.take().await {
                    Ok(Some(line)) => lines.push(line),
                    Ok(None) => break,
                    Err(error) => told.found(error)?,
                }
            }
            if lines.is_empty() {
                break;
            }
            for line in &lines {
                totals.objects += 1;
                totals.bytes += line.bytes;
                if let Some(expected) = sought.remove(&line.key).filter(|expected| *expected != line.sha256) {
                    let detail = format!("it has SHA-256 {}, and its checkpoint says {expected}", line.sha256);
                    told.tell(Finding { kind: Kind::Damaged, what: line.key.clone(), detail });
                }
            }
            let looked = stream::iter(lines).map(|line| look(place, line, is_quick, room)).buffered(AT_ONCE);
            let wrong: Vec<Option<Finding>> = looked.try_collect().await?;
            wrong.into_iter().flatten().for_each(|finding| told.tell(finding));
            watch(Step { what: &one.name, count: totals.objects, bytes: totals.bytes });
        }
        let counted = (totals.objects - counted.0, totals.bytes - counted.1);
        if counted != (one.objects, one.bytes) {
            let detail = format!(
                "its lists have {} objects of {} bytes, and the manifest says {} of {}",
                counted.0, counted.1, one.objects, one.bytes
            );
            told.tell(Finding { kind: Kind::Damaged, what: one.name.clone(), detail });
        }
    }
    for (key, _) in sought {
        let detail = "a checkpoint stands on it, and the backup has it not: its shard cannot go on".to_owned();
        told.tell(Finding { kind: Kind::Missing, what: key, detail });
    }
    for document in &manifest.documents {
        if let Err(error) = place::read(place, &document.blob).await {
            told.found(error)?;
        }
    }
    let is_lost =
        |one: &(ShardId, Checkpoint)| area::named(slice::from_ref(one)).keys().any(|key| told.lost.contains(key));
    totals.shards = living.iter().filter(|one| !is_lost(one)).count() as u64;
    Ok(totals)
}

/// What was told so far.
struct Told<F> {
    tell: F,
    count: u64,
    /// What checkpoints stand on.
    stands_on: BTreeMap<String, ContentHash>,
    /// What of that is not as it was.
    lost: BTreeSet<String>,
}

impl<F: FnMut(Finding)> Told<F> {
    fn tell(&mut self, finding: Finding) {
        self.count += 1;
        if self.stands_on.contains_key(&finding.what) {
            self.lost.insert(finding.what.clone());
        }
        (self.tell)(finding);
    }

    /// What is damaged is a finding; the rest is an error.
    fn found(&mut self, error: BackupError) -> Result<(), BackupError> {
        let (what, detail) = match error {
            BackupError::Damaged { place, reason } => (place, reason),
            BackupError::Database { path, source } => (path, source.to_string()),
            other => return Err(other),
        };
        self.tell(Finding { kind: Kind::Damaged, what, detail });
        Ok(())
    }
}

async fn look(place: &impl Objects, line: Line, is_quick: bool, room: &Room) -> Result<Option<Finding>, BackupError> {
    let key = place::content(&line.sha256);
    let finding = |kind, detail: String| Some(Finding { kind, what: line.key.clone(), detail });
    if is_quick {
        return Ok(match place.measure(&key).await? {
            None => finding(Kind::Missing, format!("{key} is not there")),
            Some(bytes) if bytes != line.bytes => {
                finding(Kind::Damaged, format!("{key} has {bytes} bytes, and had {}", line.bytes))
            }
            Some(_) => None,
        });
    }
    let _room = room.hold(line.bytes).await;
    Ok(match place.read(&key).await? {
        None => finding(Kind::Missing, format!("{key} is not there")),
        Some(bytes) => {
            let hash = ContentHash::of(&bytes);
            if hash == line.sha256 { None } else { finding(Kind::Damaged, format!("{key} has SHA-256 {hash}")) }
        }
    })
}

async fn tables_of(
    place: &impl Objects,
    manifest: &Manifest,
    totals: &mut Totals,
    told: &mut Told<impl FnMut(Finding)>,
) -> Result<(), BackupError> {
    let taken = &manifest.tables;
    if taken.how == How::Database {
        let checked = match sqlite::assemble(place, taken).await {
            Ok(folder) => {
                let path = sqlite::path(folder.path());
                sqlite::check(&path).and_then(|()| sqlite::counts(&path))
            }
            Err(error) => Err(error),
        };
        match checked {
            Ok(counts) => {
                totals.rows = counts.iter().map(|(_, rows)| rows).sum();
                totals.anomalies = counts.iter().find(|(table, _)| *table == "anomalies").map_or(0, |(_, rows)| *rows);
            }
            Err(error) => told.found(error)?,
        }
        return Ok(());
    }
    for table in Table::ALL {
        let Some(parts) = taken.table(table.name()) else {
            told.tell(Finding {
                kind: Kind::Missing,
                what: table.name().to_owned(),
                detail: "the manifest has it not".into(),
            });
            continue;
        };
        let mut rows = 0;
        for part in &parts.parts {
            let read = match tables::rows(place, part).await {
                Ok(read) => read,
                Err(error) => {
                    told.found(error)?;
                    continue;
                }
            };
            for row in read {
                let row = match row {
                    Ok(row) => row,
                    Err(error) => {
                        told.found(error)?;
                        break;
                    }
                };
                rows += 1;
                let record = match table {
                    Table::Checkpoints => item::of_checkpoints(&row.item),
                    Table::Results => item::of_results(&row.item),
                };
                match record {
                    Ok(item::Record::Anomaly(_)) => totals.anomalies += 1,
                    Ok(_) => {}
                    Err(detail) => told.tell(Finding { kind: Kind::Damaged, what: item::name(&row.item), detail }),
                }
            }
        }
        totals.rows += rows;
        if rows != parts.rows {
            let detail = format!("its parts have {rows} rows, and the manifest says {}", parts.rows);
            told.tell(Finding { kind: Kind::Damaged, what: parts.name.clone(), detail });
        }
    }
    Ok(())
}
