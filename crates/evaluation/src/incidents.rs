//! Alerts against spans: what an operator would say of them. A span is found or missed, an alert is right or in vain.
//!
//! Several alerts in one span count once: somebody was called already. They are neither right nor in vain.

use crate::spans::Spans;

const WEEK_MS: f64 = 7.0 * 86_400_000.0;

/// How long after a span's end an alert still belongs to it, in milliseconds. Neither reaches into the next span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grace {
    /// So long an alert still finds the span: what was seen in its last rows is told a little later.
    pub found_ms: i64,
    /// So long an alert is an echo, neither right nor in vain: hot metal cools, averages settle. One below
    /// [`found_ms`](Self::found_ms) changes nothing.
    pub echo_ms: i64,
}

/// What an alert is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertFit {
    /// It is the first in the span of this index.
    Finds(usize),
    /// It is a further one in the span of this index.
    Repeats(usize),
    /// It comes shortly after the span of this index.
    Echo(usize),
    /// There is nothing that it could be about.
    False,
}

/// The alerts and the spans of one device, matched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// What each alert is worth, in the order in which they were given.
    pub alerts: Vec<AlertFit>,
    /// For each span, milliseconds from its start to the alert that found it; none for a span that was missed.
    pub delays_ms: Vec<Option<i64>>,
}

/// Matches the instants of alerts, in the order of time, with spans. An alert belongs to the last span that has begun by
/// then, if to any.
#[must_use]
pub fn match_alerts(spans: &Spans, alerts_ms: &[i64], grace: Grace) -> Matches {
    debug_assert!(alerts_ms.is_sorted());
    let mut delays_ms = vec![None; spans.as_slice().len()];
    let mut fit = |at_ms: i64| {
        let Some(index) = spans.last_begun(at_ms) else { return AlertFit::False };
        let span = spans.as_slice()[index];
        let late_ms = at_ms - span.end_ms();
        if late_ms > grace.found_ms {
            return if late_ms > grace.echo_ms { AlertFit::False } else { AlertFit::Echo(index) };
        }
        if delays_ms[index].is_some() {
            return AlertFit::Repeats(index);
        }
        delays_ms[index] = Some(at_ms - span.start_ms());
        AlertFit::Finds(index)
    };
    let alerts = alerts_ms.iter().map(|at_ms| fit(*at_ms)).collect();
    Matches { alerts, delays_ms }
}

/// What was found, and what it took, added up over devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Incidents {
    /// Labelled spans.
    pub spans: u64,
    /// Alerts in vain.
    pub false_alerts: u64,
    /// Time under observation, summed over devices, in milliseconds.
    pub observed_ms: i64,
    /// For each span that was found, milliseconds from its start to its first alert.
    pub delays_ms: Vec<i64>,
}

impl Incidents {
    /// Of one device that was observed for so long.
    #[must_use]
    pub fn of(matches: &Matches, observed_ms: i64) -> Self {
        Self {
            spans: matches.delays_ms.len() as u64,
            false_alerts: matches.alerts.iter().filter(|fit| **fit == AlertFit::False).count() as u64,
            observed_ms,
            delays_ms: matches.delays_ms.iter().copied().flatten().collect(),
        }
    }

    /// Adds another device.
    pub fn absorb(&mut self, other: &Self) {
        self.spans += other.spans;
        self.false_alerts += other.false_alerts;
        self.observed_ms += other.observed_ms;
        self.delays_ms.extend_from_slice(&other.delays_ms);
    }

    /// Spans that were found.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.delays_ms.len() as u64
    }

    /// The share of the spans that was found; none without spans.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        ratio(self.found(), self.spans)
    }

    /// The share of right ones among the alerts that are right or in vain; none where there are none of either.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        ratio(self.found(), self.found() + self.false_alerts)
    }

    /// The harmonic mean of precision and recall, 0 where nothing was found; none where there was nothing to find and
    /// nothing was told.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.found(), self.found() + self.spans + self.false_alerts)
    }

    /// Half of the spans that were found were found within this time, in milliseconds; none where none was. Between the two
    /// in the middle, their mean.
    #[must_use]
    pub fn median_delay_ms(&self) -> Option<f64> {
        let mut delays = self.delays_ms.clone();
        delays.sort_unstable();
        let (low, high) = (delays.get(delays.len().checked_sub(1)? / 2)?, delays.get(delays.len() / 2)?);
        Some(f64::midpoint(*low as f64, *high as f64))
    }

    /// Alerts in vain for each week that one device was observed; none where there was no time.
    #[must_use]
    pub fn false_per_device_week(&self) -> Option<f64> {
        (self.observed_ms > 0).then(|| self.false_alerts as f64 * WEEK_MS / self.observed_ms as f64)
    }
}

