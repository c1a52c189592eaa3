//! Whether all that was committed is there, as it was committed, and once.
//!
//! The checkpoint of a shard names its last batch, and each batch the one before; a batch's identity follows from the hashes of
//! its objects. So reading the objects back proves them one after the other, from the newest to the shard's beginning. Then
//! gold is held against them: lists against what was committed, rows of runs against markers and silver. What is in the lake
//! and was not committed is an orphan: it costs space, not truth.
//!
//! What this does not do: score anew, which is `millrace replay`'s, or mend anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use datafusion::parquet::file::reader::{FileReader as _, SerializedFileReader};
use kinesis_scorer::chain::{self, BEGINNING, Batch, End};
use platform::model::{Checkpoint, ContentHash, Key, ObjectRef, ShardId};
use platform::ports::StoreError;
use telemetry::bronze::BronzeReader;
use telemetry::silver::SilverReader;

use crate::error::LakeError;
use crate::hour::Hour;
use crate::place::{self, LAYERS};
use crate::run::{Product, Task};
use crate::seal::{self, OBJECTS_MAX, Sealed, Shards};
use crate::world::LakeWorld;

/// Largest object that is read, packed or not.
const OBJECT_BYTES_MAX: usize = 512 << 20;

/// What a finding says of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It was committed and is not there.
    Missing,
    /// It is not what was committed, or cannot be read.
    Damaged,
    /// A record is not in order: it is there twice, or outside of its batch.
    Twice,
    /// Gold says something else than what was committed.
    Differs,
    /// It was written and never committed: to be passed over.
    Orphan,
}

impl Kind {
    /// Whether something is wrong.
    #[must_use]
    pub const fn is_wrong(self) -> bool {
        !matches!(self, Self::Orphan)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Damaged => "damaged",
            Self::Twice => "twice",
            Self::Differs => "differs",
            Self::Orphan => "orphan",
        })
    }
}

/// Something to know about the lake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// The object, or what is known of it.
    pub what: String,
    /// What is known, and what to do.
    pub detail: String,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Committed batches.
    pub batches: u64,
    /// Their objects.
    pub objects: u64,
    /// Records in bronze.
    pub records: u64,
    /// Rows in silver.
    pub silver_rows: u64,
    /// Rows of `readings` that count.
    pub readings_rows: u64,
    /// Hours with a list.
    pub hours: u64,
}

/// Verifies a lake. `tell` gets each finding as it is found, and `step` is called after each batch with how many are done and
/// how many there are.
///
/// # Errors
/// The store's. What is wrong with the lake is a finding, not an error.
pub async fn verify<W: LakeWorld>(
    world: &W,
    mut tell: impl FnMut(Finding),
    mut step: impl FnMut(u64, u64),
) -> Result<Totals, LakeError> {
    let mut totals = Totals::default();
    let mut committed: BTreeMap<(Hour, String), Hourly> = BTreeMap::new();
    for shards in seal::regions(world).await? {
        let keys = seal::names(world, &shards, shards.span.0).await?;
        let walks: Vec<Walk<'_>> = shards.checkpoints.iter().map(|one| Walk::of(&keys, one)).collect();
        let all = walks.iter().map(|walk| walk.batches.len() as u64).sum();
        for walk in &walks {
            walk.whole(&mut tell);
            state(world, walk.checkpoint, &mut tell).await?;
            for batch in &walk.batches {
                let rows = batch_of(world, walk.shard, batch, &mut totals, &mut tell).await?;
                note(&mut committed, &shards, batch, rows);
                totals.batches += 1;
                step(totals.batches, all);
            }
        }
        let named: BTreeSet<&Key> =
            walks.iter().flat_map(|walk| walk.batches.iter().flat_map(Batch::objects)).map(|(_, key)| key).collect();
        totals.objects += named.len() as u64;
        for key in keys.iter().filter(|key| !named.contains(key)) {
            let detail = "written and never committed: readers pass over it".to_owned();
            tell(Finding { kind: Kind::Orphan, what: key.to_string(), detail });
        }
    }
    gold(world, &committed, &mut totals, &mut tell).await?;
    Ok(totals)
}

/// A shard's batches.
struct Walk<'k> {
    shard: &'k ShardId,
    checkpoint: &'k Checkpoint,
    batches: Vec<Batch<'k>>,
    end: End,
}

impl<'k> Walk<'k> {
    fn of(keys: &'k [Key], (shard, checkpoint): (&'k ShardId, &'k Checkpoint)) -> Self {
        let (batches, end) = chain::walk(keys, shard, checkpoint);
        Self { shard, checkpoint, batches, end }
    }

    fn whole(&self, tell: &mut impl FnMut(Finding)) {
        // A shard that knows devices from a backfill alone has a checkpoint and no batch.
        if let End::Missing { batch, last } = &self.end
            && batch != BEGINNING
        {
            tell(Finding {
                kind: Kind::Missing,
                what: format!("{} batch {batch}", self.shard),
                detail: format!(
                    "no object of the batch that ends at record {last} is there, and what came before cannot be told: restore \
                     bronze and silver of it"
                ),
            });
        }
    }
}

