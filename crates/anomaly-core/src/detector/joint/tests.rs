//! The monitor over rows of noise, of a plant, and with faults in it.

use super::*;

/// Noise with a standard deviation of one, from a fixed seed (`SplitMix64` and the sum of twelve uniform numbers).
pub(crate) fn noise(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed.wrapping_mul(0xd129_0d5b_ce5f_3a2b);
    std::iter::repeat_with(move || {
        let uniform = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        std::iter::repeat_with(uniform).take(12).sum::<f64>() - 6.0
    })
}

/// Runs rows through a fresh monitor; returns `(best, is_on)` of each.
fn run(rows: impl IntoIterator<Item = Vec<f64>>) -> Vec<(f64, bool)> {
    let mut monitor = Monitor::default();
    rows.into_iter()
        .map(|row| {
            let values: Vec<(usize, f64)> = row.into_iter().enumerate().filter(|(_, x)| x.is_finite()).collect();
            let joint = monitor.observe(
                values.into_iter(),
                Timestamp::MIN,
                crate::profile::SENSITIVITY_DEFAULT,
                0.0,
                |_, _, _| true,
            );
            (joint.best, matches!(joint.phase, Phase::Opens | Phase::Within))
        })
        .collect()
}

fn alarms(found: &[(f64, bool)]) -> usize {
    found.windows(2).filter(|pair| pair[1].1 && !pair[0].1).count()
}

#[test]
fn a_single_metric_that_shifts_by_two_deviations_is_found_soon() {
    let found = run(noise(2).take(1_400).enumerate().map(|(i, x)| vec![x + if i >= 1_000 { 2.0 } else { 0.0 }]));
    assert_eq!(alarms(&found[..1_000]), 0);
    assert!(found[1_000..1_040].iter().any(|(_, on)| *on));
}

#[test]
fn plain_noise_is_left_alone() {
    let count: usize = (10..20).map(|seed| alarms(&run(noise(seed).take(10_000).map(|x| vec![x])))).sum();
    assert!(count <= 2, "{count} episodes in 100,000 rows");
}

/// A load that wanders, and three metrics that follow it.
fn plant(seed: u64) -> impl Iterator<Item = Vec<f64>> {
    let (mut values, mut load) = (noise(seed), 0.0);
    std::iter::repeat_with(move || {
        let mut next = || values.next().unwrap_or(0.0);
        load += 0.05 * (next() - load);
        let shared = load * 6.0;
        vec![shared + 0.2 * next(), 2.0 * shared + 0.3 * next(), -shared + 0.2 * next()]
    })
}

#[test]
fn a_relation_that_breaks_is_found_though_every_metric_alone_is_in_its_range() {
    let rows = plant(3).take(3_000).enumerate().map(|(i, mut row)| {
        if i >= 2_500 {
            row[2] = -row[2];
        }
        row
    });
    let found = run(rows);
    assert_eq!(alarms(&found[..2_500]), 0);
    assert!(found[2_500..2_560].iter().any(|(_, on)| *on));
}

#[test]
fn metrics_that_wander_together_are_left_alone() {
    let count: usize = (30..40).map(|seed| alarms(&run(plant(seed).take(8_000)))).sum();
    assert!(count <= 3, "{count} episodes in 80,000 rows");
}

#[test]
fn missing_values_do_not_alarm() {
    let rows = plant(5).take(6_000).enumerate().map(|(i, mut row)| {
        row[i % 3] = if i * 7 % 10 < 3 { f64::NAN } else { row[i % 3] };
        row
    });
    let count = alarms(&run(rows));
    assert!(count <= 2, "{count} episodes in 6,000 rows of which three in ten lack a value");
}

#[test]
fn a_lasting_change_is_abnormal_for_its_first_hours_and_normal_in_the_end() {
    let found = run(noise(6).take(9_000).enumerate().map(|(i, x)| vec![x + if i >= 1_000 { 8.0 } else { 0.0 }]));
    assert!(found[1_010..1_500].iter().all(|(_, on)| *on));
    assert!(found[8_500..].iter().all(|(_, on)| !on));
}

#[test]
fn a_metric_that_is_gone_is_not_waited_for_and_its_return_begins_anew() {
    let mut monitor = Monitor::default();
    let mut observe = |row: &[f64], minute: i64| {
        let at = Timestamp::from_millis(Timestamp::MIN.millis() + minute * 60_000).unwrap();
        let values: Vec<(usize, f64)> = row.iter().copied().enumerate().collect();
        monitor.observe(values.into_iter(), at, crate::profile::SENSITIVITY_DEFAULT, 60_000.0, |_, _, _| true);
        monitor.regression.clone()
    };
    let rows: Vec<Vec<f64>> = plant(8).take(6_000).collect();
    let before = (0..1_000).map(|minute| observe(&rows[minute as usize], minute)).last().unwrap();
    let waiting = (1_000..5_000).map(|minute| observe(&rows[minute as usize][..2], minute)).last().unwrap();
    let going_on = (5_000..5_900).map(|minute| observe(&rows[minute as usize][..2], minute)).last().unwrap();
    let returned = observe(&rows[5_900], 5_900);
    assert_eq!(waiting.learned(), before.learned());
    assert!(going_on.learned() > waiting.learned() + 500, "{}", going_on.learned());
    assert!(returned.learned() <= 1 && returned.inputs_of_one().is_none());
}
