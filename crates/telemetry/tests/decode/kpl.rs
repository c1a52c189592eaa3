//! KPL aggregates.

use prost::Message as _;

use crate::support::{AggregatedRecord, Record, Rim, aggregate, check, sealed};

#[test]
fn each_user_record_is_a_message_of_its_own() {
    let bytes = aggregate(&[
        ("a", br#"{"device":"d1","x":1}"#.to_vec()),
        ("tenants/acme/devices/d2/telemetry", br#"{"x":2}"#.to_vec()),
        ("c", b"broken".to_vec()),
        ("d", br#"[{"n":"d4:x","v":4}]"#.to_vec()),
    ]);
    let (_, messages) = Rim::default().decode("outer", &bytes);
    let texts: Vec<String> = messages
        .iter()
        .map(|(sub, key, result)| match result {
            Ok(lines) => format!("{sub} {key} {}", lines.join("; ")),
            Err(poison) => format!("{sub} {key} {}", poison.reason()),
        })
        .collect();
    assert_eq!(
        texts,
        [
            "0 a default/d1@0 x=1",
            "1 tenants/acme/devices/d2/telemetry acme/d2@0 x=2",
            "2 c not_json",
            "3 d default/d4@0 x=4"
        ]
    );
}

#[test]
fn an_aggregate_that_does_not_fit_its_checksum_is_refused_whole() {
    let mut bytes = aggregate(&[("a", br#"{"device":"d1","x":1}"#.to_vec())]);
    bytes[9] ^= 1;
    check(&bytes, &["poison: bad_checksum"]);
}

#[test]
fn an_aggregate_is_not_opened_inside_an_aggregate() {
    let inner = aggregate(&[("a", br#"{"device":"d1","x":1}"#.to_vec())]);
    let (_, messages) = Rim::default().decode("outer", &aggregate(&[("a", inner)]));
    assert_eq!(messages[0].2.as_ref().unwrap_err().reason().as_str(), "wrong_encoding");
}

#[test]
fn broken_aggregates_are_refused_whole() {
    let record = Record { partition_key_index: 1, data: b"{}".to_vec(), ..Record::default() };
    let without_key = AggregatedRecord {
        partition_key_table: vec!["a".to_owned()],
        records: vec![record],
        ..AggregatedRecord::default()
    };
    for protobuf in [without_key.encode_to_vec(), Vec::new(), b"\x1a\x7f".to_vec(), b"\x1a\x00".to_vec()] {
        check(sealed(&protobuf), &["poison: wrong_encoding"]);
    }
    check([0xf3, 0x89, 0x9a, 0xc2, 1, 2, 3], &["poison: wrong_encoding"]);
}
