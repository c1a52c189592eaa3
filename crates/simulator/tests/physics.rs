//! What healthy machines look like: within the default limits, driven by load, shift and season.
#![expect(clippy::expect_used, reason = "the lints spare test functions, and the helpers here belong to them")]

use std::collections::HashMap;

use simulator::{AssetType, Plant, PlantConfig};

const DAY: i64 = 86_400_000;

fn healthy(config: PlantConfig) -> Plant {
    Plant::new(PlantConfig { fault_rate: 0.0, ..config }).expect("a valid configuration")
}

/// The series of every device and metric.
fn series(plant: Plant) -> HashMap<(u32, &'static str), Vec<(i64, f64)>> {
    let mut series: HashMap<_, Vec<_>> = HashMap::new();
    for emission in plant {
        for (metric, value) in emission.values {
            series.entry((emission.device, metric)).or_default().push((emission.at_ms, value));
        }
    }
    series
}

fn correlation(a: &[(i64, f64)], b: &[(i64, f64)]) -> f64 {
    let mean = |x: &[(i64, f64)]| x.iter().map(|(_, value)| value).sum::<f64>() / x.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for ((_, x), (_, y)) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma) * (x - ma);
        bb += (y - mb) * (y - mb);
    }
    ab / (aa * bb).sqrt()
}

#[test]
fn healthy_values_stay_inside_the_default_limits() {
    for (seed, start_day) in [(1, 0), (2, 100), (3, 200)] {
        let config = PlantConfig::default();
        let plant = healthy(PlantConfig {
            seed,
            devices: 200,
            start: config.start + start_day * DAY,
            duration_ms: 9 * DAY,
            cadence_ms: 300_000,
            ..config
        });
        for emission in plant {
            for (metric, value) in &emission.values {
                let inside = match *metric {
                    "temperature" => (10.0..=80.0).contains(value),
                    "pressure" => (30.0..=150.0).contains(value),
                    "vibration" => (0.1..=5.0).contains(value),
                    "rpm" => (400.0..=3_300.0).contains(value),
                    "power" => (0.5..=60.0).contains(value),
                    _ => false,
                };
                assert!(inside, "{} {metric} {value} at {}", emission.device_name, emission.at_ms);
            }
        }
    }
}

#[test]
fn metrics_of_one_machine_follow_its_load() {
    let plant =
        healthy(PlantConfig { devices: 60, duration_ms: 7 * DAY, cadence_ms: 120_000, ..PlantConfig::default() });
    let series = series(plant.clone());
    let mut seen = 0;
    for device in 0..60 {
        let Some(rpm) = series.get(&(device, "rpm")) else { continue };
        for (metric, least) in [("power", 0.95), ("pressure", 0.9), ("vibration", 0.6), ("temperature", 0.35)] {
            if let Some(other) = series.get(&(device, metric)) {
                let r = correlation(rpm, other);
                assert!(r > least, "device {device}: rpm and {metric} correlate by {r}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "only {seen} pairs");
}

#[test]
fn temperature_lags_behind_power() {
    let mut sooner = 0;
    let plant = healthy(PlantConfig { devices: 30, duration_ms: 4 * DAY, ..PlantConfig::default() });
    let series = series(plant);
    let mut machines = 0;
    for device in 0..30 {
        let (Some(power), Some(heat)) = (series.get(&(device, "power")), series.get(&(device, "temperature"))) else {
            continue;
        };
        let half_an_hour = 30;
        let together = correlation(power, heat);
        let later = correlation(&power[..power.len() - half_an_hour], &heat[half_an_hour..]);
        sooner += u32::from(later > together);
        machines += 1;
    }
    assert!(machines > 10 && sooner == machines, "{sooner} of {machines}");
}

#[test]
fn nights_and_weekends_are_quieter() {
    let plant =
        healthy(PlantConfig { devices: 40, duration_ms: 7 * DAY, cadence_ms: 300_000, ..PlantConfig::default() });
    let start = plant.config().start;
    for ((device, metric), values) in series(plant) {
        if metric != "rpm" {
            continue;
        }
        let mean = |days: std::ops::Range<i64>, hours: std::ops::Range<i64>| {
            let chosen: Vec<f64> = values
                .iter()
                .filter(|(at, _)| {
                    days.contains(&((at - start) / DAY)) && hours.contains(&((at - start) % DAY / 3_600_000))
                })
                .map(|&(_, value)| value)
                .collect();
            chosen.iter().sum::<f64>() / chosen.len() as f64
        };
        let (day, night, weekend) = (mean(0..5, 7..14), mean(1..5, 0..6), mean(5..7, 7..14));
        assert!(day > night && day > weekend, "device {device}: {day}, night {night}, weekend {weekend}");
    }
}

#[test]
fn every_type_of_machine_occurs_and_reports_its_metrics() {
    let plant = healthy(PlantConfig { devices: 100, duration_ms: 60_000, ..PlantConfig::default() });
    let types = plant.clone();
    let mut seen = HashMap::new();
    for emission in plant {
        let asset = types.asset_type(emission.device).expect("a device of the plant");
        *seen.entry(asset).or_insert(0) += 1;
        let names: Vec<_> = emission.values.iter().map(|(name, _)| *name).collect();
        let expected: Vec<_> = asset.metrics().iter().map(|metric| metric.name()).collect();
        assert_eq!(names, expected);
        assert!(emission.device_name.starts_with(asset.name()));
        assert_eq!(types.device_name(emission.device), Some(emission.device_name));
    }
    assert!(AssetType::ALL.iter().all(|asset| seen.get(asset) >= Some(&8)), "{seen:?}");
    assert_eq!((types.asset_type(100), types.device_name(100)), (None, None));
}
