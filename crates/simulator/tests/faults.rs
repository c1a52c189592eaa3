//! What is injected is what the truth says: when, where, and with the effect its kind promises.
#![expect(clippy::unwrap_used, reason = "the lints spare test functions, and the helpers here belong to them")]

use simulator::{Emission, Fault, FaultKind, Plant, PlantConfig, Truth};

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;

fn config() -> PlantConfig {
    PlantConfig { devices: 80, duration_ms: 6 * DAY, cadence_ms: 120_000, ..PlantConfig::default() }
}

/// What a device reported while a fault was on, and what it would have reported without.
struct Case {
    fault: Fault,
    during: Vec<Emission>,
    sound: Vec<Emission>,
}

impl Case {
    fn values(emissions: &[Emission], metric: &str) -> Vec<f64> {
        emissions
            .iter()
            .filter_map(|emission| emission.values.iter().find(|(name, _)| *name == metric))
            .map(|v| v.1)
            .collect()
    }

    /// What the fault adds to its first metric, reading by reading.
    fn added(&self) -> Vec<f64> {
        let metric = self.fault.metrics[0];
        let (with, without) = (Self::values(&self.during, metric), Self::values(&self.sound, metric));
        assert_eq!(with.len(), without.len());
        with.iter().zip(without).map(|(a, b)| a - b).collect()
    }
}

