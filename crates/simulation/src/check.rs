//! What must be true of a run at rest, whatever went wrong on the way.
//!
//! The checkpoints form chains; what they name is there, whole; every record is in the lake once, with the verdicts of a
//! reading that went through without any fault; anomalies and states are what that reading gives; what the next process
//! would remember is what it would remember; nothing crosses from one tenant to another; and whoever is to hear of an incident
//! has heard of it. With two regions all of this holds in each, and a shard that takes over goes on with what had arrived of
//! the other region.

mod adoption;
mod chain;
mod lake;
mod opinions;
mod reference;
mod tables;
mod told;

use crate::run::Rest;
use crate::trace::{Violation, shortened};
use chain::History;
use lake::Lake;
use reference::Reference;

/// Most violations that one check reports.
const REPORTED_MAX: usize = 5;

/// Collects what is wrong.
#[derive(Debug, Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, check: &'static str, what: &str) {
        if self.0.iter().filter(|known| known.check == check).count() < REPORTED_MAX {
            self.0.push(Violation { check, what: shortened(what) });
        }
    }

    fn demand(&mut self, holds: bool, check: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.add(check, &what());
        }
    }
}

/// Everything that is wrong with a run; what was wrong on the way comes first and alone, since a run stops there.
#[must_use]
pub fn check(rest: &Rest) -> Vec<Violation> {
    if !rest.violations.is_empty() {
        return rest.violations.clone();
    }
    let mut findings = Findings::default();
    let history = History::read(rest, &mut findings);
    // Without a sound history there is nothing to compare with.
    if findings.0.is_empty()
        && let Some(reference) = Reference::fold(rest, &history, &mut findings)
    {
        let lake = Lake::read(rest, &history, &mut findings);
        lake.compare(rest, &reference, &mut findings);
        tables::compare(rest, &history, &reference, &mut findings);
        tables::compare_memory(rest, &reference, &mut findings);
        tables::check_metrics(rest, &history, &mut findings);
        told::check(rest, &mut findings);
    }
    findings.0
}
