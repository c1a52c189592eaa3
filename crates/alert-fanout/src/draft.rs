//! What a device's findings make of its incidents, before it is stored.
//!
//! Pure but for what was read before: the newest incident, and how the device is. What is written in the end is an incident, a
//! witness for each anomaly in it, and a delivery for each notice and channel, all in one transaction. A witness that is there
//! already refuses the transaction: that anomaly has been told of.

use anomaly_core::incident::{Digest, Event, Incident, Notice, NoticeKind, Status};
use anomaly_core::{Anomaly, AnomalyId, DeviceStatus, Severity, Timestamp};
use platform::model::{Entry, StateRecord};
use platform::ports::StoreError;

use crate::body::body;
use crate::delivery::Claimed;
use crate::tenants::Tenant;
use crate::{place, say};

/// What happens to a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// The engine found something.
    Found(Box<Anomaly>),
    /// The device says how it is.
    Became(StateRecord),
    /// A person takes care of the newest incident.
    Acknowledged {
        /// Who.
        by: String,
        /// What they say.
        note: Option<String>,
    },
    /// A person says that the newest incident is over.
    Resolved {
        /// Who.
        by: String,
    },
    /// Time has passed.
    Ticked,
}

impl Happening {
    /// Whether it is the finding of one of these anomalies.
    #[must_use]
    pub fn is_any_of(&self, anomalies: &[AnomalyId]) -> bool {
        matches!(self, Self::Found(anomaly) if anomalies.contains(&anomaly.id))
    }
}

/// An incident that may have changed.
#[derive(Debug, Clone, PartialEq)]
struct Changed {
    /// The version that is stored; `None` for one that is new.
    stored: Option<u64>,
    incident: Incident,
    is_dirty: bool,
}

impl Changed {
    /// The version that it will have.
    fn next(&self) -> u64 {
        self.stored.unwrap_or(0) + 1
    }

    fn apply(&mut self, event: Event<'_>, tenant: &Tenant, now: Timestamp) {
        let metrics: Vec<&str> = self.incident.metric_names().collect();
        let quiet = tenant.quiet(&self.incident.device, &metrics, self.incident.severity, now);
        let change = self.incident.apply(event, &tenant.settings().policy, quiet.as_ref(), now);
        self.is_dirty |= change.changed;
        self.incident = change.incident;
    }
}

/// What is to be written for one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    tenant: String,
    device: String,
    incidents: Vec<Changed>,
    witnesses: Vec<AnomalyId>,
}

/// How a device says it is, in the terms of an incident.
#[must_use]
pub fn status(state: &StateRecord) -> Status {
    Status {
        is_abnormal: state.status == DeviceStatus::Abnormal,
        since: state.since,
        epoch: if tooth!("status-epoch-ignored") { 0 } else { state.epoch },
        seq: state.seq.as_str().to_owned(),
    }
}

