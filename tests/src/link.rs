//! What AWS carries from one Region to the other, played between the emulators of a [`Pair`]: global tables and the lakes'
//! replication, both ways, as late and as lossy as a test wants it.
//!
//! What has to be carried the emulators say themselves (`crates/xtask/taught/regions.py`): what came from the other Region is not
//! sent back, and of two writes of an item the later stays, in whatever order they come. What this does not do: carry deletions of
//! objects, which the templates replicate none of.

mod carrier;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;

use self::carrier::{Carrier, fetch};
use crate::pair::{Pair, Side, State};
use crate::wait::until;

/// What is carried by a way of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carried {
    /// Items of the results, and of any table but the checkpoints.
    Results,
    /// Items of the checkpoints.
    Checkpoints,
    /// Objects.
    Lake,
}

impl Carried {
    /// All.
    pub const ALL: [Self; 3] = [Self::Results, Self::Checkpoints, Self::Lake];
}

/// A write that is to be carried over.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A table that is to have a replica.
    Table {
        /// Its name.
        table: String,
    },
    /// An item.
    Item {
        /// Of which table.
        table: String,
        /// Partition key and sort key.
        key: (String, String),
        /// What it is now, in DynamoDB's JSON; `None`: it was deleted.
        image: Option<Value>,
    },
    /// An object.
    Object {
        /// Of which bucket.
        bucket: String,
        /// Its key.
        key: String,
    },
}

/// What has become of what was carried one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// Writes that are there.
    pub delivered: u64,
    /// Writes that came when a later one was there.
    pub overtaken: u64,
    /// Writes that were taken away on the way.
    pub lost: u64,
    /// Writes of a Region that was gone before they left it.
    pub stranded: u64,
    /// Writes that could not be taken, such as copies for a bucket that is not there.
    pub refused: u64,
    /// Writes that are on their way.
    pub under_way: u64,
    /// The longest time from a write to its delivery.
    pub lag_max: Duration,
}

/// A write that a Region had made and that had not left it when it was gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Stranded {
    /// The write.
    pub change: Change,
    /// When it was made, microseconds since 1970.
    pub at_us: u64,
}

type Judge = Box<dyn Fn(&Change) -> bool + Send>;

/// How one kind is carried one way.
#[derive(Default)]
struct Way {
    lag: Duration,
    disorder: Duration,
    is_paused: bool,
    loses: Option<Judge>,
    told: Told,
}

/// A line of an outbox.
struct Line {
    /// Its place in all outboxes of that Region that were read.
    place: u64,
    carried: Carried,
    at_us: u64,
    change: Change,
    raw: Value,
}

/// All of one direction.
#[derive(Default)]
struct Desk {
    ways: BTreeMap<Carried, Way>,
    under_way: Vec<Line>,
    /// Of lines that were read and are in nobody's hand any more.
    in_hand: u64,
    outbox_id: String,
    fetched: u64,
    places: u64,
    is_over: bool,
    troubles: Vec<String>,
    stranded: Vec<Stranded>,
}

struct Direction {
    desk: Mutex<Desk>,
    wake: Condvar,
}

impl Direction {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The link, which carries for as long as it is held.
pub struct Link {
    directions: BTreeMap<Side, Arc<Direction>>,
    threads: Vec<JoinHandle<()>>,
    ends: BTreeMap<Side, Carrier>,
}

impl Link {
    /// Begins to carry, without delay.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn begin(pair: &Pair) -> Result<Self> {
        let mut link = Self { directions: BTreeMap::new(), threads: Vec::new(), ends: BTreeMap::new() };
        for from in Side::BOTH {
            let ways = Carried::ALL.map(|carried| (carried, Way::default())).into();
            let direction =
                Arc::new(Direction { desk: Mutex::new(Desk { ways, ..Desk::default() }), wake: Condvar::new() });
            let carrier = Carrier::between(pair, from);
            for (name, work) in
                [("fetch", fetch as fn(&Carrier, &Direction)), ("carry", carrier::carry as fn(&Carrier, &Direction))]
            {
                let (carrier, direction) = (carrier.clone(), Arc::clone(&direction));
                let thread = std::thread::Builder::new().name(format!("{name} from {}", from.region()));
                let thread = thread.spawn(move || work(&carrier, &direction)).context("no thread")?;
                link.threads.push(thread);
            }
            link.ends.insert(from, carrier);
            link.directions.insert(from, direction);
        }
        Ok(link)
    }

