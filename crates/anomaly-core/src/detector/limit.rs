//! Limits: the values that the profile allows.
//!
//! Limits that somebody chose always hold. Built-in limits are a guess about the unit (a pressure in bar is always below
//! 30 PSI): they alarm from the first reading, and stand down when most of a metric's first readings lie outside, because
//! then the guess was wrong and would cry for ever. See `docs/adr/0004-default-limits-stand-down.md`.

use serde::{Deserialize, Serialize};

use super::{Detector, DetectorId, Evidence, Input, Rarity};

/// How many first readings decide whether built-in limits fit a metric.
pub const TRIAL: u16 = 100;

/// State of the limit detector: 5 bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    seen: u16,
    outside: u16,
    stood_down: bool,
}

impl Limit {
    /// The built-in limits were found not to fit this metric.
    #[must_use]
    pub fn has_stood_down(&self) -> bool {
        self.stood_down
    }
}

impl Detector for Limit {
    fn observe(&mut self, input: &Input<'_>) -> Evidence {
        let settings = input.settings;
        let crossed = match (settings.low, settings.high) {
            (Some(low), _) if input.value < low => Some(low),
            (_, Some(high)) if input.value > high => Some(high),
            _ => None,
        };
        if self.seen < TRIAL {
            self.seen += 1;
            self.outside += u16::from(crossed.is_some());
            self.stood_down = self.seen == TRIAL && 2 * self.outside > TRIAL;
        }
        let Some(line) = crossed.filter(|_| !(settings.limits_are_default && self.stood_down)) else {
            return Evidence::none(DetectorId::Limit, input.value);
        };
        // The allowed span is the yardstick; a one-sided limit measures by its own size.
        let span = match (settings.low, settings.high) {
            (Some(low), Some(high)) => high - low,
            _ => line.abs(),
        };
        let beyond = (input.value - line).abs() / span.max(f64::MIN_POSITIVE);
        Evidence {
            detector: DetectorId::Limit,
            strength: 1.0 + beyond.min(9.0),
            expected: line,
            spread: 0.0,
            rarity: Rarity::Tail(0.0),
        }
    }

    fn is_warm(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceName, Profile, Timestamp};

    fn strengths(metric: &str, profile: &Profile, values: &[f64]) -> Vec<f64> {
        let settings = profile.settings(DeviceName::new("d").unwrap(), metric);
        let mut limit = Limit::default();
        values
            .iter()
            .map(|&value| limit.observe(&Input { value, at: Timestamp::MIN, settings: &settings }).strength)
            .collect()
    }

    #[test]
    fn a_value_beyond_the_limit_is_abnormal_from_the_first_reading_on() {
        let found = strengths("temperature", &Profile::default(), &[80.0, 80.1, 10.0, 9.9, 95.0]);
        assert_eq!(found.iter().map(|s| *s >= 1.0).collect::<Vec<_>>(), [false, true, false, true, true]);
        assert!(found[4] > found[1]);
    }

    #[test]
    fn built_in_limits_stand_down_for_a_metric_in_another_unit_and_chosen_ones_never() {
        let bar = vec![2.5; 300];
        let found = strengths("pressure", &Profile::default(), &bar);
        assert!(found[0] >= 1.0 && found[98] >= 1.0 && found[99..].iter().all(|s| *s == 0.0));

        let mut profile = Profile::default();
        let rule = crate::profile::MetricRule { low: Some(30.0), ..Default::default() };
        profile.metrics.insert("pressure".into(), rule);
        assert!(strengths("pressure", &profile, &bar).iter().all(|s| *s >= 1.0));
    }

    #[test]
    fn a_metric_that_was_fine_at_first_keeps_its_built_in_limits() {
        let mut values = vec![60.0; 100];
        values.extend([90.0; 500]);
        assert!(strengths("temperature", &Profile::default(), &values)[100..].iter().all(|s| *s >= 1.0));
    }
}
