//! Cuts messages into events as Lambda's event source mapping does: 10,000 records, 6 MB, or the batch window, whichever
//! comes first (AWS Lambda Developer Guide, "How Lambda processes records from stream and queue-based event sources").

use anomaly_core::Timestamp;
use telemetry::kinesis::{RecordOut, Source, write_event};
use telemetry::sequence::SequenceNumber;

use crate::workload::{Message, Workload};

/// Most records of a batch.
const RECORDS_MAX: usize = 10_000;
/// Most bytes of an event, encoded.
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;
/// `{"Records":[]}`.
const FRAME_BYTES: usize = 14;

/// The one shard that everything arrives in.
pub const SOURCE: Source<'_> = Source {
    partition: "aws",
    region: "eu-west-1",
    account: "123456789012",
    stream: "millrace-prod-telemetry",
    shard: "shardId-000000000000",
};

/// One batch, ready to be handed over.
#[derive(Debug, Clone)]
pub struct Event {
    /// The event's bytes.
    pub bytes: Vec<u8>,
    /// Records in it.
    pub records: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// When the last of them arrived.
    pub newest: Timestamp,
}

/// The messages of a workload, batch by batch.
#[derive(Debug)]
pub struct Mapping {
    workload: Workload,
    window_ms: i64,
    /// Messages in the events so far.
    sent: u64,
    end: u64,
}

impl Mapping {
    /// At least `readings` of the workload, to whole messages, in batches that wait at most `window_seconds` to fill.
    #[must_use]
    pub fn new(workload: Workload, readings: u64, window_seconds: u32) -> Self {
        let end = readings.div_ceil(workload.shape.readings());
        Self { workload, window_ms: i64::from(window_seconds) * 1_000, sent: 0, end }
    }

    /// The messages that go into the next event.
    fn cut(&self) -> Vec<Message> {
        let mut messages: Vec<Message> = Vec::new();
        let mut bytes = FRAME_BYTES;
        for index in (self.sent..self.end).take(RECORDS_MAX) {
            let message = self.workload.message(index);
            bytes += record_bytes(&message);
            let waited_ms = messages.first().map_or(0, |first| message.arrived.millis() - first.arrived.millis());
            if !messages.is_empty() && (bytes > EVENT_BYTES_MAX || waited_ms > self.window_ms) {
                break;
            }
            messages.push(message);
        }
        messages
    }
}

impl Iterator for Mapping {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let messages = self.cut();
        let newest = messages.last()?.arrived;
        let records = (self.sent..).zip(&messages).map(|(index, message)| RecordOut {
            sequence: sequence(index),
            partition_key: &message.device,
            data: message.text.as_bytes(),
            arrived: message.arrived,
        });
        let mut bytes = Vec::with_capacity(EVENT_BYTES_MAX);
        write_event(records, &SOURCE, &mut bytes);
        self.sent += messages.len() as u64;
        let payload_bytes = messages.iter().map(|message| message.text.len() as u64).sum();
        Some(Event { bytes, records: messages.len() as u64, payload_bytes, newest })
    }
}

/// 56 digits, as Kinesis has them.
fn sequence(index: u64) -> SequenceNumber {
    format!("49{index:054}").parse().unwrap_or(SequenceNumber::ZERO)
}

/// Bytes of one record of an event beside its data in base64 and its partition key: as the event is written for [`SOURCE`].
const ENVELOPE_BYTES: usize = 547;

fn record_bytes(message: &Message) -> usize {
    ENVELOPE_BYTES + message.device.len() + message.text.len().div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Shape;

    fn events(shape: Shape, readings: u64, window_seconds: u32) -> Vec<Event> {
        Mapping::new(Workload { shape, fault_rows: 1 }, readings, window_seconds).collect()
    }

    #[test]
    fn a_full_event_is_just_below_the_limit_and_holds_about_8_000_records_of_170_bytes() {
        let events = events(Shape::One, 30_000, 300);
        let full = &events[0];
        assert!((EVENT_BYTES_MAX * 99 / 100..=EVENT_BYTES_MAX).contains(&full.bytes.len()), "{}", full.bytes.len());
        assert!((7_400..8_200).contains(&full.records), "{}", full.records);
    }

    #[test]
    fn nothing_is_left_out_and_the_window_ends_a_batch() {
        let events = events(Shape::Five, 25_000, 30);
        assert_eq!(events.iter().map(|event| event.records).sum::<u64>(), 5_000);
        assert!(events.iter().all(|event| event.records <= 501), "a thousand messages a minute");
        assert!(events.is_sorted_by_key(|event| event.newest));
    }
}
