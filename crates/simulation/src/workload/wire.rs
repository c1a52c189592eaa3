//! The binary forms that producers write: protobuf, KPL aggregates, Sparkplug B payloads.

use md5::{Digest as _, Md5};

/// Appends a varint (Protocol Buffers, "Encoding").
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(field: u64, value: u64, out: &mut Vec<u8>) {
    varint(field << 3, out);
    varint(value, out);
}

fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// A KPL aggregate of user records that share a partition key (awslabs/amazon-kinesis-producer, `aggregation-format.md`).
pub(super) fn aggregate(key: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    bytes(1, key.as_bytes(), &mut body);
    for data in records {
        let mut record = Vec::new();
        number(1, 0, &mut record);
        bytes(3, data, &mut record);
        bytes(3, &record, &mut body);
    }
    let mut whole = vec![0xf3, 0x89, 0x9a, 0xc2];
    whole.extend_from_slice(&body);
    whole.extend_from_slice(&Md5::digest(&body));
    whole
}

/// One metric of a Sparkplug payload: a double, by name (in a BIRTH) or by alias alone.
pub(super) struct SparkplugMetric<'m> {
    pub(super) name: Option<&'m str>,
    pub(super) alias: u64,
    pub(super) value: f64,
}

/// A Sparkplug B payload (`sparkplug_b.proto`): its time in milliseconds and its metrics.
pub(super) fn sparkplug(at_ms: i64, metrics: &[SparkplugMetric<'_>]) -> Vec<u8> {
    const DOUBLE: u64 = 10;
    let mut payload = Vec::new();
    number(1, u64::try_from(at_ms).unwrap_or(0), &mut payload);
    for metric in metrics {
        let mut written = Vec::new();
        if let Some(name) = metric.name {
            bytes(1, name.as_bytes(), &mut written);
        }
        number(2, metric.alias, &mut written);
        number(4, DOUBLE, &mut written);
        varint(13 << 3 | 1, &mut written);
        written.extend_from_slice(&metric.value.to_le_bytes());
        bytes(2, &written, &mut payload);
    }
    payload
}
