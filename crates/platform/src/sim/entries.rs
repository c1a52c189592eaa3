//! Documents kept under a version, and what has changed: both in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use anomaly_core::Timestamp;

use super::replica::Written;
use super::state::State;
use crate::model::{Change, Entry, EntryChange, EntryKey, Image, TableChange};
use crate::ports::{ChangeError, Order, check_changes};

/// Changes of entries, owned: what each becomes and what it expects.
#[derive(Debug)]
pub(super) struct OwnedChanges(Vec<(Entry, Option<u64>)>);

impl OwnedChanges {
    pub(super) fn of(changes: &[EntryChange<'_>]) -> Result<Self, ChangeError> {
        check_changes(changes)?;
        Ok(Self(changes.iter().map(|change| (change.entry.clone(), change.expected)).collect()))
    }

    pub(super) fn target(&self) -> String {
        self.0.first().map(|(entry, _)| entry.key.to_string()).unwrap_or_default()
    }
}

/// The changes of anomalies, states and entries, those that are forgotten left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    last: u64,
    kept: BTreeMap<u64, Arc<Change>>,
}

impl Changes {
    /// Notes a change, unless nothing has changed.
    pub(super) fn note(&mut self, key: EntryKey, old: Option<Image>, new: Option<Image>) {
        if old != new {
            self.last += 1;
            self.kept.insert(self.last, Arc::new(Change { key, old, new }));
        }
    }

    pub(super) fn read(&self, after: u64, count_max: usize) -> Vec<TableChange> {
        let later = self.kept.range((Bound::Excluded(after), Bound::Unbounded)).take(count_max);
        later.map(|(number, change)| TableChange { number: *number, change: Change::clone(change) }).collect()
    }

    pub(super) fn forget(&mut self, through: u64) {
        self.kept = self.kept.split_off(&through.saturating_add(1));
    }
}

impl State {
    pub(super) fn list_entries(&self, pk: &str, sk_prefix: &str, order: Order, count_max: usize) -> Vec<Entry> {
        let first = EntryKey::new(pk, sk_prefix);
        let those = self.entries.range(first..).map(|(_, entry)| entry);
        let those = those.take_while(|entry| entry.key.pk == pk && entry.key.sk.starts_with(sk_prefix));
        match order {
            Order::OldestFirst => those.take(count_max).cloned().collect(),
            Order::NewestFirst => {
                let all: Vec<&Entry> = those.collect();
                all.into_iter().rev().take(count_max).cloned().collect()
            }
        }
    }

    pub(super) fn find_due(&self, queue: &str, until: Timestamp, count_max: usize) -> Vec<Entry> {
        let due = |entry: &&Entry| entry.due.as_ref().is_some_and(|due| due.queue == queue && due.at <= until);
        let mut found: Vec<&Entry> = self.entries.values().filter(due).collect();
        found.sort_by_key(|entry| entry.due.as_ref().map(|due| due.at));
        found.into_iter().take(count_max).cloned().collect()
    }

    pub(super) fn list_day(&self, day: &str, sk_prefix: &str, count_max: usize) -> Vec<Entry> {
        let of_day = |entry: &&Entry| {
            entry.day.as_ref().is_some_and(|place| place.day == day) && entry.key.sk.starts_with(sk_prefix)
        };
        let mut found: Vec<&Entry> = self.entries.values().filter(of_day).collect();
        found.sort_by_key(|entry| entry.day.as_ref().map(|place| place.at));
        found.into_iter().rev().take(count_max).cloned().collect()
    }

    pub(super) fn change_entries(&mut self, changes: OwnedChanges) -> Result<(), ChangeError> {
        let version = |key: &EntryKey| self.entries.get(key).map(|entry| entry.version);
        let pairs = changes.0.iter().enumerate();
        let moved: Vec<usize> =
            pairs.filter(|(_, (entry, expected))| version(&entry.key) != *expected).map(|(index, _)| index).collect();
        if !moved.is_empty() {
            return Err(ChangeError::Moved(moved));
        }
        for (entry, _) in changes.0 {
            self.write(Written::Entry(entry));
        }
        Ok(())
    }

    /// Of two entries of a version, written in two regions at a time, both regions keep the same: here the one whose body
    /// comes later as text.
    pub(super) fn apply_entry(&mut self, entry: Entry) {
        let newer = |there: &Entry| {
            let order = there.version.cmp(&entry.version);
            order.then_with(|| there.body.to_string().cmp(&entry.body.to_string())).is_ge()
        };
        if self.entries.get(&entry.key).is_some_and(newer) {
            return;
        }
        let key = entry.key.clone();
        let old = self.entries.insert(key.clone(), entry.clone()).map(Image::Entry);
        self.changes.note(key, old, Some(Image::Entry(entry)));
    }
}
