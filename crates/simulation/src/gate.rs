//! Where every call to a store stops twice: before it takes effect, and before its caller learns of it.
//!
//! Between the two stands the scheduler. It sees who waits for what, and lets one go at a time, as it is or with a fault.
//! A caller that is dropped leaves the gate; what it had not been let through to do does not happen.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use platform::sim::Fault;

/// A number that tells calls apart; later ones have higher numbers.
pub type CallId = u64;

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Its effect has not happened.
    Asks,
    /// Its effect has happened, or the fault in its place; the caller does not know.
    Hears,
}

/// A call that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub id: CallId,
    /// Which process makes it.
    pub process: u32,
    /// What, in the words of `platform::sim`.
    pub verb: &'static str,
    /// On what.
    pub target: String,
    /// Where it stands.
    pub place: Place,
}

/// What a call may go on with.
struct Go(Option<Fault>);

struct Entry {
    waiting: Waiting,
    allowed: Option<Go>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Inside {
    next: CallId,
    /// Nobody stops any more.
    is_open: bool,
    entries: BTreeMap<CallId, Entry>,
}

/// The gate. Clones are the same one.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<Inside>>);

/// Takes a call out of the gate when its caller is done with it, or dropped.
pub struct Ticket {
    gate: Gate,
    id: CallId,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gate.inside().entries.remove(&self.id);
    }
}

impl Gate {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops before the effect of a call. Gives the fault to let happen, and what to show at [`Ticket::hear`].
    pub async fn ask(&self, process: u32, verb: &'static str, target: &str) -> (Option<Fault>, Ticket) {
        let ticket = {
            let mut inside = self.inside();
            let id = inside.next;
            inside.next += 1;
            let waiting = Waiting { id, process, verb, target: target.to_owned(), place: Place::Asks };
            inside.entries.insert(id, Entry { waiting, allowed: None, waker: None });
            Ticket { gate: self.clone(), id }
        };
        let fault = ticket.allowed().await;
        (fault, ticket)
    }

    /// Who waits, in the order of their numbers.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        let inside = self.inside();
        inside.entries.values().filter(|entry| entry.allowed.is_none()).map(|entry| entry.waiting.clone()).collect()
    }

    /// Opens the gate for good: whoever waits goes on, and nobody stops at it any more.
    pub fn open(&self) {
        let mut inside = self.inside();
        inside.is_open = true;
        for entry in inside.entries.values_mut() {
            entry.allowed.get_or_insert(Go(None));
            if let Some(waker) = entry.waker.take() {
                waker.wake();
            }
        }
    }

    /// Lets a call go on, with a fault or without. Calls that are gone are left alone.
    pub fn allow(&self, id: CallId, fault: Option<Fault>) {
        if let Some(entry) = self.inside().entries.get_mut(&id) {
            entry.allowed = Some(Go(fault));
            if let Some(waker) = entry.waker.take() {
                waker.wake();
            }
        }
    }
}

impl Ticket {
    /// Stops before the caller learns what came of the call.
    pub async fn hear(self) {
        if let Some(entry) = self.gate.inside().entries.get_mut(&self.id) {
            entry.allowed = None;
            entry.waiting.place = Place::Hears;
        }
        self.allowed().await;
    }

    async fn allowed(&self) -> Option<Fault> {
        poll_fn(|context| {
            let mut inside = self.gate.inside();
            let is_open = inside.is_open;
            match inside.entries.get_mut(&self.id) {
                Some(Entry { allowed: Some(Go(fault)), .. }) => Poll::Ready(*fault),
                Some(entry) if !is_open => {
                    entry.waker = Some(context.waker().clone());
                    Poll::Pending
                }
                // Only dropping the ticket takes the entry away.
                _ => Poll::Ready(None),
            }
        })
        .await
    }
}