fn cases(kind: FaultKind) -> Vec<Case> {
    let plant = Plant::new(config()).unwrap();
    let sound = Plant::new(PlantConfig { fault_rate: 0.0, ..config() }).unwrap();
    let mut cases: Vec<_> = plant
        .truth()
        .iter()
        // Faults cut off by the end of the run are left out: their effect is not complete.
        .filter(|fault| fault.kind == kind && fault.end_ms < plant.config().end())
        .map(|fault| Case { fault: fault.clone(), during: Vec::new(), sound: Vec::new() })
        .collect();
    for emission in plant {
        for case in cases.iter_mut().filter(|case| case.fault.device == emission.device) {
            if case.fault.covers(emission.at_ms) {
                case.during.push(emission.clone());
            }
        }
    }
    for emission in sound {
        for case in cases.iter_mut().filter(|case| case.fault.device == emission.device) {
            if case.fault.covers(emission.at_ms) {
                case.sound.push(emission.clone());
            }
        }
    }
    assert!(cases.len() >= 10, "only {} of {kind:?}", cases.len());
    cases
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

#[test]
fn faults_lie_within_the_run_after_the_quiet_span_and_apart() {
    let plant = Plant::new(PlantConfig { devices: 300, ..config() }).unwrap();
    let truth = plant.truth();
    assert!(truth.is_sorted_by_key(|fault| (fault.start_ms, fault.device)));
    let (first, end) = (plant.config().start + plant.config().quiet_ms, plant.config().end());
    for fault in truth {
        assert!(first <= fault.start_ms && fault.start_ms < fault.end_ms && fault.end_ms <= end, "{fault:?}");
        assert_eq!(plant.device_name(fault.device).as_ref(), Some(&fault.device_name));
        assert!(!fault.metrics.is_empty());
    }
    for device in 0..300 {
        let own: Vec<_> = truth.iter().filter(|fault| fault.device == device).collect();
        for pair in own.windows(2) {
            assert!(pair[1].start_ms >= pair[0].end_ms + 6 * HOUR, "{pair:?}");
        }
    }
}

#[test]
fn most_devices_have_a_fault_within_three_days() {
    let plant = Plant::new(PlantConfig { devices: 500, duration_ms: 3 * DAY, ..PlantConfig::default() }).unwrap();
    let mut hit: Vec<_> = plant.truth().iter().map(|fault| fault.device).collect();
    hit.sort_unstable();
    hit.dedup();
    assert!((375..=450).contains(&hit.len()), "{} of 500", hit.len());
}

#[test]
fn a_drift_grows_to_its_magnitude() {
    for case in cases(FaultKind::Drift) {
        let added = case.added();
        let (size, middle, last) = (case.fault.magnitude, added[added.len() / 2], added[added.len() - 1]);
        assert!(
            close(last, size, 0.02 * size.abs() + 0.11) && close(middle, size / 2.0, 0.1 * size.abs() + 0.11),
            "{:?}",
            case.fault
        );
    }
}

#[test]
fn a_spike_is_one_to_three_readings_high() {
    for case in cases(FaultKind::Spike) {
        assert!((1..=3).contains(&case.during.len()), "{:?}", case.fault);
        assert!(case.added().iter().all(|&added| close(added, case.fault.magnitude, 0.11)), "{:?}", case.fault);
    }
}

#[test]
fn a_level_shift_is_there_at_once_and_stays() {
    for case in cases(FaultKind::LevelShift) {
        assert!(case.added().iter().all(|&added| close(added, case.fault.magnitude, 0.11)), "{:?}", case.fault);
    }
}

#[test]
fn a_stuck_sensor_repeats_exactly_one_value() {
    for case in cases(FaultKind::Stuck) {
        let values = Case::values(&case.during, case.fault.metrics[0]);
        assert!(values.len() >= 12);
        assert!(values.iter().all(|value| value.to_bits() == values[0].to_bits()), "{:?}", case.fault);
        let moving = Case::values(&case.sound, case.fault.metrics[0]);
        assert!(moving.iter().any(|value| value.to_bits() != moving[0].to_bits()), "{:?}", case.fault);
    }
}

#[test]
fn a_dropout_is_silent() {
    let (mut whole, mut single) = (0, 0);
    for case in cases(FaultKind::Dropout) {
        assert!(!case.sound.is_empty());
        if case.fault.metrics.len() > 1 {
            whole += 1;
            assert!(case.during.is_empty(), "{:?}", case.fault);
        } else {
            single += 1;
            let metric = case.fault.metrics[0];
            assert_eq!(case.during.len(), case.sound.len());
            assert!(Case::values(&case.during, metric).is_empty(), "{:?}", case.fault);
            assert_eq!(case.during[0].values.len() + 1, case.sound[0].values.len());
        }
    }
    assert!(whole >= 3 && single >= 3, "{whole} whole, {single} single");
}

#[test]
fn an_imbalance_shakes_with_the_square_of_speed() {
    for case in cases(FaultKind::Imbalance) {
        assert_eq!(case.fault.metrics, ["vibration"]);
        let (added, rpm) = (case.added(), Case::values(&case.during, "rpm"));
        assert!(
            added.iter().skip(added.len() / 8).all(|&added| added > 0.25 * case.fault.magnitude),
            "{:?}",
            case.fault
        );
        // Once grown, what it adds is proportional to rpm²; a press does not show its rpm.
        let ratios: Vec<_> =
            added.iter().zip(rpm).skip(added.len() / 8).map(|(added, rpm)| added / (rpm * rpm)).collect();
        if let (Some(low), Some(high)) =
            (ratios.iter().copied().reduce(f64::min), ratios.iter().copied().reduce(f64::max))
        {
            assert!(high / low < 1.05, "{:?}: {low} to {high}", case.fault);
        }
    }
}

#[test]
fn overheating_climbs_through_the_heat_balance() {
    let mut beyond_the_limit = 0;
    for case in cases(FaultKind::Overheating) {
        assert_eq!(case.fault.metrics, ["temperature"]);
        let added = case.added();
        assert!(added[0].abs() < 0.3, "{:?} starts with a jump of {}", case.fault, added[0]);
        assert!(added[added.len() - 1] > 3.0, "{:?} ends with {}", case.fault, added[added.len() - 1]);
        let steepest = added.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
        assert!(steepest < 1.5, "{:?} jumps by {steepest}", case.fault);
        beyond_the_limit += u32::from(Case::values(&case.during, "temperature").iter().any(|&value| value > 80.0));
    }
    assert!(beyond_the_limit > 0);
}

#[test]
fn noise_increases_without_a_shift() {
    for case in cases(FaultKind::NoiseIncrease) {
        let added = case.added();
        let n = added.len() as f64;
        let mean = added.iter().sum::<f64>() / n;
        let deviation = (added.iter().map(|added| added * added).sum::<f64>() / n).sqrt();
        assert!(deviation > 0.05 && mean.abs() < 4.5 * deviation / n.sqrt(), "{:?}: {mean} ± {deviation}", case.fault);
    }
}

#[test]
fn the_truth_survives_being_stored() {
    let mut plant = Plant::new(PlantConfig { poison_per_million: 100_000, duration_ms: 2 * DAY, ..config() }).unwrap();
    plant.by_ref().for_each(drop);
    let truth = plant.report();
    assert!(truth.poison_emitted > 0 && truth.faults.len() > 50);
    let stored = serde_json::to_string(&truth).unwrap();
    assert!(stored.contains(r#""kind":"level_shift""#) && stored.contains(r#""metrics":["#));
    assert_eq!(serde_json::from_str::<Truth>(&stored).unwrap(), truth);
}

#[test]
fn a_stored_truth_with_an_unknown_metric_is_refused() {
    let text = r#"{"device":0,"device_name":"fan-00000","kind":"drift","metrics":["humidity"],"start_ms":0,"end_ms":1,"magnitude":1}"#;
    let error = serde_json::from_str::<Fault>(text).unwrap_err().to_string();
    assert!(error.contains("metrics of a fault") && error.contains("humidity"), "{error}");
}
