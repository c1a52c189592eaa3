//! Which hours are over, and what was committed in them.
//!
//! An hour is over for a shard when the stream time of its checkpoint lies beyond it: a batch's partition is that of the newest
//! arrival, which never goes back, so that nothing is committed into the hour any more. A shard that was split or merged is
//! over when one of its descendants has a checkpoint. When an hour is over for all shards of a Region, the objects that walking
//! back from the checkpoints finds in it are its list, whoever walks; it is written once.
//!
//! What it does not do: guess. A shard that has never committed anything keeps its Region waiting, since it may yet; who
//! knows better says so ([`Window::without`]).

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::Timestamp;
use kinesis_scorer::chain::{self, BEGINNING, Batch, End};
use platform::model::{Checkpoint, Key, ShardId, ShardInfo};
use platform::ports::{StoreError, Stored};
use serde::{Deserialize, Serialize};
use telemetry::sequence::SequenceNumber;

use crate::error::{Gap, LakeError};
use crate::hour::Hour;
use crate::place::{self, LAYERS};
use crate::world::LakeWorld;

/// Most objects that one look at the lake takes: their names are held in memory, about 300 bytes each.
pub const OBJECTS_MAX: usize = 2_000_000;
/// Most folders of one level.
const FOLDERS_MAX: usize = 100_000;
/// Largest list of an hour, in bytes.
pub(crate) const LIST_BYTES_MAX: usize = 256 << 20;

/// Which hours to look at.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// The first hour; `None`: the first that there is.
    pub from: Option<Hour>,
    /// The first hour that is too late; `None`: the first that is not over.
    pub until: Option<Hour>,
    /// Streams (`stream`) and shards (`stream/shard`) that are not waited for, because they will never send again. What one of
    /// them commits nevertheless into an hour that is sealed is in no product; `verify` tells of it.
    pub without: Vec<String>,
}

impl Window {
    /// Whether an hour is in it, as far as it has bounds.
    #[must_use]
    pub fn has(&self, hour: Hour) -> bool {
        self.from.is_none_or(|from| from <= hour) && self.until.is_none_or(|until| hour < until)
    }

    fn leaves_out(&self, shard: &ShardId) -> bool {
        let whole = format!("{}/{}", shard.stream, shard.shard);
        self.without.iter().any(|name| *name == shard.stream || *name == whole)
    }
}

/// A line of a list: one committed object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Its stream.
    pub stream: String,
    /// Its shard.
    pub shard: String,
    /// `bronze`, `silver` or `quarantine`.
    pub layer: String,
    /// Version of the checkpoint that committed it.
    pub version: u64,
    /// Identity of the batch before.
    pub before: String,
    /// Identity of its batch.
    pub batch: String,
    /// Where it is.
    pub key: Key,
}

/// An hour that is over and has no list yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealable {
    /// The hour.
    pub hour: Hour,
    /// The Region.
    pub region: String,
    /// What its list will have, in order of key.
    pub objects: Vec<Sealed>,
}

/// What a Region waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The first hour that is not over.
    pub hour: Option<Hour>,
    /// The shard that is the furthest behind.
    pub shard: ShardId,
    /// The newest arrival that it has committed; `None`: it has never committed anything.
    pub stream_time: Option<Timestamp>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What can be sealed, in order of Region and hour.
    pub sealable: Vec<Sealable>,
    /// One a Region.
    pub waiting: Vec<Waiting>,
}

/// The shards of a Region and what is known of them.
pub(crate) struct Shards {
    pub(crate) region: String,
    /// The first and the last hour that have objects of the Region.
    pub(crate) span: (Hour, Hour),
    pub(crate) checkpoints: BTreeMap<ShardId, Checkpoint>,
    /// Those that will commit nothing more: a descendant has a checkpoint.
    over: BTreeSet<ShardId>,
    /// Those that may yet commit their first batch.
    silent: Vec<ShardId>,
}

/// The Regions that have objects in the lake.
pub(crate) async fn regions<W: LakeWorld>(world: &W) -> Result<Vec<Shards>, LakeError> {
    let mut streams: BTreeMap<String, (Hour, Hour, BTreeSet<String>)> = BTreeMap::new();
    for date in world.list_folders("bronze/", FOLDERS_MAX).await? {
        for hour in world.list_folders(&format!("bronze/{date}/"), FOLDERS_MAX).await? {
            let within = format!("bronze/{date}/{hour}/");
            let parsed = date.strip_prefix("dt=").zip(hour.strip_prefix("hour="));
            let Some(at) = parsed.and_then(|(date, hour)| Hour::parse(date, hour)) else { continue };
            for region in world.list_folders(&within, FOLDERS_MAX).await? {
                let found = world.list_folders(&format!("{within}{region}/"), FOLDERS_MAX).await?;
                let (first, last, known) = streams.entry(region).or_insert((at, at, BTreeSet::new()));
                (*first, *last) = (at.min(*first), at.max(*last));
                known.extend(found);
            }
        }
    }
    let mut regions = Vec::new();
    for (region, (first, last, streams)) in streams {
        let mut shards = Shards {
            region,
            span: (first, last),
            checkpoints: BTreeMap::new(),
            over: BTreeSet::new(),
            silent: Vec::new(),
        };
        for stream in streams {
            shards.add(world, &stream).await?;
        }
        regions.push(shards);
    }
    Ok(regions)
}

