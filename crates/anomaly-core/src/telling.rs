//! When what the metrics say together is worth an alert.
//!
//! An episode of the monitor gathers evidence, row by row, and is told once that suffices for the number of false alerts
//! that the profile accepts; a familiar one has to gather more ([`crate::familiar`]). An episode that was told can be told
//! again only when it goes well beyond what it had come to.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::detector::joint::{Joint, Monitor, Phase};
use crate::familiar::Familiar;

/// A row this far along the way to the line adds to the evidence of an episode.
const EVIDENCE_FROM: f64 = 0.9;
/// Evidence asked for, in rows, for each factor e that the accepted false alerts are below one a week.
const EVIDENCE_PER_FACTOR: f64 = 1.3;
/// That holds for rows so far apart, milliseconds. A machine does not get faster by being read more often: of rows that
/// come quicker so many more are asked for, up to a bound.
const EVIDENCE_INTERVAL_MS: f64 = 300_000.0;
const EVIDENCE_SCALE_MAX: f64 = 32.0;
/// A single metric's monitor needs so many times the evidence: its surprises are told already.
const ALONE_FACTOR: f64 = 4.0;
/// A departure this strong is told though it came before, unless it is a habit, and one this strong though it was told a
/// moment ago.
const STRONG: f64 = 2.0;
const STRONGER: f64 = 3.0;
/// Within an episode, a departure has to be so far beyond what the episode had come to, gather so much evidence, and go so
/// much further than the last that was told; and not within so many rows of any alert.
const BEYOND_LINE: f64 = 1.3;
const BEYOND_EVIDENCE: f64 = 3.0;
const BEYOND_MAX: f64 = 50.0;
const BEYOND_FURTHER: f64 = 1.5;
const BEYOND_PAUSE: u32 = 144;

/// The terms on which episodes of a device are told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// False alerts a device and week that are accepted.
    pub(crate) sensitivity: f64,
    /// Usual time between rows, milliseconds; 0 while unknown.
    pub(crate) interval_ms: f64,
    /// The device has one metric.
    pub(crate) is_alone: bool,
}

impl Terms {
    /// How many rows stand for one of the rows that evidence is measured in.
    fn scale(&self) -> f64 {
        if self.interval_ms > 0.0 {
            (EVIDENCE_INTERVAL_MS / self.interval_ms).clamp(1.0, EVIDENCE_SCALE_MAX)
        } else {
            1.0
        }
    }
}

/// What is known of the episode that goes on, and of those before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Telling {
    /// Evidence of the episode that nobody was told of yet; `None` outside an episode and once it is told.
    untold: Option<Untold>,
    familiar: Familiar,
    /// Evidence of what goes beyond a told episode, and how far beyond it was when it was told last.
    beyond: f64,
    beyond_told: f64,
    rows_since_alert: u32,
}

/// An episode that may still turn out to be nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Untold {
    onset: Timestamp,
    evidence: f64,
}

impl Default for Telling {
    fn default() -> Self {
        let familiar = Familiar::default();
        Self { untold: None, familiar, beyond: 0.0, beyond_told: 0.0, rows_since_alert: u32::MAX }
    }
}

impl Telling {
    /// Rows since the last alert of any kind.
    pub(crate) fn rows_since_alert(&self) -> u32 {
        self.rows_since_alert
    }

    /// An alert is raised on this row: what is told now is not told again when more evidence has come.
    pub(crate) fn tell(&mut self) {
        (self.untold, self.rows_since_alert) = (None, 0);
        self.familiar.tell();
    }

    /// Takes what the monitor made of a row. Returns when the episode began that is to be told on it.
    pub(crate) fn follow(
        &mut self,
        joint: &Joint,
        monitor: &Monitor,
        at: Timestamp,
        terms: Terms,
    ) -> Option<Timestamp> {
        self.rows_since_alert = self.rows_since_alert.saturating_add(1);
        let evidence = (joint.best - EVIDENCE_FROM).clamp(0.0, 1.0);
        match joint.phase {
            Phase::Opens => {
                self.untold = Some(Untold { onset: at, evidence: 0.0 });
                self.familiar.begin();
            }
            Phase::Within => {}
            Phase::Outside | Phase::Closes => {
                (self.untold, self.beyond, self.beyond_told) = (None, 0.0, 0.0);
                if joint.phase == Phase::Closes {
                    self.familiar.end(at);
                }
                return None;
            }
        }
        self.familiar.follow(monitor.residuals(), evidence);
        if joint.is_running_up {
            return None;
        }
        let Some(untold) = &mut self.untold else {
            return if terms.is_alone { None } else { self.follow_beyond(joint, at, terms.scale()) };
        };
        untold.evidence += evidence;
        let factor = if terms.is_alone { ALONE_FACTOR } else { terms.scale() };
        let asked = factor * EVIDENCE_PER_FACTOR * -libm::log(terms.sensitivity.min(1.0));
        let asked = asked.max(self.familiar.asks(at, !terms.is_alone && joint.best >= STRONG));
        // Told on a row that shows it: the explanation is of this row.
        let suffices = untold.evidence >= asked && joint.best >= 1.0;
        let is_repeated = !terms.is_alone && joint.best < STRONGER && self.familiar.was_told(at);
        (suffices && !is_repeated).then_some(untold.onset)
    }

    /// Follows what goes beyond an episode that was told.
    fn follow_beyond(&mut self, joint: &Joint, at: Timestamp, scale: f64) -> Option<Timestamp> {
        let beyond = if joint.beyond > BEYOND_FURTHER * self.beyond_told { joint.beyond / BEYOND_LINE } else { 0.0 };
        self.beyond = (self.beyond + beyond.min(2.0) - EVIDENCE_FROM).clamp(0.0, BEYOND_MAX);
        if self.beyond <= BEYOND_EVIDENCE * scale || self.rows_since_alert <= BEYOND_PAUSE {
            return None;
        }
        (self.beyond, self.beyond_told) = (0.0, joint.beyond.max(BEYOND_LINE));
        Some(at)
    }
}
