//! A backup is brought back: the lake, then findings and incidents, then the checkpoints, so that nothing is named before it is
//! there.
//!
//! Into a folder everything comes back as it was. An environment in AWS has a new stream, whose numbers are not those of the former
//! one: its shards begin with the former ones' devices ([`kinesis_scorer::succeed`]), the former checkpoints are left as the ends of
//! their batches, and devices' states wait for any record. Of the findings, anomalies come last: who tells people then finds that
//! they are told.
//!
//! Before anything is written, what is there is looked at; what the backup has not is not overwritten unless told. Safe to repeat.

mod stream;

use std::path::Path;

use anomaly_core::Timestamp;
use futures_util::{StreamExt as _, TryStreamExt as _, stream as futures};
use kinesis_scorer::fold::Tenancy;
use kinesis_scorer::succeed;
use platform::model::{Checkpoint, ContentHash, ShardId, ShardInfo};
use telemetry::sequence::SequenceNumber;

use crate::compare::{self, Comparison, Live, Part, prefix};
use crate::item::{self, Item};
use crate::list::{Cursor, LINES_MAX, Line};
use crate::manifest::Manifest;
use crate::objects::{Objects, Put};
use crate::scan::{ItemStore, Over, Table};
use crate::tables::{self, How};
use crate::world::LakeOf;
use crate::{BackupError, Step, Watch, place, sqlite};

/// What is written at once.
const AT_ONCE: usize = 16;
/// Keys of one question.
const KEYS_MAX: usize = 100;

/// An environment to restore into.
#[derive(Debug)]
pub struct Target<'t, O, S> {
    /// Its lake.
    pub lake: &'t O,
    /// Its tables.
    pub items: &'t S,
    /// The Region.
    pub region: String,
    /// The stream.
    pub stream: String,
    /// Its shards.
    pub shards: Vec<ShardInfo>,
    /// How its scorer tells tenants.
    pub tenancy: Tenancy,
    /// Now.
    pub now: Timestamp,
}

/// What a restore may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Means {
    /// Whether what is there and other than in the backup goes.
    pub overwrite: bool,
    /// Whether nothing is written.
    pub is_rehearsal: bool,
}

/// What a restore found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// What was there before: missing is what was brought back.
    pub before: Vec<Part>,
    /// Shards of the new stream, with their devices of the former one and those that they had learned of themselves.
    pub shards: Vec<(String, usize, usize)>,
}

impl Restored {
    fn refuse(&self, means: Means) -> Result<(), BackupError> {
        let count: u64 = self.before.iter().map(|part| part.differs).sum();
        if count == 0 || means.overwrite || means.is_rehearsal {
            return Ok(());
        }
        let parts = self.before.iter().filter(|part| part.differs > 0);
        Err(BackupError::Newer { count, names: parts.flat_map(|part| part.names.clone()).collect() })
    }
}

/// Restores one machine's folder. Nobody may write to it meanwhile.
///
/// # Errors
/// [`BackupError`]. The same call goes on from there.
pub async fn folder(
    place: &(impl Objects + Sync),
    manifest: &Manifest,
    dir: &Path,
    lake: &(impl Objects + Sync),
    means: Means,
    watch: Watch<'_>,
) -> Result<Restored, BackupError> {
    if manifest.tables.how != How::Database {
        let backup = manifest.tables.how.kind();
        return Err(BackupError::Kind { backup, target: "a folder: name an --environment" });
    }
    let backup = sqlite::assemble(place, &manifest.tables).await?;
    let (backup, target) = (sqlite::path(backup.path()), (backup, sqlite::path(dir)));
    let mut restored = Restored { before: look_at_lake(place, manifest, lake, means).await?, shards: Vec::new() };
    if target.1.is_file() {
        for one in sqlite::compare(&backup, &target.1)? {
            let mut part = Part::new(one.table);
            // Rows that only the folder has would go.
            (part.equal, part.missing, part.differs) = (one.equal, one.missing, one.more);
            if one.more > 0 {
                part.names = vec![format!("{} rows of {}", one.more, one.table)];
            }
            restored.before.push(part);
        }
    } else {
        for (table, rows) in sqlite::counts(&backup)? {
            restored.before.push(Part { missing: rows, ..Part::new(table) });
        }
    }
    restored.refuse(means)?;
    if !means.is_rehearsal {
        let own = sqlite::own(&backup, dir, means.overwrite)?;
        write_lake(place, manifest, lake, means, watch).await?;
        sqlite::restore(&backup, dir, own)?;
    }
    Ok(restored)
}

