//! What of a lake is worth keeping.
//!
//! Everything is, but for what nobody misses or what can be made again from the rest:
//! - *Snapshots*: a shard writes one every few minutes, each as large as all of its devices. Only those that a checkpoint names are
//!   ever read again; they are kept ([`SNAPSHOTS`]). The profiles beside them are kept all ([`PROFILES`]).
//! - *Canaries* say that replication works now.
//! - *Gold that is newer than the tables*: lists of what was committed after them would name what nobody committed. The next rollup
//!   makes it again.

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::Timestamp;
use platform::model::{Checkpoint, ContentHash, ShardId};

use crate::objects::Found;

/// The area of the snapshots that checkpoints name.
pub const SNAPSHOTS: &str = "snapshots";
/// The area of profiles by content.
pub const PROFILES: &str = "profiles";
/// Folders of the lake that are no areas of their own.
const APART: [&str; 3] = ["state", "canary", "tmp"];

/// An area: its name, and the prefix of its keys.
#[must_use]
pub fn areas(folders: &[String]) -> Vec<(String, String)> {
    let whole = folders.iter().filter(|name| !APART.contains(&name.as_str()));
    let mut areas: Vec<(String, String)> = whole.map(|name| (name.clone(), format!("{name}/"))).collect();
    areas.push((PROFILES.to_owned(), "state/profiles/".to_owned()));
    areas
}

/// Whether an object is kept. `begun` is when the tables were taken.
#[must_use]
pub fn is_kept(found: &Found, begun: Timestamp) -> bool {
    !found.key.starts_with("gold/") || found.changed <= begun
}

/// The objects that these checkpoints stand on, with what they must be.
#[must_use]
pub fn named(checkpoints: &[(ShardId, Checkpoint)]) -> BTreeMap<String, ContentHash> {
    let mut named = BTreeMap::new();
    for (_, checkpoint) in checkpoints {
        let snapshot = checkpoint.snapshot.iter().map(|snapshot| &snapshot.object);
        let segments = checkpoint.segments.iter().flat_map(|one| std::iter::once(&one.object).chain(&one.opinions));
        named.extend(snapshot.chain(segments).map(|object| (object.key.as_str().to_owned(), object.sha256.clone())));
    }
    named
}

/// The snapshots among them, and the profiles that are needed with them.
#[must_use]
pub fn snapshots(checkpoints: &[(ShardId, Checkpoint)]) -> BTreeSet<String> {
    let snapshots = checkpoints.iter().filter_map(|(_, checkpoint)| checkpoint.snapshot.as_ref());
    snapshots.map(|snapshot| snapshot.object.key.as_str().to_owned()).collect()
}
