//! Everything that is said of one device's verdicts, and of several devices together.

use crate::incidents::{Grace, Incidents, match_alerts};
use crate::rows::RowCounts;
use crate::spans::Spans;
use crate::vus::vus_pr;

/// A row with this score or more is alarmed.
pub const ALARM_LINE: f64 = 1.0;

/// What was said of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredRow {
    /// When, milliseconds.
    pub at_ms: i64,
    /// How abnormal; finite.
    pub score: f64,
    /// Whether somebody was called.
    pub is_alert: bool,
}

/// How good verdicts are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// By incident.
    pub incidents: Incidents,
    /// By row.
    pub rows: RowCounts,
    /// VUS-PR, summed over the devices that have an abnormal row.
    vus_sum: f64,
    vus_devices: u32,
}

impl Judgement {
    /// Adds what is said of other devices.
    pub fn absorb(&mut self, other: &Self) {
        self.incidents.absorb(&other.incidents);
        self.rows.absorb(other.rows);
        self.vus_sum += other.vus_sum;
        self.vus_devices += other.vus_devices;
    }

    /// The mean of [`vus_pr`] over the devices that have an abnormal row; none where none has.
    #[must_use]
    pub fn vus_pr(&self) -> Option<f64> {
        (self.vus_devices > 0).then(|| self.vus_sum / f64::from(self.vus_devices))
    }
}

/// Judges one device: all of its rows, in any order, against its spans. It is observed from its first row to its last.
#[must_use]
pub fn judge(mut rows: Vec<ScoredRow>, spans: &Spans, grace: Grace) -> Judgement {
    rows.sort_by_key(|row| row.at_ms);
    let alerts: Vec<i64> = rows.iter().filter(|row| row.is_alert).map(|row| row.at_ms).collect();
    let observed_ms = rows.first().zip(rows.last()).map_or(0, |(first, last)| last.at_ms - first.at_ms);
    let is_abnormal: Vec<bool> = rows.iter().map(|row| spans.contain(row.at_ms)).collect();
    let scores: Vec<f64> = rows.iter().map(|row| row.score).collect();
    let mut counts = RowCounts::default();
    for (is_abnormal, score) in is_abnormal.iter().zip(&scores) {
        counts.count(*is_abnormal, *score >= ALARM_LINE);
    }
    let vus = vus_pr(&is_abnormal, &scores);
    Judgement {
        incidents: Incidents::of(&match_alerts(spans, &alerts, grace), observed_ms),
        rows: counts,
        vus_sum: vus.unwrap_or(0.0),
        vus_devices: u32::from(vus.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    /// A row a second with these scores; one that goes up to the line alerts.
    fn rows(scores: &[f64]) -> Vec<ScoredRow> {
        let alerts = |index: usize| scores[index] >= 1.0 && (index == 0 || scores[index - 1] < 1.0);
        let row =
            |index: usize| ScoredRow { at_ms: index as i64 * 1_000, score: scores[index], is_alert: alerts(index) };
        (0..scores.len()).map(row).collect()
    }

    fn spans(start_ms: i64, end_ms: i64) -> Spans {
        Spans::new(vec![Span::new(start_ms, end_ms).unwrap()])
    }

    #[test]
    fn a_device_is_judged_by_incident_by_row_and_by_rank() {
        let judged = judge(rows(&[1.2, 0.1, 0.3, 1.0, 2.0, 0.2]), &spans(2_000, 4_000), Grace::default());
        assert_eq!((judged.incidents.found(), judged.incidents.false_alerts), (1, 1));
        assert_eq!(judged.incidents.delays_ms, [1_000]);
        assert_eq!(judged.incidents.observed_ms, 5_000);
        assert_eq!(judged.rows, RowCounts { hits: 2, false_alarms: 1, misses: 1, correct_silences: 2 });
        assert!(judged.vus_pr().is_some_and(|vus| vus > 0.5));
    }

    #[test]
    fn the_order_in_which_rows_are_given_does_not_matter() {
        let in_order = rows(&[0.1, 0.2, 1.5, 0.9, 1.1, 0.3]);
        let reversed = in_order.iter().rev().copied().collect();
        let judged = |rows| judge(rows, &spans(2_000, 3_000), Grace::default());
        assert_eq!(judged(in_order), judged(reversed));
    }

    #[test]
    fn a_device_without_spans_adds_its_alerts_and_its_time_and_no_rank() {
        let mut total = judge(rows(&[0.1, 0.2, 1.5]), &spans(2_000, 2_000), Grace::default());
        let (vus, sound) = (total.vus_pr(), judge(rows(&[0.1, 1.2]), &Spans::default(), Grace::default()));
        assert_eq!(sound.vus_pr(), None);
        total.absorb(&sound);
        assert_eq!((total.vus_pr(), total.incidents.false_alerts, total.incidents.observed_ms), (vus, 1, 3_000));
    }
}
