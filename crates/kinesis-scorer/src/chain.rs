//! Which objects of the lake are committed, told from their names and the checkpoint alone.
//!
//! A process whose memory of a shard is out of date scores a batch, writes its objects, and only then finds that it may
//! not commit them. They stay in the lake as orphans: scored with a state that lacks what others committed in between, or
//! with profiles that were replaced, or with records left out that others had committed. An orphan can have the ends and
//! the version of the committed batch, and can be written before or after it. So every batch has an identity, derived from
//! its content and from the batch before it; names carry both, the checkpoint carries that of the last one, and walking
//! back from there finds the committed objects and no other.

use std::collections::{BTreeMap, BTreeSet};

use platform::model::{Checkpoint, ContentHash, Key, ShardId};
use telemetry::sequence::SequenceNumber;

pub use crate::layout::BEGINNING;

/// What the name of a batch's object says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'k> {
    /// `bronze`, `silver` or `quarantine`.
    pub layer: &'k str,
    /// The last record of the batch before.
    pub previous: SequenceNumber,
    /// The last record of the batch.
    pub last: SequenceNumber,
    /// The checkpoint's version that the batch meant to be.
    pub version: u64,
    /// Identity of the batch before; [`BEGINNING`] for none.
    pub before: &'k str,
    /// Identity of the batch.
    pub id: &'k str,
    /// Whether the name was taken by other bytes when the object was stored.
    pub suffix: bool,
}

impl Name<'_> {
    /// Whether it is of the batch `id` that ends at `last`. A stream that was made anew counts from the beginning while its batches
    /// go on from those of the former one, so that a `last` before every record says nothing.
    #[must_use]
    pub fn ends(&self, id: &str, last: SequenceNumber) -> bool {
        self.id == id && (self.last == last || last == SequenceNumber::ZERO)
    }
}

/// Reads `{layer}/…/{region}/{stream}/{shard}/{previous}-{last}.v{version}-{before}-{id}[-suffix].{extension}`; `None` for
/// what is not an object of that shard's batches. `shard` is as a [`ShardId`] displays.
#[must_use]
pub fn read<'k>(key: &'k Key, shard: &str) -> Option<Name<'k>> {
    let (folder, file) = key.as_str().rsplit_once('/')?;
    let (layer, _) = folder.split_once('/')?;
    if !folder.strip_suffix(shard)?.ends_with('/') {
        return None;
    }
    let (previous, rest) = file.split_once('-')?;
    let (last, rest) = rest.split_once(".v")?;
    let (name, _) = rest.split_once('.')?;
    let mut parts = name.split('-');
    let version = parts.next()?.parse().ok()?;
    let (before, id, suffix) = (parts.next()?, parts.next()?, parts.next().is_some());
    Some(Name { layer, previous: previous.parse().ok()?, last: last.parse().ok()?, version, before, id, suffix })
}

/// The identity of a batch: what its objects' names say of it must follow from what is in them. `before` is the identity of
/// the batch before, `objects` are the contents of bronze, silver and quarantine, `None` where the batch has none.
#[must_use]
pub fn identity(before: &str, version: u64, objects: [Option<&ContentHash>; 3]) -> String {
    crate::layout::identity(before, version, objects)
}

/// A committed batch and its objects.
#[derive(Debug, Clone)]
pub struct Batch<'k> {
    /// What the objects' names say; the layer is that of any of them.
    pub name: Name<'k>,
    objects: BTreeMap<&'k str, (bool, &'k Key)>,
}

impl<'k> Batch<'k> {
    /// The object of a layer. One with a suffix stands beside bytes that somebody else put under the name.
    #[must_use]
    pub fn object(&self, layer: &str) -> Option<&'k Key> {
        self.objects.get(layer).map(|(_, key)| *key)
    }

    /// Layers and objects, in order of layer.
    pub fn objects(&self) -> impl Iterator<Item = (&'k str, &'k Key)> {
        self.objects.iter().map(|(layer, (_, key))| (*layer, *key))
    }
}

/// Where a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// At the beginning of the shard.
    Beginning,
    /// At a batch that is committed and has no object among the keys: they do not go back so far, or it is lost.
    Missing {
        /// Its identity.
        batch: String,
        /// Its last record.
        last: SequenceNumber,
    },
}

