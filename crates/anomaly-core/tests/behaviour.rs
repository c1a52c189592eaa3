//! What a plant's people would see: devices with their habits, and what is told about them.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]
use std::collections::BTreeMap;

use anomaly_core::profile::MetricRule;
use anomaly_core::{
    Anomaly, DetectorId, DeviceName, Engine, Finite, MetricName, Observation, Profile, ProfileSet, Quality, Reading,
    Scored, TenantName, Timestamp,
};

const T0: i64 = 1_700_006_400_000;
const MINUTE: i64 = 60_000;

/// Uniform noise from -0.5 to 0.5, the same for the same place.
fn noise(channel: u64, row: i64) -> f64 {
    let mut z = row.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ channel.wrapping_mul(0xd129_0d5b_ce5f_3a2b);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
}

/// An engine under observation.
#[derive(Default)]
struct Watched {
    engine: Engine,
    profiles: ProfileSet,
    scored: Scored,
    told: Vec<(i64, Anomaly)>,
}

impl Watched {
    /// One message of a device in that minute.
    fn send(&mut self, device: &str, minute: i64, values: &[(&str, f64)]) -> f64 {
        let at = Timestamp::from_millis(T0 + minute * MINUTE).unwrap();
        let readings: Vec<Reading<'_>> = values
            .iter()
            .map(|(name, value)| Reading {
                metric: MetricName::new(name).unwrap(),
                value: Finite::try_from(*value).unwrap(),
                quality: Quality::Good,
            })
            .collect();
        let tenant = TenantName::new("acme").unwrap();
        let device = DeviceName::new(device).unwrap();
        let told = &mut self.told;
        self.engine.look_for_silence(at, &self.profiles, |anomaly, _| told.push((minute, anomaly)));
        let observation = Observation { tenant, device, at, arrived: at, readings: &readings };
        self.engine.observe(&observation, &self.profiles, &mut self.scored).unwrap();
        if let Some(alert) = &self.scored.alert {
            self.told.push((minute, (**alert).clone()));
        }
        self.scored.score
    }

    fn told_from(&self, minute: i64) -> Vec<(i64, DetectorId, String)> {
        let told = self.told.iter().filter(|(at, _)| *at >= minute);
        told.map(|(at, anomaly)| (*at, anomaly.detector, anomaly.metrics.join(","))).collect()
    }
}

/// A pump whose power follows its speed, and a temperature that lags behind the power and knows the time of the day.
struct Pump {
    heat: f64,
}

