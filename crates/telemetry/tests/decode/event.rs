//! The Kinesis event and its answer.

use std::borrow::Cow;

use anomaly_core::Timestamp;
use proptest::prelude::*;
use telemetry::kinesis::{BatchResponse, EventError, KinesisEvent, RecordOut, Source, write_event};
use telemetry::poison::{PoisonReason, RECORD_BYTES_MAX};
use telemetry::sequence::SequenceNumber;

use crate::support::ARRIVED_MS;

const SOURCE: Source<'_> = Source {
    partition: "aws",
    region: "eu-west-1",
    account: "123456789012",
    stream: "millrace-telemetry",
    shard: "shardId-000000000006",
};

/// An event of one record whose `kinesis` object has `fields`.
fn event(fields: &str) -> String {
    format!(
        r#"{{"Records":[{{"kinesis":{{{fields}}},"eventID":"shardId-000000000006:7","more":[{{"x":1}}],
        "eventSourceARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/millrace-telemetry"}}]}}"#
    )
}

#[test]
fn a_record_is_borrowed_from_its_event() {
    let text = event(
        r#""kinesisSchemaVersion":"1.0","partitionKey":"d1","sequenceNumber":"7","data":"eyJ4IjoxfQ==",
        "approximateArrivalTimestamp":1793534400.0004"#,
    );
    let event = KinesisEvent::parse(text.as_bytes()).unwrap();
    let record = &event.records[0];
    assert!(matches!((&record.partition_key, &record.data), (Cow::Borrowed("d1"), Cow::Borrowed(_))));
    assert_eq!(record.arrived.millis(), ARRIVED_MS);
    assert_eq!(event.source().unwrap(), Some(SOURCE));
    let mut bytes = b"left over".to_vec();
    record.payload_bytes(&mut bytes).unwrap();
    assert_eq!(bytes, br#"{"x":1}"#);
}

#[test]
fn an_escaped_slash_in_the_data_is_a_slash() {
    let text =
        event(r#""partitionKey":"k","sequenceNumber":"7","data":"\/\/8=","approximateArrivalTimestamp":1793534400"#);
    let mut bytes = Vec::new();
    KinesisEvent::parse(text.as_bytes()).unwrap().records[0].payload_bytes(&mut bytes).unwrap();
    assert_eq!(bytes, [0xff, 0xff]);
}

#[test]
fn a_broken_envelope_is_poison_of_its_record() {
    let check = |fields: &str, reason| {
        let text = event(&format!(r#""sequenceNumber":"7",{fields}"#));
        let event = KinesisEvent::parse(text.as_bytes()).unwrap();
        let mut bytes = b"left over".to_vec();
        assert_eq!(event.records[0].payload_bytes(&mut bytes).unwrap_err().reason(), reason, "{fields}");
        assert!(bytes.is_empty());
    };
    let wrong = PoisonReason::WrongEncoding;
    check(r#""partitionKey":"k","data":"a*b=","approximateArrivalTimestamp":1793534400"#, wrong);
    check(r#""partitionKey":"k","approximateArrivalTimestamp":1793534400"#, wrong);
    check(r#""partitionKey":["k"],"data":"","approximateArrivalTimestamp":1793534400"#, wrong);
    check(r#""partitionKey":"k","data":{"a":{}},"approximateArrivalTimestamp":1793534400"#, wrong);
    check(r#""partitionKey":"k","data":"""#, PoisonReason::TimeImpossible);
    check(r#""partitionKey":"k","data":"","approximateArrivalTimestamp":17.5"#, PoisonReason::TimeImpossible);
    let large = "A".repeat((RECORD_BYTES_MAX / 3 + 2) * 4);
    let large = format!(r#""partitionKey":"k","data":"{large}","approximateArrivalTimestamp":1793534400"#);
    check(&large, PoisonReason::TooLarge);
}

#[test]
fn what_the_protocol_cannot_do_without_fails_the_event() {
    let error = |text: &str| KinesisEvent::parse(text.as_bytes()).unwrap_err();
    assert!(matches!(error("{}"), EventError::NotAnEvent(_)));
    assert!(matches!(error("[]"), EventError::NotAnEvent(_)));
    assert!(matches!(KinesisEvent::parse(b"\xff").unwrap_err(), EventError::NotUtf8(_)));
    for fields in ["", r#""sequenceNumber":7"#, r#""sequenceNumber":"x""#] {
        assert!(matches!(error(&event(fields)), EventError::Sequence { index: 0, .. }), "{fields}");
    }
    let many = format!(r#"{{"Records":[{}{{}}]}}"#, "{},".repeat(10_000));
    assert!(matches!(error(&many), EventError::TooManyRecords { records: 10_001 }));
}

#[test]
fn records_of_two_shards_are_refused() {
    let mut text = Vec::new();
    let record = RecordOut {
        sequence: SequenceNumber::ZERO,
        partition_key: "k",
        data: b"",
        arrived: Timestamp::from_millis(ARRIVED_MS).unwrap(),
    };
    write_event([record, record], &SOURCE, &mut text);
    let text = String::from_utf8(text).unwrap();
    let other = text.replacen("shardId-000000000006:0", "shardId-000000000007:0", 1);
    let event = KinesisEvent::parse_str(&other).unwrap();
    assert!(matches!(event.source(), Err(EventError::MixedOrigins { index: 1 })));
    let nowhere = text.replace("arn:aws:kinesis", "arn:aws:sqs");
    assert!(matches!(KinesisEvent::parse_str(&nowhere).unwrap().source(), Err(EventError::Origin { .. })));
    assert!(KinesisEvent::parse_str(r#"{"Records":[]}"#).unwrap().source().unwrap().is_none());
}

#[test]
fn the_written_event_has_the_shape_that_aws_sends() {
    let record = RecordOut {
        sequence: "49590338271490256608559692538361571095921575989136588898".parse().unwrap(),
        partition_key: "k\"1",
        data: b"Hello, this is a test.",
        arrived: Timestamp::from_millis(1_545_084_650_987).unwrap(),
    };
    let mut text = Vec::new();
    write_event([record], &SOURCE, &mut text);
    let expected = concat!(
        r#"{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"k\"1","#,
        r#""sequenceNumber":"49590338271490256608559692538361571095921575989136588898","#,
        r#""data":"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==","approximateArrivalTimestamp":1545084650.987},"#,
        r#""eventSource":"aws:kinesis","eventVersion":"1.0","#,
        r#""eventID":"shardId-000000000006:49590338271490256608559692538361571095921575989136588898","#,
        r#""eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/kinesis-scorer","#,
        r#""awsRegion":"eu-west-1","#,
        r#""eventSourceARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/millrace-telemetry"}]}"#,
    );
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn the_answer_has_the_shape_that_the_mapping_reads() {
    let json = |response: &BatchResponse| serde_json::to_string(response).unwrap();
    assert_eq!(json(&BatchResponse::success()), r#"{"batchItemFailures":[]}"#);
    let again = BatchResponse::again_from("0042".parse().unwrap());
    assert_eq!(json(&again), r#"{"batchItemFailures":[{"itemIdentifier":"42"}]}"#);
}

proptest! {
    #[test]
    fn an_event_reads_as_it_was_written(
        records in prop::collection::vec(
            ("[0-9]{1,56}", any::<String>(), prop::collection::vec(any::<u8>(), 0..60), 0..=6_942_585_600_000_i64),
            0..20,
        )
    ) {
        let records: Vec<_> = records
            .iter()
            .map(|(digits, key, data, after)| RecordOut {
                sequence: digits.parse().unwrap(),
                partition_key: key,
                data,
                arrived: Timestamp::from_millis(Timestamp::MIN.millis() + after).unwrap(),
            })
            .collect();
        let mut text = Vec::new();
        write_event(records.iter().copied(), &SOURCE, &mut text);
        let event = KinesisEvent::parse(&text).unwrap();
        prop_assert_eq!(event.source().unwrap(), (!records.is_empty()).then_some(SOURCE));
        prop_assert_eq!(event.records.len(), records.len());
        let mut bytes = Vec::new();
        for (read, written) in event.records.iter().zip(&records) {
            read.payload_bytes(&mut bytes).unwrap();
            prop_assert_eq!(bytes.as_slice(), written.data);
            prop_assert_eq!((read.sequence, read.arrived), (written.sequence, written.arrived));
            prop_assert_eq!(read.partition_key.as_ref(), written.partition_key);
        }
    }

    #[test]
    fn random_text_is_an_event_or_an_error(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _either = (KinesisEvent::parse_str(&text), KinesisEvent::parse(&bytes).is_ok());
    }
}
