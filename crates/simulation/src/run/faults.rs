//! Which faults happen: drawn at each occasion, counted, and each of them can be left out.
//!
//! A fault that is left out draws the same numbers, so that what comes before it stays as it was. That makes a failing run
//! small: leave out what is not needed for it to fail.

use std::collections::BTreeSet;

use crate::chance::Chance;
use crate::plan::{Plan, Trouble, purpose};

/// The number of the first fault of the telling.
const TELLING_FIRST: usize = 1_000_000;

pub(super) struct Faults {
    /// What the names of its faults begin with.
    of: &'static str,
    chance: Chance,
    troubles: Vec<(Trouble, f64)>,
    next: usize,
    without: BTreeSet<usize>,
    happened: Vec<(usize, String)>,
    ended: bool,
}

impl Faults {
    pub(super) fn new(plan: &Plan, without: BTreeSet<usize>) -> Self {
        Self {
            of: "",
            chance: Chance::new(plan.seed, purpose::FAULTS),
            troubles: plan.troubles.clone(),
            next: 0,
            without,
            happened: Vec::new(),
            ended: false,
        }
    }

    /// Those of the telling: drawn apart, and counted from a million on.
    pub(super) fn of_telling(plan: &Plan, without: BTreeSet<usize>) -> Self {
        Self {
            of: "telling: ",
            chance: Chance::new(plan.seed, purpose::TELLING_FAULTS),
            troubles: plan.telling.troubles.clone(),
            next: TELLING_FIRST,
            without,
            happened: Vec::new(),
            ended: false,
        }
    }

    /// No fault happens from here on.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The trouble among `possible` that comes up at this occasion, whose likelihood is scaled by `weight`.
    pub(super) fn draw(&mut self, possible: &[Trouble], weight: f64, on: &str) -> Option<Trouble> {
        if self.ended {
            return None;
        }
        let mut found = None;
        for (trouble, rate) in &self.troubles {
            if possible.contains(trouble) && self.chance.happens(rate * weight) {
                found = found.or(Some(*trouble));
            }
        }
        let trouble = found?;
        let number = self.next;
        self.next += 1;
        if self.without.contains(&number) {
            return None;
        }
        self.happened.push((number, format!("{}{trouble:?} at {on}", self.of)));
        Some(trouble)
    }

    pub(super) fn happened(&self) -> &[(usize, String)] {
        &self.happened
    }

    /// For what a fault needs to choose.
    pub(super) fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }
}
