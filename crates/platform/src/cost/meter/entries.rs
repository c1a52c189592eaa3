//! Counts what alerting asks of the stores.
//!
//! An entry lies in the table and, where it has a place there, in the index by day and in that of what is due; both hold all
//! of it. What an index costs depends on where the entry was before (Amazon DynamoDB Developer Guide, "Using Global Secondary
//! Indexes in DynamoDB", section "Write capacity units"), so what was loaded or changed last is remembered. Of an entry that
//! is not remembered it is taken that its places stay as they are.

use anomaly_core::Timestamp;

use super::{Counts, Metered, TRANSACTION_FACTOR};
use crate::cost::item;
use crate::model::{AnomalyRecord, DayPlace, Due, Entry, EntryChange, EntryKey, StateRecord};
use crate::ports::{
    AnomalyQuery, ChangeEntries, ChangeError, FindAnomalies, FindDue, GetDeviceState, ListDay, ListEntries, LoadEntry,
    Order, StoreError,
};

/// Entries that are remembered; an invocation has to do with fewer.
const ENTRIES_MAX: usize = 1024;

/// What the cost of the next change depends on.
#[derive(Debug, Clone)]
pub(super) struct Known {
    bytes: u64,
    due: Option<Due>,
    day: Option<DayPlace>,
}

impl Known {
    fn of(entry: &Entry) -> Self {
        Self { bytes: item::entry_bytes(entry), due: entry.due.clone(), day: entry.day.clone() }
    }
}

impl Counts {
    fn remember_entry(&mut self, entry: &Entry) {
        if self.entries.len() >= ENTRIES_MAX && !self.entries.contains_key(&entry.key) {
            self.entries.clear();
        }
        self.entries.insert(entry.key.clone(), Known::of(entry));
    }

    /// A change whose condition fails is charged all the same.
    fn changes(&mut self, changes: &[EntryChange<'_>]) {
        let factor = if changes.len() == 1 { 1 } else { TRANSACTION_FACTOR };
        let (mut units, mut index_units) = (0, 0);
        for EntryChange { entry, expected } in changes {
            let new = Known::of(entry);
            let old = match expected {
                None => Known { bytes: 0, due: None, day: None },
                Some(_) => self.entries.get(&entry.key).unwrap_or(&new).clone(),
            };
            units += item::write_units(new.bytes.max(old.bytes));
            index_units += place_units((&old.due, old.bytes), (&new.due, new.bytes));
            index_units += place_units((&old.day, old.bytes), (&new.day, new.bytes));
        }
        self.usage.dynamodb_calls += 1;
        self.usage.dynamodb_write_units += units * factor;
        self.usage.dynamodb_index_write_units += index_units;
    }

    fn query(&mut self, bytes: u64, is_consistent: bool) {
        let units = item::read_units(bytes);
        self.usage.dynamodb_read_units += if is_consistent { units } else { units.div_ceil(2) };
    }
}

/// Units of an index: an entry that moves in it is taken out and put in again.
fn place_units<T: PartialEq>(old: (&Option<T>, u64), new: (&Option<T>, u64)) -> u64 {
    match (old.0, new.0) {
        (None, None) => 0,
        (Some(_), None) => item::write_units(old.1),
        (None, Some(_)) => item::write_units(new.1),
        (Some(before), Some(after)) if before == after => item::write_units(old.1.max(new.1)),
        (Some(_), Some(_)) => item::write_units(old.1) + item::write_units(new.1),
    }
}

impl<W> Metered<W> {
    fn call(&self) {
        self.meter.count(|used| used.dynamodb_calls += 1);
    }

    /// What a filter leaves out is charged as well and not seen here.
    fn found(&self, entries: &[Entry], is_consistent: bool) {
        let mut counts = self.meter.counts();
        counts.query(entries.iter().map(item::entry_bytes).sum(), is_consistent);
        for entry in entries {
            counts.remember_entry(entry);
        }
    }
}

impl<W: LoadEntry + Sync> LoadEntry for Metered<W> {
    async fn load_entry(&self, key: &EntryKey) -> Result<Option<Entry>, StoreError> {
        self.call();
        let found = self.inner.load_entry(key).await?;
        self.found(found.as_slice(), true);
        Ok(found)
    }
}

impl<W: ListEntries + Sync> ListEntries for Metered<W> {
    async fn list_entries(
        &self,
        pk: &str,
        sk_prefix: &str,
        order: Order,
        count_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.call();
        let found = self.inner.list_entries(pk, sk_prefix, order, count_max).await?;
        self.found(&found, true);
        Ok(found)
    }
}

impl<W: ChangeEntries + Sync> ChangeEntries for Metered<W> {
    async fn change_entries(&self, changes: &[EntryChange<'_>]) -> Result<(), ChangeError> {
        self.meter.counts().changes(changes);
        self.inner.change_entries(changes).await?;
        let mut counts = self.meter.counts();
        for change in changes {
            counts.remember_entry(change.entry);
        }
        Ok(())
    }
}

impl<W: FindDue + Sync> FindDue for Metered<W> {
    async fn find_due(&self, queue: &str, until: Timestamp, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.call();
        let found = self.inner.find_due(queue, until, count_max).await?;
        self.found(&found, false);
        Ok(found)
    }
}

impl<W: ListDay + Sync> ListDay for Metered<W> {
    async fn list_day(&self, day: &str, sk_prefix: &str, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.call();
        let found = self.inner.list_day(day, sk_prefix, count_max).await?;
        self.found(&found, false);
        Ok(found)
    }
}

impl<W: FindAnomalies + Sync> FindAnomalies for Metered<W> {
    async fn find_anomalies(&self, query: &AnomalyQuery, count_max: usize) -> Result<Vec<AnomalyRecord>, StoreError> {
        self.call();
        let found = self.inner.find_anomalies(query, count_max).await?;
        let is_consistent = matches!(query, AnomalyQuery::Device { .. });
        self.meter.counts().query(found.iter().map(item::anomaly_bytes).sum(), is_consistent);
        Ok(found)
    }
}

impl<W: GetDeviceState + Sync> GetDeviceState for Metered<W> {
    async fn device_state(&self, tenant: &str, device: &str) -> Result<Option<StateRecord>, StoreError> {
        self.call();
        let found = self.inner.device_state(tenant, device).await?;
        self.meter.counts().query(found.as_ref().map_or(0, item::state_bytes), true);
        Ok(found)
    }
}
