//! One table: what makes a record poison, by reason.

use std::collections::BTreeSet;

use telemetry::poison::{
    DEPTH_MAX, DETAIL_BYTES_MAX, KPL_RECORDS_MAX, PoisonReason, RECORD_BYTES_MAX, SENML_RECORDS_MAX,
};

use crate::support::{Rim, Value, aggregate, born, changed, sparkplug};

/// Records with their partition keys, of which the last is poison of `reason`, on a stream of the tenant `acme`.
pub(crate) fn samples(reason: PoisonReason) -> Vec<Vec<(String, Vec<u8>)>> {
    let json = |text: &str| vec![("d1".to_owned(), text.as_bytes().to_vec())];
    let bytes = |bytes: &[u8]| vec![("d1".to_owned(), bytes.to_vec())];
    let keyed = |key: &str, bytes: Vec<u8>| vec![(key.to_owned(), bytes)];
    match reason {
        PoisonReason::NotUtf8 => vec![bytes(b"{\"device\":\"d1\",\"x\":1,\"note\":\"\xff\"}"), bytes(b"\xc3(")],
        PoisonReason::NotJson => {
            vec![json("temperature=20"), json(r#"{"device":"d1","x":1"#), json(r#"{"device":"d1","x":NaN}"#), json("")]
        }
        PoisonReason::TooDeep => vec![
            json(&format!(r#"{{"device":"d1","x":1,"deep":{}{}}}"#, "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX))),
            json(&"[".repeat(DEPTH_MAX + 1)),
        ],
        PoisonReason::TooLarge => vec![bytes(&vec![b' '; RECORD_BYTES_MAX + 1])],
        PoisonReason::NoDevice => vec![json(r#"{"temperature":20}"#), json(r#"[{"n":"temperature","v":20}]"#)],
        PoisonReason::UnknownShape => {
            vec![
                json(r#"{"device":"d1","state":"on"}"#),
                json("17"),
                json(r#"{"device":"d1","sensorType":5,"value":1}"#),
            ]
        }
        PoisonReason::BadName => vec![
            json(r#"{"device":"line/3#1","x":1}"#),
            json(r#"{"device":"d1","a#b":1}"#),
            json(r#"{"topic":"tenants/acme/devices//telemetry","x":1}"#),
        ],
        PoisonReason::NotFinite => vec![
            json(r#"{"device":"d1","x":"NaN"}"#),
            json(r#"{"device":"d1","x":1e999}"#),
            json(r#"{"device":"d1","sensorType":"x","value":"-Infinity"}"#),
        ],
        PoisonReason::TimeImpossible => {
            vec![json(r#"{"device":"d1","x":1,"ts":12}"#), json(r#"{"device":"d1","x":1,"time":"yesterday"}"#)]
        }
        PoisonReason::TooManyMetrics => {
            let object = |keys: usize, value: &str| {
                (0..keys).fold(r#"{"device":"d1""#.to_owned(), |text, n| text + &format!(r#","m{n}":{value}"#)) + "}"
            };
            vec![json(&object(65, "1")), json(&object(256, "true"))]
        }
        PoisonReason::OtherTenant => vec![
            json(r#"{"device":"d1","x":1,"tenant":"rival"}"#),
            json(r#"{"topic":"tenants/rival/devices/d1/telemetry","x":1}"#),
            json(r#"{"device":"d1","x":1,"tenantId":7}"#),
        ],
        PoisonReason::OtherDevice => vec![
            json(r#"{"topic":"tenants/acme/devices/d1/telemetry","deviceId":"d2","x":1}"#),
            json(r#"{"deviceId":"d1","device_id":"d2","x":1}"#),
        ],
        PoisonReason::BadChecksum => {
            let mut sealed = aggregate(&[("d1", br#"{"device":"d1","x":1}"#.to_vec())]);
            *sealed.last_mut().unwrap() ^= 1;
            vec![bytes(&sealed)]
        }
        PoisonReason::WrongEncoding => vec![
            bytes(b"\x1f\x8b\x08\x00"),
            bytes(b"\x28\xb5\x2f\xfd\x00"),
            bytes(b"\xff\xfe{\0"),
            bytes(b"{\0\"\0"),
            bytes(b"\xef\xbb\xbf{}"),
            keyed("spBv1.0/plant/NDATA/line-3", b"text".to_vec()),
        ],
        PoisonReason::DuplicateKey => {
            vec![json(r#"{"device":"d1","x":1,"x":2}"#), json(r#"{"device":"d1","x":1,"sensorType":"x","value":2}"#)]
        }
        PoisonReason::TooManyRecords => vec![
            json(&format!("[{}{{}}]", "{},".repeat(SENML_RECORDS_MAX))),
            bytes(&aggregate(&vec![("d1", Vec::new()); KPL_RECORDS_MAX + 1])),
        ],
        PoisonReason::UnknownAlias => {
            let data = sparkplug(vec![changed(7, Value::Double(1.0))]);
            vec![keyed("spBv1.0/plant/NDATA/line-3", data)]
        }
        PoisonReason::TooManyDevices => {
            let birth = sparkplug(vec![born("x", 1, 10, Value::Double(1.0))]);
            vec![(0..=1024).map(|node| (format!("spBv1.0/plant/NBIRTH/line-{node}"), birth.clone())).collect()]
        }
    }
}

#[track_caller]
fn check(reason: PoisonReason) {
    for records in samples(reason) {
        let mut rim = Rim { stream_tenant: Some("acme"), ..Rim::default() };
        let mut results: Vec<_> = records.iter().flat_map(|(key, bytes)| rim.decode(key, bytes).1).collect();
        let (_, _, last) = results.pop().unwrap();
        let poison = last.unwrap_err();
        let start: String = String::from_utf8_lossy(&records.last().unwrap().1).chars().take(60).collect();
        assert_eq!(poison.reason(), reason, "{poison} for {start}");
        assert!((1..=DETAIL_BYTES_MAX).contains(&poison.detail().len()), "{poison}");
        assert!(!poison.detail().chars().any(char::is_control), "{poison}");
        assert!(results.iter().all(|(_, _, result)| result.is_ok()), "only the last is poison");
    }
}

macro_rules! each_reason {
    ($($test:ident: $reason:ident,)*) => {
        $(#[test]
        fn $test() {
            check(PoisonReason::$reason);
        })*

        #[test]
        fn every_reason_has_a_test() {
            let tested = BTreeSet::from([$(PoisonReason::$reason),*]);
            assert_eq!(tested, PoisonReason::ALL.iter().copied().collect());
        }
    };
}

each_reason! {
    text_that_is_not_utf8_is_poison: NotUtf8,
    text_that_is_not_json_is_poison: NotJson,
    deep_nesting_is_poison: TooDeep,
    a_large_record_is_poison: TooLarge,
    a_record_without_a_device_is_poison: NoDevice,
    a_record_without_a_number_is_poison: UnknownShape,
    a_name_that_is_not_safe_is_poison: BadName,
    a_value_that_is_not_finite_is_poison: NotFinite,
    a_time_that_cannot_be_is_poison: TimeImpossible,
    too_many_metrics_are_poison: TooManyMetrics,
    another_tenants_name_is_poison: OtherTenant,
    another_devices_name_is_poison: OtherDevice,
    a_wrong_checksum_is_poison: BadChecksum,
    a_foreign_encoding_is_poison: WrongEncoding,
    a_key_twice_is_poison: DuplicateKey,
    too_many_records_in_one_are_poison: TooManyRecords,
    an_alias_without_a_birth_is_poison: UnknownAlias,
    too_many_births_are_poison: TooManyDevices,
}

#[test]
fn bounds_are_the_last_that_pass() {
    let deepest =
        format!(r#"{{"device":"d1","x":1,"deep":{}{}}}"#, "[".repeat(DEPTH_MAX - 1), "]".repeat(DEPTH_MAX - 1));
    Rim::default().check("d1", deepest, &["default/d1@0 x=1"]);
    let most = (0..64).fold(r#"{"device":"d1""#.to_owned(), |text, n| text + &format!(r#","m{n}":1"#)) + "}";
    assert!(Rim::default().decode("d1", most.as_bytes()).1[0].2.is_ok());
    let largest = format!(r#"{{"device":"d1","x":1{}}}"#, " ".repeat(RECORD_BYTES_MAX - 21));
    assert_eq!(largest.len(), RECORD_BYTES_MAX);
    Rim::default().check("d1", largest, &["default/d1@0 x=1"]);
}

#[test]
fn a_megabyte_of_nesting_is_refused_at_its_start() {
    for level in ["[", r#"{"a":"#, r#"[{"a":"#] {
        let bomb = level.repeat(RECORD_BYTES_MAX / level.len());
        Rim::default().check("d1", bomb, &["poison: too_deep"]);
    }
    let inside = format!(r#"{{"device":"d1","x":1,"deep":{}"#, "[".repeat(RECORD_BYTES_MAX - 40));
    Rim::default().check("d1", inside, &["poison: too_deep"]);
}
