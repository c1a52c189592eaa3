//! Bugs at the ports of the fan-out.

use platform::model::{Entry, EntryChange};
use platform::ports::{ChangeEntries as _, ChangeError, LoadEntry as _, StoreError, StoreErrorKind};
use platform::sim::SimWorld;

use super::{Flaws, PortFlaw};

impl Flaws {
    /// Splits changes where the bug is that they are not one transaction.
    pub(crate) fn entry_parts<'c, 'e>(&self, whole: &'c [EntryChange<'e>]) -> Vec<&'c [EntryChange<'e>]> {
        if self.has(PortFlaw::EntriesOneByOne) { whole.chunks(1).collect() } else { vec![whole] }
    }

    /// Changes entries with what is wrong, and reads the answer with what is wrong.
    pub(crate) async fn change_entries(
        &self,
        store: &SimWorld,
        changes: &[EntryChange<'_>],
        arm: impl FnOnce(),
    ) -> Result<(), ChangeError> {
        let all = self.has(PortFlaw::EntriesUnconditioned);
        let budget = self.has(PortFlaw::BudgetUnconditioned);
        let mut owned: Vec<(Entry, Option<u64>)> = Vec::new();
        for change in changes {
            let (mut entry, mut expected) = (change.entry.clone(), change.expected);
            if all || (budget && entry.key.sk == alert_fanout::place::BUDGET) {
                expected = store.load_entry(&entry.key).await?.map(|stored| stored.version);
                entry.version = entry.version.max(expected.unwrap_or(0) + 1);
            }
            owned.push((entry, expected));
        }
        let mut made: Vec<EntryChange<'_>> =
            owned.iter().map(|(entry, expected)| EntryChange { entry, expected: *expected }).collect();
        if self.has(PortFlaw::LastEntryForgotten) && made.len() > 1 {
            made.pop();
        }
        arm();
        match store.change_entries(&made).await {
            Err(ChangeError::Moved(_)) if self.has(PortFlaw::MovedEntriesAreDone) => Ok(()),
            Err(ChangeError::Store(error))
                if (error.kind == StoreErrorKind::Throttled && self.has(PortFlaw::ThrottledEntriesAreDone))
                    || (error.kind == StoreErrorKind::Unavailable && self.has(PortFlaw::UnansweredEntriesAreDone)) =>
            {
                Ok(())
            }
            answer => answer,
        }
    }

    pub(crate) fn listed_entries(
        &self,
        prefix: &str,
        answer: Result<Vec<Entry>, StoreError>,
    ) -> Result<Vec<Entry>, StoreError> {
        if self.has(PortFlaw::StaleIncident)
            && prefix == alert_fanout::place::INCIDENTS
            && let Some(mut memory) = self.memory()
        {
            memory.lists += 1;
            if memory.lists.is_multiple_of(3) {
                return answer.map(|_| Vec::new());
            }
        }
        answer
    }

    pub(crate) fn loaded_entry(&self, answer: Result<Option<Entry>, StoreError>) -> Result<Option<Entry>, StoreError> {
        if self.has(PortFlaw::FailedEntryIsNone) { Ok(answer.unwrap_or_default()) } else { answer }
    }

    pub(crate) fn due(&self, queue: &str, answer: Result<Vec<Entry>, StoreError>) -> Result<Vec<Entry>, StoreError> {
        let is_forgotten = matches!(queue, "due#6" | "due#7") && self.has(PortFlaw::DueForgotten);
        if is_forgotten { answer.map(|_| Vec::new()) } else { answer }
    }
}
