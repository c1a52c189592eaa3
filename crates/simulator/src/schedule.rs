//! When a device's faults come and what they are: drawn one after another, each from the end of the one before.
//!
//! The duration of the run plays no part, so that a longer run has the same faults and then more. Spans are counted in
//! steps of the device's own clock.

use crate::config::{DAY_MS, PlantConfig};
use crate::fault::FaultKind;
use crate::machine::Ratings;
use crate::metric::{AssetType, Metric};
use crate::random::{Purpose, Stream};

const HOUR_MS: i64 = 3_600_000;
/// A fault other than a spike lasts at least this many readings, however rare they are.
const STEPS_MIN: i64 = 12;
/// Between a fault's end and the next one's beginning: time to cool down and for a detector to be sure of it.
const RECOVERY_MS: i64 = 6 * HOUR_MS;
const WEEK_MS: f64 = 7.0 * DAY_MS as f64;
/// Beyond any run; keeps sums of steps far from overflow.
const NEVER: i64 = i64::MAX / 4;

/// A fault as it is to be injected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Planned {
    pub(crate) kind: FaultKind,
    /// The metric affected; for a dropout `None` is the whole device.
    pub(crate) metric: Option<Metric>,
    /// First affected step.
    pub(crate) from: i64,
    /// First step that is sound again.
    pub(crate) until: i64,
    pub(crate) magnitude: f64,
}

/// The endless sequence of one device's faults.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    chance: Stream,
    asset: AssetType,
    ratings: Ratings,
    cadence_ms: i64,
    /// Mean of the random part of the healthy span between two faults; infinite when there are none.
    healthy_ms: f64,
    /// First step that is not yet planned.
    planned: i64,
}

impl Schedule {
    pub(crate) fn new(config: &PlantConfig, device: u32, asset: AssetType, ratings: Ratings) -> Self {
        let recovery = steps(RECOVERY_MS, config.cadence_ms);
        Self {
            chance: Stream::new(config.seed, device, Purpose::Faults),
            asset,
            ratings,
            cadence_ms: config.cadence_ms,
            healthy_ms: WEEK_MS / config.fault_rate - RECOVERY_MS as f64,
            // The first fault needs no recovery from another.
            planned: steps(config.quiet_ms, config.cadence_ms) - recovery,
        }
    }

    /// Plans the next fault. Without faults it lies beyond any run.
    pub(crate) fn draw(&mut self) -> Planned {
        let from = self.draw_start();
        let kind = FaultKind::ALL[self.chance.index(FaultKind::ALL.len())];
        let metric = self.draw_metric(kind);
        let length = self.draw_length(kind);
        let magnitude = self.draw_magnitude(kind, metric);
        let until = from.saturating_add(length);
        self.planned = until;
        Planned { kind, metric, from, until, magnitude }
    }

    fn draw_start(&mut self) -> i64 {
        if self.healthy_ms.is_infinite() {
            return NEVER;
        }
        // `as` saturates, so a wait too long to count ends in never.
        let wait = (self.healthy_ms * self.chance.exponential() / self.cadence_ms as f64) as i64;
        self.planned.saturating_add(steps(RECOVERY_MS, self.cadence_ms)).saturating_add(wait).min(NEVER)
    }

    fn draw_metric(&mut self, kind: FaultKind) -> Option<Metric> {
        let metrics = self.asset.metrics();
        let any = metrics[self.chance.index(metrics.len())];
        match kind {
            FaultKind::Imbalance => Some(Metric::Vibration),
            FaultKind::Overheating => Some(Metric::Temperature),
            FaultKind::Dropout => (self.chance.unit() < 0.5).then_some(any),
            _ => Some(any),
        }
    }

