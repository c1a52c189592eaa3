//! The event that Lambda hands over for a Kinesis stream, read without a copy.
//!
//! An event has up to 6 MB and 10,000 records; [`KinesisEvent::parse`] borrows every text from it and ignores what it does
//! not need. A record whose envelope is broken is poison of that record, found by [`KinesisRecord::payload_bytes`]; only
//! what the protocol cannot do without (a sequence number, one stream and one shard) fails the event. What the payload
//! means is not known here: see [`crate::payload`].
//!
//! The shape is that of the Lambda developer guide, "Using AWS Lambda with Amazon Kinesis", and is written by
//! [`write_event`], which serves the in-process stream and the fixtures.

mod field;
mod plain;
mod response;
mod source;
mod write;

use std::borrow::Cow;

use anomaly_core::Timestamp;
use base64_simd::STANDARD;
use serde::Deserialize;

use crate::payload;
use crate::poison::{Poison, PoisonReason, RECORD_BYTES_MAX};
use crate::sequence::{SequenceError, SequenceNumber};
use field::Field;

pub use response::{BatchItemFailure, BatchResponse};
pub use source::Source;
pub use write::{RecordOut, write_event};

/// Most records of one event: the largest batch size of an event source mapping.
pub const EVENT_RECORDS_MAX: usize = 10_000;

/// An event that cannot be worked on at all. Retrying gives the same; the invocation fails.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The bytes are not text.
    #[error("the event is not UTF-8")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// The text is not JSON, or not of the shape of a Kinesis event.
    #[error("the event is not a Kinesis event, expected {{\"Records\": [{{\"kinesis\": …}}]}}")]
    NotAnEvent(#[from] serde_json::Error),
    /// More records than an event source mapping sends.
    #[error("the event has {records} records, the limit is {EVENT_RECORDS_MAX}; set a lower batch size")]
    TooManyRecords {
        /// How many.
        records: usize,
    },
    /// A record that cannot be told from others.
    #[error("record {index} of the event has no usable sequenceNumber")]
    Sequence {
        /// Which record, counted from 0.
        index: usize,
        /// What is wrong with it.
        source: SequenceError,
    },
    /// A record that does not say where it is from.
    #[error("record {index} of the event has no usable {field}, expected {expected}")]
    Origin {
        /// Which record, counted from 0.
        index: usize,
        /// The name of the field.
        field: &'static str,
        /// What it looks like.
        expected: &'static str,
    },
    /// Records of several streams or shards: there is no one checkpoint for them.
    #[error(
        "record {index} of the event is of another stream or shard than record 0; an event has records of one shard"
    )]
    MixedOrigins {
        /// Which record, counted from 0.
        index: usize,
    },
}

/// A batch of records of one shard, in the order of the shard.
#[derive(Debug, Clone)]
pub struct KinesisEvent<'e> {
    /// The records.
    pub records: Vec<KinesisRecord<'e>>,
}

/// One record, borrowed from its event.
#[derive(Debug, Clone)]
pub struct KinesisRecord<'e> {
    /// Its position in the shard.
    pub sequence: SequenceNumber,
    /// What decided its shard.
    pub partition_key: Cow<'e, str>,
    /// The payload as base64.
    pub data: Cow<'e, str>,
    /// When the stream took it, to the millisecond. [`Timestamp::MIN`] if the envelope does not say; then
    /// [`Self::payload_bytes`] is an error.
    pub arrived: Timestamp,
    event_id: Cow<'e, str>,
    arn: Cow<'e, str>,
    broken: Option<Poison>,
}

#[derive(Deserialize)]
struct WireEvent<'e> {
    #[serde(rename = "Records", borrow)]
    records: Vec<WireRecord<'e>>,
}

#[derive(Deserialize)]
struct WireRecord<'e> {
    #[serde(borrow, default)]
    kinesis: WireKinesis<'e>,
    #[serde(rename = "eventID", borrow, default)]
    event_id: Field<'e>,
    #[serde(rename = "eventSourceARN", borrow, default)]
    arn: Field<'e>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireKinesis<'e> {
    #[serde(borrow, default)]
    partition_key: Field<'e>,
    #[serde(borrow, default)]
    sequence_number: Field<'e>,
    #[serde(borrow, default)]
    data: Field<'e>,
    #[serde(borrow, default)]
    approximate_arrival_timestamp: Field<'e>,
}

