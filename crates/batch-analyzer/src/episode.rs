//! Rows beyond the alarm line that belong together, and the anomaly that is made of them.
//!
//! A fault lasts; its rows are one finding. An episode begins with a row beyond the line and lasts until ten rows in a row
//! are not even half-way there. What is reported is its beginning, its strongest row, and which metrics were then furthest
//! from what is usual for the device in the job.

use anomaly_core::{Anomaly, AnomalyId, Contribution, DetectorId, Explanation, Outcome, Profile, Severity, Timestamp};
use telemetry::inference::{MetricNames, Row};

use crate::line::Line;
use crate::survey::DeviceSurvey;

/// Rows below half of the line that end an episode.
const QUIET_ROWS: u32 = 10;
/// Below this strength a row is quiet.
const QUIET_BELOW: f64 = 0.5;
/// A device that sends nothing for so long ends its episode: what comes after is another.
const GAP_MAX_MS: i64 = 6 * 3_600_000;

/// What goes on at one device.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// Time of its newest row.
    last: Option<Timestamp>,
    open: Option<Episode>,
}

/// Rows that are one finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Time of the first row beyond the line.
    pub onset: Timestamp,
    /// Time of the last row that was not quiet.
    pub end: Timestamp,
    /// Number of the first row among those of the job, counted from 1.
    pub number: u64,
    /// Rows from the first to the last that was not quiet.
    pub rows: u64,
    /// Its strongest row.
    pub peak: Peak,
    /// Whether it goes on when the device's rows end.
    pub is_open: bool,
    quiet: u32,
}

/// A row with its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Peak {
    /// When.
    pub at: Timestamp,
    /// In units of the alarm line.
    pub strength: f64,
    /// The model's score.
    pub score: f64,
    /// Metrics by number.
    pub values: Vec<(u16, f64)>,
}

/// What a row came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing has ended.
    Goes,
    /// An episode has ended with it, or before it.
    Ended(Episode),
    /// The row is older than the newest of its device, and counts for nothing.
    OutOfOrder,
}

impl Course {
    /// Takes the device's next row, the job's row of that number.
    pub fn take(&mut self, number: u64, row: &Row, score: f64, strength: f64) -> Step {
        if self.last.is_some_and(|last| row.at < last) {
            return Step::OutOfOrder;
        }
        let before = self.last.replace(row.at);
        let has_gap = before.is_some_and(|before| row.at.millis() - before.millis() > GAP_MAX_MS);
        let ended = if has_gap { self.open.take() } else { None };
        let peak = || Peak { at: row.at, strength, score, values: row.values.clone() };
        match &mut self.open {
            None if strength >= 1.0 => {
                let (onset, end) = (row.at, row.at);
                self.open = Some(Episode { onset, end, number, rows: 1, peak: peak(), is_open: false, quiet: 0 });
            }
            None => {}
            Some(episode) => {
                if strength > episode.peak.strength {
                    episode.peak = peak();
                }
                if strength >= QUIET_BELOW {
                    episode.end = row.at;
                    episode.rows += 1 + u64::from(episode.quiet);
                    episode.quiet = 0;
                } else {
                    episode.quiet += 1;
                }
                if episode.quiet >= QUIET_ROWS {
                    // There was no gap, or nothing would be open.
                    return self.open.take().map_or(Step::Goes, Step::Ended);
                }
            }
        }
        ended.map_or(Step::Goes, Step::Ended)
    }

    /// The device's rows have ended. What is open then goes on for all that is known.
    #[must_use]
    pub fn finish(self) -> Option<Episode> {
        self.open.map(|episode| Episode { is_open: true, ..episode })
    }
}

/// What an episode is told against.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Whose device it is.
    pub tenant: &'a str,
    /// The device.
    pub device: &'a str,
    /// The model.
    pub model: &'a str,
    /// The tenant's profile.
    pub profile: &'a Profile,
    /// What is usual for the device in the job.
    pub usual: &'a DeviceSurvey,
    /// The alarm line of its type of asset.
    pub line: &'a Line,
    /// The metrics' names.
    pub names: &'a MetricNames,
}

