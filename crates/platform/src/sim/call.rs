//! Calls and what is to go wrong with them.

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing happens; the caller is told to slow down.
    Throttle,
    /// Nothing happens; the caller is told that there was no answer.
    Unavailable,
    /// It happens; the caller is told that there was no answer.
    UnavailableButLands,
    /// The caller is told that there was no answer; it happens when the test calls [`super::SimWorld::land`].
    LandsLater,
    /// Nothing happens, and the caller never goes on: [`super::SimWorld::crashed`] resolves.
    CrashBefore,
    /// It happens, and the caller never goes on: [`super::SimWorld::crashed`] resolves.
    CrashAfter,
    /// It happens only after [`super::SimWorld::release`].
    ParkBefore,
    /// It happens; the caller learns of it after [`super::SimWorld::release`].
    ParkAfter,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Throttle,
        Self::Unavailable,
        Self::UnavailableButLands,
        Self::LandsLater,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::ParkBefore,
        Self::ParkAfter,
    ];
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// Not yet.
    UnderWay,
    /// With an answer.
    Done,
    /// With an error of the store's own, for example a moved checkpoint.
    Refused(String),
    /// With this fault. A call that parks is under way, then ends with an answer.
    Faulted(Fault),
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Its number, counted from 0.
    pub index: usize,
    /// What: `load checkpoint`, `list checkpoints`, `load epoch`, `begin epoch`, `commit`, `put object`, `get object`,
    /// `list objects`, `list shards`, `find anomalies`, `get device state`, `load entry`, `list entries`, `change entries`,
    /// `find due`, `list day`, `read changes`, `forget changes`, `ask model`.
    pub verb: &'static str,
    /// On what.
    pub target: String,
    /// How it ended.
    pub outcome: CallOutcome,
}

/// Which call is meant.
pub enum When {
    /// The call of this number, counted from 0.
    Index(usize),
    /// A call for which this says yes. It is asked once a call, in order.
    Matching(Box<dyn FnMut(&CallRecord) -> bool + Send>),
}

impl When {
    /// A call with this verb.
    #[must_use]
    pub fn verb(verb: &'static str) -> Self {
        Self::matching(move |call| call.verb == verb)
    }

    /// The call with this verb that comes after `skipped` others, counted from now.
    #[must_use]
    pub fn nth(verb: &'static str, mut skipped: usize) -> Self {
        Self::matching(move |call| {
            if call.verb != verb {
                return false;
            }
            let fits = skipped == 0;
            skipped = skipped.saturating_sub(1);
            fits
        })
    }

    /// A call for which `fits` says yes.
    #[must_use]
    pub fn matching(fits: impl FnMut(&CallRecord) -> bool + Send + 'static) -> Self {
        Self::Matching(Box::new(fits))
    }

    fn fits(&mut self, call: &CallRecord) -> bool {
        match self {
            Self::Index(index) => *index == call.index,
            Self::Matching(fits) => fits(call),
        }
    }
}

impl From<usize> for When {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

struct Rule {
    when: When,
    fault: Fault,
    every: bool,
}

/// The calls so far and the faults to come.
#[derive(Default)]
pub(super) struct Script {
    rules: Vec<Rule>,
    calls: Vec<CallRecord>,
}

impl Script {
    pub(super) fn add(&mut self, when: When, fault: Fault, every: bool) {
        self.rules.push(Rule { when, fault, every });
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn calls(&self) -> &[CallRecord] {
        &self.calls
    }

    /// Counts a call and says what goes wrong with it: by the rule that was added first, where several fit.
    pub(super) fn begin(&mut self, verb: &'static str, target: &str) -> (usize, Option<Fault>) {
        let index = self.calls.len();
        let mut call = CallRecord { index, verb, target: target.to_owned(), outcome: CallOutcome::UnderWay };
        let rule = self.rules.iter_mut().position(|rule| rule.when.fits(&call));
        let fault = rule.and_then(|position| {
            let rule = self.rules.get(position)?;
            let (fault, every) = (rule.fault, rule.every);
            if !every {
                self.rules.remove(position);
            }
            Some(fault)
        });
        match fault {
            None | Some(Fault::ParkBefore | Fault::ParkAfter) => {}
            Some(fault) => call.outcome = CallOutcome::Faulted(fault),
        }
        self.calls.push(call);
        (index, fault)
    }

    pub(super) fn end(&mut self, index: usize, outcome: CallOutcome) {
        if let Some(call) = self.calls.get_mut(index) {
            call.outcome = outcome;
        }
    }
}
