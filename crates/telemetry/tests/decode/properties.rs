//! Laws of decoding.

use proptest::prelude::*;
use serde_json::value::RawValue;
use telemetry::payload::RawForm;
use telemetry::poison::PoisonReason;

use crate::poison::samples;
use crate::support::{ARRIVED_MS, Metric, Rim, Value, aggregate, born, changed, sparkplug, wrapped};

/// Records of every form, good and bad, small enough to be changed byte by byte.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let birth = sparkplug(vec![
        born("Temperature", 1, 10, Value::Double(71.5)),
        born("Serial", 2, 12, Value::Text("x".into())),
    ]);
    let data = sparkplug(vec![changed(1, Value::Double(72.5))]);
    let json =
        br#"{"topic":"tenants/acme/devices/d1/telemetry","ts":1793534401,"a":1.5,"b":{"c":[1,"x\n"]},"\u0064":2}"#;
    let pack = br#"[{"bn":"d1:","bt":1793534400,"n":"a","v":1},{"n":"b","t":1,"v":2},{"bn":"d2/","n":"a","v":3}]"#;
    let mut records: Vec<(String, Vec<u8>)> = vec![
        ("d1".into(), json.to_vec()),
        ("d1".into(), pack.to_vec()),
        ("k".into(), wrapped("spBv1.0/g/NBIRTH/n", &birth).into_bytes()),
        ("spBv1.0/g/NBIRTH/n".into(), birth),
        ("spBv1.0/g/NDATA/n".into(), data.clone()),
        ("spBv1.0/g/NDEATH/n".into(), sparkplug(Vec::new())),
        ("k".into(), aggregate(&[("d1", json.to_vec()), ("d1", pack.to_vec()), ("spBv1.0/g/NDATA/n", data)])),
    ];
    records.extend(
        PoisonReason::ALL.iter().flat_map(|reason| samples(*reason)).flatten().filter(|(_, b)| b.len() < 500).take(60),
    );
    records
}

fn any_record() -> impl Strategy<Value = (String, Vec<u8>)> {
    let records = corpus();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (any::<prop::sample::Index>(), changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        move |(which, changes, cut, whole)| {
            let (key, mut bytes) = which.get(&records).clone();
            if !bytes.is_empty() {
                for (at, byte) in changes {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                bytes.truncate(if whole { bytes.len() } else { cut.index(bytes.len()) });
            }
            (key, bytes)
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_give_exactly_one_outcome(bytes in prop::collection::vec(any::<u8>(), 0..200), sparkplug: bool) {
        let key = if sparkplug { "spBv1.0/g/NBIRTH/n" } else { "d1" };
        prop_assert_eq!(Rim::default().decode(key, &bytes).1.len(), 1);
    }

    #[test]
    fn any_text_that_looks_like_json_gives_exactly_one_outcome(text in r#"[\[{]("(device|n|v|t|x|topic)"|[0-9eE.+-]{1,5}|[\[\]{},: ]|true|null){0,30}[\]}]?"#) {
        prop_assert_eq!(Rim::default().decode("d1", text.as_bytes()).1.len(), 1);
    }

    #[test]
    fn a_changed_record_gives_an_outcome_a_message((key, bytes) in any_record()) {
        let (_, messages) = Rim::default().decode(&key, &bytes);
        let subs: Vec<u32> = messages.iter().map(|(sub, _, _)| *sub).collect();
        prop_assert!(!subs.is_empty());
        prop_assert_eq!(subs, (0..messages.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_decoded_before_makes_no_difference(before in prop::collection::vec(any_record(), 0..6), (key, bytes) in any_record()) {
        let mut used = Rim::default();
        for (key, bytes) in &before {
            used.decode(key, bytes);
        }
        let mut fresh = Rim { births: used.births.clone(), ..Rim::default() };
        prop_assert_eq!(used.decode(&key, &bytes), fresh.decode(&key, &bytes));
        prop_assert_eq!(used.births, fresh.births);
    }

    #[test]
    fn births_come_back_from_storage_as_they_were(before in prop::collection::vec(any_record(), 0..6)) {
        let mut rim = Rim::default();
        for (key, bytes) in &before {
            rim.decode(key, bytes);
        }
        let stored = serde_json::to_string(&rim.births).unwrap();
        prop_assert_eq!(serde_json::from_str::<telemetry::sparkplug::Births>(&stored).unwrap(), rim.births);
    }

    #[test]
    fn what_may_stand_verbatim_is_found_again_in_its_line((key, bytes) in any_record()) {
        let (form, _) = Rim::default().decode(&key, &bytes);
        if form == RawForm::Json {
            let line = [br#"{"data":"#, bytes.as_slice(), b"}"].concat();
            prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
            let read: std::collections::BTreeMap<String, &RawValue> = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(read["data"].get().as_bytes(), bytes.as_slice());
        }
    }

    #[test]
    fn a_json_number_is_the_double_it_was_written_from(value in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
        let text = format!(r#"{{"device":"d1","x":{}}}"#, serde_json::to_string(&value).unwrap());
        Rim::default().check("d1", text, &[&format!("default/d1@0 x={}", value + 0.0)]);
    }

    #[test]
    fn sparkplug_values_are_read_as_prost_wrote_them(
        values in prop::collection::btree_map("[a-z]{1,8}", (-1e300..1e300_f64, any::<u64>(), 0..3_i64), 1..20)
    ) {
        let metrics = values.iter().map(|(name, (value, alias, after))| Metric {
            name: Some(name.clone()),
            alias: Some(*alias),
            timestamp: Some((ARRIVED_MS + after) as u64),
            value: Some(Value::Double(*value)),
            ..Metric::default()
        });
        let bytes = sparkplug(metrics.collect());
        let mut expected = Vec::new();
        for time in 0..3 {
            let of_time: Vec<_> = values.iter().filter(|(_, (_, _, after))| *after == time).collect();
            if !of_time.is_empty() {
                let readings: Vec<_> = of_time.iter().map(|(name, (value, ..))| format!("{name}={}", value + 0.0)).collect();
                expected.push(format!("default/g:n@{time} {}", readings.join(" ")));
            }
        }
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        Rim::default().check("spBv1.0/g/NDATA/n", bytes, &expected);
    }

    #[test]
    fn aggregating_records_changes_none_of_them(records in prop::collection::vec(any_record(), 1..6)) {
        // An aggregate inside an aggregate is refused; one record that is none is always there.
        let is_none = |(_, bytes): &(String, Vec<u8>)| !bytes.starts_with(&[0xf3, 0x89, 0x9a, 0xc2]);
        let last = ("d1".to_owned(), br#"{"device":"d1","x":1}"#.to_vec());
        let records: Vec<_> = records.into_iter().filter(is_none).chain([last]).collect();
        let alone = |rim: &mut Rim| -> Vec<_> {
            records.iter().flat_map(|(key, bytes)| rim.decode(key, bytes).1).map(|(_, key, result)| (key, result)).collect()
        };
        let together: Vec<(&str, Vec<u8>)> = records.iter().map(|(key, bytes)| (key.as_str(), bytes.clone())).collect();
        let (_, messages) = Rim::default().decode("outer", &aggregate(&together));
        let opened: Vec<_> = messages.into_iter().map(|(_, key, result)| (key, result)).collect();
        prop_assert_eq!(opened, alone(&mut Rim::default()));
    }
}
