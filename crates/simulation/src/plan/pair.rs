//! A second region: its stream, how late it sees what the first has written, and when the stream is moved.

use platform::embedded::stream::MappingSettings;

use super::{Change, mapping};
use crate::chance::Chance;

/// How the second region is, and what goes on between the two.
#[derive(Debug, Clone)]
pub struct PairPlan {
    /// Shards of its stream at the beginning; the first region's may be others.
    pub shards: u32,
    /// Settings of its mapping.
    pub mapping: MappingSettings,
    /// How late an item or object is in the other region, at most, in milliseconds: each on its own.
    pub late_ms: i64,
    /// Whether the first region was told at the beginning that it has the say.
    pub begun: bool,
    /// Probability that a record is put to both streams.
    pub dual: f64,
    /// Probability that a record is put to the stream of the region that has not the say.
    pub stray: f64,
}

/// The second region of a plan, if it has one, and when the stream is moved among `records`.
pub(super) fn draw(chance: &mut Chance, records: usize) -> (Option<PairPlan>, Vec<(usize, Change)>) {
    if !chance.happens(0.45) {
        return (None, Vec::new());
    }
    let pair = PairPlan {
        shards: chance.one_of([1, 1, 2, 3]),
        mapping: mapping(chance, false),
        late_ms: chance.one_of([0, 500, 5_000, 120_000]),
        begun: chance.happens(0.7),
        dual: chance.one_of([0.0, 0.0, 0.0, 0.3, 1.0]),
        stray: chance.one_of([0.0, 0.0, 0.05]),
    };
    let mut places: Vec<usize> = (0..=chance.below(4)).map(|_| chance.below(records)).collect();
    places.sort_unstable();
    let changes = places.into_iter().enumerate().map(|(count, at)| {
        let calm = chance.happens(0.5);
        let lost = !calm && chance.happens(0.5);
        (at, if count % 2 == 0 { Change::FailOver { calm, lost } } else { Change::FailBack { calm, lost } })
    });
    let changes = changes.collect();
    (Some(pair), changes)
}
