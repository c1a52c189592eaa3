//! One device: its metrics together, whether it is abnormal now, and when that is worth an alert.
//!
//! A device turns abnormal when the evidence of a reading reaches the alarm line and stays abnormal until [`HOLD`] rows in
//! a row were below it. The alert is raised once, when it turns; a limit that somebody set is a promise of its own, so a
//! limit breach that opens during an episode is told as well.

use serde::{Deserialize, Serialize};

use crate::detector::DetectorId;
use crate::{
    Anomaly, AnomalyId, Contribution, Explanation, Observation, Profile, ReadingVerdict, Series, Severity, Timestamp,
};

/// Rows below the line that end an episode.
pub(crate) const HOLD: u8 = 16;

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

/// Raised on the row on which somebody should hear of it.
pub type Alert = Box<Anomaly>;

/// What the engine says of one observation. Reused from row to row; [`crate::Engine::observe`] clears it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// How abnormal the device is now: 1.0 and more means abnormal, and it stays there while the fault lasts.
    pub score: f64,
    /// Set only on a row where an alert is raised.
    pub alert: Option<Alert>,
    /// How the device is after this row.
    pub status: DeviceStatus,
    /// Whether the status differs from before this row.
    pub changed: bool,
    /// One entry a reading, in the order of the observation.
    pub readings: Vec<ReadingVerdict>,
}

impl Default for Scored {
    fn default() -> Self {
        Self { score: 0.0, alert: None, status: DeviceStatus::Warming, changed: false, readings: Vec::new() }
    }
}

impl Scored {
    /// Strength of the alert raised on this row, 0 when none was.
    #[must_use]
    pub fn alert_strength(&self) -> f64 {
        self.alert.as_ref().map_or(0.0, |anomaly| anomaly.score)
    }
}

/// The state of one device: about 200 bytes for each metric.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    series: Vec<Series>,
    status: DeviceStatus,
    /// Rows below the line since the last one above, within an episode.
    quiet: u8,
    score: f64,
    /// When the current status began, milliseconds; 0 before the first reading.
    since: i64,
}

impl Default for Device {
    fn default() -> Self {
        Self { series: Vec::new(), status: DeviceStatus::Warming, quiet: 0, score: 0.0, since: 0 }
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

    /// Whether a metric of that name (in the profile's spelling) was ever seen.
    pub(crate) fn has_series(&self, name: &str) -> bool {
        self.series.iter().any(|series| series.name() == name)
    }

    fn index(&mut self, observation: &Observation<'_>, reading: usize, profile: &Profile) -> usize {
        let metric = observation.readings[reading].metric;
        // Devices send their metrics in the same order row after row: try the same place first.
        if self.series.get(reading).is_some_and(|series| series.name() == metric.as_str()) {
            return reading;
        }
        if let Some(index) = self.series.iter().position(|series| series.name() == metric.as_str()) {
            return index;
        }
        let name = profile.canonical(observation.device, metric);
        self.series.iter().position(|series| series.name() == name).unwrap_or_else(|| {
            self.series.push(Series::new(name));
            self.series.len() - 1
        })
    }

    pub(crate) fn observe(
        &mut self,
        observation: &Observation<'_>,
        profile: &Profile,
        fingerprint: u64,
        out: &mut Scored,
    ) {
        out.readings.clear();
        out.alert = None;
        let times = (observation.at, observation.arrived);
        for (place, reading) in observation.readings.iter().enumerate() {
            let index = self.index(observation, place, profile);
            let metrics = self.series.len();
            let series = &mut self.series[index];
            series.settle(profile, fingerprint, observation.device);
            out.readings.push(series.observe(index, reading.value.get(), reading.quality, times, metrics));
        }
        let before = self.status;
        let breach_opened = self.follow_breaches(&out.readings);
        self.follow_status(&out.readings, observation.at);
        out.score = self.score;
        out.status = self.status;
        out.changed = self.status != before;
        let turned = out.changed && self.status == DeviceStatus::Abnormal;
        if turned || breach_opened {
            out.alert = Some(Box::new(self.anomaly(observation, &out.readings)));
        }
    }

    /// Follows each metric's limit breach; says whether one opened on this row.
    fn follow_breaches(&mut self, readings: &[ReadingVerdict]) -> bool {
        let mut opened = false;
        for reading in readings.iter().filter(|reading| reading.outcome.is_scored()) {
            let series = &mut self.series[reading.series];
            if reading.evidence.detector == DetectorId::Limit && reading.evidence.strength >= 1.0 {
                opened |= !series.breached;
                (series.breached, series.inside) = (true, 0);
            } else if series.breached {
                series.inside += 1;
                series.breached = series.inside < HOLD;
            }
        }
        opened
    }

    fn follow_status(&mut self, readings: &[ReadingVerdict], at: Timestamp) {
        let scored = readings.iter().filter(|reading| reading.outcome.is_scored());
        let Some(best) = scored.map(|reading| reading.evidence.strength).max_by(f64::total_cmp) else { return };
        let before = self.status;
        if best >= 1.0 {
            (self.status, self.quiet) = (DeviceStatus::Abnormal, 0);
        } else if self.status == DeviceStatus::Abnormal {
            self.quiet += 1;
            if self.quiet >= HOLD {
                (self.status, self.quiet) = (DeviceStatus::Normal, 0);
            }
        } else if readings.iter().any(|reading| reading.outcome == crate::Outcome::Scored) {
            self.status = DeviceStatus::Normal;
        }
        // The line is a number people compare with: 0.9995 printed as 1.0 on a normal row would confuse them.
        self.score = if self.status == DeviceStatus::Abnormal { best.max(1.0) } else { best.min(0.999) };
        if self.status != before || self.since == 0 {
            self.since = at.millis();
        }
    }

    fn anomaly(&self, observation: &Observation<'_>, readings: &[ReadingVerdict]) -> Anomaly {
        let explanation = self.explain(readings);
        let loudest: Vec<&Contribution> = explanation.contributions.iter().filter(|c| c.strength >= 1.0).collect();
        let detector = loudest.first().map_or(DetectorId::Level, |c| c.detector);
        let metrics: Vec<String> = loudest.iter().map(|c| c.metric.clone()).collect();
        let names: Vec<&str> = metrics.iter().map(String::as_str).collect();
        let (tenant, device) = (observation.tenant.as_str(), observation.device.as_str());
        let fixed = names.iter().filter_map(|name| {
            self.series.iter().find(|series| series.name() == *name).and_then(|series| series.settings().severity)
        });
        Anomaly {
            id: AnomalyId::of(tenant, device, &names, detector, observation.at),
            tenant: tenant.to_owned(),
            device: device.to_owned(),
            detector,
            onset: observation.at,
            score: explanation.score,
            severity: fixed.max().unwrap_or_else(|| Severity::of_strength(explanation.score)),
            metrics,
            explanation,
        }
    }

    /// Explains one row: why it is abnormal, or how far it is from the line.
    #[must_use]
    pub fn explain(&self, readings: &[ReadingVerdict]) -> Explanation {
        Explanation::of(
            readings.iter().map(|reading| Contribution::of(reading, &self.series[reading.series])).collect(),
        )
    }
}
