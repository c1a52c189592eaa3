//! Payloads parse back to the emission they were written from, unless they are poison, and then they do not.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "the lints spare test functions, and the helpers here belong to them"
)]

use std::collections::HashMap;

use serde_json::Value;
use simulator::{Emission, PayloadFormat, Plant, PlantConfig, PoisonKind};

const FORMATS: [PayloadFormat; 3] = [PayloadFormat::Topic, PayloadFormat::DeviceId, PayloadFormat::Single];

fn plant(poison_per_million: u32) -> Plant {
    let config = PlantConfig { devices: 20, duration_ms: 6 * 3_600_000, poison_per_million, ..PlantConfig::default() };
    Plant::new(config).expect("a valid configuration")
}

fn poisoned(kind: PoisonKind) -> Emission {
    plant(200_000).find(|emission| emission.poison == Some(kind)).expect("every kind occurs")
}

fn text(emission: &Emission, format: PayloadFormat) -> String {
    let mut out = b"left over".to_vec();
    emission.payload(format, "demo", &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_payload_holds_exactly_the_values_of_its_emission() {
    let mut out = Vec::new();
    for emission in plant(0).take(2_000) {
        emission.payload(PayloadFormat::Topic, "acme", &mut out);
        let topic: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(topic["topic"], format!("tenants/acme/devices/{}/telemetry", emission.device_name));
        emission.payload(PayloadFormat::DeviceId, "acme", &mut out);
        let device: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(device["device_id"], emission.device_name);
        assert_eq!((&topic["ts"], &device["ts"]), (&emission.at_ms.into(), &emission.at_ms.into()));
        for (metric, value) in &emission.values {
            assert_eq!(topic[metric].as_f64(), Some(*value));
            let short = if *metric == "temperature" { "temp" } else { metric };
            assert_eq!(device[short].as_f64(), Some(*value));
        }
        assert_eq!(topic.as_object().unwrap().len(), 2 + emission.values.len());
    }
}

#[test]
fn the_single_format_is_one_payload_a_metric() {
    let mut scratch = Vec::new();
    for emission in plant(0).take(200) {
        let mut found = Vec::new();
        emission.for_each_payload(PayloadFormat::Single, "demo", &mut scratch, |payload| {
            let parsed: Value = serde_json::from_slice(payload).unwrap();
            assert_eq!(parsed["deviceId"], emission.device_name);
            assert_eq!(parsed["timestamp"], emission.at_ms);
            found.push((parsed["sensorType"].as_str().unwrap().to_owned(), parsed["value"].as_f64().unwrap()));
        });
        assert_eq!(found.len(), emission.payload_count(PayloadFormat::Single));
        assert!(found.iter().map(|(name, value)| (name.as_str(), *value)).eq(emission.values.iter().copied()));
        assert_eq!(text(&emission, PayloadFormat::Single).lines().count(), found.len());
    }
}

#[test]
fn poison_is_counted_exactly_and_comes_at_its_rate_in_every_kind() {
    let mut plant = plant(100_000);
    let mut kinds: HashMap<PoisonKind, u64> = HashMap::new();
    let mut emissions = 0_u64;
    for emission in plant.by_ref() {
        emissions += 1;
        if let Some(kind) = emission.poison {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    let counted: u64 = kinds.values().sum();
    assert_eq!(plant.poison_emitted(), counted);
    assert!((emissions * 9 / 100..=emissions * 11 / 100).contains(&counted), "{counted} of {emissions}");
    for kind in PoisonKind::ALL {
        assert!(kinds[&kind] > counted / 12, "{kind:?}: {} of {counted}", kinds[&kind]);
    }
}

#[test]
fn poison_changes_no_value() {
    for (clean, poisoned) in plant(0).zip(plant(500_000)) {
        assert_eq!(clean, Emission { poison: None, ..poisoned });
    }
}

#[test]
fn each_kind_of_poison_is_wrong_in_its_own_way() {
    for format in FORMATS {
        let mut bytes = Vec::new();
        poisoned(PoisonKind::NotUtf8).payload(format, "demo", &mut bytes);
        assert!(String::from_utf8(bytes).is_err());

        let error = |kind| serde_json::from_str::<Value>(&text(&poisoned(kind), format)).unwrap_err().to_string();
        assert!(error(PoisonKind::NotJson).contains("EOF"), "{}", error(PoisonKind::NotJson));
        assert!(error(PoisonKind::TooDeep).contains("recursion limit"));
        assert!(error(PoisonKind::NotFinite).contains("out of range"));

        let parsed = |kind| serde_json::from_str::<Value>(&text(&poisoned(kind), format)).unwrap();
        let lost = parsed(PoisonKind::MissingDevice);
        assert!(["topic", "device_id", "deviceId"].iter().all(|key| lost.get(key).is_none()));
        assert!(text(&poisoned(PoisonKind::NameTooLong), format).contains(&"x".repeat(400)));
        let time = parsed(PoisonKind::ImpossibleTime);
        assert_eq!(time.get("ts").or(time.get("timestamp")), Some(&999_999_999_999_999_999_i64.into()));
        let other = parsed(PoisonKind::OtherTenant);
        assert!(other.to_string().contains("demo-other"), "{other}");
    }
}

#[test]
fn no_payload_contains_a_line_feed() {
    let mut scratch = Vec::new();
    for emission in plant(500_000) {
        for format in FORMATS {
            emission.for_each_payload(format, "demo", &mut scratch, |payload| assert!(!payload.contains(&b'\n')));
        }
    }
}