impl<'e> KinesisEvent<'e> {
    /// Reads an event as the Lambda runtime receives it.
    ///
    /// # Errors
    /// [`EventError`] when it is no Kinesis event, has more than [`EVENT_RECORDS_MAX`] records, or a record has no
    /// sequence number.
    pub fn parse(event: &'e [u8]) -> Result<Self, EventError> {
        Self::parse_str(payload::utf8(event)?)
    }

    /// [`Self::parse`] for text that is known to be UTF-8.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_str(event: &'e str) -> Result<Self, EventError> {
        let records = match plain::event(event) {
            Some(records) => records,
            None => Self::records_of(serde_json::from_str(event)?),
        };
        records.map(|records| Self { records })
    }

    fn records_of(event: WireEvent<'_>) -> Result<Vec<KinesisRecord<'_>>, EventError> {
        if event.records.len() > EVENT_RECORDS_MAX {
            return Err(EventError::TooManyRecords { records: event.records.len() });
        }
        let record =
            |(index, record)| KinesisRecord::new(record).map_err(|source| EventError::Sequence { index, source });
        event.records.into_iter().enumerate().map(record).collect()
    }

    /// Where the records are from; none for an event without records.
    ///
    /// # Errors
    /// [`EventError`] when a record does not say so, or they are not all of one shard.
    pub fn source(&self) -> Result<Option<Source<'_>>, EventError> {
        let Some(first) = self.records.first() else { return Ok(None) };
        let source = Source::of(&first.arn, &first.event_id)?;
        for (index, record) in self.records.iter().enumerate().skip(1) {
            if record.arn != first.arn || source::shard_of(&record.event_id) != Some(source.shard) {
                return Err(EventError::MixedOrigins { index });
            }
        }
        Ok(Some(source))
    }
}

impl<'e> KinesisRecord<'e> {
    fn new(wire: WireRecord<'e>) -> Result<Self, SequenceError> {
        let WireKinesis { partition_key, sequence_number, data, approximate_arrival_timestamp } = wire.kinesis;
        let sequence = sequence_number.text().unwrap_or_default().parse()?;
        let mut broken = None;
        let mut text = |field: Field<'e>, name| {
            field.text().unwrap_or_else(|| {
                broken.get_or_insert(Poison::new(
                    PoisonReason::WrongEncoding,
                    format_args!("the record's envelope has no text `{name}`"),
                ));
                Cow::Borrowed("")
            })
        };
        let (partition_key, data) = (text(partition_key, "partitionKey"), text(data, "data"));
        let arrived = match arrival(&approximate_arrival_timestamp) {
            Ok(arrived) => arrived,
            Err(poison) => {
                broken.get_or_insert(poison);
                Timestamp::MIN
            }
        };
        let (event_id, arn) = (wire.event_id.text().unwrap_or_default(), wire.arn.text().unwrap_or_default());
        Ok(Self { sequence, partition_key, data, arrived, event_id, arn, broken })
    }

    /// Decodes the payload into `bytes`, whose earlier content is dropped.
    ///
    /// # Errors
    /// [`Poison`] when the envelope is broken, the base64 is not valid, or the payload has more than
    /// [`RECORD_BYTES_MAX`] bytes; `bytes` is empty then.
    pub fn payload_bytes(&self, bytes: &mut Vec<u8>) -> Result<(), Poison> {
        bytes.clear();
        match &self.broken {
            Some(poison) => Err(poison.clone()),
            None => base64(&self.data, bytes),
        }
    }
}

fn arrival(field: &Field<'_>) -> Result<Timestamp, Poison> {
    let impossible = |found: &dyn std::fmt::Display| {
        Poison::new(PoisonReason::TimeImpossible, format_args!("approximateArrivalTimestamp: {found}"))
    };
    let Field::Number(seconds) = field else { return Err(impossible(&"expected seconds since 1970 as a number")) };
    Timestamp::from_millis((seconds * 1000.0).round() as i64).map_err(|error| impossible(&error))
}

/// Appends what `text` encodes to the empty `bytes`.
pub(crate) fn base64(text: &str, bytes: &mut Vec<u8>) -> Result<(), Poison> {
    if text.len() > RECORD_BYTES_MAX.div_ceil(3) * 4 {
        return Err(Poison::new(
            PoisonReason::TooLarge,
            format_args!("{} characters of base64, the limit is that of {RECORD_BYTES_MAX} bytes", text.len()),
        ));
    }
    STANDARD.decode_append(text, bytes).map_err(|_| {
        bytes.clear();
        Poison::new(PoisonReason::WrongEncoding, "not valid base64; expected the standard alphabet with padding")
    })
}
