//! One metric of one device: its detectors, its place in time, and the settings in force.

use serde::{Deserialize, Serialize};

use crate::cadence::Cadence;
use crate::detector::novelty::{Novelty, Surprise};
use crate::detector::{Detector, Evidence, Input, limit::Limit, stuck::Stuck};
use crate::late::Late;
use crate::{DetectorId, MetricSettings, Quality, Timestamp};

/// A reading this much ahead of its arrival is from the future: kept and counted, not scored, one hour.
pub const FUTURE_MAX_MS: i64 = 3_600_000;

/// A metric that is silent for longer was taken off: its device is not abnormal for that, one week.
const MISSED_MAX_MS: i64 = 7 * 86_400_000;

/// What became of a reading. Every reading has exactly one outcome; all but the refused ones are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Scored.
    Scored,
    /// Scored by limits; the statistical detectors are still learning.
    Warming,
    /// Older than the newest reading of its metric: kept and counted, not scored.
    Late,
    /// At the very instant of the newest reading of its metric: kept and counted, not scored twice.
    Repeated,
    /// More than [`FUTURE_MAX_MS`] ahead of its arrival: kept and counted, not scored, and does not move the clock.
    Future,
    /// The source calls the value bad: kept and counted, not scored.
    BadQuality,
}

impl Outcome {
    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scored => "scored",
            Self::Warming => "warming",
            Self::Late => "late",
            Self::Repeated => "repeated",
            Self::Future => "future",
            Self::BadQuality => "bad_quality",
        }
    }

    /// Whether detectors saw the reading.
    #[must_use]
    pub const fn is_scored(self) -> bool {
        matches!(self, Self::Scored | Self::Warming)
    }
}

/// A metric that stopped reporting while its device goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Silence {
    /// When the first report was missing.
    pub(crate) since: Timestamp,
    pub(crate) last_value: f64,
    /// How long it is silent, and how long it usually is, milliseconds.
    pub(crate) silent_ms: f64,
    pub(crate) usual_ms: f64,
    /// In units of the alarm line.
    pub(crate) strength: f64,
}

/// What the engine says of one reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReadingVerdict {
    /// Which series of the device it belongs to: an index for [`crate::Device::series`].
    pub series: usize,
    /// What became of it.
    pub outcome: Outcome,
    /// The value.
    pub observed: f64,
    /// The strongest evidence; of strength 0 when the reading was not scored.
    pub evidence: Evidence,
}

/// One metric of one device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Series {
    name: Box<str>,
    /// Time of the newest scored reading, milliseconds; 0 before the first.
    newest: i64,
    late: Late,
    /// Within an episode of a detector that looks at this metric alone.
    pub(crate) raised: bool,
    /// Readings since the last one that spoke for it.
    pub(crate) quiet: u8,
    /// It has stopped reporting, and that was told.
    is_silent: bool,
    /// Another series goes by the name under which the profile now knows this one.
    is_retired: bool,
    cadence: Cadence,
    limit: Limit,
    stuck: Stuck,
    /// History of a metric that is its device's only one.
    novelty: Option<Box<Novelty>>,
    #[serde(skip)]
    settings: MetricSettings,
}

impl Series {
    pub(crate) fn new(name: &str, settings: MetricSettings) -> Self {
        Self {
            name: name.into(),
            newest: 0,
            late: Late::default(),
            raised: false,
            quiet: 0,
            is_silent: false,
            is_retired: false,
            cadence: Cadence::default(),
            limit: Limit::default(),
            stuck: Stuck::default(),
            novelty: None,
            settings,
        }
    }

    /// The metric's name in the profile's spelling.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings in force since the last reading.
    #[must_use]
    pub fn settings(&self) -> &MetricSettings {
        &self.settings
    }

    /// Whether built-in limits were found not to fit this metric.
    #[must_use]
    pub fn limits_stood_down(&self) -> bool {
        self.settings.limits_are_default && self.limit.has_stood_down()
    }