/// Restores an environment. Its devices had better be silent until this is done: what a shard learns meanwhile is newer than the
/// backup.
///
/// # Errors
/// [`BackupError`]. The same call goes on from there.
pub async fn environment<O: Objects + Sync, S: ItemStore>(
    place: &(impl Objects + Sync),
    manifest: &Manifest,
    target: &Target<'_, O, S>,
    means: Means,
    watch: Watch<'_>,
) -> Result<Restored, BackupError> {
    if manifest.tables.how == How::Database {
        let backup = manifest.tables.how.kind();
        return Err(BackupError::Kind { backup, target: "an environment in AWS: name a folder (--dir)" });
    }
    let all = tables::checkpoints(place, &manifest.tables, &manifest.subject).await?;
    let mut restored =
        Restored { before: look_at_lake(place, manifest, target.lake, means).await?, shards: Vec::new() };
    restored.before.push(look_at_results(place, manifest, target.items).await?);
    restored.before.push(look_at_shards(&all, target).await?);
    restored.refuse(means)?;
    if means.is_rehearsal {
        return Ok(restored);
    }
    write_lake(place, manifest, target.lake, means, watch).await?;
    for anomalies in [false, true] {
        write_results(place, manifest, target.items, anomalies, means, watch).await?;
    }
    let epoch = stream::begin_epoch(place, manifest, target).await?;
    for (shard, checkpoint) in all.iter().filter(|(shard, _)| !target.has(shard)) {
        let end = succeed::end_of(checkpoint);
        target.put_end(shard, &end, means).await?;
    }
    let active = tables::epoch(place, &manifest.tables).await?.map(|epoch| epoch.active);
    let living = of_stream(tables::living(&all, &manifest.subject), manifest, active.as_deref());
    for info in target.open_shards() {
        let done = target.succeed(info, &all, &living, epoch, watch).await?;
        restored.shards.push((info.shard.clone(), done.devices, done.newer));
    }
    Ok(restored)
}

/// Those of the stream that the backup is of, in the Region that had the say over it; where the stream is not known, all. Without a
/// checkpoint of that Region the backup has only what its own had.
fn of_stream(
    mut living: Vec<(ShardId, Checkpoint)>,
    manifest: &Manifest,
    active: Option<&str>,
) -> Vec<(ShardId, Checkpoint)> {
    if let Some(stream) = &manifest.subject.stream {
        living.retain(|(shard, _)| shard.stream == stream.name);
        let is_known = |region: &&str| living.iter().any(|(shard, _)| shard.region == *region);
        let region = active.filter(is_known).unwrap_or(&manifest.subject.region).to_owned();
        living.retain(|(shard, _)| shard.region == region);
    }
    living
}

/// How an object of the lake compares. What is below `config/` and `models/` changes under its name, and may be as long as it was;
/// the rest is never changed, so that its size tells whether it was cut short. Who overwrites wants to have no other content.
async fn of_object(
    lake: &impl Objects,
    line: &Line,
    bytes: Option<u64>,
    means: Means,
) -> Result<Comparison, BackupError> {
    let changes = ["config/", "models/"].iter().any(|folder| line.key.starts_with(folder));
    compare::of_object(lake, line, bytes, !means.overwrite && !changes).await
}

/// The next lines of an area, each with the size of what the lake has of its key; none at the end.
async fn page<P: Objects, O: Objects>(
    cursor: &mut Cursor<'_, P>,
    there: &mut Option<Live<'_, O>>,
    lake: &O,
) -> Result<Vec<(Line, Option<u64>)>, BackupError> {
    let mut page = Vec::new();
    while page.len() < LINES_MAX {
        let Some(line) = cursor.take().await? else { break };
        let bytes = match there {
            Some(there) => there.find(&line.key, |_| {}).await?.map(|found| found.bytes),
            None => lake.measure(&line.key).await?,
        };
        page.push((line, bytes));
    }
    Ok(page)
}

async fn look_at_lake<P: Objects + Sync, O: Objects + Sync>(
    place: &P,
    manifest: &Manifest,
    lake: &O,
    means: Means,
) -> Result<Vec<Part>, BackupError> {
    let mut parts = Vec::new();
    for one in &manifest.lake {
        let mut part = Part::new(&one.name);
        let mut cursor = Cursor::new(place, &one.lists);
        let prefix = prefix(one);
        let mut there = prefix.as_deref().map(|prefix| Live::new(lake, prefix));
        loop {
            let page = page(&mut cursor, &mut there, lake).await?;
            if page.is_empty() {
                break;
            }
            let looked = futures::iter(page).map(|(line, bytes)| async move {
                let how = of_object(lake, &line, bytes, means).await?;
                Ok::<_, BackupError>((line.key, how))
            });
            let looked: Vec<(String, Comparison)> = looked.buffered(AT_ONCE).try_collect().await?;
            for (key, how) in &looked {
                if *how == Comparison::Missing { part.missing += 1 } else { part.note(key, *how) }
            }
        }
        parts.push(part);
    }
    Ok(parts)
}

