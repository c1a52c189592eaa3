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
use platform::model::{Checkpoint, ShardInfo};
use telemetry::sequence::SequenceNumber;

use crate::beside::{Beside, Looked};
use crate::compare::{self, Comparison, KEYS_MAX, Part};
use crate::heritage::{Begun, Heritage};
use crate::item::{self, Item};
use crate::list::Line;
use crate::manifest::Manifest;
use crate::objects::{Objects, Put};
use crate::room::Room;
use crate::scan::{ItemStore, Over, Table};
use crate::tables::{self, How};
use crate::world::LakeOf;
use crate::{BackupError, Step, Watch, place, sqlite};

/// What is written at once.
const AT_ONCE: usize = 16;
/// Rows that are held in memory while they are written.
const ROWS_AT_ONCE: usize = 1_000;
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
    /// Shards of the new stream.
    pub shards: Vec<Went>,
}

/// What a shard of the new stream goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Went {
    /// The shard.
    pub shard: String,
    /// Devices of the former stream.
    pub devices: usize,
    /// Devices that it had learned of from the new stream, and that stay as they are.
    pub newer: usize,
    /// Devices that it was taught before any record came, and in whose place the former stream's are now.
    pub replaced: usize,
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
    let mut restored =
        Restored { before: look_at_lake(place, manifest, lake, means, watch).await?, shards: Vec::new() };
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
pub async fn environment<P: Objects + Sync, O: Objects + Sync, S: ItemStore>(
    place: &P,
    manifest: &Manifest,
    target: &Target<'_, O, S>,
    means: Means,
    watch: Watch<'_>,
) -> Result<Restored, BackupError> {
    if manifest.tables.how == How::Database {
        let backup = manifest.tables.how.kind();
        return Err(BackupError::Kind { backup, target: "an environment in AWS: name a folder (--dir)" });
    }
    let heritage = Heritage::of(place, manifest).await?;
    heritage.check().await?;
    let mut restored =
        Restored { before: look_at_lake(place, manifest, target.lake, means, watch).await?, shards: Vec::new() };
    restored.before.push(look_at_results(place, manifest, target.items).await?);
    restored.before.push(look_at_shards(&heritage, target).await?);
    restored.refuse(means)?;
    if means.is_rehearsal {
        return Ok(restored);
    }
    write_lake(place, manifest, target.lake, means, watch).await?;
    for anomalies in [false, true] {
        write_results(place, manifest, target.items, anomalies, means, watch).await?;
    }
    let epoch = stream::begin_epoch(place, manifest, target).await?;
    for (shard, checkpoint) in heritage.all.iter().filter(|(shard, _)| target.open(shard).is_none()) {
        let end = succeed::end_of(checkpoint);
        target.put_end(shard, &end, means).await?;
    }
    for info in target.open_shards() {
        restored.shards.push(target.succeed(info, &heritage, epoch, watch).await?);
    }
    Ok(restored)
}

/// Of which lines the content is not read. What is below `config/` and `models/` changes under its name, and may be as long as it was;
/// the rest is never changed, so that its size tells whether it was cut short. Who overwrites wants to have no other content.
fn is_quick(means: Means) -> impl Fn(&Line) -> bool {
    let changes = |line: &Line| ["config/", "models/"].iter().any(|folder| line.key.starts_with(folder));
    move |line| !means.overwrite && !changes(line)
}

