//! The alarm line that training data draw: the score beyond which so few stretches of time lie as may be told in vain.
//!
//! Rows that follow one another are alike, so they are not counted one by one: of each device and six hours only the highest
//! score counts, as one alert would. Nothing is extrapolated; months of history need not be.

use std::collections::{BTreeMap, HashMap};

use anomaly_core::Timestamp;
use telemetry::inference::STRETCH_MS;

const WEEK_MS: f64 = 604_800_000.0;
/// Highest scores that are kept of a type of asset.
const KEPT_MAX: usize = 1 << 16;
/// False alerts a device and week that are put up with where the profile does not say.
const ALERTS_PER_WEEK: f64 = 0.3;

/// Scores of training data, by type of asset.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    assets: BTreeMap<String, Highest>,
    /// By device: its stretch and the highest score in it.
    open: HashMap<String, (i64, f64)>,
}

#[derive(Debug, Default)]
struct Highest {
    scores: Vec<f64>,
    stretches: u64,
}

impl Highest {
    fn push(&mut self, score: f64) {
        self.stretches += 1;
        self.scores.push(score);
        if self.scores.len() >= 2 * KEPT_MAX {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        self.scores.sort_by(|a, b| b.total_cmp(a));
        self.scores.truncate(KEPT_MAX);
    }
}

impl Lines {
    /// Rows of a device come in the order of time.
    pub(crate) fn add(&mut self, asset: &str, device: &str, at: Timestamp, score: f64) {
        let stretch = at.millis().div_euclid(STRETCH_MS);
        if !self.assets.contains_key(asset) {
            self.assets.insert(asset.to_owned(), Highest::default());
        }
        let Some(open) = self.open.get_mut(device) else {
            self.open.insert(device.to_owned(), (stretch, score));
            return;
        };
        if open.0 == stretch {
            open.1 = open.1.max(score);
        } else {
            let (_, highest) = std::mem::replace(open, (stretch, score));
            if let Some(of) = self.assets.get_mut(asset) {
                of.push(highest);
            }
        }
    }

    /// The lines where so many false alerts a device and week are put up with.
    pub(crate) fn finish(mut self, alerts_per_week: Option<f64>) -> BTreeMap<String, f64> {
        let alerts_per_week = alerts_per_week.unwrap_or(ALERTS_PER_WEEK);
        let mut lines = BTreeMap::new();
        for (asset, of) in &mut self.assets {
            of.shorten();
            let weeks = of.stretches as f64 * STRETCH_MS as f64 / WEEK_MS;
            let in_vain = (alerts_per_week * weeks) as usize;
            if let Some(line) = of.scores.get(in_vain).or(of.scores.last()) {
                lines.insert(asset.clone(), *line);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_stretches_lie_beyond_the_line_as_are_put_up_with() {
        let lines = |alerts| {
            let mut lines = Lines::default();
            // 400 stretches are 14.3 weeks; the highest scores of the device are 1 to 400, each once in many rows.
            for row in 0..400 * 36 {
                let at = Timestamp::from_millis(1_793_491_200_000 + row * 600_000).unwrap();
                lines.add("pump", "p", at, if row % 36 == 7 { (row / 36 + 1) as f64 } else { 0.0 });
            }
            lines.finish(alerts)["pump"]
        };
        // 399 stretches have ended; the last one is still open.
        assert_eq!((lines(None), lines(Some(1.0)), lines(Some(0.001))), (395.0, 385.0, 399.0));
    }
}