/// What was committed in an hour of a Region.
#[derive(Debug, Default)]
struct Hourly {
    objects: BTreeSet<Key>,
    silver_rows: u64,
}

fn note(committed: &mut BTreeMap<(Hour, String), Hourly>, shards: &Shards, batch: &Batch<'_>, silver_rows: u64) {
    for (layer, key) in batch.objects() {
        let Some(place) = place::place(key) else { continue };
        let hourly = committed.entry((place.hour, shards.region.clone())).or_default();
        hourly.objects.insert(key.clone());
        hourly.silver_rows += if layer == "silver" { silver_rows } else { 0 };
    }
}

/// Reads an object; `None` after telling that it cannot be.
async fn read<W: LakeWorld>(
    world: &W,
    key: &Key,
    tell: &mut impl FnMut(Finding),
) -> Result<Option<Vec<u8>>, StoreError> {
    match world.get_object(key, OBJECT_BYTES_MAX).await {
        Ok(Some(bytes)) => Ok(Some(bytes)),
        Ok(None) => {
            let detail = "it was committed and is not there: restore it".to_owned();
            tell(Finding { kind: Kind::Missing, what: key.to_string(), detail });
            Ok(None)
        }
        Err(error) if error.is_transient() => Err(error),
        Err(error) => {
            tell(Finding { kind: Kind::Damaged, what: key.to_string(), detail: error.remedy });
            Ok(None)
        }
    }
}

/// What the checkpoint names with a hash: the snapshot and the segments since.
async fn state<W: LakeWorld>(
    world: &W,
    checkpoint: &Checkpoint,
    tell: &mut impl FnMut(Finding),
) -> Result<(), StoreError> {
    let named = checkpoint.snapshot.iter().map(|snapshot| &snapshot.object);
    for ObjectRef { key, sha256 } in named.chain(checkpoint.segments.iter().map(|segment| &segment.object)) {
        let Some(bytes) = read(world, key, tell).await? else { continue };
        let found = ContentHash::of(&bytes);
        if found != *sha256 {
            let detail =
                format!("its SHA-256 is {found}, the checkpoint says {sha256}: restore the right version of it");
            tell(Finding { kind: Kind::Damaged, what: key.to_string(), detail });
        }
    }
    Ok(())
}

/// A batch's objects against its identity, and its records. Returns the rows of its silver.
async fn batch_of<W: LakeWorld>(
    world: &W,
    shard: &ShardId,
    batch: &Batch<'_>,
    totals: &mut Totals,
    tell: &mut impl FnMut(Finding),
) -> Result<u64, StoreError> {
    let mut hashes: BTreeMap<&str, ContentHash> = BTreeMap::new();
    let (mut unread, mut rows) = (false, 0);
    for (layer, key) in batch.objects() {
        let Some(bytes) = read(world, key, tell).await? else {
            unread = true;
            continue;
        };
        hashes.insert(layer, ContentHash::of(&bytes));
        let damaged = |error: &dyn fmt::Display| Finding {
            kind: Kind::Damaged,
            what: key.to_string(),
            detail: format!("{error}: restore it from a backup or an older version"),
        };
        match layer {
            "bronze" => match BronzeReader::new(&bytes, OBJECT_BYTES_MAX) {
                Ok(reader) => totals.records += records(&reader, key, batch, tell),
                Err(error) => tell(damaged(&error)),
            },
            "silver" => match SilverReader::count(bytes) {
                Ok(count) => rows += count,
                Err(error) => tell(damaged(&error)),
            },
            _ => {}
        }
    }
    totals.silver_rows += rows;
    let name = &batch.name;
    let of = |layer: &str| hashes.get(layer);
    let identity = chain::identity(name.before, name.version, [of("bronze"), of("silver"), of("quarantine")]);
    if !unread && identity != name.id {
        let lacking: Vec<&str> = LAYERS.into_iter().filter(|layer| batch.object(layer).is_none()).collect();
        let lacking = if lacking.is_empty() { String::new() } else { format!(", or {} is gone", lacking.join(" or ")) };
        let what =
            batch.objects().next().map_or_else(|| format!("{shard} batch {}", name.id), |(_, key)| key.to_string());
        let detail =
            format!("the batch's objects are not those that were committed{lacking}: restore all of the batch");
        tell(Finding { kind: if lacking.is_empty() { Kind::Damaged } else { Kind::Missing }, what, detail });
    }
    Ok(rows)
}