/// What is not there, or not as it was, is copied.
async fn write_lake<P: Objects + Sync, O: Objects + Sync>(
    place: &P,
    manifest: &Manifest,
    lake: &O,
    means: Means,
    watch: Watch<'_>,
) -> Result<(), BackupError> {
    for one in &manifest.lake {
        let mut cursor = Cursor::new(place, &one.lists);
        let prefix = prefix(one);
        let mut there = prefix.as_deref().map(|prefix| Live::new(lake, prefix));
        let (mut count, mut bytes) = (0, 0);
        loop {
            let page = page(&mut cursor, &mut there, lake).await?;
            if page.is_empty() {
                break;
            }
            count += page.len() as u64;
            bytes += page.iter().map(|(line, _)| line.bytes).sum::<u64>();
            let copies = futures::iter(page).map(|(line, there)| async move {
                match of_object(lake, &line, there, means).await? {
                    Comparison::Equal => Ok(()),
                    _ => copy(place, lake, line).await,
                }
            });
            copies.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            watch(Step { what: &one.name, count, bytes });
        }
    }
    Ok(())
}

async fn copy(place: &impl Objects, lake: &impl Objects, line: Line) -> Result<(), BackupError> {
    let blob = place::Blob { key: place::content(&line.sha256), bytes: line.bytes, sha256: line.sha256 };
    let body = place::read(place, &blob).await?;
    debug_assert_eq!(ContentHash::of(&body), blob.sha256);
    lake.put(&line.key, &body, Put::Replace).await?;
    Ok(())
}

async fn look_at_results(
    place: &impl Objects,
    manifest: &Manifest,
    store: &impl ItemStore,
) -> Result<Part, BackupError> {
    let table = Table::Results;
    let mut part = Part::new(table.name());
    for blob in manifest.tables.table(table.name()).into_iter().flat_map(|table| &table.parts) {
        let rows = tables::rows(place, blob).await?;
        for chunk in rows.chunks(KEYS_MAX) {
            let items: Vec<&Item> = chunk.iter().map(|row| &row.item).collect();
            for (item, live) in compare::beside(store, table, &items).await? {
                match compare::of_item(table, item, live.as_ref()) {
                    Comparison::Missing => part.missing += 1,
                    how => part.note(&item::name(item), how),
                }
            }
        }
    }
    Ok(part)
}

async fn write_results(
    place: &impl Objects,
    manifest: &Manifest,
    store: &impl ItemStore,
    anomalies: bool,
    means: Means,
    watch: Watch<'_>,
) -> Result<(), BackupError> {
    let over = if means.overwrite { Over::Anything } else { Over::Nothing };
    let mut count = 0;
    for blob in manifest.tables.table(Table::Results.name()).into_iter().flat_map(|table| &table.parts) {
        let rows = tables::rows(place, blob).await?;
        let is_anomaly = |item: &Item| item::text(item, "kind") == Some("anomaly");
        let items: Vec<Item> =
            rows.into_iter().map(|row| row.item).filter(|item| is_anomaly(item) == anomalies).collect();
        count += items.len() as u64;
        let puts = futures::iter(items).map(|item| async move {
            let item = if item::text(&item, "kind") == Some("state") { compare::rested(&item) } else { item };
            store.put(Table::Results, &item, over).await.map(drop)
        });
        puts.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        watch(Step { what: if anomalies { "anomalies" } else { "results" }, count, bytes: 0 });
    }
    Ok(())
}

/// The checkpoints that there are already: those of shards that have learned of devices are newer.
async fn look_at_shards<O: Objects + Sync, S: ItemStore>(
    all: &[(ShardId, Checkpoint)],
    target: &Target<'_, O, S>,
) -> Result<Part, BackupError> {
    let mut part = Part::new(Table::Checkpoints.name());
    for info in target.open_shards() {
        let shard = target.shard(info);
        match target.checkpoint(&shard).await? {
            None => part.missing += 1,
            Some(live) if live.last_seq == SequenceNumber::ZERO => part.note(&shard.to_string(), Comparison::Equal),
            Some(live) => {
                let devices = succeed::devices(&LakeOf(target.lake), &live, &target.tenancy).await?;
                // Pulses alone.
                if devices == 0 {
                    part.missing += 1;
                } else {
                    part.note(&format!("{shard} has learned of {devices} devices"), Comparison::Differs);
                }
            }
        }
    }
    for (shard, checkpoint) in all.iter().filter(|(shard, _)| !target.has(shard)) {
        match target.checkpoint(shard).await? {
            None => part.missing += 1,
            // A peer's stays as it is.
            Some(live) if shard.region != target.region || live.batch == checkpoint.batch => {
                part.note(&shard.to_string(), Comparison::Equal);
            }
            Some(_) => part.note(&format!("the checkpoint of {shard}"), Comparison::Differs),
        }
    }
    Ok(part)
}
