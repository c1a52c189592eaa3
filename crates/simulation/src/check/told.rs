//! What people were told: every anomaly is in an incident, every notice has reached whom it is for, once, and nobody else.
//!
//! Where the say was moved while the other region may have been telling, both may have written an incident, and one of them
//! is lost: there a notice may be told as two or be another one in the end. What must be true even then is checked alike.

mod course;
mod digest;

use std::collections::{BTreeMap, BTreeSet};

use alert_fanout::delivery::{Delivery, DeliveryState, TRIED_FOR};
use alert_fanout::place;
use anomaly_core::incident::{ClosedBy, Incident, Phase};
use anomaly_core::{DeviceStatus, Timestamp};
use platform::model::{Entry, EntryKey};

use super::Findings;
use crate::plan::address;
use crate::run::{Rest, Site};
use crate::telling::Told;

/// Anomalies so much older than the sweep after a move may be left out: it looks back a day, and clocks are an hour off.
const SWEPT_MS: i64 = 20 * 3_600_000;
/// What is left of the time in which a message is tried when the last pause would go beyond it.
const LAST_PAUSE_MS: i64 = 30 * 60_000;
/// No trouble of who tells people lasts so long: a state that was committed so much earlier is known.
const TROUBLES_MS: i64 = 12 * 3_600_000;

/// Incidents and deliveries as they are stored in the end.
struct Book {
    incidents: Vec<Incident>,
    deliveries: BTreeMap<EntryKey, Delivery>,
    /// How many witnesses name each incident.
    witnesses: BTreeMap<String, u32>,
}

pub(super) fn check(rest: &Rest, findings: &mut Findings) {
    let Some(told) = &rest.told else { return };
    rest.sites.iter().for_each(|site| check_witnesses(site, findings));
    let Some(site) = rest.sites.get(told.say) else { return };
    let book = Book::read(&site.store.entries(), findings);
    book.check_deliveries(told, findings);
    book.check_heard(told, findings);
    check_untold(told, site, findings);
    book.check_ends(rest, site, findings);
    if !told.untold.is_empty() {
        // What was left out after a move is told when it comes once more.
        return;
    }
    findings.demand(told.heard.len() == told.before_again, "told again", || {
        let more: Vec<_> = told.heard[told.before_again..].iter().map(|heard| &heard.message.summary).collect();
        format!("when everything came once more, {} messages were sent: {more:?}", more.len())
    });
    if !told.was_sudden {
        course::check(rest, &book, findings);
    }
    if rest.sites.len() == 1 {
        digest::check(rest, site, &book, findings);
    }
}

/// Every anomaly was in an incident before it came once more, unless it was too old when this region got the say.
fn check_untold(told: &Told, site: &Site, findings: &mut Findings) {
    let entries = site.store.entries();
    let sweeps = entries.iter().filter(|entry| entry.key.sk.starts_with("swept#"));
    let swept = sweeps.filter_map(|entry| serde_json::from_value::<Timestamp>(entry.body["at"].clone()).ok()).max();
    for record in &told.untold {
        let is_old = swept.is_some_and(|at| at.millis() - record.detected_at.millis() > SWEPT_MS);
        findings.demand(is_old, "untold", || {
            let (pk, sk) = (record.partition_key(), record.sort_key());
            format!("no incident had {pk} {sk}, found {}, the last sweep was {swept:?}", record.detected_at)
        });
    }
}

/// Every anomaly is in an incident, and nothing else is.
fn check_witnesses(site: &Site, findings: &mut Findings) {
    let entries = site.store.entries();
    let mut left: BTreeSet<&EntryKey> =
        entries.iter().map(|entry| &entry.key).filter(|key| key.sk.starts_with(place::WITNESSES)).collect();
    for record in site.store.anomalies() {
        let key = place::witness(&record.anomaly.tenant, &record.anomaly.device, &record.anomaly.id);
        findings.demand(left.remove(&key), "untold", || format!("{}: no incident has {key}", site.name()));
    }
    findings.demand(left.is_empty(), "untold", || {
        format!("{}: incidents have anomalies that are none: {left:?}", site.name())
    });
}

