//! A world in memory that fails on demand, for tests of what must be true whatever fails.
//!
//! [`SimWorld`] gives every call a number. A test runs once without faults, looks at [`SimWorld::calls`], and runs again
//! with a [`Fault`] at each of them. Handles are clones of one world, so that a zombie and its successor share it.
//! Nothing is random and nothing waits for time: the same calls give the same answers.

mod call;
mod entries;
mod replica;
mod state;
mod verbs;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::metrics::BatchMetrics;
use crate::model::{
    AnomalyRecord, Checkpoint, Entry, EntryKey, Epoch, Image, Key, ShardId, ShardInfo, StateRecord, TableChange,
};
use crate::ports::{AskError, StoreError, StoreErrorKind};
use call::Script;
use state::State;

pub use call::{CallOutcome, CallRecord, Fault, When};
pub use replica::Written;
pub use state::Commit;

/// What a model answers to rows.
type Model = Box<dyn FnMut(&[u8]) -> Result<Vec<u8>, AskError> + Send>;

/// A write that the caller was told had failed, and that has not happened yet.
type Late = Box<dyn FnOnce(&mut State) + Send>;

/// The world. Clones are handles to the same one.
#[derive(Clone, Default)]
pub struct SimWorld {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    inside: Mutex<Inside>,
    crashed: Notify,
    /// How many calls are parked.
    parked: watch::Sender<usize>,
    /// Counts the releases.
    released: watch::Sender<u64>,
}

#[derive(Default)]
struct Inside {
    state: State,
    script: Script,
    late: Vec<Late>,
    metrics: Vec<BatchMetrics>,
    model: Option<Arc<Mutex<Model>>>,
}

/// Counts a parked call, also when its future is dropped.
struct Parked<'a>(&'a watch::Sender<usize>);

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|parked| *parked -= 1);
    }
}

