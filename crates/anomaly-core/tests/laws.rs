//! Laws of the engine that hold for any stream of readings.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use anomaly_core::{
    DeviceName, DeviceStatus, Engine, Finite, METRICS_MAX, MetricName, Observation, ProfileSet, Quality, Reading,
    Refused, Scored, TenantName, Timestamp,
};
use proptest::prelude::*;

const T0: i64 = 1_700_000_000_000;

/// One row of one of three devices: when it was measured, when it arrived, and its values.
#[derive(Debug, Clone)]
struct Row {
    device: usize,
    at: i64,
    arrived: i64,
    values: Vec<f64>,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        0..3_usize,
        -3_000_i64..5_000_000,
        proptest::collection::vec(prop_oneof![8 => -2.0..2.0_f64, 1 => -1e9..1e9_f64], 1..4),
    );
    proptest::collection::vec(row, 1..400).prop_map(|rows| {
        let place = |(index, (device, jitter, values)): (usize, (usize, i64, Vec<f64>))| {
            let arrived = T0 + index as i64 * 60_000;
            // Mostly on time; now and then late, repeated or ahead.
            let at = if jitter < 3_000_000 { arrived } else { arrived + jitter - 4_000_000 };
            Row { device, at, arrived, values }
        };
        rows.into_iter().enumerate().map(place).collect()
    })
}

const DEVICES: [&str; 3] = ["pump-1", "pump-2", "press-1"];
const METRICS: [&str; 3] = ["temperature", "x", "y"];

/// Feeds rows and returns what the engine printed for each, to the bit.
fn feed(engine: &mut Engine, rows: &[Row]) -> Vec<String> {
    let profiles = ProfileSet::default();
    let mut scored = Scored::default();
    rows.iter()
        .map(|row| {
            let readings: Vec<Reading<'_>> = row
                .values
                .iter()
                .zip(METRICS)
                .map(|(value, name)| Reading {
                    metric: MetricName::new(name).unwrap(),
                    value: Finite::try_from(*value).unwrap(),
                    quality: Quality::Good,
                })
                .collect();
            let observation = Observation {
                tenant: TenantName::new("acme").unwrap(),
                device: DeviceName::new(DEVICES[row.device]).unwrap(),
                at: Timestamp::from_millis(row.at).unwrap(),
                arrived: Timestamp::from_millis(row.arrived).unwrap(),
                readings: &readings,
            };
            engine.observe(&observation, &profiles, &mut scored).unwrap();
            format!("{:x} {scored:?}", scored.score.to_bits())
        })
        .collect()
}

fn state(engine: &Engine) -> Vec<u8> {
    postcard::to_stdvec(engine).unwrap()
}