impl Book {
    fn read(entries: &[Entry], findings: &mut Findings) -> Self {
        let mut book = Self { incidents: Vec::new(), deliveries: BTreeMap::new(), witnesses: BTreeMap::new() };
        for entry in entries {
            let (key, body) = (&entry.key, entry.body.clone());
            let wrong = if key.sk.starts_with(place::INCIDENTS) {
                serde_json::from_value(body).map(|incident| book.incidents.push(incident)).err()
            } else if key.sk.starts_with(place::DELIVERIES) {
                serde_json::from_value(body).map(|delivery| drop(book.deliveries.insert(key.clone(), delivery))).err()
            } else {
                if key.sk.starts_with(place::WITNESSES) {
                    let of = body["incident"].as_str().unwrap_or_default().to_owned();
                    *book.witnesses.entry(of).or_default() += 1;
                }
                None
            };
            if let Some(error) = wrong {
                findings.add("told", &format!("{key} cannot be read: {error}"));
            }
        }
        book
    }

    /// The delivery of a notice over a channel.
    fn delivery(&self, incident: &Incident, number: u32, channel: &str) -> Option<&Delivery> {
        self.deliveries.get(&place::delivery(incident, number, channel))
    }

    /// Each delivery has come to its end, and who took it over has heard it.
    fn check_deliveries(&self, told: &Told, findings: &mut Findings) {
        let heard: BTreeSet<&str> = told.heard.iter().map(|heard| heard.key.as_str()).collect();
        for (key, delivery) in &self.deliveries {
            match &delivery.state {
                DeliveryState::Pending => findings.add("delivery", &format!("{key} is not sent: {delivery:?}")),
                DeliveryState::Sent { .. } => {
                    let known = delivery.message.idempotency_key(&delivery.channel);
                    findings.demand(heard.contains(known.as_str()), "delivery", || {
                        format!("{key} is said to be sent, and nobody has heard it")
                    });
                }
                DeliveryState::Failed { at } => {
                    let tried_ms = at.millis() - delivery.created.millis();
                    let long_ms = i64::try_from(TRIED_FOR.as_millis()).unwrap_or(i64::MAX) - LAST_PAUSE_MS;
                    findings.demand(tried_ms >= long_ms, "delivery", || {
                        format!("{key} was given up after {} s: {:?}", tried_ms / 1_000, delivery.error)
                    });
                }
            }
        }
    }

    /// An incident whose device is known not to be abnormal ends by that, and not because nothing was heard for a day: the
    /// newest state is heard, whichever region's stream it came through. It counts from its commit, which may be late by many hours:
    /// troubles of the scorer add up.
    fn check_ends(&self, rest: &Rest, site: &Site, findings: &mut Findings) {
        let states: BTreeMap<_, _> =
            site.store.states().into_iter().map(|state| (state.partition_key(), state)).collect();
        for incident in &self.incidents {
            let Phase::Closed { at, by: ClosedBy::TimedOut } = &incident.phase else { continue };
            let Some(state) = states.get(&format!("{}#{}", incident.tenant, incident.device)) else { continue };
            let committed = rest.commits.iter().find(|committed| committed.commit.states.contains(state));
            let long_known = committed.is_some_and(|committed| at.millis() - committed.at_ms > TROUBLES_MS);
            findings.demand(!long_known || state.status == DeviceStatus::Abnormal, "heard", || {
                format!("{} of {} heard {:?} last, and not {state:?}", incident.id, incident.device, incident.status)
            });
        }
    }

    /// Nobody hears what is not for them, or what is not stored; one key is one message.
    fn check_heard(&self, told: &Told, findings: &mut Findings) {
        let stored: BTreeSet<(&str, &str, u32, &str)> =
            self.deliveries.values().map(|of| identity(&of.message, &of.channel)).collect();
        let mut keys = BTreeMap::new();
        let mut known = BTreeMap::new();
        for heard in &told.heard {
            let what = identity(&heard.message, &heard.channel);
            let own =
                heard.tenant == heard.message.tenant && heard.address == address(&heard.message.tenant, &heard.channel);
            findings.demand(own, "tenants", || format!("{what:?} was sent for {} to {}", heard.tenant, heard.address));
            findings.demand(heard.has_say, "say", || {
                format!("{what:?} was told by region {} without the say", heard.region)
            });
            findings.demand(stored.contains(&what), "delivery", || format!("{what:?} was told and is not stored"));
            let (one, other) =
                (*keys.entry(heard.key.as_str()).or_insert(what), *known.entry(what).or_insert(&heard.key));
            findings.demand(one == what && *other == heard.key, "once", || {
                format!("{what:?} has key {}, as {one:?} has, and {other}", heard.key)
            });
        }
    }
}

fn identity<'m>(message: &'m alert_fanout::message::Message, channel: &'m str) -> (&'m str, &'m str, u32, &'m str) {
    (&message.tenant, &message.incident, message.notice, channel)
}