    /// Time of its newest scored reading.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        Timestamp::from_millis(self.newest).ok()
    }

    /// Usual time between its reports, milliseconds; 0 while unknown.
    pub(crate) fn usual_interval_ms(&self) -> f64 {
        self.cadence.usual_ms()
    }

    /// Whether readings of this name belong to it.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        !self.is_retired && *self.name == *name
    }

    /// Takes another name, under which the profile now knows it.
    pub(crate) fn rename(&mut self, name: &str) {
        self.name = name.into();
    }

    /// Receives nothing from now on: another series bears the name that the profile gave this one.
    pub(crate) fn retire(&mut self) {
        (self.is_retired, self.raised, self.is_silent) = (true, false, false);
    }

    /// Puts other settings into force: the profiles changed, or a snapshot, which has none, was read.
    pub(crate) fn set(&mut self, settings: MetricSettings) {
        self.settings = settings;
    }

    /// Places a reading in time; `None` means it is to be scored.
    pub(crate) fn unfit(&mut self, at: Timestamp, arrived: Timestamp, quality: Quality) -> Option<Outcome> {
        if quality == Quality::Bad {
            return Some(Outcome::BadQuality);
        }
        if at.millis() > arrived.millis() + FUTURE_MAX_MS {
            return Some(Outcome::Future);
        }
        if at.millis() == self.newest {
            return Some(Outcome::Repeated);
        }
        if at.millis() > self.newest {
            if self.newest > 0 {
                self.cadence.report(at.millis() - self.newest);
            }
            self.late.end();
        } else if !self.late.is_set_back(at, arrived) {
            return Some(Outcome::Late);
        }
        (self.newest, self.is_silent) = (at.millis(), false);
        None
    }

    /// Notices that it has stopped reporting, at an instant at which its device does, and has since `resumed_ms`. Says so
    /// once a silence.
    pub(crate) fn falls_silent(&mut self, now: Timestamp, resumed_ms: i64) -> Option<Silence> {
        if self.is_silent || self.is_retired || self.newest == 0 || !self.settings.runs(DetectorId::Silence) {
            return None;
        }
        let silence = self.silence(now, resumed_ms).filter(|silence| silence.strength > 1.0)?;
        self.is_silent = true;
        Some(silence)
    }

    /// Whether it is silent, and was not for so long that nobody waits for it any more.
    pub(crate) fn is_missed(&self, now: Timestamp) -> bool {
        self.is_silent && now.millis() - self.newest <= MISSED_MAX_MS
    }

    /// How long it has been silent, beside how long it may be; `None` while that is not known.
    pub(crate) fn silence(&self, now: Timestamp, resumed_ms: i64) -> Option<Silence> {
        let from = self.newest.max(resumed_ms);
        let silent_ms = (now.millis() - from) as f64;
        let missed = from.saturating_add(self.cadence.usual_ms() as i64);
        Some(Silence {
            since: Timestamp::from_millis(missed).unwrap_or(now).min(now),
            last_value: self.stuck.last(),
            silent_ms,
            usual_ms: self.cadence.usual_ms(),
            strength: silent_ms / self.cadence.limit_ms()?,
        })
    }

    /// Asks the detectors that look at this metric alone. A crossed limit speaks first, because that is what people
    /// understand at once.
    pub(crate) fn look(&mut self, value: f64, at: Timestamp) -> Option<Evidence> {
        let input = Input { value, at, settings: &self.settings };
        let found = [self.limit.observe(&input), self.stuck.observe(&input)];
        found.into_iter().find(|evidence| evidence.strength >= 1.0 && self.settings.runs(evidence.detector))
    }

    /// How rare a reading is in this metric's history.
    pub(crate) fn surprise(&mut self, value: f64, at: Timestamp) -> Surprise {
        self.novelty.get_or_insert_default().observe(value, at.millis_of_day())
    }

    /// Follows the episode of the detectors that look at this metric alone; says whether it opens.
    pub(crate) fn follow(&mut self, found: bool, hold: u8) -> bool {
        let opens = found && !self.raised;
        if found {
            (self.raised, self.quiet) = (true, 0);
        } else if self.raised {
            self.quiet += 1;
            self.raised = self.quiet < hold;
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_700_000_000_000;

    fn outcomes(times: &[(i64, i64)]) -> Vec<Outcome> {
        let at = |offset| Timestamp::from_millis(T0 + offset).unwrap();
        let mut series = Series::new("x", MetricSettings::default());
        let outcome = |(m, a): &(i64, i64)| series.unfit(at(*m), at(*a), Quality::Good).unwrap_or(Outcome::Scored);
        times.iter().map(outcome).collect()
    }

    #[test]
    fn late_repeated_and_future_readings_are_told_apart_and_not_scored() {
        use Outcome::{Future, Late, Repeated, Scored};
        let found = outcomes(&[(0, 0), (10, 10), (5, 11), (10, 12), (FUTURE_MAX_MS + 14, 13), (20, 20)]);
        assert_eq!(found, [Scored, Scored, Late, Repeated, Future, Scored]);
    }

    #[test]
    fn a_clock_that_was_set_back_is_believed_after_a_run_of_late_readings_in_order() {
        let mut times = vec![(3_000_000, 0)];
        times.extend((0..40).map(|i| (i * 1_000, i * 1_000)));
        let found = outcomes(&times);
        let accepted = usize::from(crate::LATE_RUN_ACCEPTED);
        assert!(found[1..accepted].iter().all(|o| *o == Outcome::Late));
        assert!(found[accepted..].iter().all(|o| *o == Outcome::Scored));
    }

    #[test]
    fn what_is_sent_once_more_never_moves_the_clock() {
        // An hour at a reading a second; then its last ten minutes again at twenty a second, and on.
        let live = |i: i64| (i * 1_000, i * 1_000 + 50);
        let mut times: Vec<_> = (0..3_600).map(live).collect();
        times.extend((0..600).map(|i| ((3_000 + i) * 1_000, 3_600_000 + i * 50)));
        times.extend((3_630..3_700).map(live));
        let found = outcomes(&times);
        assert!(found[3_600..4_200].iter().all(|o| *o == Outcome::Late || *o == Outcome::Repeated));
        assert!(found[..3_600].iter().chain(&found[4_200..]).all(|o| *o == Outcome::Scored));
    }

    #[test]
    fn a_clock_that_was_set_back_is_believed_of_a_device_that_sends_by_the_minute() {
        let mut times: Vec<_> = (0..600).map(|i| (i * 1_000, i / 60 * 60_000 + 60_000)).collect();
        times.extend((600..8_000).map(|i| (i * 1_000 - 3_600_000, i / 60 * 60_000 + 60_000)));
        let found = outcomes(&times);
        let late = found.iter().filter(|o| **o == Outcome::Late).count();
        assert!((32..180).contains(&late), "{late}");
    }

    #[test]
    fn scattered_late_readings_never_move_the_clock() {
        let mut times = vec![(3_000_000, 0)];
        times.extend((0..200).rev().map(|i| (i * 1_000, 0)));
        assert!(outcomes(&times)[1..].iter().all(|o| *o == Outcome::Late));
    }
}
