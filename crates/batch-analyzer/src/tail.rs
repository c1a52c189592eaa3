//! How rare a score is among the scores of the same type of asset.
//!
//! Mean and standard deviation are no measure of it: scores are skewed, and the very faults that are sought move both. So the
//! body is taken as it is, and the tail beyond its highest eighth follows a generalised Pareto distribution, whose shape and
//! scale come from quantiles whose tails halve (Pickands, "Statistical inference using extreme order statistics", Annals of
//! Statistics 1975), all of them below what a fault touches. What then lies beyond any score that such rows have is left out,
//! and the rest fitted again, so that a few percent of faulty rows do not move the line.
//!
//! What this does not do: say what is an anomaly. [`crate::episode`] does, by the number of false alerts that the tenant puts
//! up with.

use anomaly_core::Timestamp;

/// Fewer scores than this tell nothing of a tail.
pub const ROWS_MIN: usize = 200;
/// Tails below this are all the same to people, and some stores hold no smaller number.
const TAIL_MIN: f64 = 1e-100;
/// Shares of the rows above the quantiles.
const ABOVE: [f64; 4] = [0.5, 0.25, 0.125, 0.0625];
/// Share above the threshold from which on the tail is extrapolated.
const ABOVE_THRESHOLD: f64 = ABOVE[2];
/// How often rows are left out and the rest fitted again.
const ROUNDS_MAX: usize = 5;
/// No lighter tail than an exponential one is believed, and none that has no mean.
const SHAPE_MAX: f64 = 0.9;
/// Milliseconds in a week.
pub(crate) const WEEK_MS: f64 = 604_800_000.0;

/// The distribution of the scores of one type of asset.
#[derive(Debug, Clone, PartialEq)]
pub struct Tail {
    /// Ascending.
    body: Vec<f64>,
    /// The score that a tenth of the rows exceeds.
    threshold: f64,
    scale: f64,
    shape: f64,
}

impl Tail {
    /// From scores in ascending order. `None`: there are too few.
    #[must_use]
    pub fn fit(sorted: Vec<f64>) -> Option<Self> {
        if sorted.len() < ROWS_MIN {
            return None;
        }
        let mut tail = Self { threshold: 0.0, scale: 0.0, shape: 0.0, body: sorted };
        let mut sound = tail.body.len();
        for _ in 0..ROUNDS_MAX {
            (tail.threshold, tail.scale, tail.shape) = estimate(&tail.body[..sound]);
            // In every second sample of this size the highest score is above this.
            let highest = tail.score_of(0.5 / sound as f64);
            let within = tail.body[..sound].partition_point(|score| *score <= highest);
            if tail.scale <= 0.0 || within == sound || within < ROWS_MIN {
                break;
            }
            sound = within;
        }
        Some(tail)
    }

    /// Probability of a score at least this high while all is well.
    #[must_use]
    pub fn of(&self, score: f64) -> f64 {
        let rows = self.body.len() as f64;
        let at_least = (self.body.len() - self.body.partition_point(|one| *one < score)) as f64 / rows;
        if score <= self.threshold {
            return at_least.max(ABOVE_THRESHOLD);
        }
        let excess = score - self.threshold;
        let beyond = if self.scale <= 0.0 {
            // So many of the scores are one number that there is no scale to go by: what is seen counts, and no
            // more than that is known of what is rarer than one row in the sample.
            return at_least.max(1.0 / rows).min(ABOVE_THRESHOLD);
        } else if self.shape > 0.0 {
            libm::pow(1.0 + self.shape * excess / self.scale, -1.0 / self.shape)
        } else {
            libm::exp(-excess / self.scale)
        };
        (ABOVE_THRESHOLD * beyond).max(TAIL_MIN)
    }

    /// Share of the rows above a score.
    #[must_use]
    pub fn share_above(&self, score: f64) -> f64 {
        let above = self.body.len() - self.body.partition_point(|one| *one <= score);
        above as f64 / self.body.len() as f64
    }

    /// The score that the middle row has.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.body[self.body.len() / 2]
    }

    /// The score whose tail is this: where the alarm line is.
    #[must_use]
    pub fn score_of(&self, tail: f64) -> f64 {
        let beyond = ABOVE_THRESHOLD / tail.clamp(TAIL_MIN, ABOVE_THRESHOLD);
        let excess = if self.shape > 0.0 {
            self.scale / self.shape * (libm::pow(beyond, self.shape) - 1.0)
        } else {
            self.scale * libm::log(beyond)
        };
        self.threshold + excess
    }
}

/// Threshold, scale and shape of scores in ascending order.
fn estimate(sorted: &[f64]) -> (f64, f64, f64) {
    let quantiles = ABOVE.map(|above| sorted[((1.0 - above) * sorted.len() as f64) as usize]);
    let [lower, middle, upper] = [0, 1, 2].map(|index| quantiles[index + 1] - quantiles[index]);
    if lower <= 0.0 || middle <= 0.0 || upper <= 0.0 {
        return (quantiles[2], 0.0, 0.0);
    }
    // For this distribution the distances between such quantiles grow by 2^shape. A fault makes the upper ones grow, so the
    // lesser growth is believed.
    let shape = libm::log2((middle / lower).min(upper / middle)).clamp(0.0, SHAPE_MAX);
    let below = if shape > 0.0 { middle * shape / (libm::exp2(shape) - 1.0) } else { middle / std::f64::consts::LN_2 };
    // The scale beyond a higher threshold grows with the shape.
    (quantiles[2], below + shape * middle, shape)
}