impl Pump {
    fn row(&mut self, minute: i64) -> [(&'static str, f64); 3] {
        let hour = minute as f64 / 60.0;
        let load = if (6.0..22.0).contains(&(hour % 24.0)) { 1.0 } else { 0.6 } + 0.1 * noise(9, minute / 90);
        let season = 3.0 * ((hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
        self.heat += (25.0 * load - self.heat) / 30.0;
        [
            ("rpm", 1_450.0 * load + 4.0 * noise(1, minute)),
            ("power", 18.0 * load * load + 0.3 * noise(2, minute)),
            ("housing", 30.0 + self.heat + season + 0.4 * noise(3, minute)),
        ]
    }
}

const DAYS: i64 = 8;
const JUDGED: i64 = DAYS * 1_440;

/// A pump that ran for some days as it should.
fn a_pump_that_ran() -> (Watched, Pump) {
    let (mut watched, mut pump) = (Watched::default(), Pump { heat: 20.0 });
    for minute in 0..JUDGED {
        watched.send("pump-1", minute, &pump.row(minute));
    }
    (watched, pump)
}

#[test]
fn a_working_day_is_not_an_anomaly() {
    let (mut watched, mut pump) = a_pump_that_ran();
    for minute in JUDGED..JUDGED + 2 * 1_440 {
        watched.send("pump-1", minute, &pump.row(minute));
    }
    assert_eq!(watched.told_from(4 * 1_440), []);
}

#[test]
fn a_sensor_that_is_off_by_little_is_found_by_what_the_others_say() {
    let (mut watched, mut pump) = a_pump_that_ran();
    for minute in JUDGED..JUDGED + 300 {
        let mut row = pump.row(minute);
        // Well within what this metric has over a day.
        row[2].1 += 4.0;
        watched.send("pump-1", minute, &row);
    }
    let told = watched.told_from(JUDGED);
    assert!(told.first().is_some_and(|(at, _, metrics)| *at < JUDGED + 60 && metrics.contains("housing")), "{told:?}");
}

#[test]
fn a_machine_that_is_switched_off_and_on_again_is_no_anomaly_and_its_sensors_are_not_stuck() {
    let (mut watched, mut pump) = a_pump_that_ran();
    for minute in JUDGED..JUDGED + 600 {
        let mut row = pump.row(minute);
        if minute < JUDGED + 240 {
            (row[0].1, row[1].1) = (0.0, 0.2);
            row[2].1 = 30.0 + 20.0 * (-(minute - JUDGED) as f64 / 60.0).exp() + 0.4 * noise(3, minute);
            pump.heat = row[2].1 - 30.0;
        }
        watched.send("pump-1", minute, &row);
    }
    assert_eq!(watched.told_from(JUDGED), []);
}

#[test]
fn a_machine_that_stood_still_for_a_week_is_known_again_when_it_runs() {
    let (mut watched, mut pump) = a_pump_that_ran();
    let back = JUDGED + 7 * 1_440;
    for minute in JUDGED..back + 1_440 {
        let mut row = pump.row(minute);
        if minute < back {
            (row[0].1, row[1].1) = (0.0, 0.2);
            row[2].1 = 30.0 + 0.4 * noise(3, minute);
            pump.heat = 0.0;
        }
        let score = watched.send("pump-1", minute, &row);
        assert!(minute >= back || score < 1.0, "minute {}", minute - JUDGED);
    }
    assert_eq!(watched.told_from(JUDGED), []);
}

#[test]
fn a_metric_that_was_taken_off_is_waited_for_a_week_and_the_others_are_watched_on() {
    let (mut watched, mut pump) = a_pump_that_ran();
    let (given_up, fault) = (JUDGED + 7 * 1_440 + 10, JUDGED + 12 * 1_440);
    let mut abnormal = 0;
    for minute in JUDGED..fault + 240 {
        let mut row = pump.row(minute);
        if minute >= fault {
            row[1].1 += 2.5;
        }
        let score = watched.send("pump-1", minute, &row[..2]);
        abnormal += i32::from((given_up..fault).contains(&minute) && score >= 1.0);
    }
    assert!(abnormal < 100, "{abnormal} of {} minutes", fault - given_up);
    let told = watched.told_from(fault);
    assert!(told.first().is_some_and(|(_, _, metrics)| metrics.contains("power")), "{told:?}");
}

#[test]
fn what_comes_every_morning_is_told_a_few_times_and_then_no_more() {
    let (mut watched, mut pump) = a_pump_that_ran();
    for minute in JUDGED..JUDGED + 10 * 1_440 {
        let mut row = pump.row(minute);
        if minute % 1_440 < 40 {
            row[1].1 += 2.5;
        }
        watched.send("pump-1", minute, &row);
    }
    let told = watched.told_from(JUDGED);
    assert!((1..=4).contains(&told.len()), "{told:?}");
}

#[test]
fn a_metric_that_stops_is_missed_and_told_once_with_how_long_it_is_silent() {
    let (mut watched, mut pump) = a_pump_that_ran();
    for minute in JUDGED..JUDGED + 120 {
        let row = pump.row(minute);
        let score = watched.send("pump-1", minute, &row[..2]);
        assert_eq!(score >= 1.0, minute > JUDGED + 5, "minute {}", minute - JUDGED);
    }
    assert_eq!(watched.told_from(JUDGED), [(JUDGED + 6, DetectorId::Silence, "housing".to_owned())]);
    let summary = &watched.told.last().unwrap().1.explanation.summary;
    assert_eq!(summary, "housing has not reported for 7 min, it usually does every 60 s; the device still does");
    // Why is it abnormal, when all that it reports is normal?
    let (tenant, name) = (TenantName::new("acme").unwrap(), DeviceName::new("pump-1").unwrap());
    let why = watched.engine.device(tenant, name).unwrap().explain(&watched.scored.readings);
    assert!(why.summary.starts_with("housing has not reported for 2 h"), "{}", why.summary);
    let score = watched.send("pump-1", JUDGED + 120, &pump.row(JUDGED + 120));
    assert!(score < 1.0);
}

#[test]
fn a_device_that_stops_is_missed_when_something_else_arrives() {
    let (mut watched, mut pump) = a_pump_that_ran();
    for minute in JUDGED..JUDGED + 60 {
        watched.send("fan-1", minute, &[("rpm", 900.0 + noise(4, minute))]);
    }
    let told = watched.told_from(JUDGED);
    assert_eq!(told, [(JUDGED + 6, DetectorId::Silence, String::new())]);
    let (_, anomaly) = watched.told.last().unwrap();
    assert_eq!((anomaly.device.as_str(), anomaly.onset.millis()), ("pump-1", T0 + JUDGED * MINUTE));
    assert_eq!(anomaly.explanation.summary, "pump-1 has not reported anything for 7 min, it usually does every 60 s");
    // Back again: its metrics come one after the other and none is called silent.
    for (place, (name, value)) in pump.row(JUDGED + 60).into_iter().enumerate() {
        watched.send("pump-1", JUDGED + 60 + place as i64, &[(name, value)]);
    }
    assert_eq!(watched.told_from(JUDGED + 7), []);
}

#[test]
fn metrics_that_come_one_a_message_are_compared_with_each_other() {
    let mut watched = Watched::default();
    let fault = 6 * 1_440;
    for minute in 0..fault + 240 {
        let load = noise(5, minute / 45) * 10.0;
        let off = if minute >= fault { 3.0 } else { 0.0 };
        watched.send("press-1", 2 * minute, &[("pressure_bar", 90.0 + load + 0.2 * noise(6, minute))]);
        watched.send("press-1", 2 * minute + 1, &[("current", 12.0 + load + off + 0.2 * noise(7, minute))]);
    }
    let told = watched.told_from(2 * fault);
    assert!(told.first().is_some_and(|(at, ..)| *at < 2 * fault + 240), "{told:?}");
}

#[test]
fn an_alias_that_is_added_later_continues_the_series() {
    let (mut watched, mut pump) = a_pump_that_ran();
    let rule = MetricRule { aliases: vec!["housing".to_owned()], high: Some(500.0), ..MetricRule::default() };
    let mut profile = Profile::default();
    profile.metrics.insert("housing_temperature".to_owned(), rule);
    watched.profiles = ProfileSet::new(7, BTreeMap::from([("acme".to_owned(), profile)]));
    watched.send("pump-1", JUDGED, &pump.row(JUDGED));
    let (tenant, name) = (TenantName::new("acme").unwrap(), DeviceName::new("pump-1").unwrap());
    let device = watched.engine.device(tenant, name).unwrap();
    let names: Vec<&str> = device.all_series().iter().map(anomaly_core::Series::name).collect();
    assert_eq!(names, ["rpm", "power", "housing_temperature"]);
    assert_eq!(device.all_series()[2].settings().high, Some(500.0));
}

#[test]
fn a_state_is_ahead_with_as_many_rows_and_newer_ones() {
    let state = |minutes: &[i64]| {
        let mut watched = Watched::default();
        for minute in minutes {
            watched.send("pump-1", *minute, &[("temp", 60.0)]);
        }
        watched.engine
    };
    let is_ahead = |one: &Engine, other: &Engine| !one.ahead_of(other).is_empty();
    let (before, after) = (state(&[0, 1, 2]), state(&[0, 1, 2, 3]));
    assert!(is_ahead(&after, &before), "one row more");
    assert!(!is_ahead(&before, &after) && !is_ahead(&after, &after));
    assert!(is_ahead(&state(&[1, 2, 3]), &before), "as many rows, newer");
    assert!(!is_ahead(&state(&[90]), &before), "a reading that went astray");
    assert!(!is_ahead(&state(&[-9, -8, -7, -6, -5]), &before), "long ago");
    assert_eq!(after.ahead_of(&Engine::default()).len(), 0, "of what the other does not know nothing is said");
    assert_eq!(after.ahead_of(&before).into_iter().collect::<Vec<_>>(), [("acme", "pump-1")]);
}
