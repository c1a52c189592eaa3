//! The alarm line that the highest scores of stretches of time draw.
//!
//! A plant has weekends, stops and shifts, so its scores have several bodies, and no tail that is fitted to all rows knows which
//! it is the tail of. The highest score of a device's six hours is another matter: each stretch has one, all are of the upper
//! body, and one false alert is one stretch too many. The highest of many follow a Gumbel distribution (Fisher and Tippett,
//! "Limiting forms of the frequency distribution of the largest or smallest member of a sample", 1928), whose two parameters come
//! from the quartiles: while less than a quarter of the stretches are faulty, it does not matter how far off those are.

use telemetry::inference::STRETCH_MS;

use crate::tail::WEEK_MS;

/// Fewer stretches than this, five days of one device, tell too little.
pub const STRETCHES_MIN: usize = 20;
/// Shares of the stretches below the two quantiles.
const SHARES: [f64; 2] = [0.25, 0.75];

/// The score beyond which so many stretches of a device and week lie while all is well. `None`: there are too few, or half of them
/// are alike. The highest scores of stretches are in ascending order.
#[must_use]
pub fn line(highest: &[f64], alerts_per_week: f64) -> Option<f64> {
    if highest.len() < STRETCHES_MIN {
        return None;
    }
    let [lower, upper] = SHARES.map(|share| highest[(share * highest.len() as f64) as usize]);
    let above = (alerts_per_week * STRETCH_MS as f64 / WEEK_MS).clamp(f64::EPSILON, 1.0 - SHARES[1]);
    let [low, high, wanted] = [SHARES[0], SHARES[1], 1.0 - above].map(reduced);
    (upper > lower).then(|| lower + (upper - lower) * (wanted - low) / (high - low))
}

/// What a Gumbel distribution with location 0 and scale 1 has at this share from below.
fn reduced(share: f64) -> f64 {
    -libm::log(-libm::log(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gumbel(count: usize, location: f64, scale: f64) -> Vec<f64> {
        (0..count).map(|index| location + scale * reduced((index as f64 + 0.5) / count as f64)).collect()
    }

    #[test]
    fn as_many_stretches_lie_beyond_the_line_as_are_put_up_with() {
        let highest = gumbel(28_000, 3.0, 0.5);
        for alerts in [0.1, 0.3, 2.0] {
            let line = line(&highest, alerts).unwrap();
            let beyond = highest.iter().filter(|score| **score > line).count() as f64;
            let expected = alerts * 1_000.0;
            assert!((beyond / expected - 1.0).abs() < 0.05, "{beyond} of {expected}");
        }
    }

    #[test]
    fn a_tenth_of_faulty_stretches_moves_the_line_a_little_however_far_off_they_are() {
        let scale = 0.5;
        let clean = gumbel(280, 3.0, scale);
        let faulty = |off: f64| {
            let mut faulty = clean.clone();
            faulty.iter_mut().step_by(10).for_each(|score| *score = off);
            faulty.sort_by(f64::total_cmp);
            line(&faulty, 0.3).unwrap()
        };
        let (clean, moved) = (line(&clean, 0.3).unwrap(), faulty(50.0));
        assert!(moved > clean && moved < clean + 2.0 * scale, "{clean} became {moved}");
        assert_eq!(moved.to_bits(), faulty(5e6).to_bits());
    }

    #[test]
    fn the_scale_of_the_scores_does_not_matter() {
        let one = line(&gumbel(100, 0.0, 1.0), 0.3).unwrap();
        let other = line(&gumbel(100, -7.0, 1e-3), 0.3).unwrap();
        assert!(((other + 7.0) / 1e-3 - one).abs() < 1e-6);
    }

    #[test]
    fn too_few_stretches_and_such_as_are_alike_draw_no_line() {
        assert_eq!(line(&gumbel(STRETCHES_MIN - 1, 0.0, 1.0), 0.3), None);
        assert_eq!(line(&[1.0; 100], 0.3), None);
    }
}
