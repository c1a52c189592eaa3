//! What was told of each incident, one notice after the other: whether that can be, and whether it went to whom it is for.

use std::collections::BTreeSet;

use alert_fanout::message::{Course, News};
use anomaly_core::Severity;
use anomaly_core::incident::Incident;

use super::{Book, Findings};
use crate::plan::TenantPlan;
use crate::run::Rest;

/// Every channel of a tenant.
const CHANNELS: [&str; 3] = ["chief", "ops", "second"];
/// Openings in a minute that no run has.
const NO_STORM: u32 = 1_000;

/// What people believe of an incident.
struct Belief {
    is_open: bool,
    /// The most urgent it was told to be since it was told as open.
    reach: Severity,
    is_escalated: bool,
}

impl Belief {
    /// Takes a notice. `false`: it cannot follow.
    fn take(&mut self, course: Course, severity: Severity) -> bool {
        let was_open = self.is_open;
        match course {
            Course::Opened => (self.is_open, self.reach) = (true, severity),
            Course::Flapping => {
                self.reach = if was_open { self.reach.max(severity) } else { severity };
                self.is_open = true;
            }
            Course::Worse => self.reach = self.reach.max(severity),
            Course::Escalated => self.is_escalated = true,
            Course::Resolved => self.is_open = false,
            Course::Better | Course::Steady | Course::Acknowledged => {}
        }
        match course {
            Course::Opened => !was_open,
            Course::Flapping => true,
            _ => was_open,
        }
    }

    /// Over which channels a notice goes that has just been taken.
    fn channels(&self, course: Course) -> BTreeSet<&'static str> {
        if course == Course::Escalated {
            return BTreeSet::from(["second"]);
        }
        let also = [("chief", self.reach == Severity::Critical), ("second", self.is_escalated)];
        also.into_iter().filter(|(_, goes)| *goes).map(|(name, _)| name).chain(["ops"]).collect()
    }
}

pub(super) fn check(rest: &Rest, book: &Book, findings: &mut Findings) {
    for incident in &book.incidents {
        let witnesses = book.witnesses.get(incident.id.as_str()).copied().unwrap_or(0);
        findings.demand(witnesses == incident.anomalies, "incident", || {
            format!("{}: {witnesses} anomalies are in it, {} were counted", name(incident), incident.anomalies)
        });
        findings.demand(!incident.is_open() && incident.notices.is_empty(), "incident", || {
            format!("{} is not over: {:?}, {:?}", name(incident), incident.phase, incident.notices)
        });
        match rest.plan.telling.tenants.get(incident.tenant.as_str()) {
            Some(TenantPlan { is_routed: true, storm_openings: NO_STORM, .. }) => follow(incident, book, findings),
            Some(TenantPlan { is_routed: true, .. }) => {}
            _ => {
                let of_it = |number: u32| CHANNELS.iter().any(|name| book.delivery(incident, number, name).is_some());
                findings.demand(!(1..=incident.numbered).any(of_it), "notice", || {
                    format!("{} was told although nobody is to hear of it", name(incident))
                });
            }
        }
    }
}

fn name(incident: &Incident) -> String {
    format!("{}#{} {}", incident.tenant, incident.device, incident.id)
}

/// Follows what was told of an incident of a tenant whose openings are never held.
fn follow(incident: &Incident, book: &Book, findings: &mut Findings) {
    let mut belief = Belief { is_open: false, reach: Severity::Info, is_escalated: false };
    for number in 1..=incident.numbered {
        let found = CHANNELS.map(|channel| (channel, book.delivery(incident, number, channel)));
        let message = found.iter().find_map(|(_, delivery)| delivery.map(|delivery| &delivery.message));
        let Some((message, News::Incident(course, _))) = message.map(|message| (message, &message.news)) else {
            return findings.add("notice", &format!("{}: notice {number} has no delivery", name(incident)));
        };
        findings.demand(belief.take(*course, message.severity), "course", || {
            format!("{}: notice {number}, {}, cannot follow", name(incident), course.as_str())
        });
        let went: BTreeSet<&str> =
            found.iter().filter(|(_, delivery)| delivery.is_some()).map(|(channel, _)| *channel).collect();
        let goes = belief.channels(*course);
        findings.demand(went == goes, "notice", || {
            format!("{}: notice {number}, {}, went to {went:?}, not {goes:?}", name(incident), course.as_str())
        });
    }
    findings.demand(!belief.is_open, "course", || format!("{}: nobody was told that it is over", name(incident)));
}
