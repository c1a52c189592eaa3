//! From changes of the table to incidents and messages.
//!
//! Each step is one transaction: the incident, a witness for each of its anomalies, and a claimed delivery for each message that
//! follows. What is lost after it (the process, the answer) is found by the tick, because a delivery is due when its claim runs
//! out. A change that comes again finds its witness and changes nothing.

mod ask;
mod commit;
mod listen;
mod ours;
mod send;
mod tick;

use std::collections::BTreeMap;
use std::time::Duration;

use anomaly_core::{Incident, Timestamp};
use futures_util::TryStreamExt as _;
use futures_util::stream::FuturesOrdered;
use platform::model::{Change, Entry, Image};
use platform::ports::{AlertWorld, Order, StoreError};
use tokio::time::Instant;

use crate::config::Config;
use crate::delivery::Claimed;
use crate::dispatch::Dispatch;
use crate::draft::{Draft, Happening};
use crate::place;
use crate::tenants::{Tenant, Tenants};
use ask::{Confirmed, Peer};
use listen::Listening;

/// Devices that are read at the same time.
const READS_AT_ONCE: usize = 16;
/// Happenings of one device in one transaction; more are a further one.
const HAPPENINGS_MAX: usize = 40;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Anomalies and changes of state that were looked at.
    pub happenings: u64,
    /// Transactions that changed something.
    pub commits: u64,
    /// Messages that a far side has taken over.
    pub sent: u64,
    /// Messages that were not taken over; they are tried again unless that is no use.
    pub unsent: u64,
    /// Incidents that are held for a digest.
    pub held: u64,
}

impl Done {
    fn add(&mut self, other: Self) {
        self.happenings += other.happenings;
        self.commits += other.commits;
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.held += other.held;
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was done.
    pub done: Done,
    /// The changes, by their place in the batch, that have to come again, with the reason.
    pub failed: Vec<(usize, StoreError)>,
}

/// The fan-out over its stores and its way out.
#[derive(Debug)]
pub struct Fanout<W, D> {
    world: W,
    dispatch: D,
    config: Config,
    tenants: Tenants,
    peer: Option<Peer<W>>,
    listening: Listening,
    confirmed: Confirmed,
}

/// A device's happenings, and where in the batch they stood.
#[derive(Debug, Default)]
struct Heard {
    places: Vec<usize>,
    happenings: Vec<Happening>,
}

/// A device that is to be written.
struct Wanted<'a> {
    device: &'a str,
    happenings: &'a [Happening],
    draft: Draft,
}

impl<W: AlertWorld, D: Dispatch> Fanout<W, D> {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(world: W, dispatch: D, config: Config) -> Self {
        Self {
            world,
            dispatch,
            config,
            tenants: Tenants::default(),
            peer: None,
            listening: Listening::default(),
            confirmed: Confirmed::default(),
        }
    }

    /// The same with the tables of the other region of a pair, which is asked before people are told.
    #[must_use]
    pub fn with_peer(self, peer: Option<W>) -> Self {
        Self { peer: peer.map(Peer::new), ..self }
    }

    /// The stores.
    #[must_use]
    pub fn world(&self) -> &W {
        &self.world
    }

    /// Takes a batch of changes. `remaining` is how much time there is; what cannot be sent in it is sent by the tick.
    ///
    /// # Errors
    /// The store's, when it cannot be told whether this region is to tell anybody.
    pub async fn take(
        &self,
        changes: &[Change],
        now: Timestamp,
        remaining: &(dyn Fn() -> Duration + Sync),
    ) -> Result<Outcome, StoreError> {
        let (began, mut outcome) = (Instant::now(), Outcome::default());
        let heard = heard(changes);
        if heard.is_empty() || !self.is_ours(changes, now, remaining).await? {
            return Ok(outcome);
        }
        self.confirmed.confirm(began, now);
        let mut claimed = Vec::new();
        for (tenant, devices) in heard {
            match self.follow(&tenant, &devices, now).await {
                Ok((done, more)) => {
                    outcome.done.add(done);
                    claimed.extend(more);
                }
                Err(error) => {
                    tracing::error!(
                        tenant,
                        error = &error as &dyn std::error::Error,
                        "incidents not stored, the changes come again"
                    );
                    if tooth!("failure-not-reported") {
                        continue;
                    }
                    let places = devices.values().flat_map(|heard| heard.places.iter().copied());
                    // One tenant's trouble is not another's: only its changes come again.
                    outcome.failed.extend(places.map(|place| (place, again(&error))));
                }
            }
        }
        outcome.done.add(self.send(claimed, now, remaining).await);
        Ok(outcome)
    }

