//! One device: its metrics together, whether it is abnormal now, and when that is worth an alert.
//!
//! A device turns abnormal when the evidence of a row reaches the alarm line and stays abnormal until enough rows in a row
//! were below it. What the metrics say together is told once its evidence suffices ([`crate::telling`]). A crossed limit, a
//! spike, a stuck sensor or one that fell silent is plain to see and told at once, within an episode as well.

mod silence;

use serde::{Deserialize, Serialize};

use crate::cadence::Cadence;
use crate::detector::joint::{Monitor, Share};
use crate::detector::novelty::ARMED_FROM;
use crate::detector::{DetectorId, Evidence, Rarity};
use crate::telling::{Telling, Terms};
use crate::{
    Anomaly, AnomalyId, Contribution, DeviceName, Explanation, MetricName, Observation, Outcome, Profile,
    ReadingVerdict, Scored, Series, Severity, Timestamp,
};

/// Readings of a metric inside its limits that end a breach.
const HOLD: u8 = 16;
/// A surprise is told from this strength on at two fifths of an accepted false alert a week, and from so much more for a
/// tenth of that.
const SURPRISE_LINE: f64 = 1.35;
const SURPRISE_LINE_PER_DECADE: f64 = 0.6;
/// After an alert, surprises are not told for so many rows: they would be about the same thing.
const SURPRISE_PAUSE: u32 = 36;
/// Most metrics that an anomaly's explanation lists.
const CONTRIBUTIONS_MAX: usize = 8;

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceStatus {
    /// No statistical detector has an opinion yet; limits hold.
    Warming,
    /// Nothing to report.
    Normal,
    /// Within an episode.
    Abnormal,
}

impl DeviceStatus {
    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warming => "warming",
            Self::Normal => "normal",
            Self::Abnormal => "abnormal",
        }
    }
}

/// The state of one device: about 0.5 KiB for each metric and 45 bytes for each pair of them; 5.7 KiB with one metric alone,
/// which has a history of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    series: Vec<Series>,
    monitor: Monitor,
    status: DeviceStatus,
    score: f64,
    telling: Telling,
    /// When the current status began, milliseconds; 0 before the first reading.
    since: i64,
    /// How often anything arrives, and when that was last, milliseconds; 0 before the first.
    cadence: Cadence,
    arrived: i64,
    /// Time of the first row after the device's last long silence, milliseconds.
    resumed: i64,
    is_silent: bool,
    /// Fingerprint of the profiles by which the series are named and set; `None` until resolved.
    #[serde(skip)]
    applied: Option<u64>,
}

/// The value as far as its square and sums of it are still numbers: nothing measured is larger.
fn squarable(value: f64) -> f64 {
    value.clamp(-1e150, 1e150)
}

/// Usual time between reports of those of a device's metrics that are there, milliseconds.
fn usual_interval(series: &[Series], readings: &[ReadingVerdict]) -> f64 {
    let usual = readings.iter().map(|reading| series[reading.series].usual_interval_ms());
    usual.fold(f64::INFINITY, f64::min).min(f64::from(u32::MAX))
}

/// Whether evidence is of the kind that anybody sees in the one metric it is about.
fn is_plain(evidence: &Evidence) -> bool {
    evidence.strength >= 1.0 && matches!(evidence.detector, DetectorId::Limit | DetectorId::Stuck | DetectorId::Spike)
}

impl Default for Device {
    fn default() -> Self {
        Self {
            series: Vec::new(),
            monitor: Monitor::default(),
            status: DeviceStatus::Warming,
            score: 0.0,
            telling: Telling::default(),
            since: 0,
            cadence: Cadence::default(),
            arrived: 0,
            resumed: 0,
            is_silent: false,
            applied: None,
        }
    }
}

impl Device {
    /// One metric, by the index that a [`ReadingVerdict`] carries.
    #[must_use]
    pub fn series(&self, index: usize) -> &Series {
        &self.series[index]
    }

