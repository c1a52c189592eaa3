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
    /// By invocation: what it has listed, or what the state came from that it found in its process's memory.
    open: BTreeMap<u64, Option<Basis>>,
    /// What the state in a process's memory came from, by process and shard: that of the invocation that ended last.
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

    /// An invocation goes on. The first time it takes what its process remembers of the shard.
    pub(crate) fn goes_on(&self, task: u64, process: u32, shard: &Arc<str>, now_ms: i64) {
        let mut books = self.books();
        (books.task, books.now_ms) = ((task, Arc::clone(shard)), now_ms);
        if !books.open.contains_key(&task) {
            let remembered = books.kept.get(&(process, shard.to_string())).cloned();
            books.open.insert(task, remembered);
        }
    }

    /// An invocation has ended, and has left its state in its process's memory.
    pub(crate) fn ends(&self, task: u64, process: u32, shard: &str) {
        let mut books = self.books();
        if let Some(Some(basis)) = books.open.remove(&task) {
            books.kept.insert((process, shard.to_owned()), basis);
        }
    }

    pub(crate) fn listed(&self, checkpoints: &[(ShardId, Checkpoint)]) {
        let mut books = self.books();
        let basis = Basis { at_ms: books.now_ms, checkpoints: checkpoints.to_vec(), missing: BTreeSet::new() };
        let task = books.task.0;
        books.open.insert(task, Some(basis));
    }

    pub(crate) fn missed(&self, key: &Key) {
        let mut books = self.books();
        let task = books.task.0;
        if let Some(Some(basis)) = books.open.get_mut(&task) {
            basis.missing.insert(key.clone());
        }
    }

    /// A commit is tried.
    pub(crate) fn tried(&self, shard: &ShardId, next: &Checkpoint) {
        let mut books = self.books();
        let Some(commit) = commit(shard, next) else { return };
        let Some(Some(basis)) = books.open.get(&books.task.0).cloned() else { return };
        books.tried.entry(commit).or_default().push(basis);
    }

    /// What a committed checkpoint may have been adopted from: one list, or several that came to the same.
    #[must_use]
    pub fn bases(&self, shard: &ShardId, checkpoint: &Checkpoint) -> Vec<Basis> {
        let tried = commit(shard, checkpoint).and_then(|commit| self.books().tried.get(&commit).cloned());
        tried.unwrap_or_default()
    }
}
