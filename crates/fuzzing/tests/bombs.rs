//! Inputs made by hand to blow up: deep, dense, or claiming to be huge. Each is refused in time and memory that fit a
//! Lambda; a reader that did not bound its work would overflow the stack, exhaust the memory or not end.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

use std::io::Write as _;

use anomaly_core::{TenantName, Timestamp};
use fuzzing::{kpl, snapshot};
use kinesis_scorer::state::{STATE_VERSION, ShardState};
use telemetry::bronze::{BronzeReader, LakeError};
use telemetry::kinesis::KinesisEvent;
use telemetry::payload::{Context, Decoder};
use telemetry::poison::RECORD_BYTES_MAX;
use telemetry::profile::parse_profile;
use telemetry::snapshot::SnapshotError;
use telemetry::sparkplug::Births;

const DEEP: usize = 100_000;
const GIB: u64 = 1 << 30;

/// The reasons of the poison that a record becomes.
fn reasons(partition_key: &str, bytes: &[u8]) -> Vec<String> {
    let context = Context {
        stream_tenant: None,
        default_tenant: TenantName::new("default").unwrap(),
        arrived: Timestamp::from_millis(1_793_534_400_000).unwrap(),
        partition_key,
    };
    let mut reasons = Vec::new();
    Decoder::new().decode(bytes, &context, &mut Births::default(), &mut |message| {
        reasons.push(message.result.map_or_else(|poison| poison.reason().to_string(), |_| "observed".to_owned()));
    });
    reasons
}

#[track_caller]
fn check(bytes: impl AsRef<[u8]>, expected: &str) {
    assert_eq!(reasons("d1", bytes.as_ref()), [expected]);
}

/// A gibibyte of zeros, packed.
fn zeros() -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let block = vec![0; 1 << 20];
    for _ in 0..GIB >> 20 {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn json_nested_a_hundred_thousand_deep_is_poison() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP));
        check(format!("{{\"device\":\"d1\",\"x\":{nested}}}"), "too_deep");
        check(format!("[{{\"n\":\"d1:x\",\"vs\":{nested}}}]"), "too_deep");
        check(open.repeat(DEEP), "too_deep");
        // An event has fields that nobody reads.
        let event = format!("{{\"Records\":[],\"more\":{nested}}}");
        assert!(KinesisEvent::parse(event.as_bytes()).is_ok_and(|event| event.records.is_empty()));
        assert!(KinesisEvent::parse(format!("{{\"Records\":{nested}}}").as_bytes()).is_err());
    }
}

#[test]
fn a_profile_nested_a_hundred_thousand_deep_is_refused() {
    assert!(parse_profile(&format!("a = {}{}", "[".repeat(DEEP), "]".repeat(DEEP))).is_err());
    assert!(parse_profile(&format!("a = {}", "{a=".repeat(DEEP))).is_err());
    assert!(parse_profile(&format!("[{}a]", "a.".repeat(DEEP))).is_err());
    assert!(parse_profile(&"[[a]]\n".repeat(DEEP)).is_err());
}

#[test]
fn a_gibibyte_of_zeros_is_not_unpacked() {
    let bomb = zeros();
    assert!(bomb.len() < RECORD_BYTES_MAX);
    check(&bomb, "wrong_encoding");
    assert!(matches!(BronzeReader::new(&bomb, 1 << 20), Err(LakeError::TooLarge { .. })));
    let claims = |unpacked| snapshot(&[0, 0, 0], unpacked, bomb.len() as u64, &bomb);
    let decode = |bytes: &[u8]| telemetry::snapshot::decode::<ShardState>(bytes, STATE_VERSION, 1 << 20);
    assert!(matches!(decode(&claims(GIB)), Err(SnapshotError::TooLarge { .. })));
    assert!(matches!(decode(&claims(64)), Err(SnapshotError::Unpack(_))));
    assert!(matches!(ShardState::from_snapshot(&claims(GIB + 1)), Err(SnapshotError::TooLarge { .. })));
}

#[test]
fn an_aggregate_that_claims_four_gibibytes_is_poison() {
    // Field 3, a record, of 2³² bytes; and one inside a record of 7.
    check(kpl(b"\x0a\x01a\x1a\x80\x80\x80\x80\x10abc"), "wrong_encoding");
    check(kpl(b"\x0a\x01a\x1a\x07\x1a\x80\x80\x80\x80\x10a"), "wrong_encoding");
}

#[test]
fn a_protobuf_length_that_overflows_is_poison() {
    // The largest length of 64 bits, and a varint that does not end.
    for length in [b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".as_slice(), &[0xff; 64]] {
        check(kpl(&[b"\x1a", length, b"abc"].concat()), "wrong_encoding");
        let reasons = reasons("spBv1.0/g/NDATA/n", &[b"\x12", length, b"abc"].concat());
        assert_eq!(reasons, ["wrong_encoding"]);
    }
}

#[test]
fn an_aggregate_of_many_empty_records_is_poison() {
    let records = b"\x1a\x04\x08\x00\x1a\x00".repeat(DEEP);
    check(kpl(&[b"\x0a\x01a".as_slice(), &records].concat()), "too_many_records");
}

#[test]
fn a_hundred_thousand_keys_are_poison_equal_or_not() {
    let object = |key: &dyn Fn(usize) -> String| {
        let keys: Vec<String> = (0..DEEP).map(key).collect();
        format!("{{{}}}", keys.join(","))
    };
    let equal = object(&|_| "\"a\":1".to_owned());
    let other = object(&|index| format!("\"{index:x}\":1"));
    assert_eq!(reasons("d1", equal.as_bytes()).len(), 1);
    assert_ne!(reasons("d1", equal.as_bytes()), ["observed"]);
    assert_ne!(reasons("d1", other.as_bytes()), ["observed"]);
    // The same in an event, where nobody reads them.
    let event = format!("{{\"Records\":[],\"more\":{equal}}}");
    assert!(KinesisEvent::parse(event.as_bytes()).is_ok());
    let lines: Vec<String> = (0..DEEP / 4).map(|index| format!("a{index} = 1")).collect();
    assert!(parse_profile(&lines.join("\n")).is_err());
    assert!(parse_profile(&"a = 1\n".repeat(DEEP)).is_err());
}

#[test]
fn a_snapshot_of_absurd_lengths_is_refused() {
    let decode = |bytes: &[u8]| ShardState::from_snapshot(bytes).map(|_| ());
    assert!(matches!(decode(&snapshot(&[0, 0, 0], u64::MAX, 3, b"abc")), Err(SnapshotError::TooLarge { .. })));
    assert!(matches!(decode(&snapshot(&[0, 0, 0], 3, u64::MAX, b"abc")), Err(SnapshotError::Truncated { .. })));
    assert!(matches!(decode(&snapshot(&[0; 5_000], 3, 3, b"abc")), Err(SnapshotError::HeaderTooLong { .. })));
    // A state of which every count is the largest that a varint holds.
    let state = zstd::bulk::compress(&[0xff; 64], 1).unwrap();
    let bytes = snapshot(&[0, 0, 0], 64, state.len() as u64, &state);
    assert!(matches!(decode(&bytes), Err(SnapshotError::Decode { .. })));
    let claims = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f".repeat(8);
    let state = zstd::bulk::compress(&claims, 1).unwrap();
    let bytes = snapshot(&[0, 0, 0], claims.len() as u64, state.len() as u64, &state);
    assert!(matches!(decode(&bytes), Err(SnapshotError::Decode { .. })));
}
