//! One region: its stores, its stream, and the mapping that reads the stream.

use std::collections::BTreeSet;
use std::sync::Arc;

use platform::embedded::stream::{Mapping, Origin, REGION, Stream};
use platform::model::{Epoch, ShardId};
use platform::sim::{Commit, SimWorld};

/// Names of the regions; the first is where a run begins, and the only one of most.
pub const REGIONS: [&str; 2] = [REGION, "elsewhere"];

/// What is left of a region.
pub struct Site {
    /// Which of [`REGIONS`].
    pub region: usize,
    /// Its stores.
    pub store: SimWorld,
    /// Its stream, with every shard that it ever had.
    pub stream: Stream,
}

impl Site {
    /// A region without anything.
    #[must_use]
    pub fn new(region: usize, store: SimWorld, stream: Stream) -> Self {
        store.define_shards(stream.name(), &stream.shards());
        Self { region, store, stream }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        REGIONS[self.region]
    }

    /// The identity of one of its shards.
    #[must_use]
    pub fn shard_id(&self, shard: &str) -> ShardId {
        ShardId { region: self.name().to_owned(), ..self.stream.shard_id(shard) }
    }

    /// All its shards.
    #[must_use]
    pub fn shard_ids(&self) -> Vec<ShardId> {
        self.stream.shards().iter().map(|info| self.shard_id(&info.shard)).collect()
    }
}

/// Where its stream's events come from.
pub(crate) fn origin(region: usize) -> Origin {
    Origin { region: REGIONS[region].to_owned(), ..Origin::default() }
}

/// A region while a run goes on.
pub(super) struct Region {
    pub(super) site: Site,
    pub(super) mapping: Mapping,
    /// Shards that had a delivery.
    pub(super) read: BTreeSet<Arc<str>>,
    /// Lost for now: nothing goes on in it, and nothing comes from it or arrives.
    pub(super) down: bool,
    /// Commits that were noted.
    pub(super) commits_seen: usize,
}

/// A transaction that changed something.
#[derive(Debug, Clone)]
pub struct Committed {
    /// In which region.
    pub region: usize,
    /// What it changed.
    pub commit: Commit,
    /// When, in milliseconds since 1970; 0 where no time passes.
    pub at_ms: i64,
    /// The stream's epoch in that region then.
    pub epoch: Option<Epoch>,
}

/// A move of the stream from one region to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// The epoch that began.
    pub epoch: u64,
    /// The region that has the say from there on.
    pub to: usize,
    /// So many records had been put before.
    pub records: usize,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The other region had done all its work, and all of it had arrived.
    pub calm: bool,
}