/// How long devices were watched, and how often they reported.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Watched {
    rows: u64,
    span_ms: f64,
}

impl Watched {
    /// Adds a device with so many rows from the first to the last.
    pub fn add(&mut self, rows: u64, first: Timestamp, last: Timestamp) {
        // The last row stands for as long as the others do on average.
        let span_ms = (last.millis() - first.millis()) as f64;
        let cadence_ms = if rows > 1 { span_ms / (rows - 1) as f64 } else { 0.0 };
        self.rows += rows;
        self.span_ms += span_ms + cadence_ms;
    }

    /// The tail probability of a row on the alarm line, if so many false alerts a device and week are put up with. Rows that
    /// follow one another are alike, so there are fewer alerts than rows beyond the line: this errs on the quiet side.
    #[must_use]
    pub fn line(&self, alerts_per_week: f64) -> f64 {
        let rows_per_week = self.rows as f64 / (self.span_ms / WEEK_MS).max(f64::MIN_POSITIVE);
        (alerts_per_week / rows_per_week).clamp(1e-12, 0.01)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of a distribution at the middles of `count` equal shares.
    fn shares(count: usize, quantile: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..count).map(|index| quantile((index as f64 + 0.5) / count as f64)).collect()
    }

    fn exponential(count: usize) -> Vec<f64> {
        shares(count, |p| -libm::log(1.0 - p))
    }

    #[test]
    fn an_exponential_tail_is_found_again() {
        let tail = Tail::fit(exponential(10_000)).unwrap();
        for (score, expected) in [(3.0, libm::exp(-3.0)), (10.0, libm::exp(-10.0)), (20.0, libm::exp(-20.0))] {
            assert!((libm::log(tail.of(score)) / libm::log(expected) - 1.0).abs() < 0.05, "{score}");
        }
    }

    #[test]
    fn a_heavy_tail_is_not_taken_for_a_light_one() {
        // Pareto, P(X > x) = x^-3.
        let tail = Tail::fit(shares(10_000, |p| libm::pow(1.0 - p, -1.0 / 3.0))).unwrap();
        let found = tail.of(20.0);
        assert!((1e-5..1e-3).contains(&found), "{found} for 1.25e-4; by mean and deviation it would be 25 sigma");
    }

    #[test]
    fn faults_among_the_rows_hardly_move_the_line() {
        let clean = Tail::fit(exponential(10_000)).unwrap().score_of(1e-5);
        let mut faulty = exponential(9_800);
        faulty.extend(vec![50.0; 200]);
        let moved = Tail::fit(faulty).unwrap().score_of(1e-5);
        assert!((moved / clean - 1.0).abs() < 0.05, "{clean} became {moved}");
    }

    #[test]
    fn the_scale_of_the_scores_does_not_matter() {
        let one = Tail::fit(exponential(1_000)).unwrap();
        let other = Tail::fit(exponential(1_000).iter().map(|score| 1e-3 * score - 7.0).collect()).unwrap();
        for score in [0.5, 2.0, 9.0] {
            let ratio = other.of(1e-3 * score - 7.0) / one.of(score);
            assert!((ratio - 1.0).abs() < 1e-6, "{score}: {ratio}");
        }
    }

    #[test]
    fn tails_fall_as_scores_rise_and_the_line_is_where_its_tail_is() {
        let tail = Tail::fit(exponential(3_000)).unwrap();
        let tails: Vec<f64> = (0..400).map(|step| tail.of(f64::from(step) * 0.05)).collect();
        assert!(tails.is_sorted_by(|a, b| a >= b));
        for wanted in [0.05, 1e-3, 1e-9] {
            assert!((tail.of(tail.score_of(wanted)) / wanted - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn scores_of_one_value_alarm_nobody_and_rare_ones_no_more_than_they_are_rare() {
        assert_eq!(Tail::fit(vec![1.0; ROWS_MIN - 1]), None);
        let constant = Tail::fit(vec![1.0; 1_000]).unwrap();
        assert_eq!((constant.of(1.0), constant.of(2.0)), (1.0, 1e-3));
        let mut classes = vec![0.0; 990];
        classes.extend(vec![1.0; 10]);
        assert!((Tail::fit(classes).unwrap().of(1.0) - 0.01).abs() < f64::EPSILON);
    }

    #[test]
    fn the_line_follows_from_the_false_alerts_that_are_put_up_with() {
        let at = |minute: i64| Timestamp::from_millis(1_793_534_400_000 + minute * 60_000).unwrap();
        let mut watched = Watched::default();
        for _ in 0..3 {
            watched.add(1_440, at(0), at(1_439));
        }
        assert!((watched.line(0.3) - 0.3 / 10_080.0).abs() < 1e-9, "a row a minute");
        assert!((Watched::default().line(0.3) - 0.01).abs() < f64::EPSILON);
    }
}
