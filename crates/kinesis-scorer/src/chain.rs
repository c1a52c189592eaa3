//! Which objects of the lake are committed, told from their names and the checkpoint alone.
//!
//! A process whose memory of a shard is out of date scores a batch, writes its objects, and only then finds that it may
//! not commit them. Its bronze is right, but its silver was scored with a state that lacks what others committed in
//! between, and both stay in the lake as orphans. Names tell them apart: an object carries the version that it was written
//! to commit, and a version has one predecessor, so two objects of one version have the same beginning and differ in their
//! end. Walking back from the checkpoint, the object that ends where the next one begins, with the greatest version below,
//! is the committed one. Commits that only write a snapshot raise the version and leave no object; they are stepped over.
//!
//! Where one batch was tried twice with different profiles, both objects have the same name but for a suffix from the
//! content; the one with the suffix is the later try and is taken.

use std::collections::{BTreeMap, BTreeSet};

use platform::model::{Checkpoint, Key, ShardId};
use telemetry::sequence::SequenceNumber;

/// What the name of a batch's object says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    last: SequenceNumber,
    version: u64,
    /// Zero at the beginning of a shard.
    previous: SequenceNumber,
}

/// Reads `{layer}/…/{region}/{stream}/{shard}/{previous}-{last}.v{version}[-suffix].{extension}`; the layer, the span, and
/// whether there is a suffix.
fn read<'k>(key: &'k Key, shard: &str) -> Option<(&'k str, Span, bool)> {
    let (folder, file) = key.as_str().rsplit_once('/')?;
    let (layer, _) = folder.split_once('/')?;
    if !folder.strip_suffix(shard)?.ends_with('/') {
        return None;
    }
    let (previous, rest) = file.split_once('-')?;
    let (last, rest) = rest.split_once(".v")?;
    let (name, _) = rest.split_once('.')?;
    let (version, suffix) = name.split_once('-').map_or((name, false), |(version, _)| (version, true));
    let span = Span { last: last.parse().ok()?, version: version.parse().ok()?, previous: previous.parse().ok()? };
    Some((layer, span, suffix))
}

/// The committed objects of a shard among `keys` (of any layers and shards), and whether the chain reaches back to the
/// shard's beginning; it does not where older bronze is not among the keys.
#[must_use]
pub fn committed<'k>(
    keys: impl IntoIterator<Item = &'k Key>,
    shard: &ShardId,
    checkpoint: &Checkpoint,
) -> (BTreeSet<&'k Key>, bool) {
    let shard = shard.to_string();
    let mut objects: BTreeMap<(Span, &str), (bool, &Key)> = BTreeMap::new();
    let mut bronze = BTreeSet::new();
    for key in keys {
        let Some((layer, span, suffix)) = read(key, &shard) else { continue };
        if layer == "bronze" {
            bronze.insert(span);
        }
        let object = objects.entry((span, layer)).or_insert((suffix, key));
        if suffix {
            *object = (suffix, key);
        }
    }
    let mut spans = BTreeSet::new();
    let (mut last, mut version) = (checkpoint.last_seq, checkpoint.version);
    let whole = loop {
        let from = Span { last, version: 0, previous: SequenceNumber::ZERO };
        let earlier = bronze.range(from..).take_while(|span| span.last == last && span.version <= version);
        let Some(span) = earlier.last() else { break false };
        spans.insert(*span);
        if span.previous == SequenceNumber::ZERO {
            break true;
        }
        (last, version) = (span.previous, span.version.saturating_sub(1));
    };
    let named = objects.into_iter().filter(|((span, _), _)| spans.contains(span)).map(|(_, (_, key))| key);
    (named.collect(), whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anomaly_core::Timestamp;

    fn check(objects: &[(u32, u32, u64)], tip: (u32, u64), expected: &[(u32, u32, u64)]) {
        let shard = ShardId { region: "r".into(), stream: "s".into(), shard: "shardId-0".into() };
        let number = |n: u32| if n == 0 { "0".to_owned() } else { format!("{n:056}") };
        let name = |(previous, last, version): (u32, u32, u64)| {
            let (previous, last) = (number(previous), number(last));
            Key::new(format!("bronze/dt=2026-01-01/hour=00/{shard}/{previous}-{last}.v{version}.ndjson.zst")).unwrap()
        };
        let checkpoint = Checkpoint {
            version: tip.1,
            last_seq: number(tip.0).parse().unwrap(),
            stream_time: Timestamp::MIN,
            snapshot: None,
            segments: Vec::new(),
        };
        let keys: Vec<Key> = objects.iter().copied().map(name).collect();
        let expected: Vec<Key> = expected.iter().copied().map(name).collect();
        let (found, whole) = committed(&keys, &shard, &checkpoint);
        assert!(whole);
        assert_eq!(found, expected.iter().collect());
    }

    #[test]
    fn the_orphan_of_a_process_that_was_out_of_date_is_left_out() {
        let chain = [(0, 10, 1), (10, 20, 2), (20, 30, 3)];
        check(&[chain[0], chain[1], chain[2], (10, 30, 2), (10, 25, 2), (0, 20, 1)], (30, 3), &chain);
    }

    #[test]
    fn commits_that_leave_no_object_are_stepped_over() {
        let chain = [(0, 10, 1), (10, 20, 3)];
        check(&[chain[0], chain[1], (0, 20, 1)], (20, 4), &chain);
    }

    #[test]
    fn what_was_written_and_not_yet_committed_is_left_out() {
        check(&[(0, 10, 1), (10, 20, 2)], (10, 1), &[(0, 10, 1)]);
    }
}