async fn look_at_lake<P: Objects + Sync, O: Objects + Sync>(
    place: &P,
    manifest: &Manifest,
    lake: &O,
    means: Means,
    watch: Watch<'_>,
) -> Result<Vec<Part>, BackupError> {
    let mut parts = Vec::new();
    for one in &manifest.lake {
        let mut part = Part::new(&one.name);
        let mut beside = Beside::new(place, one, lake);
        loop {
            let page = beside.page(is_quick(means)).await?;
            if page.is_empty() {
                break;
            }
            for looked in &page {
                match looked.how {
                    Comparison::Missing => part.missing += 1,
                    // It stays.
                    Comparison::Newer => {}
                    how => part.note(&looked.key, how),
                }
            }
            watch(Step { what: &one.name, count: part.missing + part.equal + part.differs, bytes: 0 });
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
    let room = &Room::new();
    for one in &manifest.lake {
        let mut beside = Beside::new(place, one, lake);
        let (mut count, mut bytes) = (0, 0);
        loop {
            let page = beside.page(is_quick(means)).await?;
            if page.is_empty() {
                break;
            }
            let mut lines = Vec::new();
            for Looked { line, how, .. } in page {
                let Some(line) = line else { continue };
                (count, bytes) = (count + 1, bytes + line.bytes);
                if how != Comparison::Equal {
                    lines.push(line);
                }
            }
            let copies = futures::iter(lines).map(|line| copy(place, lake, line, room));
            copies.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            watch(Step { what: &one.name, count, bytes });
        }
    }
    Ok(())
}

async fn copy(place: &impl Objects, lake: &impl Objects, line: Line, room: &Room) -> Result<(), BackupError> {
    let _room = room.hold(line.bytes).await;
    let blob = place::Blob { key: place::content(&line.sha256), bytes: line.bytes, sha256: line.sha256 };
    let body = place::read(place, &blob).await?;
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
        let mut rows = tables::rows(place, blob).await?;
        loop {
            let items = rows.chunk(KEYS_MAX)?;
            if items.is_empty() {
                break;
            }
            for (item, live) in compare::beside(store, table, &items).await? {
                match compare::of_result(item, live.as_ref()) {
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
        let mut rows = tables::rows(place, blob).await?;
        loop {
            let items = rows.chunk(ROWS_AT_ONCE)?;
            if items.is_empty() {
                break;
            }
            let is_anomaly = |item: &Item| item::text(item, "kind") == Some("anomaly");
            let items: Vec<Item> = items.into_iter().filter(|item| is_anomaly(item) == anomalies).collect();
            count += items.len() as u64;
            let puts = futures::iter(items).map(|item| async move {
                let item = if item::text(&item, "kind") == Some("state") { compare::rested(&item) } else { item };
                store.put(Table::Results, &item, over).await.map(drop)
            });
            puts.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            watch(Step { what: if anomalies { "anomalies" } else { "results" }, count, bytes: 0 });
        }
    }
    Ok(())
}

/// The checkpoints that there are already: those of shards that have learned of devices are newer.
///
/// A shard without a record has learned from no stream: what it knows is of `backfill`, or of another restore. The backup's detectors
/// are the better ones, since they have seen the plant to its last record and know the incidents that come back beside them; they take
/// its place. What the backup does not know at all is named.
async fn look_at_shards<P: Objects + Sync, O: Objects + Sync, S: ItemStore>(
    heritage: &Heritage<'_, P>,
    target: &Target<'_, O, S>,
) -> Result<Part, BackupError> {
    let mut part = Part::new(Table::Checkpoints.name());
    for info in target.open_shards() {
        let shard = target.shard(info);
        match target.checkpoint(&shard).await? {
            None => part.missing += 1,
            Some(live) if live.last_seq == SequenceNumber::ZERO => match target.look(heritage, info, &live).await? {
                Begun::So => part.note(&shard.to_string(), Comparison::Equal),
                Begun::Otherwise { more, .. } if more.is_empty() => part.missing += 1,
                Begun::Otherwise { more, .. } => {
                    let (count, first) = (more.len(), more.first().map_or("", String::as_str));
                    let name = format!(
                        "{shard} was taught {count} devices that the backup has not, such as {first} (by `millrace backfill`, which                          teaches them again afterwards, or by another restore)"
                    );
                    part.note(&name, Comparison::Differs);
                }
            },
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
    for (shard, was) in heritage.all.iter().filter(|(shard, _)| target.open(shard).is_none()) {
        let Some(live) = target.checkpoint(shard).await? else {
            part.missing += 1;
            continue;
        };
        let is_same = live == *was || live == Checkpoint { hash_range: None, ..was.clone() };
        let how = if is_same || compare::is_end_of(&live, was) {
            Comparison::Equal
        } else if compare::has_moved_on(&live, was) {
            Comparison::MovedOn
        } else {
            Comparison::Differs
        };
        part.note(&format!("the checkpoint of {shard}"), how);
    }
    Ok(part)
}
