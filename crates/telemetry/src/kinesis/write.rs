//! Writes the event that Lambda would hand over.
//!
//! For the in-process stream, the fixtures and the benchmarks; AWS writes the real one.

use std::io::{self, Write};

use anomaly_core::Timestamp;
use base64_simd::STANDARD;

use super::Source;
use crate::sequence::SequenceNumber;

/// One record to write.
#[derive(Debug, Clone, Copy)]
pub struct RecordOut<'r> {
    /// Its position in the shard.
    pub sequence: SequenceNumber,
    /// What decided its shard.
    pub partition_key: &'r str,
    /// The payload, not encoded.
    pub data: &'r [u8],
    /// When the stream took it.
    pub arrived: Timestamp,
}

/// Appends the event with `records` of one shard to `event`. [`super::KinesisEvent::parse`] gives the same back.
pub fn write_event<'r>(records: impl IntoIterator<Item = RecordOut<'r>>, source: &Source<'_>, event: &mut Vec<u8>) {
    event.extend_from_slice(br#"{"Records":["#);
    for (index, record) in records.into_iter().enumerate() {
        if index > 0 {
            event.push(b',');
        }
        let written = write_record(&record, source, event);
        debug_assert!(written.is_ok(), "a vector takes every byte");
    }
    event.extend_from_slice(b"]}");
}

fn write_record(record: &RecordOut<'_>, source: &Source<'_>, event: &mut Vec<u8>) -> io::Result<()> {
    let Source { partition, region, account, stream, shard } = source;
    let sequence = record.sequence.trimmed();
    event.extend_from_slice(br#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"#);
    serde_json::to_writer(&mut *event, record.partition_key)?;
    write!(event, r#","sequenceNumber":"{sequence}","data":""#)?;
    STANDARD.encode_append(record.data, event);
    write!(event, r#"","approximateArrivalTimestamp":{:?}}},"#, record.arrived.millis() as f64 / 1000.0)?;
    write!(event, r#""eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"{shard}:{sequence}","#)?;
    write!(event, r#""eventName":"aws:kinesis:record","#)?;
    write!(event, r#""invokeIdentityArn":"arn:{partition}:iam::{account}:role/kinesis-scorer","#)?;
    write!(event, r#""awsRegion":"{region}","#)?;
    write!(event, r#""eventSourceARN":"arn:{partition}:kinesis:{region}:{account}:stream/{stream}"}}"#)
}