/// A share; none of nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;
    use proptest::prelude::*;

    const NONE: Grace = Grace { found_ms: 0, echo_ms: 0 };

    fn spans(ends: &[(i64, i64)]) -> Spans {
        Spans::new(ends.iter().map(|(start, end)| Span::new(*start, *end).unwrap()).collect())
    }

    fn check(alerts: &[i64], grace: Grace, expected: &[AlertFit]) -> Incidents {
        let matches = match_alerts(&spans(&[(10, 20), (40, 50)]), alerts, grace);
        assert_eq!(matches.alerts, expected);
        Incidents::of(&matches, 7 * 86_400_000)
    }

    #[test]
    fn the_ends_of_a_span_lie_in_it() {
        use AlertFit::{False, Finds};
        check(&[9, 10], NONE, &[False, Finds(0)]);
        check(&[20, 21], NONE, &[Finds(0), False]);
    }

    #[test]
    fn several_alerts_in_one_span_count_once_and_the_first_gives_the_delay() {
        use AlertFit::{False, Finds, Repeats};
        let found = check(&[5, 13, 14, 20, 30], NONE, &[False, Finds(0), Repeats(0), Repeats(0), False]);
        assert_eq!((found.found(), found.spans, found.false_alerts), (1, 2, 2));
        assert_eq!((found.recall(), found.precision()), (Some(0.5), Some(1.0 / 3.0)));
        assert_eq!(found.f1(), Some(2.0 / 5.0));
        assert_eq!(found.median_delay_ms(), Some(3.0));
        assert_eq!(found.false_per_device_week(), Some(2.0));
    }

    #[test]
    fn an_alert_shortly_after_a_span_is_late_or_an_echo_and_then_in_vain() {
        use AlertFit::{Echo, False, Finds};
        let grace = Grace { found_ms: 3, echo_ms: 8 };
        let found = check(&[24, 28, 29, 53, 54], grace, &[Echo(0), Echo(0), False, Finds(1), Echo(1)]);
        assert_eq!((found.delays_ms.as_slice(), found.false_alerts), (&[13][..], 1));
        check(&[28, 40], Grace { found_ms: 100, echo_ms: 0 }, &[Finds(0), Finds(1)]);
    }

    #[test]
    fn where_there_is_nothing_to_divide_by_there_is_no_number() {
        let nothing = Incidents::default();
        assert_eq!((nothing.recall(), nothing.precision(), nothing.f1()), (None, None, None));
        assert_eq!((nothing.median_delay_ms(), nothing.false_per_device_week()), (None, None));
        let missed = check(&[], NONE, &[]);
        assert_eq!((missed.recall(), missed.precision(), missed.f1()), (Some(0.0), None, Some(0.0)));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let of = |delays: &[i64]| Incidents { delays_ms: delays.to_vec(), ..Incidents::default() }.median_delay_ms();
        assert_eq!((of(&[7]), of(&[9, 1]), of(&[9, 1, 2])), (Some(7.0), Some(5.0), Some(2.0)));
    }

    proptest! {
        #[test]
        fn an_alert_more_loses_no_span(
            mut alerts in prop::collection::vec(0_i64..200, 0..20),
            more in 0_i64..200,
            ends in prop::collection::vec((0_i64..180, 0_i64..15), 0..8),
        ) {
            let ends: Vec<(i64, i64)> = ends.into_iter().map(|(start, length)| (start, start + length)).collect();
            let of = |alerts: &mut Vec<i64>| {
                alerts.sort_unstable();
                Incidents::of(&match_alerts(&spans(&ends), alerts, Grace { found_ms: 2, echo_ms: 5 }), 1)
            };
            let before = of(&mut alerts);
            alerts.push(more);
            let after = of(&mut alerts);
            prop_assert!(after.found() >= before.found() && after.false_alerts >= before.false_alerts);
            prop_assert!(after.found() + after.false_alerts <= alerts.len() as u64);
            for share in [after.recall(), after.precision(), after.f1()].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&share));
            }
        }
    }
}