proptest! {
    #[test]
    fn cutting_the_stream_and_restoring_the_state_in_between_changes_nothing(rows in rows(), cut in 0_usize..400) {
        let cut = cut.min(rows.len());
        let mut whole = Engine::default();
        let expected = feed(&mut whole, &rows);

        let mut before = Engine::default();
        let mut found = feed(&mut before, &rows[..cut]);
        let mut after: Engine = postcard::from_bytes(&state(&before)).unwrap();
        found.extend(feed(&mut after, &rows[cut..]));

        prop_assert_eq!(found, expected);
        prop_assert_eq!(state(&after), state(&whole));
    }

    #[test]
    fn removing_the_future_changes_no_past_verdict(rows in rows(), cut in 0_usize..400) {
        let cut = cut.min(rows.len());
        let whole = feed(&mut Engine::default(), &rows);
        let past = feed(&mut Engine::default(), &rows[..cut]);
        prop_assert_eq!(&whole[..cut], &past[..]);
    }

    #[test]
    fn devices_do_not_see_each_other(rows in rows()) {
        let together = feed(&mut Engine::default(), &rows);
        for device in 0..DEVICES.len() {
            let own: Vec<Row> = rows.iter().filter(|row| row.device == device).cloned().collect();
            let alone = feed(&mut Engine::default(), &own);
            let of_it = rows.iter().zip(&together).filter(|(row, _)| row.device == device).map(|(_, text)| text.clone());
            prop_assert_eq!(alone, of_it.collect::<Vec<_>>());
        }
    }

    #[test]
    fn splitting_an_engine_and_merging_it_again_changes_nothing(rows in rows(), more in rows()) {
        let mut whole = Engine::default();
        feed(&mut whole, &rows);
        let (mut left, mut right) = (whole.clone(), whole.clone());
        left.retain(|_, device| device == DEVICES[0]);
        right.retain(|_, device| device != DEVICES[0]);
        left.absorb(right);
        prop_assert_eq!(state(&left), state(&whole));
        prop_assert_eq!(left.len(), whole.len());
        prop_assert_eq!(feed(&mut left, &more), feed(&mut whole, &more));
    }

    #[test]
    fn a_row_is_abnormal_exactly_when_its_score_says_so_and_only_surprises_are_told_on_others(rows in rows()) {
        let mut engine = Engine::default();
        let profiles = ProfileSet::default();
        let mut scored = Scored::default();
        for row in &rows {
            let value = Finite::try_from(row.values[0]).unwrap();
            let readings = [Reading { metric: MetricName::new("x").unwrap(), value, quality: Quality::Good }];
            let observation = Observation {
                tenant: TenantName::new("acme").unwrap(),
                device: DeviceName::new("d").unwrap(),
                at: Timestamp::from_millis(row.at).unwrap(),
                arrived: Timestamp::from_millis(row.arrived).unwrap(),
                readings: &readings,
            };
            engine.observe(&observation, &profiles, &mut scored).unwrap();
            prop_assert!(scored.score.is_finite() && scored.score >= 0.0);
            prop_assert_eq!(scored.score >= 1.0, scored.status == DeviceStatus::Abnormal);
            let surprise = scored.alert.as_ref().is_some_and(|alert| alert.detector.as_str() == "novelty");
            prop_assert!(scored.alert.is_none() || scored.score >= 1.0 || surprise);
        }
    }
}

/// Noise, and now and then a departure of some hours that is another each time: so that all memories fill.
fn value_of(metric: &str, at: i64) -> f64 {
    let row = at / 60_000;
    let seed = metric.bytes().fold(row.unsigned_abs() + 1, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    let departs = row % 500 > 400 && (row / 500 + metric.len() as i64 + i64::from(metric.ends_with('1'))) % 3 == 0;
    (seed >> 40) as f64 / f64::from(1_u32 << 24) + if departs { (row / 500) as f64 } else { 0.0 }
}

fn observe_metrics(engine: &mut Engine, device: &str, from: usize, to: usize, at: i64) -> Result<(), Refused> {
    let names: Vec<String> = (from..to).map(|index| format!("m{index}")).collect();
    let readings: Vec<Reading<'_>> = names
        .iter()
        .map(|name| Reading {
            metric: MetricName::new(name).unwrap(),
            value: Finite::try_from(value_of(name, at)).unwrap(),
            quality: Quality::Good,
        })
        .collect();
    let observation = Observation {
        tenant: TenantName::new("acme").unwrap(),
        device: DeviceName::new(device).unwrap(),
        at: Timestamp::from_millis(T0 + at).unwrap(),
        arrived: Timestamp::from_millis(T0 + at).unwrap(),
        readings: &readings,
    };
    engine.observe(&observation, &ProfileSet::default(), &mut Scored::default()).map(|_| ())
}

#[test]
fn a_device_takes_its_64th_metric_and_refuses_the_65th_without_changing_anything() {
    let mut engine = Engine::default();
    observe_metrics(&mut engine, "d", 0, 60, 0).unwrap();
    observe_metrics(&mut engine, "d", 56, METRICS_MAX, 1).unwrap();
    let before = state(&engine);
    assert_eq!(observe_metrics(&mut engine, "d", 60, METRICS_MAX + 1, 2), Err(Refused::TooManyMetrics));
    assert_eq!(observe_metrics(&mut engine, "new", 0, METRICS_MAX + 1, 2), Err(Refused::TooManyMetrics));
    assert_eq!(state(&engine), before);
}

#[test]
fn a_hot_reading_is_reported_with_its_limit_and_told_once() {
    let mut engine = Engine::default();
    let profiles = ProfileSet::default();
    let mut scored = Scored::default();
    let mut alerts = Vec::new();
    for (index, value) in [60.0, 61.0, 95.0, 96.0, 94.0].into_iter().enumerate() {
        let at = Timestamp::from_millis(T0 + index as i64 * 1_000).unwrap();
        let value = Finite::try_from(value).unwrap();
        let readings = [Reading { metric: MetricName::new("temp").unwrap(), value, quality: Quality::Good }];
        let observation = Observation {
            tenant: TenantName::new("acme").unwrap(),
            device: DeviceName::new("pump-1").unwrap(),
            at,
            arrived: at,
            readings: &readings,
        };
        engine.observe(&observation, &profiles, &mut scored).unwrap();
        alerts.extend(scored.alert.take());
    }
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].metrics, ["temperature"]);
    assert_eq!(alerts[0].explanation.summary, "temperature 95 °C is above its upper limit of 80 °C");
}