    /// From now on what is carried from there takes this long, that which is under way included.
    pub fn set_lag(&self, from: Side, carried: Carried, lag: Duration) {
        self.change(from, carried, |way| way.lag = lag);
    }

    /// The same of everything, both ways.
    pub fn set_every_lag(&self, lag: Duration) {
        for from in Side::BOTH {
            for carried in Carried::ALL {
                self.set_lag(from, carried, lag);
            }
        }
    }

    /// Each line takes up to this much longer, one more and one less, so that they come in another order.
    pub fn set_disorder(&self, from: Side, carried: Carried, disorder: Duration) {
        self.change(from, carried, |way| way.disorder = disorder);
    }

    /// Carries no more of it until [`Self::resume`].
    pub fn pause(&self, from: Side, carried: Carried) {
        self.change(from, carried, |way| way.is_paused = true);
    }

    /// Carries it again.
    pub fn resume(&self, from: Side, carried: Carried) {
        self.change(from, carried, |way| way.is_paused = false);
    }

    /// From now on what the judge says is lost on the way; nobody is told.
    pub fn lose(&self, from: Side, carried: Carried, judge: impl Fn(&Change) -> bool + Send + 'static) {
        self.change(from, carried, |way| way.loses = Some(Box::new(judge)));
    }

    /// From now on nothing of it is lost.
    pub fn lose_nothing(&self, from: Side, carried: Carried) {
        self.change(from, carried, |way| way.loses = None);
    }

    /// What has become of it.
    #[must_use]
    pub fn told(&self, from: Side, carried: Carried) -> Told {
        let desk = self.directions[&from].desk();
        let under_way = desk.under_way.iter().filter(|line| line.carried == carried).count();
        Told { under_way: under_way as u64, ..desk.ways[&carried].told }
    }

    /// What a Region that is gone had written, and what had not left it.
    #[must_use]
    pub fn stranded(&self, from: Side) -> Vec<Stranded> {
        self.directions[&from].desk().stranded.clone()
    }

    /// What went wrong that nobody injected.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        self.directions.values().flat_map(|direction| direction.desk().troubles.clone()).collect()
    }

    /// Waits until everything that was written in a living Region is where it has to be.
    ///
    /// # Errors
    /// That is not so within the bound.
    pub async fn until_quiet(&self, bound: Duration) -> Result<()> {
        until("nothing is under way between the Regions", bound, || async {
            for (from, direction) in &self.directions {
                let end = &self.ends[from];
                if end.source.state() != State::Up {
                    continue;
                }
                let written = end.end_of_outbox()?;
                let desk = direction.desk();
                let is_read = (desk.outbox_id.as_str(), desk.fetched) == (written.0.as_str(), written.1);
                if !is_read || desk.in_hand > 0 || !desk.under_way.is_empty() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    fn change(&self, from: Side, carried: Carried, change: impl FnOnce(&mut Way)) {
        let direction = &self.directions[&from];
        if let Some(way) = direction.desk().ways.get_mut(&carried) {
            change(way);
        }
        direction.wake.notify_all();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for direction in self.directions.values() {
            direction.desk().is_over = true;
            direction.wake.notify_all();
        }
        for thread in self.threads.drain(..) {
            // One that has panicked has said so.
            let _ended = thread.join();
        }
    }
}

/// Microseconds of the clock that the emulators have, too.
fn now_us() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "lags are of the machine's clock, which both emulators have")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
