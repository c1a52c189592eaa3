//! What the benches measure with: the messages of a healthy plant, and the events they arrive in.
//!
//! Values wander with the day and are a little noisy; nothing is ever wrong with a machine, so that the figures are those
//! of an ordinary day. Message `count` of a plant is always the same. Who scores them is not known here: see `whole`
//! and `warm`.

use std::fmt::Write as _;
use std::ops::Range;

use anomaly_core::Timestamp;
use telemetry::kinesis::{RecordOut, Source, write_event};
use telemetry::sequence::SequenceNumber;

/// The tenant of all devices.
pub(crate) const TENANT: &str = "bench";
/// What a device of [`Shape::Row`] measures, and to how many decimal places it says so.
pub(crate) const METRICS: [(&str, i32); 5] =
    [("temperature", 2), ("vibration", 3), ("pressure", 1), ("rpm", 0), ("power", 2)];
/// Readings of an event: about 6 MB as Lambda counts them hold that many messages of one metric.
pub(crate) const EVENT_READINGS: u64 = 7_700;

const T0: i64 = 1_790_000_000_000;
const DAY_MS: f64 = 86_400_000.0;
/// From the measurement to the stream.
const DELAY_MS: i64 = 500;
const SOURCE: Source<'_> = Source {
    partition: "aws",
    region: "eu-west-1",
    account: "123456789012",
    stream: "bench",
    shard: "shardId-000000000000",
};

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All of [`METRICS`].
    Row,
    /// The first of [`METRICS`], the only one that the device has.
    Single,
}

/// Devices that report in turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plant {
    pub(crate) devices: u64,
    pub(crate) cadence_ms: i64,
    pub(crate) shape: Shape,
}

impl Plant {
    /// A hundred devices that report once a minute.
    pub(crate) const fn of(shape: Shape) -> Self {
        Self { devices: 100, cadence_ms: 60_000, shape }
    }

    /// Readings of a message.
    pub(crate) const fn readings(&self) -> u64 {
        match self.shape {
            Shape::Row => METRICS.len() as u64,
            Shape::Single => 1,
        }
    }

    /// Messages of an event with [`EVENT_READINGS`].
    pub(crate) const fn messages(&self) -> u64 {
        EVENT_READINGS / self.readings()
    }

    /// Which device sends message `count`; also its partition key.
    pub(crate) fn device(&self, count: u64) -> String {
        format!("pump-{:03}", count % self.devices)
    }

    /// When message `count` was measured.
    pub(crate) fn at(&self, count: u64) -> Timestamp {
        let at_ms = T0 + (count / self.devices) as i64 * self.cadence_ms;
        Timestamp::from_millis(at_ms).unwrap_or(Timestamp::MIN)
    }

    /// When the stream took message `count`.
    pub(crate) fn arrived(&self, count: u64) -> Timestamp {
        Timestamp::from_millis(self.at(count).millis() + DELAY_MS).unwrap_or(Timestamp::MIN)
    }

    /// The values of message `count`, one for each of [`METRICS`].
    pub(crate) fn values(&self, count: u64) -> [f64; METRICS.len()] {
        let noise = |salt: u64| {
            let mixed = (count.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed >> 40) as f64 / f64::from(1_u32 << 24) - 0.5
        };
        let day = libm::sin((self.at(count).millis() - T0) as f64 / DAY_MS * std::f64::consts::TAU);
        [
            55.0 + 3.0 * day + noise(1),
            2.0 + 0.2 * noise(2),
            90.0 + 2.0 * day + noise(3),
            1_450.0 + 20.0 * noise(4),
            7.0 + 0.3 * day + 0.1 * noise(5),
        ]
    }

    /// Message `count` as JSON.
    pub(crate) fn message(&self, count: u64) -> String {
        let (device, at, values) = (self.device(count), self.at(count).millis(), self.values(count));
        let mut text = String::with_capacity(256);
        // Writing to a String cannot fail.
        let _ = match self.shape {
            Shape::Row => write!(
                text,
                r#"{{"topic":"tenants/{TENANT}/devices/{device}/telemetry","ts":{at},"temperature":{:.2},"vibration":{:.3},"pressure":{:.1},"rpm":{:.0},"power":{:.2}}}"#,
                values[0], values[1], values[2], values[3], values[4],
            ),
            Shape::Single => write!(
                text,
                r#"{{"topic":"tenants/{TENANT}/devices/{device}/telemetry","deviceId":"{device}","sensorType":"temperature","value":{:.2},"timestamp":{at}}}"#,
                values[0],
            ),
        };
        text
    }

    /// Writes the event with the messages `counts`.
    pub(crate) fn event(&self, counts: Range<u64>, out: &mut Vec<u8>) {
        let messages: Vec<_> = counts.map(|count| (count, self.device(count), self.message(count))).collect();
        out.clear();
        let records = messages.iter().map(|(count, key, text)| RecordOut {
            sequence: sequence(*count),
            partition_key: key,
            data: text.as_bytes(),
            arrived: self.arrived(*count),
        });
        write_event(records, &SOURCE, out);
    }
}

/// The sequence number of message `count`.
pub(crate) fn sequence(count: u64) -> SequenceNumber {
    format!("49{count:054}").parse().unwrap_or(SequenceNumber::ZERO)
}