impl Shards {
    async fn add<W: LakeWorld>(&mut self, world: &W, stream: &str) -> Result<(), StoreError> {
        self.checkpoints.extend(world.list_checkpoints(&self.region, stream).await?);
        let infos = world.list_shards(stream).await?;
        let of =
            |shard: &str| ShardId { region: self.region.clone(), stream: stream.to_owned(), shard: shard.to_owned() };
        let mut over = BTreeSet::new();
        for info in infos.iter().filter(|info| self.checkpoints.contains_key(&of(&info.shard))) {
            ancestors(info, &infos, &mut over);
        }
        let silent = infos
            .iter()
            .map(|info| of(&info.shard))
            .filter(|shard| !self.checkpoints.contains_key(shard) && !over.contains(&shard.shard));
        self.silent.extend(silent);
        self.over.extend(over.iter().map(|shard| of(shard)));
        // Of a former stream, whose shards are no more.
        let is_gone = |shard: &ShardId| !infos.iter().any(|info| info.shard == shard.shard);
        let former = self.checkpoints.iter().filter(|(shard, checkpoint)| checkpoint.is_former() && is_gone(shard));
        self.over.extend(former.map(|(shard, _)| shard.clone()));
        Ok(())
    }

    /// Which shard is the furthest behind, and where it is.
    fn behind(&self, window: &Window) -> Option<(&ShardId, Option<Timestamp>)> {
        let silent = self.silent.iter().map(|shard| (shard, None));
        // A shard that knows devices from a backfill alone has a checkpoint and has committed no record.
        let time =
            |checkpoint: &Checkpoint| (checkpoint.last_seq > SequenceNumber::ZERO).then_some(checkpoint.stream_time);
        let at = self.checkpoints.iter().map(|(shard, checkpoint)| (shard, time(checkpoint)));
        let open = silent.chain(at).filter(|(shard, _)| !self.over.contains(shard) && !window.leaves_out(shard));
        open.min_by_key(|(_, stream_time)| *stream_time)
    }
}

/// Names of the shards that a shard comes from, however long ago.
fn ancestors(info: &ShardInfo, infos: &[ShardInfo], found: &mut BTreeSet<String>) {
    for parent in [&info.parent, &info.adjacent_parent].into_iter().flatten() {
        if found.insert(parent.clone())
            && let Some(info) = infos.iter().find(|info| info.shard == *parent)
        {
            ancestors(info, infos, found);
        }
    }
}

/// Looks for hours that are over and have no list.
///
/// # Errors
/// [`LakeError::Gap`] where a committed batch is gone, and the store's.
pub async fn find<W: LakeWorld>(world: &W, window: &Window) -> Result<Found, LakeError> {
    let mut found = Found::default();
    let sealed = sealed(world).await?;
    for shards in regions(world).await? {
        let behind = shards.behind(window);
        let over = match behind {
            Some((_, Some(stream_time))) => Hour::of(stream_time),
            Some((_, None)) => shards.span.0,
            None => shards.span.1.next(),
        };
        if let Some((shard, stream_time)) = behind {
            let hour = stream_time.map(Hour::of);
            found.waiting.push(Waiting { hour, shard: shard.clone(), stream_time });
        }
        let first = shards.span.0.max(window.from.unwrap_or(shards.span.0));
        let end = over.min(window.until.unwrap_or(over));
        let hours = std::iter::successors(Some(first), |hour| Some(hour.next())).take_while(|hour| *hour < end);
        let open: BTreeSet<Hour> = hours.filter(|hour| !sealed.contains(&(*hour, shards.region.clone()))).collect();
        let Some(frontier) = open.first() else { continue };
        let mut lists: BTreeMap<Hour, Vec<Sealed>> = open.iter().map(|hour| (*hour, Vec::new())).collect();
        collect(world, &shards, *frontier, &mut lists).await?;
        found.sealable.extend(lists.into_iter().map(|(hour, mut objects)| {
            objects.sort_by(|a, b| a.key.cmp(&b.key));
            Sealable { hour, region: shards.region.clone(), objects }
        }));
    }
    Ok(found)
}

/// Hours and Regions that have a list.
pub(crate) async fn sealed<W: LakeWorld>(world: &W) -> Result<BTreeSet<(Hour, String)>, LakeError> {
    let listed = world.list_objects(place::SEALED, OBJECTS_MAX).await?;
    let of = |key: &Key| place::gold_place(key, place::SEALED).map(|(hour, region, _)| (hour, region.to_owned()));
    Ok(listed.iter().filter_map(|one| of(&one.key)).collect())
}