    /// Lets a person acknowledge or resolve the newest incident of a device. The messages that follow are for the next tick:
    /// who types a command has no keys to channels. `None`: the device has no incident.
    ///
    /// # Errors
    /// The store's.
    pub async fn person(
        &self,
        tenant: &str,
        device: &str,
        happening: Happening,
        now: Timestamp,
    ) -> Result<Option<Incident>, StoreError> {
        let holds = self.tenants.of(&self.world, tenant, now).await?;
        let happenings = [happening];
        let wanted = self.want(tenant, device, &happenings, &holds, now).await?;
        if wanted.draft.newest().is_none() {
            return Ok(None);
        }
        let (_, claimed) = self.commit(tenant, vec![wanted], &holds, now).await?;
        self.release(claimed, now).await;
        let wanted = self.want(tenant, device, &[], &holds, now).await?;
        Ok(wanted.draft.newest().cloned())
    }

    /// Everything of one tenant. What was stored before an error stays stored: it comes again and changes nothing.
    async fn follow(
        &self,
        tenant: &str,
        devices: &BTreeMap<String, Heard>,
        now: Timestamp,
    ) -> Result<(Done, Vec<Claimed>), StoreError> {
        let holds = self.tenants.of(&self.world, tenant, now).await?;
        let (mut done, mut claimed) = (Done::default(), Vec::new());
        let rounds = devices.values().map(|heard| heard.happenings.len().div_ceil(HAPPENINGS_MAX)).max().unwrap_or(0);
        for round in 0..rounds {
            let wanted = self.want_round(tenant, devices, round, &holds, now).await?;
            done.happenings += wanted.iter().map(|wanted| wanted.happenings.len() as u64).sum::<u64>();
            let (more_done, more) = self.commit(tenant, wanted, &holds, now).await?;
            done.add(more_done);
            claimed.extend(more);
        }
        Ok((done, claimed))
    }

    /// The next happenings of every device that still has some, some devices at a time, in the order of the devices.
    ///
    /// Written as a loop: the compiler does not find futures that closures make to be `Send` where they borrow.
    async fn want_round<'a>(
        &self,
        tenant: &str,
        devices: &'a BTreeMap<String, Heard>,
        round: usize,
        holds: &Tenant,
        now: Timestamp,
    ) -> Result<Vec<Wanted<'a>>, StoreError> {
        let (mut reading, mut wanted) = (FuturesOrdered::new(), Vec::new());
        for (device, heard) in devices {
            let Some(happenings) = heard.happenings.chunks(HAPPENINGS_MAX).nth(round) else { continue };
            if reading.len() >= READS_AT_ONCE {
                wanted.extend(reading.try_next().await?);
            }
            reading.push_back(self.want(tenant, device, happenings, holds, now));
        }
        while let Some(read) = reading.try_next().await? {
            wanted.push(read);
        }
        Ok(wanted)
    }

    /// What a device's happenings make of what is stored of it.
    async fn want<'a>(
        &self,
        tenant: &str,
        device: &'a str,
        happenings: &'a [Happening],
        holds: &Tenant,
        now: Timestamp,
    ) -> Result<Wanted<'a>, StoreError> {
        let pk = place::of_device(tenant, device);
        let newest = self.world.list_entries(&pk, place::INCIDENTS, Order::NewestFirst, 1).await?;
        self.want_of(tenant, device, happenings, newest.first(), holds, now).await
    }

    /// The same for an incident that is at hand.
    async fn want_of<'a>(
        &self,
        tenant: &str,
        device: &'a str,
        happenings: &'a [Happening],
        incident: Option<&Entry>,
        holds: &Tenant,
        now: Timestamp,
    ) -> Result<Wanted<'a>, StoreError> {
        let state = self.world.device_state(tenant, device).await?;
        let mut draft = Draft::new(tenant, device, incident);
        for happening in happenings {
            draft.take(happening, state.as_ref(), holds, now);
        }
        Ok(Wanted { device, happenings, draft })
    }
}

/// By tenant and device: what has to be looked at, in the order in which it happened.
fn heard(changes: &[Change]) -> BTreeMap<String, BTreeMap<String, Heard>> {
    let mut tenants: BTreeMap<String, BTreeMap<String, Heard>> = BTreeMap::new();
    for (place, change) in changes.iter().enumerate() {
        if tooth!("first-change-is-skipped") && place == 0 && changes.len() > 1 {
            continue;
        }
        let (tenant, device, happening) = match (&change.old, &change.new) {
            (None, Some(Image::Anomaly(found))) => {
                let anomaly = &found.anomaly;
                (&anomaly.tenant, &anomaly.device, Happening::Found(Box::new(anomaly.clone())))
            }
            (_, Some(Image::State(state))) => (&state.tenant, &state.device, Happening::Became(state.clone())),
            // What this function writes itself, what is forgotten in time, what it does not know.
            _ => continue,
        };
        let heard = tenants.entry(tenant.clone()).or_default().entry(device.clone()).or_default();
        heard.places.push(place);
        heard.happenings.push(happening);
    }
    tenants
}

/// The same error for another change of the same tenant.
fn again(error: &StoreError) -> StoreError {
    StoreError {
        kind: error.kind,
        verb: error.verb,
        target: error.target.clone(),
        remedy: error.remedy.clone(),
        source: None,
    }
}
