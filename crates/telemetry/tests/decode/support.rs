//! How the tests decode and what they write: observations as lines of text, Sparkplug B and KPL by prost.

use std::fmt::Write as _;

use anomaly_core::{Observation, Quality, TenantName, Timestamp};
use md5::{Digest, Md5};
use prost::Message as _;
use telemetry::payload::{Context, Decoder, RawForm};
use telemetry::poison::Poison;
use telemetry::sparkplug::Births;

/// 2026-11-01T12:00:00Z, when every record of these tests arrives.
pub(crate) const ARRIVED_MS: i64 = 1_793_534_400_000;

/// A decoder, what it knows of births, and where records arrive.
#[derive(Default)]
pub(crate) struct Rim {
    pub(crate) decoder: Decoder,
    pub(crate) births: Births,
    pub(crate) stream_tenant: Option<&'static str>,
}

pub(crate) type Decoded = Vec<(u32, String, Result<Vec<String>, Poison>)>;

impl Rim {
    pub(crate) fn decode(&mut self, partition_key: &str, bytes: &[u8]) -> (RawForm, Decoded) {
        let context = Context {
            stream_tenant: self.stream_tenant.map(|name| TenantName::new(name).unwrap()),
            default_tenant: TenantName::new("default").unwrap(),
            arrived: Timestamp::from_millis(ARRIVED_MS).unwrap(),
            partition_key,
        };
        let mut messages = Vec::new();
        let form = self.decoder.decode(bytes, &context, &mut self.births, &mut |message| {
            let result = message.result.map(|observations| observations.iter().map(line).collect());
            messages.push((message.sub, message.partition_key.to_owned(), result));
        });
        (form, messages)
    }

    /// Asserts what one message becomes: lines of observations, or `poison: reason`.
    #[track_caller]
    pub(crate) fn check(&mut self, partition_key: &str, bytes: impl AsRef<[u8]>, expected: &[&str]) {
        let (_, messages) = self.decode(partition_key, bytes.as_ref());
        let [(0, key, result)] = messages.as_slice() else { panic!("not one message: {messages:?}") };
        assert_eq!(key, partition_key);
        match result {
            Ok(lines) => assert_eq!(lines, expected),
            Err(poison) => assert_eq!([format!("poison: {}", poison.reason())], expected, "{poison}"),
        }
    }
}

/// Asserts what a record of a device's own partition key becomes.
#[track_caller]
pub(crate) fn check(bytes: impl AsRef<[u8]>, expected: &[&str]) {
    Rim::default().check("d1", bytes, expected);
}

/// `tenant/device@milliseconds after arrival metric=value …`
fn line(observation: &Observation<'_>) -> String {
    let Observation { tenant, device, at, readings, .. } = observation;
    let mut line = format!("{tenant}/{device}@{}", at.millis() - ARRIVED_MS);
    for reading in *readings {
        let mark = match reading.quality {
            Quality::Good => "",
            Quality::Uncertain => "?",
            Quality::Bad => "!",
        };
        write!(line, " {}={}{mark}", reading.metric, reading.value.get()).unwrap();
    }
    line
}

/// `sparkplug_b.proto`, as far as the tests write it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Payload {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) seq: Option<u64>,
    #[prost(string, optional, tag = "4")]
    pub(crate) uuid: Option<String>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(crate) body: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(crate) datatype: Option<u32>,
    #[prost(bool, optional, tag = "7")]
    pub(crate) is_null: Option<bool>,
    #[prost(message, optional, tag = "9")]
    pub(crate) properties: Option<PropertySet>,
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14, 15, 16")]
    pub(crate) value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Value {
    #[prost(uint32, tag = "10")]
    Int(u32),
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
    #[prost(string, tag = "15")]
    Text(String),
    #[prost(bytes, tag = "16")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PropertySet {
    #[prost(string, repeated, tag = "1")]
    pub(crate) keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) values: Vec<PropertyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PropertyValue {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) datatype: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) int_value: Option<u32>,
}

/// A metric of a BIRTH.
pub(crate) fn born(name: &str, alias: u64, datatype: u32, value: Value) -> Metric {
    Metric {
        name: Some(name.to_owned()),
        alias: Some(alias),
        datatype: Some(datatype),
        value: Some(value),
        ..Metric::default()
    }
}

/// A metric of DATA: alias and value alone.
pub(crate) fn changed(alias: u64, value: Value) -> Metric {
    Metric { alias: Some(alias), value: Some(value), ..Metric::default() }
}

pub(crate) fn sparkplug(metrics: Vec<Metric>) -> Vec<u8> {
    Payload { timestamp: Some(ARRIVED_MS as u64), metrics, seq: Some(1), ..Payload::default() }.encode_to_vec()
}

/// How the broker's rule forwards a binary payload.
pub(crate) fn wrapped(topic: &str, payload: &[u8]) -> String {
    let data = base64_simd::STANDARD.encode_to_string(payload);
    format!(r#"{{"topic":"{topic}","ts":{ARRIVED_MS},"data":"{data}"}}"#)
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    pub(crate) partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) records: Vec<Record>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Record {
    #[prost(uint64, required, tag = "1")]
    pub(crate) partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", required, tag = "3")]
    pub(crate) data: Vec<u8>,
}

/// Seals an aggregate: magic, protobuf, MD5.
pub(crate) fn sealed(protobuf: &[u8]) -> Vec<u8> {
    [&[0xf3, 0x89, 0x9a, 0xc2], protobuf, Md5::digest(protobuf).as_slice()].concat()
}

/// An aggregate of user records, each with its partition key.
pub(crate) fn aggregate(records: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = AggregatedRecord::default();
    for (index, (key, data)) in records.iter().enumerate() {
        out.partition_key_table.push((*key).to_owned());
        out.explicit_hash_key_table.push(index.to_string());
        let index = index as u64;
        out.records.push(Record {
            partition_key_index: index,
            explicit_hash_key_index: Some(index),
            data: data.clone(),
        });
    }
    sealed(&out.encode_to_vec())
}
