//! Silence, relative to how often something reports.
//!
//! A sensor that reports every minute is silent after ten, one that reports when it has something to say may be silent for a
//! day. So the measure is the usual interval and the longest one so far.

use serde::{Deserialize, Serialize};

/// Reports before there is an opinion.
const WARM_UP: u32 = 100;
/// Silence is so many usual intervals, and so many of the longest normal one, whichever is longer.
const USUAL: f64 = 6.0;
const LONGEST: f64 = 2.0;
/// Longest memory of the usual interval, in reports, and how fast the longest one is forgotten, a report.
const MEMORY: u32 = 1_000;
const FORGET: f64 = 1.0 - 1.0 / 4_000.0;

/// How often something reports: at most 21 bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cadence {
    reports: u32,
    /// Milliseconds.
    usual: f64,
    longest: f64,
}

impl Cadence {
    /// Takes a report that came so many milliseconds after the one before.
    pub(crate) fn report(&mut self, interval_ms: i64) {
        // A silence that was told is not the measure of the next.
        let interval = (interval_ms as f64).min(self.limit_ms().unwrap_or(f64::INFINITY));
        self.reports = self.reports.saturating_add(1);
        self.usual += (interval - self.usual) / f64::from(self.reports.min(MEMORY));
        self.longest = (self.longest * FORGET).max(interval);
    }

    /// How long it may be silent, in milliseconds; `None` while too little is known.
    pub(crate) fn limit_ms(&self) -> Option<f64> {
        (self.reports >= WARM_UP).then(|| (USUAL * self.usual).max(LONGEST * self.longest))
    }

    /// The usual interval, in milliseconds.
    pub(crate) fn usual_ms(&self) -> f64 {
        self.usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_minutes(intervals: impl Iterator<Item = i64>) -> Option<i64> {
        let mut cadence = Cadence::default();
        intervals.for_each(|minutes| cadence.report(minutes * 60_000));
        cadence.limit_ms().map(|ms| ms as i64 / 60_000)
    }

    #[test]
    fn what_reports_every_minute_is_silent_after_six() {
        assert_eq!(limit_minutes(std::iter::repeat_n(1, 500)), Some(6));
        assert_eq!(limit_minutes(std::iter::repeat_n(1, 99)), None);
    }

    #[test]
    fn what_has_long_pauses_by_nature_may_have_them() {
        let limit = limit_minutes((0..500).map(|report| if report % 20 == 0 { 30 } else { 1 }));
        assert!((59..=60).contains(&limit.unwrap()), "{limit:?}");
    }

    #[test]
    fn one_long_silence_does_not_make_the_next_unseen() {
        let limit = limit_minutes((0..500).map(|report| if report == 300 { 100_000 } else { 1 }));
        assert!(limit.unwrap() <= 12, "{limit:?}");
    }
}
