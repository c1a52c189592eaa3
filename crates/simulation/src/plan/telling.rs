//! How people are told: who hears of which tenant, how the changes come to the fan-out, and what goes wrong there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Trouble, troubles};
use crate::chance::Chance;
use crate::workload::TENANTS;

/// What a tenant has set about alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantPlan {
    /// Somebody is told.
    pub is_routed: bool,
    /// Openings in a minute beyond which they are told in a digest.
    pub storm_openings: u32,
    /// What nobody has acknowledged is told to somebody else too.
    pub escalates: bool,
}

/// The telling of a run.
#[derive(Debug, Clone)]
pub struct TellingPlan {
    /// Probability of each trouble at each occasion; absent ones do not happen.
    pub troubles: Vec<(Trouble, f64)>,
    /// Processes of a region at most.
    pub processes: usize,
    /// Probability that the fan-out goes on at a step of the run.
    pub pace: f64,
    /// Most changes of a batch.
    pub batch: usize,
    /// When the far side is down, in milliseconds since the run's beginning, and for how long.
    pub outage: Option<(i64, i64)>,
    /// Whether who tells people is moved at once, and not when the other region is at rest.
    pub is_sudden: bool,
    /// What each tenant has set.
    pub tenants: BTreeMap<&'static str, TenantPlan>,
}

impl TellingPlan {
    pub(super) fn draw(chance: &mut Chance) -> Self {
        // One tenant in most runs has no routes.
        let silent = chance.below(TENANTS.len() + 2);
        let tenant = |index: usize, chance: &mut Chance| TenantPlan {
            is_routed: index != silent,
            storm_openings: chance.one_of([1, 2, 1_000, 1_000]),
            escalates: chance.happens(0.3),
        };
        let tenants = TENANTS.iter().enumerate().map(|(index, name)| (*name, tenant(index, chance))).collect();
        Self {
            tenants,
            troubles: troubles(chance),
            processes: 1 + chance.below(3),
            pace: chance.one_of([0.3, 0.6, 1.0]),
            batch: chance.one_of([1, 3, 10, 100]),
            outage: chance.happens(0.3).then(|| (chance.within(0, 600_000), chance.within(10_000, 1_200_000))),
            is_sudden: chance.happens(0.4),
        }
    }

    /// A tenant's profile, as the fan-out reads it. Where a message may go is told by its address.
    #[must_use]
    pub fn profile(&self, tenant: &str) -> String {
        let Some(plan) = self.tenants.get(tenant).filter(|plan| plan.is_routed) else { return String::new() };
        let mut text = format!("[alerts]\nstorm_openings = {}\nmessages_per_hour = 10000\n", plan.storm_openings);
        let channels: &[&str] = if plan.escalates { &["ops", "chief", "second"] } else { &["ops", "chief"] };
        // Writing to a String cannot fail.
        if plan.escalates {
            let _ = writeln!(text, "escalate_after_minutes = [20]");
        }
        for name in channels {
            let address = address(tenant, name);
            let rule = match *name {
                "chief" => "severity_min = \"critical\"\n",
                "second" => "level = 1\n",
                _ => "",
            };
            let _ = write!(text, "[channels.{name}]\ntype = \"webhook\"\nurl = \"{address}\"\n");
            let _ = write!(text, "[[alerts.routes]]\nchannels = [\"{name}\"]\n{rule}");
        }
        text
    }
}

/// Where a tenant's channel leads.
#[must_use]
pub fn address(tenant: &str, channel: &str) -> String {
    format!("https://{tenant}.example/{channel}")
}

#[cfg(test)]
mod tests {
    use telemetry::profile::parse_profile;

    use super::*;

    #[test]
    fn every_profile_is_one_and_says_what_was_planned() {
        for seed in 0..100 {
            let plan = TellingPlan::draw(&mut Chance::new(seed, super::super::purpose::TELLING));
            for (tenant, planned) in &plan.tenants {
                let alerts = parse_profile(&plan.profile(tenant)).unwrap().alerts;
                assert_eq!(alerts.routes.is_empty(), !planned.is_routed);
                assert!(!planned.is_routed || alerts.storm_openings == planned.storm_openings);
            }
        }
    }
}