/// Records that are in order and within the batch are in no other, since batches of a chain do not overlap.
fn records(reader: &BronzeReader, key: &Key, batch: &Batch<'_>, tell: &mut impl FnMut(Finding)) -> u64 {
    let mut previous = batch.name.previous;
    let mut count = 0;
    let mut say = |kind, detail| tell(Finding { kind, what: key.to_string(), detail });
    for record in reader.records() {
        let seq = match record {
            Ok(record) => record.seq,
            Err(error) => {
                say(Kind::Damaged, format!("{error}: restore it from a backup or an older version"));
                return count;
            }
        };
        if seq <= previous {
            say(Kind::Twice, format!("record {seq} does not come after {previous}"));
        }
        previous = seq;
        count += 1;
    }
    if previous != batch.name.last {
        say(Kind::Damaged, format!("it ends at record {previous}, and the batch at {}", batch.name.last));
    }
    count
}

/// Lists and products against what was committed.
async fn gold<W: LakeWorld>(
    world: &W,
    committed: &BTreeMap<(Hour, String), Hourly>,
    totals: &mut Totals,
    tell: &mut impl FnMut(Finding),
) -> Result<(), LakeError> {
    let nothing = Hourly::default();
    for (hour, region) in seal::sealed(world).await? {
        totals.hours += 1;
        let hourly = committed.get(&(hour, region.clone())).unwrap_or(&nothing);
        let list = match seal::list(world, hour, &region).await {
            Ok(Some((list, _))) => list,
            Ok(None) => continue,
            Err(LakeError::Damaged { place, reason }) => {
                tell(Finding { kind: Kind::Damaged, what: place, detail: reason });
                continue;
            }
            Err(other) => return Err(other),
        };
        against_list(hourly, &list, hour, tell);
        let is_last = hour.of_day() == 23;
        for product in Product::ALL.into_iter().filter(|product| is_last || !product.is_daily()) {
            let task = Task { region: region.clone(), hour, product };
            let rows = product_of(world, &task, tell).await?;
            if let Some(rows) = rows.filter(|_| product == Product::Readings) {
                totals.readings_rows += rows;
                if rows != hourly.silver_rows {
                    let detail = format!("it has {rows} rows, and silver of the hour {}", hourly.silver_rows);
                    tell(Finding { kind: Kind::Differs, what: format!("readings of {region} {hour}"), detail });
                }
            }
        }
    }
    Ok(())
}

fn against_list(hourly: &Hourly, list: &[Sealed], hour: Hour, tell: &mut impl FnMut(Finding)) {
    let listed: BTreeSet<&Key> = list.iter().map(|one| &one.key).collect();
    for key in hourly.objects.iter().filter(|key| !listed.contains(key)) {
        let detail = format!("it was committed after {hour} had been sealed, and is in no product");
        tell(Finding { kind: Kind::Differs, what: key.to_string(), detail });
    }
    for key in listed.into_iter().filter(|key| !hourly.objects.contains(*key)) {
        let detail = format!("the list of {hour} has it, and it is not there or not committed: restore it");
        tell(Finding { kind: Kind::Missing, what: key.to_string(), detail });
    }
}

/// The rows of a product that count, told apart from those of runs that do not. `None`: there is no marker.
async fn product_of<W: LakeWorld>(
    world: &W,
    task: &Task,
    tell: &mut impl FnMut(Finding),
) -> Result<Option<u64>, LakeError> {
    let name = task.product.name();
    let marker = match task.marker(world).await {
        Ok(marker) => marker,
        Err(LakeError::Damaged { place, reason }) => {
            tell(Finding { kind: Kind::Damaged, what: place, detail: reason });
            return Ok(None);
        }
        Err(other) => return Err(other),
    };
    let folder = task.folder();
    let counts = marker.as_ref().map(|marker| format!("{folder}{}/", marker.run));
    let (mut rows, mut objects) = (0, 0);
    for one in world.list_objects(&folder, OBJECTS_MAX).await? {
        if !counts.as_ref().is_some_and(|counts| one.key.as_str().starts_with(counts.as_str())) {
            let detail = "of a run that no marker names: readers pass over it".to_owned();
            tell(Finding { kind: Kind::Orphan, what: one.key.to_string(), detail });
            continue;
        }
        objects += 1;
        let Some(bytes) = read(world, &one.key, tell).await? else { continue };
        match SerializedFileReader::new(bytes::Bytes::from(bytes)) {
            Ok(file) => rows += u64::try_from(file.metadata().file_metadata().num_rows()).unwrap_or_default(),
            Err(error) => {
                let detail = format!("{error}: restore it from a backup or an older version");
                tell(Finding { kind: Kind::Damaged, what: one.key.to_string(), detail });
            }
        }
    }
    let Some(marker) = marker else { return Ok(None) };
    if (marker.row_count, marker.object_count) != (rows, objects) {
        tell(Finding {
            kind: Kind::Differs,
            what: format!("{name} of {} {}", task.region, task.hour),
            detail: format!(
                "the marker says {} rows in {} objects, there are {rows} in {objects}: restore what is gone",
                marker.row_count, marker.object_count
            ),
        });
    }
    Ok(Some(rows))
}
