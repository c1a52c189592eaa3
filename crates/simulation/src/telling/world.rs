//! The stores as one process of the fan-out sees them: behind the gate, with a seeded bug where one is asked for.
//!
//! A read stops once, before it happens: nothing is left of one whose caller is lost afterwards. A write stops twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anomaly_core::Timestamp;
use platform::model::{
    AnomalyRecord, Checkpoint, ContentHash, Entry, EntryChange, EntryKey, Epoch, Key, ShardId, StateRecord,
};
use platform::ports::{
    AnomalyQuery, ChangeEntries, ChangeError, FindAnomalies, FindDue, GetDeviceState, GetObject, GetTagged,
    ListCheckpoints, ListDay, ListEntries, ListObjects, Listed, LoadCheckpoint, LoadEntry, LoadEpoch, Order,
    StoreError, Tagged,
};
use platform::sim::{Fault, SimWorld, When};

use crate::flaw::Flaws;
use crate::gate::Gate;
use crate::telling::who_tells;

/// The world of one process. The stores behind it are shared by all.
#[derive(Clone)]
pub struct TellingWorld {
    store: SimWorld,
    gate: Gate,
    process: u32,
    flaws: Flaws,
    profiles: Arc<BTreeMap<Key, String>>,
    region: &'static str,
    had_say: Arc<AtomicBool>,
}

impl TellingWorld {
    /// The view of a process of a region. `profiles` are in the place of those that are stored; `had_say` is set when the
    /// region has the say while the process asks.
    #[must_use]
    pub fn new(
        (store, gate, flaws): (&SimWorld, &Gate, &Flaws),
        process: u32,
        profiles: &Arc<BTreeMap<Key, String>>,
        region: &'static str,
        had_say: &Arc<AtomicBool>,
    ) -> Self {
        let (store, gate, flaws) = (store.clone(), gate.clone(), flaws.clone());
        Self { store, gate, process, flaws, profiles: Arc::clone(profiles), region, had_say: Arc::clone(had_say) }
    }

    /// Lets `fault` happen to the next call of the store.
    fn arm(&self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.store.on_call(When::matching(|_| true), fault);
        }
    }

    async fn read<T>(&self, verb: &'static str, target: &str, call: impl Future<Output = T> + Send) -> T {
        let (fault, _ticket) = self.gate.ask(self.process, verb, target).await;
        self.arm(fault);
        call.await
    }
}

impl LoadEpoch for TellingWorld {
    async fn load_epoch(&self, stream: &str) -> Result<Option<Epoch>, StoreError> {
        self.read("load epoch", stream, self.store.load_epoch(stream)).await
    }
}

impl LoadEntry for TellingWorld {
    async fn load_entry(&self, key: &EntryKey) -> Result<Option<Entry>, StoreError> {
        let answer = self.read("load entry", &key.to_string(), self.store.load_entry(key)).await;
        // What it is told now it may act on, whatever becomes of the say while it does.
        if *key == alert_fanout::place::active()
            && who_tells(&self.store).await.is_none_or(|region| region == self.region)
        {
            self.had_say.store(true, Ordering::Relaxed);
        }
        self.flaws.loaded_entry(answer)
    }
}

impl ListEntries for TellingWorld {
    async fn list_entries(
        &self,
        pk: &str,
        sk_prefix: &str,
        order: Order,
        count_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let call = self.store.list_entries(pk, sk_prefix, order, count_max);
        self.flaws.listed_entries(sk_prefix, self.read("list entries", pk, call).await)
    }
}

impl ChangeEntries for TellingWorld {
    async fn change_entries(&self, changes: &[EntryChange<'_>]) -> Result<(), ChangeError> {
        // One part, unless the seeded bug is that there are several.
        for part in self.flaws.entry_parts(changes) {
            let target = part.first().map(|change| change.entry.key.to_string()).unwrap_or_default();
            let (fault, ticket) = self.gate.ask(self.process, "change entries", &target).await;
            let answer = self.flaws.change_entries(&self.store, part, || self.arm(fault)).await;
            ticket.hear().await;
            answer?;
        }
        Ok(())
    }
}

impl FindDue for TellingWorld {
    async fn find_due(&self, queue: &str, until: Timestamp, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        let call = self.store.find_due(queue, until, count_max);
        self.flaws.due(queue, self.read("find due", queue, call).await)
    }
}

impl ListDay for TellingWorld {
    async fn list_day(&self, day: &str, sk_prefix: &str, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.read("list day", day, self.store.list_day(day, sk_prefix, count_max)).await
    }
}

impl FindAnomalies for TellingWorld {
    async fn find_anomalies(&self, query: &AnomalyQuery, count_max: usize) -> Result<Vec<AnomalyRecord>, StoreError> {
        self.read("find anomalies", "", self.store.find_anomalies(query, count_max)).await
    }
}

impl GetDeviceState for TellingWorld {
    async fn device_state(&self, tenant: &str, device: &str) -> Result<Option<StateRecord>, StoreError> {
        self.read("device state", device, self.store.device_state(tenant, device)).await
    }
}

impl GetObject for TellingWorld {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.read("get object", key.as_str(), self.store.get_object(key, bytes_max)).await?;
        Ok(self.profiles.get(key).map(|text| text.clone().into_bytes()).or(found))
    }
}

impl GetTagged for TellingWorld {
    async fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        let found = self.read("get object", key.as_str(), self.store.get_tagged(key, bytes_max)).await?;
        let tagged = |text: &String| Tagged { bytes: text.clone().into_bytes(), tag: tag(text) };
        Ok(self.profiles.get(key).map(tagged).or(found))
    }
}

impl ListObjects for TellingWorld {
    async fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        let found = self.read("list objects", prefix, self.store.list_objects(prefix, count_max)).await?;
        let mut all: BTreeMap<Key, String> = found.into_iter().map(|listed| (listed.key, listed.tag)).collect();
        let below = self.profiles.iter().filter(|(key, _)| key.as_str().starts_with(prefix));
        all.extend(below.map(|(key, text)| (key.clone(), tag(text))));
        Ok(all.into_iter().map(|(key, tag)| Listed { key, tag }).collect())
    }
}

impl LoadCheckpoint for TellingWorld {
    async fn load_checkpoint(&self, shard: &ShardId) -> Result<Option<Checkpoint>, StoreError> {
        self.read("load checkpoint", &shard.to_string(), self.store.load_checkpoint(shard)).await
    }
}

impl ListCheckpoints for TellingWorld {
    async fn list_checkpoints(&self, region: &str, stream: &str) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        self.read("list checkpoints", region, self.store.list_checkpoints(region, stream)).await
    }
}

fn tag(text: &str) -> String {
    ContentHash::of(text.as_bytes()).as_str().to_owned()
}