    fn draw_length(&mut self, kind: FaultKind) -> i64 {
        let (shortest, longest) = match kind {
            FaultKind::Spike => return 1 + self.chance.index(3) as i64,
            FaultKind::Drift => (6.0, 24.0),
            FaultKind::Stuck => (1.0, 6.0),
            FaultKind::Imbalance => (3.0, 12.0),
            FaultKind::Overheating => (3.0, 10.0),
            FaultKind::Dropout => (0.5, 4.0),
            FaultKind::LevelShift | FaultKind::NoiseIncrease => (2.0, 8.0),
        };
        let hours = self.chance.between(shortest, longest);
        steps((hours * HOUR_MS as f64) as i64, self.cadence_ms).max(STEPS_MIN)
    }

    fn draw_magnitude(&mut self, kind: FaultKind, metric: Option<Metric>) -> f64 {
        let (strength, downward) = (self.chance.unit(), self.chance.unit() < 0.5);
        let offset = |weakest: f64, strongest: f64| {
            let size = weakest + (strongest - weakest) * strength;
            match metric {
                None => 0.0,
                // A sensor cannot show less than standstill, and wear only ever shakes more.
                Some(Metric::Vibration) => size,
                Some(metric) => {
                    let unit = match metric {
                        Metric::Temperature => 8.0,
                        Metric::Pressure => 12.0,
                        Metric::Rpm => 0.07 * self.ratings.rpm,
                        _ => 0.10 * self.ratings.power_kw,
                    };
                    if downward { -unit * size } else { unit * size }
                }
            }
        };
        let magnitude = match kind {
            FaultKind::Drift => offset(1.0, 2.2),
            FaultKind::Spike => offset(1.5, 3.0),
            FaultKind::LevelShift => offset(0.8, 2.0),
            FaultKind::Imbalance => 1.0 + 2.5 * strength,
            FaultKind::Overheating => 0.4 + 0.8 * strength,
            FaultKind::NoiseIncrease => 5.0 + 7.0 * strength,
            FaultKind::Stuck | FaultKind::Dropout => 0.0,
        };
        // To three decimals: a stored truth then reads back the same with any JSON parser.
        (magnitude * 1_000.0).round() / 1_000.0
    }
}

/// How many steps cover a span, rounded up.
fn steps(span_ms: i64, cadence_ms: i64) -> i64 {
    (span_ms + cadence_ms - 1) / cadence_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(config: &PlantConfig) -> Schedule {
        Schedule::new(config, 3, AssetType::Pump, Ratings { rpm: 1_460.0, power_kw: 20.0 })
    }

    #[test]
    fn faults_come_at_the_rate_asked_for() {
        let mut schedule = schedule(&PlantConfig { fault_rate: 5.0, ..PlantConfig::default() });
        let (mut healthy, mut before, n) = (0, 24 * 60, 4_000);
        for _ in 0..n {
            let fault = schedule.draw();
            healthy += fault.from - before;
            before = fault.until;
        }
        let a_week = f64::from(n) / (healthy as f64 / (7.0 * 24.0 * 60.0));
        assert!((4.7..5.3).contains(&a_week), "{a_week} faults a healthy week");
    }

    #[test]
    fn without_a_rate_no_fault_ever_comes() {
        let mut schedule = schedule(&PlantConfig { fault_rate: 0.0, ..PlantConfig::default() });
        assert!(schedule.draw().from > i64::MAX / 8);
        assert!(schedule.draw().from > i64::MAX / 8);
    }

    #[test]
    fn every_kind_is_drawn_and_rare_readings_still_show_it() {
        let mut schedule = schedule(&PlantConfig { cadence_ms: HOUR_MS, ..PlantConfig::default() });
        let faults: Vec<_> = (0..400).map(|_| schedule.draw()).collect();
        for kind in FaultKind::ALL {
            let of_kind: Vec<_> = faults.iter().filter(|fault| fault.kind == kind).collect();
            assert!(of_kind.len() > 25, "{kind:?}: {}", of_kind.len());
            let shortest = of_kind.iter().map(|fault| fault.until - fault.from).min();
            assert!(shortest >= Some(if kind == FaultKind::Spike { 1 } else { STEPS_MIN }), "{kind:?}");
        }
    }
}
