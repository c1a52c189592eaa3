//! What a process was told of the other region when it adopted its states, so that the checks know what to expect of it.
//!
//! Which of the other region's commits have arrived when a shard takes over is chance. The checks take that from here, and
//! nothing else: what must come of it they work out themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use platform::model::{Checkpoint, Key, ShardId};

/// What was there when a shard adopted.
#[derive(Debug, Clone, Default)]
pub struct Basis {
    /// When it was listed, in milliseconds since 1970.
    pub at_ms: i64,
    /// The other region's checkpoints.
    pub checkpoints: Vec<(ShardId, Checkpoint)>,
    /// Objects that were asked for afterwards and had not arrived.
    pub missing: BTreeSet<Key>,
}

#[derive(Default)]
struct Books {
    now_ms: i64,
    /// The shard of the invocation that runs, and its number.
    task: (u64, Arc<str>),
    /// By invocation.
    open: BTreeMap<u64, Basis>,
    /// What a process may still have in its memory, by process and shard.
    kept: BTreeMap<(u32, String), Basis>,
    /// Of every commit that was tried. Two processes that adopted from different lists may try the very same one.
    tried: BTreeMap<Commit, Vec<Basis>>,
}

/// A commit with a snapshot: key, version and epoch of the checkpoint, identity of the batch, content of the snapshot.
type Commit = (String, u64, u64, String, String);

fn commit(shard: &ShardId, checkpoint: &Checkpoint) -> Option<Commit> {
    let content = checkpoint.snapshot.as_ref()?.object.sha256.to_string();
    Some((shard.partition_key(), checkpoint.version, checkpoint.epoch, checkpoint.batch.clone(), content))
}

/// The books. Clones are the same ones.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Books>>);

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An invocation goes on.
    pub(crate) fn goes_on(&self, task: u64, shard: &Arc<str>, now_ms: i64) {
        let mut books = self.books();
        (books.task, books.now_ms) = ((task, Arc::clone(shard)), now_ms);
    }

    pub(crate) fn listed(&self, process: u32, checkpoints: &[(ShardId, Checkpoint)]) {
        let mut books = self.books();
        let basis = Basis { at_ms: books.now_ms, checkpoints: checkpoints.to_vec(), missing: BTreeSet::new() };
        let (task, shard) = books.task.clone();
        books.open.insert(task, basis.clone());
        books.kept.insert((process, shard.to_string()), basis);
    }

    pub(crate) fn missed(&self, process: u32, key: &Key) {
        let mut books = self.books();
        let (task, shard) = books.task.clone();
        if let Some(basis) = books.open.get_mut(&task) {
            basis.missing.insert(key.clone());
            let basis = basis.clone();
            books.kept.insert((process, shard.to_string()), basis);
        }
    }

    /// A commit is tried.
    pub(crate) fn tried(&self, process: u32, shard: &ShardId, next: &Checkpoint) {
        let mut books = self.books();
        let Some(commit) = commit(shard, next) else { return };
        let own = books.open.get(&books.task.0);
        let Some(basis) = own.or_else(|| books.kept.get(&(process, shard.shard.clone()))).cloned() else { return };
        books.tried.entry(commit).or_default().push(basis);
    }

    /// What a committed checkpoint may have been adopted from: one list, or several that came to the same.
    #[must_use]
    pub fn bases(&self, shard: &ShardId, checkpoint: &Checkpoint) -> Vec<Basis> {
        let tried = commit(shard, checkpoint).and_then(|commit| self.books().tried.get(&commit).cloned());
        tried.unwrap_or_default()
    }
}