#[test]
fn a_lone_spike_is_reported_on_its_row_and_the_rest_is_not() {
    let mut engine = Engine::default();
    let profiles = ProfileSet::default();
    let mut scored = Scored::default();
    let mut alerts = Vec::new();
    for index in 0..600_i64 {
        let at = Timestamp::from_millis(T0 + index * 60_000).unwrap();
        let calm = 50.0 + (index * 37 % 17) as f64 / 10.0;
        let value = Finite::try_from(if index == 500 { 90.0 } else { calm }).unwrap();
        let readings = [Reading { metric: MetricName::new("x").unwrap(), value, quality: Quality::Good }];
        let observation = Observation {
            tenant: TenantName::new("acme").unwrap(),
            device: DeviceName::new("d").unwrap(),
            at,
            arrived: at,
            readings: &readings,
        };
        engine.observe(&observation, &profiles, &mut scored).unwrap();
        alerts.extend(scored.alert.take().map(|_| index));
    }
    assert_eq!(alerts, [500]);
}

#[test]
fn values_at_the_end_of_what_a_number_holds_leave_everything_finite() {
    let mut engine = Engine::default();
    let mut scored = Scored::default();
    for index in 0..600_i64 {
        let at = Timestamp::from_millis(T0 + index * 60_000).unwrap();
        let extremes = [1.0, f64::MAX, -f64::MAX, 1e-308, 0.0, 1e200];
        let values = [extremes[(index % 6) as usize], extremes[(index * 7 % 6) as usize], index as f64];
        let one = usize::from(index % 5 == 0);
        let readings: Vec<Reading<'_>> = METRICS
            .iter()
            .zip(values)
            .skip(one)
            .map(|(name, value)| Reading {
                metric: MetricName::new(name).unwrap(),
                value: Finite::try_from(value).unwrap(),
                quality: Quality::Good,
            })
            .collect();
        for (device, readings) in [("many", &readings[..]), ("one", &readings[..1])] {
            let observation = Observation {
                tenant: TenantName::new("acme").unwrap(),
                device: DeviceName::new(device).unwrap(),
                at,
                arrived: at,
                readings,
            };
            engine.observe(&observation, &ProfileSet::default(), &mut scored).unwrap();
            assert!(scored.score.is_finite() && scored.alert_rank().is_finite(), "{scored:?}");
            for reading in &scored.readings {
                let evidence = reading.evidence;
                let numbers = [evidence.strength, evidence.expected, evidence.spread, evidence.tail()];
                assert!(numbers.iter().all(|number| number.is_finite()), "{device} {index}: {evidence:?}");
            }
        }
    }
}

/// Bytes of the state of one device after 4,000 rows, each metric's name included.
fn state_bytes(metrics: usize) -> usize {
    let mut engine = Engine::default();
    for row in 0..4_000 {
        observe_metrics(&mut engine, "d", 0, metrics, row * 60_000).unwrap();
    }
    state(&engine).len()
}

#[test]
fn state_is_as_small_as_the_documents_say() {
    let (one, eight) = (state_bytes(1), state_bytes(8));
    assert!(one <= 6 * 1024 && eight <= 8 * 1024 + 512, "one metric {one} bytes, eight metrics {eight} bytes");
}
