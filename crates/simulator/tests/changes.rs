//! What planned stops and new products look like: healthy, within the default limits, and gone without a trace.
#![expect(clippy::expect_used, reason = "the lints spare test functions, and the helpers here belong to them")]

use std::collections::HashMap;

use simulator::{Change, ChangeKind, Plant, PlantConfig};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn plant(stops_per_week: f64, new_products_per_week: f64) -> Plant {
    let config = PlantConfig { devices: 40, duration_ms: 9 * DAY, fault_rate: 0.0, ..PlantConfig::default() };
    let config = PlantConfig { cadence_ms: 2 * MINUTE, changes_from_ms: 2 * DAY, ..config };
    Plant::new(PlantConfig { stops_per_week, new_products_per_week, ..config }).expect("a valid configuration")
}

/// Device and metric, and what it showed at each time.
type Series = HashMap<(u32, &'static str), Vec<(i64, f64)>>;

fn series(plant: Plant) -> Series {
    let mut series = Series::new();
    for emission in plant {
        for (metric, value) in emission.values {
            series.entry((emission.device, metric)).or_default().push((emission.at_ms, value));
        }
    }
    series
}

/// Mean of a metric over a span; `None` when the device has no such metric.
fn mean(series: &Series, device: u32, metric: &'static str, from_ms: i64, until_ms: i64) -> Option<f64> {
    let values = series.get(&(device, metric))?;
    let chosen: Vec<f64> =
        values.iter().filter(|(at, _)| (from_ms..until_ms).contains(at)).map(|&(_, value)| value).collect();
    Some(chosen.iter().sum::<f64>() / chosen.len() as f64)
}

fn of(plant: &Plant, kind: ChangeKind) -> Vec<Change> {
    plant.changes().iter().filter(|change| change.kind == kind).cloned().collect()
}

#[test]
fn a_stopped_machine_rests_and_cools_and_keeps_its_static_pressure() {
    let plant = plant(4.0, 0.0);
    let stops = of(&plant, ChangeKind::Stop);
    let series = series(plant);
    assert!(stops.len() > 60, "{} stops", stops.len());
    for stop in stops {
        let mean = |metric, from, until| mean(&series, stop.device, metric, from, until);
        // Pressure has the slowest lag of what must have settled: four minutes, and eight of them.
        let (settled, end) = (stop.start_ms + 32 * MINUTE, stop.end_ms);
        let before = (stop.start_ms - 20 * MINUTE, stop.start_ms);
        assert!(mean("rpm", settled, end).is_none_or(|rpm| rpm == 0.0), "{stop:?}");
        assert!(mean("vibration", settled, end).is_some_and(|shake| (0.02..0.1).contains(&shake)), "{stop:?}");
        assert!(mean("pressure", settled, end).is_none_or(|psi| (34.5..45.5).contains(&psi)), "{stop:?}");
        let running = mean("power", before.0, before.1);
        assert!(running.is_none_or(|kw| mean("power", settled, end).is_some_and(|idle| idle < 0.12 * kw)), "{stop:?}");
        let hot = mean("temperature", before.0, before.1).expect("every machine has it");
        let cooled = mean("temperature", end - 10 * MINUTE, end).expect("every machine has it");
        assert!(cooled < hot && (15.0..60.0).contains(&cooled), "{hot} to {cooled}: {stop:?}");
    }
}

#[test]
fn nothing_healthy_leaves_the_default_limits() {
    for emission in plant(10.0, 10.0) {
        for (metric, value) in &emission.values {
            let inside = match *metric {
                "temperature" => (10.0..=80.0).contains(value),
                "pressure" => (30.0..=150.0).contains(value),
                "vibration" => (0.0..=5.0).contains(value),
                "rpm" => (0.0..=3_500.0).contains(value),
                "power" => (0.0..=65.0).contains(value),
                _ => false,
            };
            assert!(inside, "{} {metric} {value} at {}", emission.device_name, emission.at_ms);
        }
    }
}

#[test]
fn a_machine_is_what_it_would_have_been_before_and_some_hours_after_its_changes() {
    let busy = plant(2.0, 1.0);
    let mut changes: HashMap<u32, Vec<Change>> = HashMap::new();
    for change in busy.changes() {
        changes.entry(change.device).or_default().push(change.clone());
    }
    // Twelve time constants of the slowest housing.
    let recovery = 8 * HOUR;
    let (mut same, mut other) = (0, 0);
    for (with, without) in busy.zip(plant(0.0, 0.0)) {
        let near = changes.get(&with.device).is_some_and(|changes| {
            changes.iter().any(|change| (change.start_ms..change.end_ms + recovery).contains(&with.at_ms))
        });
        if !near {
            for ((metric, a), (_, b)) in with.values.iter().zip(&without.values) {
                // One digit of resolution: values are rounded, and a tail of 10⁻⁵ may tip one over.
                let digit = if *metric == "rpm" { 0.11 } else { 0.011 };
                assert!((a - b).abs() < digit, "{} {metric}: {a} against {b}", with.device_name);
            }
            same += 1;
        } else if with != without {
            other += 1;
        }
    }
    assert!(same > 50_000 && other > 10_000, "{same} the same, {other} not");
}

#[test]
fn a_new_product_changes_how_the_metrics_relate() {
    let changed = plant(0.0, 2.0);
    let runs = of(&changed, ChangeKind::NewProduct);
    let (new, usual) = (series(changed), series(plant(0.0, 0.0)));
    let mut apart = 0;
    for run in &runs {
        let span = (run.start_ms + HOUR, run.end_ms);
        let ratio = |series: &Series, metric| {
            let rpm = mean(series, run.device, "rpm", span.0, span.1)?;
            Some(mean(series, run.device, metric, span.0, span.1)? / rpm)
        };
        let differs = |metric| match (ratio(&new, metric), ratio(&usual, metric)) {
            (Some(a), Some(b)) => (a / b - 1.0).abs() > 0.04,
            _ => false,
        };
        apart += u32::from(["temperature", "vibration", "pressure", "power"].into_iter().any(differs));
    }
    assert!(runs.len() > 30 && f64::from(apart) > 0.6 * runs.len() as f64, "{apart} of {}", runs.len());
}

#[test]
fn the_truth_lists_the_changes_and_does_without_when_there_are_none() {
    let truth = plant(3.0, 3.0).report();
    let stored = serde_json::to_string(&truth).expect("plain data");
    assert!(truth.faults.is_empty() && !truth.changes.is_empty());
    assert_eq!(serde_json::from_str::<simulator::Truth>(&stored).expect("what was written"), truth);
    assert!(truth.changes.iter().all(|change| change.start_ms >= truth.config.start + 2 * DAY));
    assert!(truth.changes.is_sorted_by_key(|change| (change.start_ms, change.device)));
    assert!(!serde_json::to_string(&plant(0.0, 0.0).report()).expect("plain data").contains("\"changes\""));
}