/// The committed objects of a shard among `keys` (of any layers and shards), and whether the chain reaches back to the
/// shard's beginning; it does not where older objects are not among the keys.
#[must_use]
pub fn committed<'k>(
    keys: impl IntoIterator<Item = &'k Key>,
    shard: &ShardId,
    checkpoint: &Checkpoint,
) -> (BTreeSet<&'k Key>, bool) {
    let (batches, end) = walk(keys, shard, checkpoint);
    let found = batches.iter().flat_map(Batch::objects).map(|(_, key)| key).collect();
    (found, end == End::Beginning)
}

/// The committed batches of a shard among `keys` (of any layers and shards), the newest first, and where that ended.
#[must_use]
pub fn walk<'k>(
    keys: impl IntoIterator<Item = &'k Key>,
    shard: &ShardId,
    checkpoint: &Checkpoint,
) -> (Vec<Batch<'k>>, End) {
    let shard = shard.to_string();
    let mut batches: BTreeMap<&str, Batch<'k>> = BTreeMap::new();
    for key in keys {
        let Some(name) = read(key, &shard) else { continue };
        let (layer, suffix) = (name.layer, name.suffix);
        let batch = batches.entry(name.id).or_insert_with(|| Batch { name, objects: BTreeMap::new() });
        let object = batch.objects.entry(layer).or_insert((suffix, key));
        if suffix {
            *object = (suffix, key);
        }
    }
    let mut found = Vec::new();
    let (mut id, mut last) = (checkpoint.batch.as_str(), checkpoint.last_seq);
    let end = loop {
        // Each batch is taken once, so that names made by hand cannot lead in a circle.
        let Some(batch) = batches.remove(id).filter(|batch| batch.name.ends(id, last)) else {
            break End::Missing { batch: id.to_owned(), last };
        };
        let name = batch.name;
        found.push(batch);
        if name.before == BEGINNING {
            break End::Beginning;
        }
        (id, last) = (name.before, name.previous);
    };
    (found, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anomaly_core::Timestamp;

    /// Objects as `previous-last before>id`; the checkpoint as `last id`; the objects that are committed, by id.
    fn check(objects: &[&str], tip: (u32, &str), expected: &[&str], expected_whole: bool) {
        let shard = ShardId { region: "r".into(), stream: "s".into(), shard: "shardId-0".into() };
        let name = |text: &&str| {
            let (span, ids) = text.split_once(' ').unwrap();
            let (previous, last) = span.split_once('-').unwrap();
            let (before, id) = ids.split_once('>').unwrap();
            Key::new(format!("bronze/dt=2026-01-01/hour=00/{shard}/{previous}-{last}.v1-{before}-{id}.ndjson.zst"))
                .unwrap()
        };
        let checkpoint = Checkpoint {
            version: 9,
            last_seq: tip.0.to_string().parse().unwrap(),
            stream_time: Timestamp::MIN,
            batch: tip.1.to_owned(),
            snapshot: None,
            segments: Vec::new(),
            epoch: 0,
            hash_range: None,
        };
        let keys: Vec<Key> = objects.iter().map(name).collect();
        let (found, whole) = committed(&keys, &shard, &checkpoint);
        let ids: Vec<&str> =
            keys.iter().filter(|key| found.contains(key)).map(|key| read(key, "shardId-0").unwrap().id).collect();
        assert_eq!((ids, whole), (expected.to_vec(), expected_whole));
    }

    #[test]
    fn orphans_are_left_out_whatever_their_ends() {
        // `x` was scored otherwise, `y` lacks records, `z` began too early.
        let objects = ["0-10 0>a", "10-20 a>b", "20-30 b>c", "10-20 a>x", "10-20 a>y", "0-20 0>z"];
        check(&objects, (30, "c"), &["a", "b", "c"], true);
    }

    #[test]
    fn what_was_written_and_not_yet_committed_is_left_out() {
        check(&["0-10 0>a", "10-20 a>b"], (10, "a"), &["a"], true);
    }

    #[test]
    fn a_stream_that_was_made_anew_goes_on_from_the_former_ones_batches() {
        check(&["0-10 0>a", "10-20 a>b", "0-7 b>c"], (7, "c"), &["a", "b", "c"], true);
        // Nothing has come to it yet.
        check(&["0-10 0>a", "10-20 a>b"], (0, "b"), &["a", "b"], true);
    }

    #[test]
    fn a_gap_is_told() {
        check(&["0-10 0>a", "20-30 b>c"], (30, "c"), &["c"], false);
    }
}
