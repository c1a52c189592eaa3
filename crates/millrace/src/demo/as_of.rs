//! The demo's stores as they were at a time of the plant.
//!
//! A batch of the demo is an hour or more of the plant, and it tells the last state of a device alone. Whoever follows what
//! happened minute by minute must not know at ten how the device was at eleven: states are those that have been played.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anomaly_core::{DeviceStatus, Timestamp};
use platform::embedded::Local;
use platform::model::{Checkpoint, Entry, EntryChange, EntryKey, Epoch, Key, ShardId, StateRecord};
use platform::ports::{
    AnomalyQuery, ChangeEntries, ChangeError, FindAnomalies, FindDue, GetDeviceState, GetObject, GetTagged,
    ListCheckpoints, ListDay, ListEntries, ListObjects, Listed, LoadCheckpoint, LoadEntry, LoadEpoch, Order,
    StoreError, Tagged,
};

/// Clones share what they know.
#[derive(Debug, Clone)]
pub(super) struct AsOf {
    local: Local,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// What is known of one device.
#[derive(Debug, Default)]
struct Known {
    now: Option<StateRecord>,
    /// What it will be, in order.
    coming: VecDeque<StateRecord>,
}

impl AsOf {
    pub(super) fn new(local: Local) -> Self {
        Self { local, known: Arc::default() }
    }

    /// Sets how a device is before anything is played.
    pub(super) fn begin(&self, device: &str, state: Option<StateRecord>) {
        self.known().entry(device.to_owned()).or_default().now = state;
    }

    /// A state that is to be played after those that are coming already.
    pub(super) fn expect(&self, state: &StateRecord) {
        self.known().entry(state.device.clone()).or_default().coming.push_back(state.clone());
    }

    /// The next state that is coming has come.
    pub(super) fn play(&self, device: &str) {
        if let Some(known) = self.known().get_mut(device)
            && let Some(state) = known.coming.pop_front()
        {
            known.now = Some(state);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GetDeviceState for AsOf {
    /// `None` where an episode lies between two states that are not abnormal: it began and ended within one batch, and how
    /// the device is now nobody has written down.
    async fn device_state(&self, _: &str, device: &str) -> Result<Option<StateRecord>, StoreError> {
        let known = self.known();
        let Some(Known { now, coming }) = known.get(device) else { return Ok(None) };
        let is_abnormal = |state: &StateRecord| state.status == DeviceStatus::Abnormal;
        let is_hidden = coming.front().is_some_and(|next| !is_abnormal(next));
        Ok(now.clone().filter(|now| is_abnormal(now) || !is_hidden))
    }
}

impl LoadEpoch for AsOf {
    async fn load_epoch(&self, stream: &str) -> Result<Option<Epoch>, StoreError> {
        self.local.load_epoch(stream).await
    }
}

impl LoadEntry for AsOf {
    async fn load_entry(&self, key: &EntryKey) -> Result<Option<Entry>, StoreError> {
        self.local.load_entry(key).await
    }
}

impl ListEntries for AsOf {
    async fn list_entries(
        &self,
        pk: &str,
        sk_prefix: &str,
        order: Order,
        count_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.local.list_entries(pk, sk_prefix, order, count_max).await
    }
}

impl ChangeEntries for AsOf {
    async fn change_entries(&self, changes: &[EntryChange<'_>]) -> Result<(), ChangeError> {
        self.local.change_entries(changes).await
    }
}

impl FindDue for AsOf {
    async fn find_due(&self, queue: &str, until: Timestamp, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.local.find_due(queue, until, count_max).await
    }
}

impl ListDay for AsOf {
    async fn list_day(&self, day: &str, sk_prefix: &str, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.local.list_day(day, sk_prefix, count_max).await
    }
}

impl FindAnomalies for AsOf {
    async fn find_anomalies(
        &self,
        query: &AnomalyQuery,
        count_max: usize,
    ) -> Result<Vec<platform::model::AnomalyRecord>, StoreError> {
        self.local.find_anomalies(query, count_max).await
    }
}

impl GetObject for AsOf {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.local.get_object(key, bytes_max).await
    }
}

impl GetTagged for AsOf {
    async fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        self.local.get_tagged(key, bytes_max).await
    }
}

impl ListObjects for AsOf {
    async fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        self.local.list_objects(prefix, count_max).await
    }
}

impl LoadCheckpoint for AsOf {
    async fn load_checkpoint(&self, shard: &ShardId) -> Result<Option<Checkpoint>, StoreError> {
        self.local.load_checkpoint(shard).await
    }
}

impl ListCheckpoints for AsOf {
    async fn list_checkpoints(&self, region: &str, stream: &str) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        self.local.list_checkpoints(region, stream).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: DeviceStatus, minute: i64) -> StateRecord {
        let since = Timestamp::from_millis(1_767_571_200_000 + minute * 60_000).unwrap();
        let seq = telemetry::sequence::SequenceNumber::ZERO;
        StateRecord {
            tenant: "demo".to_owned(),
            device: "pump-1".to_owned(),
            status,
            since,
            score: 0.0,
            seq,
            epoch: 0,
            expires_at: 0,
        }
    }

    /// How the device is known to be after each of these has been played, the first of all before any.
    async fn known(first: DeviceStatus, coming: &[DeviceStatus]) -> Vec<Option<DeviceStatus>> {
        let folder = tempfile::tempdir().unwrap();
        let world = AsOf::new(Local::open(folder.path()).unwrap());
        world.begin("pump-1", Some(state(first, 0)));
        for (minute, status) in (1..).zip(coming) {
            world.expect(&state(*status, minute));
        }
        let mut known = Vec::new();
        for _ in 0..=coming.len() {
            known.push(world.device_state("demo", "pump-1").await.unwrap().map(|state| state.status));
            world.play("pump-1");
        }
        known
    }

    #[tokio::test]
    async fn a_state_is_known_from_its_time_on() {
        use DeviceStatus::{Abnormal, Normal};
        assert_eq!(known(Normal, &[Abnormal, Normal]).await, [Some(Normal), Some(Abnormal), Some(Normal)]);
    }

    #[tokio::test]
    async fn nobody_knows_how_a_device_is_within_a_batch_that_hides_an_episode() {
        use DeviceStatus::{Abnormal, Normal};
        assert_eq!(known(Normal, &[Normal, Abnormal]).await, [None, Some(Normal), Some(Abnormal)]);
    }
}
