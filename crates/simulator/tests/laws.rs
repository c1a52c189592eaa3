//! The laws a plant keeps whatever its configuration: same seed same bytes, a longer run continues a shorter one, a
//! device does not know its neighbours, skipping arrives where running would have.
#![expect(clippy::expect_used, reason = "the lints spare test functions, and the helpers here belong to them")]

use proptest::prelude::*;
use simulator::{Change, Emission, Fault, PayloadFormat, Plant, PlantConfig};

const HOUR: i64 = 3_600_000;

fn plant(config: &PlantConfig) -> Plant {
    Plant::new(config.clone()).expect("a valid configuration")
}

fn payloads(plant: &mut Plant) -> Vec<u8> {
    let (mut all, mut one) = (Vec::new(), Vec::new());
    let mut emission = Emission::default();
    while plant.next_into(&mut emission) {
        emission.payload(PayloadFormat::Topic, "demo", &mut one);
        all.extend_from_slice(&one);
        all.push(b'\n');
    }
    all
}

/// Plants small enough to run to their end, with faults often and early.
fn configs() -> impl Strategy<Value = PlantConfig> {
    let changes = prop::sample::select(vec![(0.0, 0.0), (20.0, 0.0), (0.0, 20.0), (20.0, 20.0)]);
    (any::<u64>(), 1_u32..6, 1_i64..40, prop::sample::select(vec![7_000_i64, 60_000, 300_000]), 0_u32..50_000, changes)
        .prop_map(|(seed, devices, hours, cadence_ms, poison_per_million, (stops_per_week, new_products_per_week))| {
            PlantConfig {
                seed,
                devices,
                duration_ms: hours * HOUR + 12_345,
                cadence_ms,
                fault_rate: 20.0,
                quiet_ms: HOUR,
                poison_per_million,
                stops_per_week,
                new_products_per_week,
                changes_from_ms: HOUR,
                ..PlantConfig::default()
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_same_seed_gives_the_same_bytes(config in configs()) {
        prop_assert_eq!(payloads(&mut plant(&config)), payloads(&mut plant(&config)));
        prop_assert_eq!(plant(&config).report(), plant(&config).report());
    }

    #[test]
    fn emissions_come_in_order_of_time_and_device(config in configs()) {
        let order: Vec<_> = plant(&config).map(|emission| (emission.at_ms, emission.device)).collect();
        prop_assert!(order.is_sorted_by(|a, b| a < b));
        prop_assert!(order.iter().all(|&(at, _)| (config.start..config.end()).contains(&at)));
    }

    #[test]
    fn a_longer_run_continues_a_shorter_one(config in configs(), more in 1_i64..30) {
        let longer = PlantConfig { duration_ms: config.duration_ms + more * HOUR, ..config.clone() };
        let early: Vec<_> = plant(&longer).take_while(|emission| emission.at_ms < config.end()).collect();
        prop_assert_eq!(early, plant(&config).collect::<Vec<_>>());
        let cut_off: Vec<_> = plant(&longer)
            .truth()
            .iter()
            .filter(|fault| fault.start_ms < config.end())
            .map(|fault| Fault { end_ms: fault.end_ms.min(config.end()), ..fault.clone() })
            .collect();
        prop_assert_eq!(cut_off, plant(&config).report().faults);
        let cut_off: Vec<_> = plant(&longer)
            .changes()
            .iter()
            .filter(|change| change.start_ms < config.end())
            .map(|change| Change { end_ms: change.end_ms.min(config.end()), ..change.clone() })
            .collect();
        prop_assert_eq!(cut_off, plant(&config).report().changes);
    }

    #[test]
    fn a_device_does_not_know_how_many_others_there_are(config in configs(), more in 1_u32..20) {
        let larger = PlantConfig { devices: config.devices + more, ..config.clone() };
        let known: Vec<_> = plant(&larger).filter(|emission| emission.device < config.devices).collect();
        prop_assert_eq!(known, plant(&config).collect::<Vec<_>>());
    }

    #[test]
    fn skipping_arrives_where_running_would_have(config in configs(), steps in prop::collection::vec(0_i64..50 * HOUR, 1..4)) {
        let (mut skipping, mut running) = (plant(&config), plant(&config).peekable());
        for to in steps {
            let to = config.start + to;
            skipping.skip_to(to);
            while running.next_if(|emission| emission.at_ms < to).is_some() {}
            // A few emissions later both stand in the middle of a round.
            for _ in 0..3 {
                prop_assert_eq!(skipping.next(), running.next());
            }
        }
        prop_assert_eq!(skipping.by_ref().collect::<Vec<_>>(), running.collect::<Vec<_>>());
        let mut whole = plant(&config);
        whole.by_ref().for_each(drop);
        prop_assert_eq!(skipping.poison_emitted(), whole.poison_emitted());
    }

    #[test]
    fn outside_its_faults_a_device_reads_as_if_it_had_none(config in configs()) {
        let sound = PlantConfig { fault_rate: 0.0, ..config.clone() };
        let faulty = plant(&config);
        let truth = faulty.truth().to_vec();
        // A silent device emits nothing, so the two runs are matched by device and time.
        let mut sound = plant(&sound);
        for emission in faulty {
            let same = sound.find(|twin| (twin.at_ms, twin.device) == (emission.at_ms, emission.device));
            let same = same.expect("the sound twin is never silent");
            let on = truth.iter().find(|fault| fault.device == emission.device && fault.covers(emission.at_ms));
            // Heat outlasts the fault that brought it.
            let hot = truth.iter().any(|fault| {
                fault.device == emission.device && fault.kind == simulator::FaultKind::Overheating && fault.end_ms <= emission.at_ms
            });
            for (metric, value) in &same.values {
                let affected = on.is_some_and(|fault| fault.metrics.contains(metric)) || (hot && *metric == "temperature");
                if !affected {
                    prop_assert!(emission.values.contains(&(*metric, *value)), "{metric} at {}", emission.at_ms);
                }
            }
        }
    }
}

#[test]
fn the_end_is_final() {
    let mut plant = plant(&PlantConfig { devices: 3, duration_ms: 10 * 60_000, ..PlantConfig::default() });
    assert_eq!(plant.by_ref().count(), 30);
    assert_eq!(plant.emissions_max(), 30);
    assert_eq!(plant.next(), None);
    plant.skip_to(plant.config().start);
    assert_eq!(plant.next(), None);
}

#[test]
fn a_run_shorter_than_the_cadence_may_be_empty_but_is_a_run() {
    let config = PlantConfig { devices: 50, duration_ms: 1, ..PlantConfig::default() };
    assert_eq!(plant(&config).count() as u64, plant(&config).emissions_max());
}

#[test]
fn another_seed_is_another_plant() {
    let config = PlantConfig { duration_ms: HOUR, ..PlantConfig::default() };
    let other = PlantConfig { seed: config.seed + 1, ..config.clone() };
    assert_ne!(payloads(&mut plant(&config)), payloads(&mut plant(&other)));
}