impl Episode {
    /// The anomaly that it is. One that was over when the rows ended is worth knowing and wakes nobody.
    #[must_use]
    pub fn anomaly(&self, setting: &Setting<'_>) -> Anomaly {
        let Setting { tenant, device, model, usual, line, .. } = *setting;
        let mut contributions: Vec<(f64, Contribution)> =
            self.peak.values.iter().map(|(metric, value)| self.contribution(setting, *metric, *value)).collect();
        contributions.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.metric.cmp(&b.1.metric)));
        let metrics: Vec<String> = contributions.iter().map(|(_, one)| one.metric.clone()).collect();
        let lasted = duration(self.end.millis() - self.onset.millis());
        let line_score = line.score;
        let median = line.tail.median();
        let course = match (self.rows, self.is_open) {
            (1, _) => "one row".to_owned(),
            (rows, false) => format!("{rows} rows over {lasted}"),
            (rows, true) => format!("{rows} rows over {lasted} and going on"),
        };
        let furthest = contributions.first().map_or_else(String::new, |(_, one)| format!("; {}", one.sentence));
        let summary = format!(
            "model `{model}` scored {:.4} where {line_score:.4} is the line for `{}` and {median:.4} is usual ({course}){furthest}",
            self.peak.score, usual.asset
        );
        let names: Vec<&str> = metrics.iter().map(String::as_str).collect();
        Anomaly {
            id: AnomalyId::of(tenant, device, &names, DetectorId::Model, self.onset),
            tenant: tenant.to_owned(),
            device: device.to_owned(),
            detector: DetectorId::Model,
            onset: self.onset,
            score: self.peak.strength,
            severity: if self.is_open { Severity::of_strength(self.peak.strength) } else { Severity::Info },
            explanation: Explanation {
                score: self.peak.strength,
                summary,
                contributions: contributions.into_iter().map(|(_, one)| one).collect(),
            },
            metrics,
        }
    }

    fn contribution(&self, setting: &Setting<'_>, metric: u16, observed: f64) -> (f64, Contribution) {
        let Setting { device, profile, usual, line, names, .. } = *setting;
        let moments = usual.metrics.get(&metric).copied().unwrap_or_default();
        let (expected, spread) = (moments.mean, moments.deviation());
        let deviations = if spread > 0.0 { (observed - expected).abs() / spread } else { 0.0 };
        let sent = names.name(metric);
        let settings = anomaly_core::DeviceName::new(device).ok().zip(anomaly_core::MetricName::new(sent).ok());
        let (metric, unit) = settings.map_or_else(
            || (sent.to_owned(), None),
            |(device, metric)| {
                let name = profile.canonical(device, metric);
                (name.to_owned(), profile.settings(device, name).unit.as_deref().map(str::to_owned))
            },
        );
        let shown = |value: f64| match &unit {
            Some(unit) => format!("{value:.3} {unit}"),
            None => format!("{value:.3}"),
        };
        let sentence = format!(
            "{metric} was {}, {deviations:.1} standard deviations from the {} of this device in the job",
            shown(observed),
            shown(expected)
        );
        let contribution = Contribution {
            metric,
            unit,
            observed,
            expected,
            spread,
            detector: DetectorId::Model,
            strength: self.peak.strength,
            tail: line.tail.of(self.peak.score),
            outcome: Outcome::Scored,
            sentence,
        };
        (deviations, contribution)
    }
}

fn duration(millis: i64) -> String {
    match millis / 1000 {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_MS: i64 = 60_000;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(1_793_534_400_000 + minute * STEP_MS).unwrap()
    }

    fn row(minute: i64) -> Row {
        Row { device: "pump-7".to_owned(), at: at(minute), values: vec![(0, 1.0)] }
    }

    /// Onset, end and rows of the episodes of rows with these strengths, a minute apart.
    fn episodes(strengths: &[f64]) -> Vec<(i64, i64, u64, bool)> {
        let mut course = Course::default();
        let mut found = Vec::new();
        for (minute, strength) in strengths.iter().enumerate() {
            if let Step::Ended(episode) = course.take(0, &row(minute as i64), *strength, *strength) {
                found.push(episode);
            }
        }
        found.extend(course.finish());
        let minute = |at: Timestamp| (at.millis() - 1_793_534_400_000) / STEP_MS;
        found.iter().map(|one| (minute(one.onset), minute(one.end), one.rows, one.is_open)).collect()
    }

    fn quiet(rows: usize) -> Vec<f64> {
        vec![0.1; rows]
    }

    #[test]
    fn nothing_begins_below_the_line() {
        assert_eq!(episodes(&[0.99; 100]), []);
    }

    #[test]
    fn rows_that_belong_together_are_one_episode() {
        let rows = [quiet(3), vec![1.2, 0.6, 2.0], quiet(9), vec![0.5], quiet(20)].concat();
        assert_eq!(episodes(&rows), [(3, 15, 13, false)]);
    }

    #[test]
    fn ten_quiet_rows_end_an_episode_and_the_next_is_another() {
        let rows = [vec![1.0], quiet(10), vec![1.5], quiet(3)].concat();
        assert_eq!(episodes(&rows), [(0, 0, 1, false), (11, 11, 1, true)]);
    }

    #[test]
    fn a_gap_ends_an_episode_and_begins_none_unless_the_row_is_beyond_the_line() {
        let mut course = Course::default();
        assert_eq!(course.take(0, &row(0), 2.0, 2.0), Step::Goes);
        let Step::Ended(first) = course.take(0, &row(361), 3.0, 3.0) else { panic!("the gap ends it") };
        assert_eq!((first.peak.strength, first.is_open), (2.0, false));
        assert_eq!(course.finish().unwrap().onset, at(361));
    }

    #[test]
    fn a_row_that_goes_back_in_time_counts_for_nothing() {
        let mut course = Course::default();
        course.take(0, &row(5), 0.0, 0.0);
        assert_eq!(course.take(0, &row(4), 9.0, 9.0), Step::OutOfOrder);
        assert_eq!(course.take(0, &row(5), 0.0, 0.0), Step::Goes, "several rows may have one time");
        assert_eq!(course.finish(), None);
    }
}
