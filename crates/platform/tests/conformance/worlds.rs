//! The worlds that the suite runs against, each new and empty.

use platform::embedded::Local;
use platform::embedded::stream::Stream;
use platform::model::ShardInfo;
use platform::ports::{AlertWorld, BeginEpoch, ListFolders, ReadRange, ScorerWorld};
use platform::sim::SimWorld;
use tempfile::TempDir;

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "aws")]
pub(crate) use aws::{OnEndpoint, aws};

/// A world, and what a test has to arrange outside the ports.
pub(crate) trait Setup {
    /// What implements the ports.
    type World: ScorerWorld + AlertWorld + BeginEpoch + ListFolders + ReadRange;

    /// Whether closed shards are listed, as Kinesis does until their records expire.
    const LISTS_CLOSED_SHARDS: bool = true;

    /// The world.
    fn world(&self) -> &Self::World;

    /// Makes a stream of two shards, splits the first in the middle, and gives its name.
    async fn split_stream(&self) -> String;
}

/// The shards of such a stream.
fn split_shards() -> Vec<ShardInfo> {
    let mut stream = Stream::new("split", 2, 0);
    stream.split("shardId-000000000000", 1 << 126).unwrap();
    stream.shards()
}

impl Setup for SimWorld {
    type World = Self;

    fn world(&self) -> &Self {
        self
    }

    async fn split_stream(&self) -> String {
        self.define_shards("split", &split_shards());
        "split".to_owned()
    }
}

pub(crate) async fn sim() -> Option<SimWorld> {
    Some(SimWorld::new())
}

/// A folder that goes with the test.
pub(crate) struct InFolder {
    local: Local,
    _dir: TempDir,
}

impl Setup for InFolder {
    type World = Local;

    fn world(&self) -> &Local {
        &self.local
    }

    async fn split_stream(&self) -> String {
        self.local.define_shards("split", &split_shards()).await.unwrap();
        "split".to_owned()
    }
}

pub(crate) async fn embedded() -> Option<InFolder> {
    let dir = TempDir::new().unwrap();
    Some(InFolder { local: Local::open(dir.path()).unwrap(), _dir: dir })
}