/// Names of a Region's objects from an hour on, and what was committed of them.
async fn collect<W: LakeWorld>(
    world: &W,
    shards: &Shards,
    frontier: Hour,
    lists: &mut BTreeMap<Hour, Vec<Sealed>>,
) -> Result<(), LakeError> {
    let keys = names(world, shards, frontier).await?;
    for (shard, checkpoint) in &shards.checkpoints {
        // What was committed last lies before: so does all the rest.
        if Hour::of(checkpoint.stream_time) < frontier {
            continue;
        }
        let (batches, end) = chain::walk(&keys, shard, checkpoint);
        check_end(world, shards, shard, checkpoint, frontier, &batches, &end).await?;
        for (layer, key) in batches.iter().flat_map(Batch::objects) {
            let (Some(place), Some(name)) = (place::place(key), chain::read(key, &shard.to_string())) else { continue };
            let Some(list) = lists.get_mut(&place.hour) else { continue };
            list.push(Sealed {
                stream: shard.stream.clone(),
                shard: shard.shard.clone(),
                layer: layer.to_owned(),
                version: name.version,
                before: name.before.to_owned(),
                batch: name.id.to_owned(),
                key: key.clone(),
            });
        }
    }
    Ok(())
}

/// Names of a Region's objects of all layers, from an hour on.
pub(crate) async fn names<W: LakeWorld>(world: &W, shards: &Shards, from: Hour) -> Result<Vec<Key>, StoreError> {
    let mut keys: Vec<Key> = Vec::new();
    let hours = std::iter::successors(Some(from), |hour| Some(hour.next())).take_while(|hour| *hour <= shards.span.1);
    for hour in hours {
        for layer in LAYERS {
            let prefix = format!("{layer}/{}/{}/", hour.partition(), shards.region);
            let room = OBJECTS_MAX.saturating_sub(keys.len());
            keys.extend(world.list_objects(&prefix, room).await?.into_iter().map(|one| one.key));
        }
    }
    Ok(keys)
}

/// A walk ends at the shard's beginning, or at a batch of an hour before those that were looked at: that it is there is looked
/// up, the newest hour first. Anything else is a gap.
async fn check_end<W: LakeWorld>(
    world: &W,
    shards: &Shards,
    shard: &ShardId,
    checkpoint: &Checkpoint,
    frontier: Hour,
    batches: &[Batch<'_>],
    end: &End,
) -> Result<(), LakeError> {
    let End::Missing { batch, last } = end else { return Ok(()) };
    let mut hour = shards.span.0;
    let mut before = Vec::new();
    while hour < frontier {
        before.push(hour);
        hour = hour.next();
    }
    for hour in before.into_iter().rev() {
        let listed = world.list_objects(&format!("bronze/{}/{shard}/", hour.partition()), OBJECTS_MAX).await?;
        let is_it = |key: &Key| chain::read(key, &shard.to_string()).is_some_and(|name| name.ends(batch, *last));
        if listed.iter().any(|one| is_it(&one.key)) {
            return Ok(());
        }
    }
    let oldest = batches.last().and_then(|batch| batch.objects().next()).and_then(|(_, key)| place::place(key));
    let hour = oldest.map_or(Hour::of(checkpoint.stream_time), |place| place.hour);
    let batch = if batch.is_empty() { BEGINNING } else { batch }.to_owned();
    Err(LakeError::Gap(Box::new(Gap { shard: shard.clone(), batch, last: *last, hour })))
}

/// Writes the list of an hour. Safe to repeat.
///
/// # Errors
/// [`LakeError::Changed`] when a list with other content is there, and the store's.
pub async fn seal<W: LakeWorld>(world: &W, sealable: &Sealable) -> Result<Stored, LakeError> {
    let key = place::sealed(sealable.hour, &sealable.region)?;
    Ok(world.put_if_absent(&key, &lines(&sealable.objects)?).await?)
}

fn lines(objects: &[Sealed]) -> Result<Vec<u8>, LakeError> {
    let mut text = Vec::new();
    for object in objects {
        serde_json::to_writer(&mut text, object).map_err(|error| LakeError::Engine(error.to_string()))?;
        text.push(b'\n');
    }
    Ok(text)
}

/// The list of an hour, and its bytes; `None`: it is not sealed.
///
/// # Errors
/// [`LakeError::Damaged`], and the store's.
pub async fn list<W: LakeWorld>(
    world: &W,
    hour: Hour,
    region: &str,
) -> Result<Option<(Vec<Sealed>, Vec<u8>)>, LakeError> {
    let key = place::sealed(hour, region)?;
    let Some(bytes) = world.get_object(&key, LIST_BYTES_MAX).await? else { return Ok(None) };
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let objects: Result<Vec<Sealed>, _> = lines.map(serde_json::from_slice).collect();
    let objects = objects.map_err(|error| LakeError::Damaged {
        place: key.to_string(),
        reason: format!("{error}; restore it from a backup or an older version"),
    })?;
    Ok(Some((objects, bytes)))
}