impl Draft {
    /// Starts from what is stored: the device's newest incident. One that cannot be read is left alone, and what is found
    /// opens another: nobody goes without a message for it.
    #[must_use]
    pub fn new(tenant: &str, device: &str, newest: Option<&Entry>) -> Self {
        let read = |entry: &Entry| match serde_json::from_value(entry.body.clone()) {
            Ok(incident) => Some(Changed { stored: Some(entry.version), incident, is_dirty: false }),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(
                    tenant,
                    device,
                    sk = entry.key.sk,
                    error,
                    "an incident that cannot be read is left alone"
                );
                None
            }
        };
        let incidents = newest.and_then(read).into_iter().collect();
        Self { tenant: tenant.to_owned(), device: device.to_owned(), incidents, witnesses: Vec::new() }
    }

    /// Takes what happened. `state` is how the device is known to be: an incident that ends by itself ends only if that is
    /// normal.
    pub fn take(&mut self, happening: &Happening, state: Option<&StateRecord>, tenant: &Tenant, now: Timestamp) {
        match happening {
            Happening::Found(anomaly) => {
                self.find(anomaly, tenant, now);
                self.settle(state, tenant, now);
            }
            Happening::Became(state) => self.settle(Some(state), tenant, now),
            Happening::Ticked => {
                self.settle(state, tenant, now);
                self.apply(Event::Tick, tenant, now);
            }
            Happening::Acknowledged { by, note } => {
                self.apply(Event::Acknowledge { by, note: note.as_deref() }, tenant, now);
            }
            Happening::Resolved { by } => self.apply(Event::Resolve { by }, tenant, now),
        }
    }

    fn find(&mut self, anomaly: &Anomaly, tenant: &Tenant, now: Timestamp) {
        let newest = self.incidents.last().map(|newest| &newest.incident);
        let joined = newest.filter(|newest| newest.joins(anomaly, &tenant.settings().policy, now));
        let mut metrics: Vec<&str> = anomaly.metrics.iter().map(String::as_str).collect();
        metrics.extend(joined.into_iter().flat_map(Incident::metric_names));
        let severity = joined.map_or(anomaly.severity, |joined| joined.severity.max(anomaly.severity));
        let quiet = tenant.quiet(&self.device, &metrics, severity, now);
        let change = Incident::follow(newest, anomaly, &tenant.settings().policy, quiet.as_ref(), now);
        match self.incidents.last_mut() {
            Some(newest) if newest.incident.id == change.incident.id => {
                newest.is_dirty |= change.changed;
                newest.incident = change.incident;
            }
            _ => self.incidents.push(Changed { stored: None, incident: change.incident, is_dirty: true }),
        }
        if !self.witnesses.contains(&anomaly.id) {
            self.witnesses.push(anomaly.id.clone());
        }
    }

    fn settle(&mut self, state: Option<&StateRecord>, tenant: &Tenant, now: Timestamp) {
        if let Some(state) = state {
            self.apply(Event::Status(&status(state)), tenant, now);
        }
    }

    /// Lets something happen to the newest incident, if there is one.
    fn apply(&mut self, event: Event<'_>, tenant: &Tenant, now: Timestamp) {
        if let Some(newest) = self.incidents.last_mut() {
            newest.apply(event, tenant, now);
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.witnesses.is_empty() && self.incidents.iter().all(|changed| !changed.is_dirty)
    }

    /// The incident that everything was about last.
    #[must_use]
    pub fn newest(&self) -> Option<&Incident> {
        self.incidents.last().map(|newest| &newest.incident)
    }

    /// How many of its notices are openings that were not decided on yet, and the most urgent of them.
    #[must_use]
    pub fn openings(&self) -> (u32, Option<Severity>) {
        let of_one = |changed: &Changed| changed.incident.notices.iter().filter(|notice| is_opening(notice)).count();
        let worst =
            self.incidents.iter().filter(|changed| of_one(changed) > 0).map(|changed| changed.incident.severity);
        let count: usize = self.incidents.iter().map(of_one).sum();
        (count as u32, worst.max())
    }

    /// Holds what is to be told for a digest, which is returned.
    pub fn hold(&mut self, now: Timestamp) -> Option<Digest> {
        let mut held: Option<Digest> = None;
        for changed in &mut self.incidents {
            if changed.incident.notices.iter().any(is_opening) {
                changed.incident.hold();
                let one = Digest::of(&changed.incident, now);
                held = Some(held.map_or_else(|| one.clone(), |held| held.merge(one.clone())));
            }
        }
        held
    }

    /// Takes the notices out of the incidents: a delivery for each that is told on its own, and each of its channels. Stops
    /// before there are more than `room`; what is left stays in its incident.
    ///
    /// `admit` says of each notice that is told on its own whether it is to be told at all.
    pub fn deliver(
        &mut self,
        tenant: &Tenant,
        room: usize,
        link: Option<&str>,
        now: Timestamp,
        mut admit: impl FnMut(&Incident, &Notice) -> bool,
    ) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        for changed in &mut self.incidents {
            let mut done = Vec::new();
            for notice in &changed.incident.notices {
                let channels = tenant.settings().channels_for(&self.device, notice);
                let told = !notice.is_held && !channels.is_empty();
                if told && claimed.len() + channels.len() > room {
                    break;
                }
                if told && admit(&changed.incident, notice) {
                    claimed.extend(channels.into_iter().map(|channel| {
                        let key = place::delivery(&changed.incident, notice.number, channel);
                        let message = say::notice(&changed.incident, notice, link);
                        Claimed::new(key, channel, message, (place::incident(&changed.incident), changed.next()), now)
                    }));
                }
                done.push(notice.number);
            }
            if !done.is_empty() {
                changed.apply(Event::Delivered(&done), tenant, now);
                changed.is_dirty = true;
            }
        }
        claimed
    }

    /// The anomalies whose witness is among the entries with these indexes: they are told of already.
    #[must_use]
    pub fn witnessed(&self, indexes: &[usize]) -> Vec<AnomalyId> {
        indexes.iter().filter_map(|index| self.witnesses.get(*index)).cloned().collect()
    }

    /// How many notices there are to tell.
    #[must_use]
    pub fn notices(&self) -> usize {
        self.incidents.iter().map(|changed| changed.incident.notices.len()).sum()
    }

    /// Whether notices are left for another round.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.incidents.iter().any(|changed| !changed.incident.notices.is_empty())
    }

    /// How many items it is without deliveries.
    #[must_use]
    pub fn items(&self) -> usize {
        self.witnesses.len() + self.incidents.iter().filter(|changed| changed.is_dirty).count()
    }

    /// What is written, each with the version that must be there: the witnesses first, then the incidents.
    ///
    /// # Errors
    /// A permanent one where an incident has no form in JSON.
    pub fn entries(
        &self,
        tenant: &Tenant,
        now: Timestamp,
        kept_days: u32,
    ) -> Result<Vec<(Entry, Option<u64>)>, StoreError> {
        let expires_at = Some(now.millis() / 1_000 + i64::from(kept_days) * 86_400);
        let witness = |anomaly: &AnomalyId| {
            let incident = self.newest().map(|incident| incident.id.as_str());
            let entry = Entry {
                key: place::witness(&self.tenant, &self.device, anomaly),
                version: 1,
                due: None,
                day: None,
                expires_at,
                body: serde_json::json!({ "incident": incident }),
            };
            Ok((entry, None))
        };
        let incident = |changed: &Changed| {
            let incident = &changed.incident;
            // What is left in the box is told by the tick.
            let due = if incident.notices.is_empty() { incident.due(&tenant.settings().policy) } else { Some(now) };
            let key = place::incident(incident);
            let body = body(&key, incident)?;
            let entry = Entry {
                key,
                version: changed.next(),
                due: due.map(|at| place::due(&self.tenant, at)),
                day: Some(place::day(&self.tenant, incident.opened)),
                // An open incident is not forgotten, however long it lasts.
                expires_at: if incident.is_open() { None } else { expires_at },
                body,
            };
            Ok((entry, changed.stored))
        };
        let changed = self.incidents.iter().filter(|changed| changed.is_dirty);
        let witnesses = self.witnesses.iter().filter(|_| !tooth!("witness-not-written"));
        witnesses.map(witness).chain(changed.map(incident)).collect()
    }
}

fn is_opening(notice: &Notice) -> bool {
    !notice.is_held && matches!(notice.kind, NoticeKind::Opened | NoticeKind::Flapping)
}