impl SimWorld {
    /// An empty world without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another world that has the same stored, and no calls, faults or late writes.
    #[must_use]
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        copy.inside().state = self.inside().state.clone();
        copy
    }

    /// An empty world without faults that notes what is written to it, for [`Self::written`].
    #[must_use]
    pub fn replicated() -> Self {
        let world = Self::new();
        world.inside().state.journal = Some(Vec::new());
        world
    }

    /// What was written here and not taken by this call before, in order; nothing in a world that does not note it. What
    /// has come from another region is not among it.
    #[must_use]
    pub fn written(&self) -> Vec<Written> {
        self.inside().state.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Puts in place what another region has written, unless what is there is newer.
    pub fn receive(&self, written: Written) {
        self.inside().state.apply(written);
    }

    /// State changes are made whole under the lock, so it is good after a panic in a test.
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.shared.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `fault` happen at the first call that fits, once.
    pub fn on_call(&self, when: impl Into<When>, fault: Fault) {
        self.inside().script.add(when.into(), fault, false);
    }

    /// Lets `fault` happen at every call that fits, until [`Self::clear_faults`].
    pub fn on_every_call(&self, when: impl Into<When>, fault: Fault) {
        self.inside().script.add(when.into(), fault, true);
    }

    /// Takes back the faults that have not happened.
    pub fn clear_faults(&self) {
        self.inside().script.clear();
    }

    /// Every call so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        self.inside().script.calls().to_vec()
    }

    /// Resolves when a call has crashed, once a crash: the caller must be dropped then.
    pub async fn crashed(&self) {
        self.shared.crashed.notified().await;
    }

    /// Resolves when at least one call is parked.
    pub async fn parked(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.shared.parked.subscribe().wait_for(|parked| *parked > 0).await;
    }

    /// Lets the calls go on that are parked now.
    pub fn release(&self) {
        self.shared.released.send_modify(|released| *released += 1);
    }

    /// Applies the writes that were to land later, in order and under the conditions that hold now.
    pub fn land(&self) {
        let mut inside = self.inside();
        for write in std::mem::take(&mut inside.late) {
            write(&mut inside.state);
        }
    }

    /// How many writes are to land later.
    #[must_use]
    pub fn late(&self) -> usize {
        self.inside().late.len()
    }

    /// Applies one of the writes that were to land later, counted from the oldest; nothing when there is no such.
    pub fn land_one(&self, index: usize) {
        let mut inside = self.inside();
        if index < inside.late.len() {
            let write = inside.late.remove(index);
            write(&mut inside.state);
        }
    }

    /// One object.
    #[must_use]
    pub fn object(&self, key: &Key) -> Option<Vec<u8>> {
        self.inside().state.objects.get(key).map(|body| body.to_vec())
    }

    /// Every object.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<Key, Vec<u8>> {
        self.inside().state.objects.iter().map(|(key, body)| (key.clone(), body.to_vec())).collect()
    }

    /// Puts an object in place without a call, over one that is there: configuration, or damage.
    pub fn place_object(&self, key: Key, body: impl Into<Vec<u8>>) {
        self.inside().state.objects.insert(key, body.into().into());
    }

    /// Takes an object away without a call.
    pub fn remove_object(&self, key: &Key) {
        self.inside().state.objects.remove(key);
    }

    /// Takes an anomaly away without a call, so that it can be written again.
    pub fn remove_anomaly(&self, anomaly: &AnomalyRecord) {
        let (pk, sk) = (anomaly.partition_key(), anomaly.sort_key());
        let state = &mut self.inside().state;
        let old = state.anomalies.remove(&(pk.clone(), sk.clone()));
        state.changes.note(EntryKey { pk, sk }, old.map(|old| Image::Anomaly(Box::new(old))), None);
    }

    /// Takes a device's state away without a call, so that an older one can be written.
    pub fn remove_state(&self, record: &StateRecord) {
        let state = &mut self.inside().state;
        let old = state.states.remove(&record.partition_key());
        let key = EntryKey::new(record.partition_key(), StateRecord::SORT_KEY);
        state.changes.note(key, old.map(Image::State), None);
    }

    /// Takes an entry away without a call, as if it had expired.
    pub fn remove_entry(&self, key: &EntryKey) {
        let state = &mut self.inside().state;
        let old = state.entries.remove(key);
        state.changes.note(key.clone(), old.map(Image::Entry), None);
    }

    /// Says which shards `stream` has, in place of what was said before.
    pub fn define_shards(&self, stream: &str, shards: &[ShardInfo]) {
        self.inside().state.shards.insert(stream.to_owned(), shards.to_vec());
    }

    /// Says what the model answers, in place of what was said before: anything, and otherwise each time if that is wanted.
    /// Until then nobody answers. A model that is slow is a fault that parks the call.
    pub fn define_model(&self, model: impl FnMut(&[u8]) -> Result<Vec<u8>, AskError> + Send + 'static) {
        self.inside().model = Some(Arc::new(Mutex::new(Box::new(model))));
    }

    /// Every anomaly, by device and onset.
    #[must_use]
    pub fn anomalies(&self) -> Vec<AnomalyRecord> {
        self.inside().state.anomalies.values().cloned().collect()
    }

    /// Every device's state, by device.
    #[must_use]
    pub fn states(&self) -> Vec<StateRecord> {
        self.inside().state.states.values().cloned().collect()
    }

    /// Every entry, by key.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.inside().state.entries.values().cloned().collect()
    }

    /// Every change that is not forgotten, in order.
    #[must_use]
    pub fn changes(&self) -> Vec<TableChange> {
        self.inside().state.changes.read(0, usize::MAX)
    }

    /// The checkpoint of a shard.
    #[must_use]
    pub fn checkpoint(&self, shard: &ShardId) -> Option<Checkpoint> {
        self.inside().state.checkpoints.get(&shard.partition_key()).map(|(_, checkpoint)| checkpoint.clone())
    }

    /// The epoch of a stream.
    #[must_use]
    pub fn epoch(&self, stream: &str) -> Option<Epoch> {
        self.inside().state.epochs.get(stream).cloned()
    }

    /// Begins an epoch without a call, unless the one that is there is as new.
    pub fn place_epoch(&self, stream: &str, next: &Epoch) {
        self.inside().state.begin_epoch(stream, next);
    }

    /// Every transaction that changed something, in order.
    #[must_use]
    pub fn commits(&self) -> Vec<Commit> {
        self.commits_from(0)
    }

    /// Every transaction that changed something but the first so many, in order.
    #[must_use]
    pub fn commits_from(&self, first: usize) -> Vec<Commit> {
        self.inside().state.commits.iter().skip(first).cloned().collect()
    }

    /// Every batch's metrics, in order.
    #[must_use]
    pub fn metrics(&self) -> Vec<BatchMetrics> {
        self.inside().metrics.clone()
    }

    /// One call: counts it, and does `happen` unless, until or although a fault says otherwise.
    async fn call<T, E>(
        &self,
        verb: &'static str,
        target: String,
        happen: impl FnOnce(&mut State) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + std::fmt::Display + Send + 'static,
    {
        let (index, fault) = self.inside().script.begin(verb, &target);
        let failed =
            |kind, remedy: &str| Err(StoreError { kind, verb, target, remedy: remedy.into(), source: None }.into());
        match fault {
            None => self.answer(index, happen),
            Some(Fault::Throttle) => failed(StoreErrorKind::Throttled, "throttled by the test"),
            Some(Fault::Unavailable) => failed(StoreErrorKind::Unavailable, "unavailable by the test"),
            Some(Fault::UnavailableButLands) => {
                drop(happen(&mut self.inside().state));
                failed(StoreErrorKind::Unavailable, "the answer was lost by the test")
            }
            Some(Fault::LandsLater) => {
                self.inside().late.push(Box::new(|state| drop(happen(state))));
                failed(StoreErrorKind::Unavailable, "delayed by the test")
            }
            Some(Fault::CrashBefore) => self.crash().await,
            Some(Fault::CrashAfter) => {
                drop(happen(&mut self.inside().state));
                self.crash().await
            }
            Some(Fault::ParkBefore) => {
                self.park().await;
                self.answer(index, happen)
            }
            Some(Fault::ParkAfter) => {
                let answer = self.answer(index, happen);
                self.park().await;
                answer
            }
        }
    }

    fn answer<T, E: std::fmt::Display>(
        &self,
        index: usize,
        happen: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut inside = self.inside();
        let answer = happen(&mut inside.state);
        let outcome = match &answer {
            Ok(_) => CallOutcome::Done,
            Err(error) => CallOutcome::Refused(error.to_string()),
        };
        inside.script.end(index, outcome);
        answer
    }

    async fn crash<T>(&self) -> T {
        self.shared.crashed.notify_one();
        std::future::pending().await
    }

    async fn park(&self) {
        let mut released = self.shared.released.subscribe();
        self.shared.parked.send_modify(|parked| *parked += 1);
        let _parked = Parked(&self.shared.parked);
        // The sender lives as long as `self`, so this cannot fail.
        let _ = released.changed().await;
    }
}

#[cfg(test)]
mod tests;
