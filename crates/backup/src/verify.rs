//! Whether a backup is whole: every byte what it was, and a pipeline could go on from it.
//!
//! From the manifest's own hash down: lists and parts by their hashes, counts by what they have, contents by theirs. Then what the
//! checkpoints stand on is looked up: each snapshot and segment under its name with the hash that the checkpoint has.

use std::collections::BTreeMap;
use std::fmt;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use platform::model::ContentHash;

use crate::item;
use crate::list::{Cursor, LINES_MAX, Line};
use crate::manifest::{Manifest, Sealed};
use crate::objects::Objects;
use crate::place;
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
    mut tell: impl FnMut(Finding),
    watch: Watch<'_>,
) -> Result<Totals, BackupError> {
    let manifest = &sealed.manifest;
    let mut totals = Totals::default();
    let mut stands_on = BTreeMap::new();
    match tables::checkpoints(place, &manifest.tables, &manifest.subject).await {
        Ok(all) => {
            let living = tables::living(&all, &manifest.subject);
            stands_on = area::named(&living);
            totals.shards = living.len() as u64;
        }
        Err(error) => found(error, &mut tell)?,
    }
    tables_of(place, manifest, &mut totals, &mut tell).await?;
    for one in &manifest.lake {
        let counted = (totals.objects, totals.bytes);
        let mut cursor = Cursor::new(place, &one.lists);
        loop {
            let mut lines = Vec::new();
            while lines.len() < LINES_MAX {
                match cursor.take().await {
                    Ok(Some(line)) => lines.push(line),
                    Ok(None) => break,
                    Err(error) => found(error, &mut tell)?,
                }
            }
            if lines.is_empty() {
                break;
            }
            for line in &lines {
                totals.objects += 1;
                totals.bytes += line.bytes;
                if let Some(expected) = stands_on.remove(&line.key).filter(|expected| *expected != line.sha256) {
                    let detail = format!("it has SHA-256 {}, and its checkpoint says {expected}", line.sha256);
                    tell(Finding { kind: Kind::Damaged, what: line.key.clone(), detail });
                }
            }
            let looked = stream::iter(lines).map(|line| look(place, line, is_quick)).buffered(AT_ONCE);
            let wrong: Vec<Option<Finding>> = looked.try_collect().await?;
            wrong.into_iter().flatten().for_each(&mut tell);
            watch(Step { what: &one.name, count: totals.objects, bytes: totals.bytes });
        }
        let counted = (totals.objects - counted.0, totals.bytes - counted.1);
        if counted != (one.objects, one.bytes) {
            let detail = format!(
                "its lists have {} objects of {} bytes, and the manifest says {} of {}",
                counted.0, counted.1, one.objects, one.bytes
            );
            tell(Finding { kind: Kind::Damaged, what: one.name.clone(), detail });
        }
    }
    for (key, _) in stands_on {
        let detail = "a checkpoint stands on it, and the backup has it not: its shard cannot go on".to_owned();
        tell(Finding { kind: Kind::Missing, what: key, detail });
    }
    for document in &manifest.documents {
        if let Err(error) = place::read(place, &document.blob).await {
            found(error, &mut tell)?;
        }
    }
    Ok(totals)
}

/// What is damaged is a finding; the rest is an error.
fn found(error: BackupError, tell: &mut impl FnMut(Finding)) -> Result<(), BackupError> {
    match error {
        BackupError::Damaged { place, reason } => {
            tell(Finding { kind: Kind::Damaged, what: place, detail: reason });
            Ok(())
        }
        other => Err(other),
    }
}

async fn look(place: &impl Objects, line: Line, is_quick: bool) -> Result<Option<Finding>, BackupError> {
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
    tell: &mut impl FnMut(Finding),
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
            Err(BackupError::Database { path, source }) => {
                tell(Finding { kind: Kind::Damaged, what: path, detail: source.to_string() });
            }
            Err(error) => found(error, tell)?,
        }
        return Ok(());
    }
    for table in Table::ALL {
        let Some(parts) = taken.table(table.name()) else {
            tell(Finding {
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
                    found(error, tell)?;
                    continue;
                }
            };
            rows += read.len() as u64;
            for row in read {
                let record = match table {
                    Table::Checkpoints => item::of_checkpoints(&row.item),
                    Table::Results => item::of_results(&row.item),
                };
                match record {
                    Ok(item::Record::Anomaly(_)) => totals.anomalies += 1,
                    Ok(_) => {}
                    Err(detail) => tell(Finding { kind: Kind::Damaged, what: item::name(&row.item), detail }),
                }
            }
        }
        totals.rows += rows;
        if rows != parts.rows {
            let detail = format!("its parts have {rows} rows, and the manifest says {}", parts.rows);
            tell(Finding { kind: Kind::Damaged, what: parts.name.clone(), detail });
        }
    }
    Ok(())
}