    /// All metrics, in the order in which they were first seen.
    #[must_use]
    pub fn all_series(&self) -> &[Series] {
        &self.series
    }

    /// How the device is.
    #[must_use]
    pub fn status(&self) -> DeviceStatus {
        self.status
    }

    /// When the current status began.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        Timestamp::from_millis(self.since).ok()
    }

    /// Whether this state of a device has taken more than another one: as many rows or more, and newer ones. Rows alone would say so of
    /// a long life that ended long ago, times alone of a single reading that went astray.
    #[must_use]
    pub fn is_ahead_of(&self, other: &Self) -> bool {
        let newest = |device: &Self| device.series.iter().filter_map(Series::newest).max();
        self.monitor.rows() >= other.monitor.rows() && newest(self) > newest(other)
    }

    /// Whether a metric of that name (in the profile's spelling) was ever seen.
    pub(crate) fn has_series(&self, name: &str) -> bool {
        self.series.iter().any(|series| series.is_named(name))
    }

    fn index(&mut self, observation: &Observation<'_>, reading: usize, profile: &Profile) -> usize {
        let metric = observation.readings[reading].metric;
        // Devices send their metrics in the same order row after row: try the same place first.
        if self.series.get(reading).is_some_and(|series| series.is_named(metric.as_str())) {
            return reading;
        }
        if let Some(index) = self.series.iter().position(|series| series.is_named(metric.as_str())) {
            return index;
        }
        let name = profile.canonical(observation.device, metric);
        self.series.iter().position(|series| series.is_named(name)).unwrap_or_else(|| {
            self.series.push(Series::new(name, profile.settings(observation.device, name)));
            self.series.len() - 1
        })
    }

    /// Names and sets the series as the profile now does: an alias may have been added since they were first seen.
    pub(crate) fn apply(&mut self, profile: &Profile, fingerprint: u64, device: DeviceName<'_>) {
        if self.applied == Some(fingerprint) {
            return;
        }
        self.applied = Some(fingerprint);
        for index in 0..self.series.len() {
            // A stored name is a metric's name: it was one when it was stored.
            let Ok(metric) = MetricName::new(self.series[index].name()) else { continue };
            let name = profile.canonical(device, metric).to_owned();
            if !self.series[index].is_named(&name) && self.series[index].is_named(metric.as_str()) {
                if self.has_series(&name) {
                    self.series[index].retire();
                } else {
                    self.series[index].rename(&name);
                }
            }
            self.series[index].set(profile.settings(device, &name));
        }
    }

    pub(crate) fn observe(
        &mut self,
        observation: &Observation<'_>,
        profile: &Profile,
        fingerprint: u64,
        out: &mut Scored,
    ) {
        out.readings.clear();
        (out.alert, out.hint) = (None, 0.0);
        self.apply(profile, fingerprint, observation.device);
        self.follow_arrivals(observation);
        self.look_at_each(observation, profile, out);
        let before = self.status;
        if out.readings.iter().any(|reading| reading.outcome == Outcome::Scored) {
            let told = self.look_at_all(observation, out);
            let surprised = self.look_for_surprise(observation, out);
            let opened = self.follow_each(&out.readings) || surprised;
            let silences = self.look_for_silence(observation.at);
            self.follow_status(&out.readings, observation.at);
            if opened || told.is_some() || !silences.is_empty() {
                self.telling.tell();
                let silent = silences.iter().map(|(since, _)| *since).min();
                let onset = if opened { None } else { told.or(silent) };
                let silences = silences.into_iter().map(|(_, contribution)| contribution);
                let contributions = self.contributions(&out.readings).chain(silences).collect();
                let onset = onset.unwrap_or(observation.at);
                out.alert = Some(Box::new(self.anomaly(observation, onset, contributions)));
            }
        }
        out.score = self.score;
        out.status = self.status;
        out.changed = self.status != before;
    }

    /// Places every reading in time and asks the detectors that look at one metric.
    fn look_at_each(&mut self, observation: &Observation<'_>, profile: &Profile, out: &mut Scored) {
        for (place, reading) in observation.readings.iter().enumerate() {
            let index = self.index(observation, place, profile);
            let series = &mut self.series[index];
            let value = reading.value.get();
            let mut verdict = ReadingVerdict {
                series: index,
                outcome: Outcome::Scored,
                observed: value,
                evidence: Evidence::none(DetectorId::Level, value),
            };
            if let Some(unfit) = series.unfit(observation.at, observation.arrived, reading.quality) {
                verdict.outcome = unfit;
            } else if let Some(found) = series.look(value, observation.at) {
                verdict.evidence = found;
            }
            out.readings.push(verdict);
        }
    }

    /// Asks the monitor and joins what it says with what each metric says alone. Returns when the episode began that is to
    /// be told on this row.
    fn look_at_all(&mut self, observation: &Observation<'_>, out: &mut Scored) -> Option<Timestamp> {
        let Self { series, monitor, telling, .. } = self;
        let fit = out.readings.iter().filter(|reading| reading.outcome == Outcome::Scored);
        let sensitivity = fit.clone().map(|reading| series[reading.series].settings().sensitivity).fold(0.0, f64::max);
        let values = fit.map(|reading| (reading.series, squarable(reading.observed)));
        let interval_ms = usual_interval(series, &out.readings);
        let joint = monitor.observe(values, observation.at, sensitivity, interval_ms, |metric, kind, departure| {
            let settings = series[metric].settings();
            settings.runs(kind) && settings.direction.covers(departure)
        });
        let is_alone = series.len() == 1;
        for reading in out.readings.iter_mut().filter(|reading| reading.outcome == Outcome::Scored) {
            let Some(share) = monitor.share(reading.series) else {
                reading.outcome = Outcome::Warming;
                continue;
            };
            if !monitor.is_warm() {
                reading.outcome = Outcome::Warming;
            }
            let strength = if monitor.is_warm() { share.strength } else { 0.0 };
            let settings = series[reading.series].settings();
            let is_spike = share.spike.abs() >= 1.0
                && monitor.is_warm()
                && settings.runs(DetectorId::Spike)
                && settings.direction.covers(share.spike);
            // A value that holds still where it usually never is, or in a machine that is switched off, is not a stuck sensor.
            let is_elsewhere = reading.evidence.detector == DetectorId::Stuck
                && !is_alone
                && !series[reading.series].raised
                && (joint.is_running_up || (share.kind == DetectorId::Level && share.strength >= 1.0));
            let Share { kind, expected, spread, .. } = share;
            if reading.evidence.strength >= 1.0 && !is_elsewhere {
                reading.evidence.strength = reading.evidence.strength.max(strength);
            } else if is_spike {
                let strength = strength.max(share.spike.abs());
                let rarity = Rarity::Tail(0.0);
                reading.evidence = Evidence { detector: DetectorId::Spike, strength, expected, spread, rarity };
            } else {
                let rarity = Rarity::Deviations;
                reading.evidence = Evidence { detector: kind, strength, expected, spread, rarity };
            }
        }
        telling.follow(&joint, monitor, observation.at, Terms { sensitivity, interval_ms, is_alone })
    }

    /// Asks the history of a metric that is alone: it has no others to be compared with. A new surprise is told, or hinted
    /// at, unless something was told a moment ago. It is an event and no state: the score stays what it is. Says whether
    /// there is something to tell.
    fn look_for_surprise(&mut self, observation: &Observation<'_>, out: &mut Scored) -> bool {
        let ([series], [reading]) = (&mut self.series[..], &mut out.readings[..]) else { return false };
        if !reading.outcome.is_scored() || !series.settings().runs(DetectorId::Novelty) {
            return false;
        }
        let surprise = series.surprise(squarable(reading.observed), observation.at);
        let departure = reading.observed - reading.evidence.expected;
        let is_told_already = self.telling.rows_since_alert() <= SURPRISE_PAUSE;
        if !surprise.is_new
            || is_told_already
            || is_plain(&reading.evidence)
            || !series.settings().direction.covers(departure)
        {
            return false;
        }
        let decades = libm::log10(0.2 / (0.5 * series.settings().sensitivity));
        let line = (SURPRISE_LINE + SURPRISE_LINE_PER_DECADE * decades).max(ARMED_FROM);
        let strength = surprise.strength / line;
        if strength < 1.0 {
            out.hint = strength;
        } else if strength > reading.evidence.strength {
            let rarity = Rarity::Tail(surprise.tail);
            reading.evidence = Evidence { detector: DetectorId::Novelty, strength, rarity, ..reading.evidence };
        }
        strength >= 1.0
    }

    /// Follows the episodes of what is plain to see in one metric alone. Says whether one opens.
    fn follow_each(&mut self, readings: &[ReadingVerdict]) -> bool {
        let mut opens = false;
        for reading in readings.iter().filter(|reading| reading.outcome.is_scored()) {
            opens |= self.series[reading.series].follow(is_plain(&reading.evidence), HOLD);
        }
        opens
    }

    fn follow_status(&mut self, readings: &[ReadingVerdict], at: Timestamp) {
        let before = self.status;
        let best = readings.iter().map(|reading| reading.evidence.strength).fold(0.0, f64::max);
        let raised = self.series.iter().any(|series| series.raised || series.is_missed(at));
        self.status = if raised || self.monitor.is_on() {
            DeviceStatus::Abnormal
        } else if self.monitor.is_warm() {
            DeviceStatus::Normal
        } else {
            DeviceStatus::Warming
        };
        // The line is a number people compare with: 0.9995 printed as 1.0 on a normal row would confuse them.
        self.score = if self.status == DeviceStatus::Abnormal { best.max(1.0) } else { best.min(0.999) };
        if self.status != before || self.since == 0 {
            self.since = at.millis();
        }
    }

    fn anomaly(&self, observation: &Observation<'_>, onset: Timestamp, contributions: Vec<Contribution>) -> Anomaly {
        let mut explanation = Explanation::of(contributions);
        explanation.score = explanation.score.max(1.0);
        explanation.contributions.truncate(CONTRIBUTIONS_MAX);
        let mut loudest: Vec<&Contribution> =
            explanation.contributions.iter().filter(|contribution| contribution.strength >= 1.0).collect();
        if loudest.is_empty() {
            loudest.extend(explanation.contributions.first());
        }
        let detector = loudest.first().map_or(DetectorId::Level, |c| c.detector);
        let metrics: Vec<String> = loudest.iter().map(|c| c.metric.clone()).collect();
        let names: Vec<&str> = metrics.iter().map(String::as_str).collect();
        let (tenant, device) = (observation.tenant.as_str(), observation.device.as_str());
        let fixed = names.iter().filter_map(|name| {
            self.series.iter().find(|series| series.is_named(name)).and_then(|series| series.settings().severity)
        });
        Anomaly {
            id: AnomalyId::of(tenant, device, &names, detector, onset),
            tenant: tenant.to_owned(),
            device: device.to_owned(),
            detector,
            onset,
            score: explanation.score,
            severity: fixed.max().unwrap_or_else(|| Severity::of_strength(explanation.score)),
            metrics,
            explanation,
        }
    }

    /// Explains the newest row: why it is abnormal, metrics that are missing included, or how far it is from the line.
    #[must_use]
    pub fn explain(&self, readings: &[ReadingVerdict]) -> Explanation {
        Explanation::of(self.contributions(readings).chain(self.missed()).collect())
    }

    fn contributions(&self, readings: &[ReadingVerdict]) -> impl Iterator<Item = Contribution> {
        readings.iter().map(|reading| Contribution::of(reading, &self.series[reading.series]))
    }
}
