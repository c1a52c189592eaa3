//! The plant's messages in the other forms that are accepted: SenML, Sparkplug B, and KPL aggregates.

use md5::{Digest as _, Md5};

use crate::plant::{METRICS, Plant};

/// Message `count` as a SenML pack (RFC 8428).
pub(crate) fn senml(plant: &Plant, count: u64) -> Vec<u8> {
    let at = plant.at(count).millis() / 1_000;
    let values = plant.values(count);
    let record = |index: usize| {
        let ((name, places), value) = (METRICS[index], values[index]);
        let base = if index == 0 { format!(r#""bn":"{}:","bt":{at},"#, plant.device(count)) } else { String::new() };
        format!(r#"{{{base}"n":"{name}","v":{value:.*}}}"#, places as usize)
    };
    let records: Vec<String> = (0..METRICS.len()).map(record).collect();
    format!("[{}]", records.join(",")).into_bytes()
}

/// The topic of a Sparkplug message of `kind` that the device of message `count` sends: the partition key of raw payloads.
pub(crate) fn sparkplug_topic(plant: &Plant, count: u64, kind: &str) -> String {
    format!("spBv1.0/hall/{kind}/node/{}", plant.device(count))
}

/// Message `count` as a Sparkplug B payload (`sparkplug_b.proto`): a BIRTH with names, or DATA by aliases alone.
pub(crate) fn sparkplug(plant: &Plant, count: u64, is_birth: bool) -> Vec<u8> {
    const DOUBLE: u64 = 10;
    let mut payload = Vec::new();
    number(1, plant.at(count).millis().unsigned_abs(), &mut payload);
    for ((alias, (name, _)), value) in (1..).zip(METRICS).zip(plant.values(count)) {
        let mut metric = Vec::new();
        if is_birth {
            bytes(1, name.as_bytes(), &mut metric);
        }
        number(2, alias, &mut metric);
        number(4, DOUBLE, &mut metric);
        varint(13 << 3 | 1, &mut metric);
        metric.extend_from_slice(&value.to_le_bytes());
        bytes(2, &metric, &mut payload);
    }
    payload
}

/// The messages `counts` in one KPL aggregate (awslabs/amazon-kinesis-producer, `aggregation-format.md`).
pub(crate) fn aggregate(plant: &Plant, counts: std::ops::Range<u64>) -> Vec<u8> {
    let mut body = Vec::new();
    for count in counts.clone() {
        bytes(1, plant.device(count).as_bytes(), &mut body);
    }
    for (key, count) in (0..).zip(counts) {
        let mut record = Vec::new();
        number(1, key, &mut record);
        bytes(3, plant.message(count).as_bytes(), &mut record);
        bytes(3, &record, &mut body);
    }
    let mut whole = vec![0xf3, 0x89, 0x9a, 0xc2];
    whole.extend_from_slice(&body);
    whole.extend_from_slice(&Md5::digest(&body));
    whole
}

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
