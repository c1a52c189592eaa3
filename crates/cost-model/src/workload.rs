//! The standard workload: 1,000 devices of five metrics, a row a minute, one reading in a thousand abnormal.
//!
//! Every number is a function of its place, so that each run is the same. Values wander with the day and are a little
//! noisy, as a healthy plant's do; an abnormal one is far outside of both.

use std::fmt::Write as _;

use anomaly_core::Timestamp;

/// Devices of the workload.
pub const DEVICES: u64 = 1_000;
/// Metrics of a device.
pub const METRICS: u64 = METRIC_SHAPES.len() as u64;
/// Between two rows of one device.
pub const ROW_MS: i64 = 60_000;
/// One reading in so many is abnormal.
pub const ABNORMAL_ONE_IN: u64 = 1_000;
/// When it begins.
const T0: i64 = 1_790_000_000_000;
/// From the device to the stream.
const TRANSIT_MS: i64 = 250;
/// The noise is at most 1; this is far outside.
const ABNORMAL: f64 = 12.0;

/// Name, centre, width of the noise, swing of the day.
const METRIC_SHAPES: [(&str, f64, f64, f64); 5] = [
    ("temperature", 55.0, 1.0, 3.0),
    ("vibration", 2.0, 0.2, 0.1),
    ("pressure", 90.0, 1.0, 2.0),
    ("rpm", 1_450.0, 20.0, 5.0),
    ("power", 7.0, 0.1, 0.3),
];

/// How readings are put into messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// A message a reading, of some 170 bytes
    One,
    /// A message a row of a device, with all its five metrics
    Five,
}

impl Shape {
    /// Readings of one message.
    #[must_use]
    pub const fn readings(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Five => METRICS,
        }
    }
}

/// One message as the stream has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Partition key: the device.
    pub device: String,
    /// Its text.
    pub text: String,
    /// When the stream took it.
    pub arrived: Timestamp,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// How readings are put into messages.
    pub shape: Shape,
    /// Rows that a fault of one metric lasts, 1 or more; the share of abnormal readings is the same whatever it is.
    pub fault_rows: u64,
}

/// Mixes bits (the finalizer of `SplitMix64`: Steele, Lea, Flood, OOPSLA 2014).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Workload {
    /// Message number `index`, in the order of arrival. The devices take turns, each at its own second of the minute.
    #[must_use]
    pub fn message(&self, index: u64) -> Message {
        let each = METRICS / self.shape.readings();
        let (row, place) = (index / (DEVICES * each), index % (DEVICES * each));
        let (device, metric) = (place / each, place % each);
        let taken = T0 + row as i64 * ROW_MS + place as i64 * ROW_MS / (DEVICES * each) as i64;
        let sent = taken - TRANSIT_MS;
        let name = format!("pump-{device:04}");
        let mut text = String::with_capacity(256);
        // Writing to a String cannot fail.
        let _ = match self.shape {
            Shape::One => {
                let (metric, value) = self.reading(device, metric, row);
                write!(
                    text,
                    r#"{{"topic":"sensor/{name}/data","deviceId":"{name}","sensorType":"{metric}","value":{value:.3},"timestamp":{sent},"unit":"SI","site":"hall-3","firmware":"4.11.2"}}"#
                )
            }
            Shape::Five => {
                let _ = write!(text, r#"{{"topic":"tenants/standard/devices/{name}/telemetry","ts":{sent}"#);
                for metric in 0..METRICS {
                    let (metric, value) = self.reading(device, metric, row);
                    let _ = write!(text, r#","{metric}":{value:.3}"#);
                }
                text.write_char('}')
            }
        };
        Message { device: name, text, arrived: Timestamp::from_millis(taken).unwrap_or(Timestamp::MIN) }
    }

    fn reading(&self, device: u64, metric: u64, row: u64) -> (&'static str, f64) {
        let (name, centre, noise, swing) = METRIC_SHAPES[metric as usize % METRIC_SHAPES.len()];
        let random = (mix((row * DEVICES + device) * METRICS + metric) >> 11) as f64 / (1_u64 << 53) as f64 * 2.0 - 1.0;
        let day = libm::sin(row as f64 / 1_440.0 * std::f64::consts::TAU);
        let far = if self.is_abnormal(device, metric, row) { ABNORMAL } else { 0.0 };
        (name, centre + swing * day + noise * (random + far))
    }

    /// Whether the reading is abnormal: faults begin at every `fault_rows`-th row, each metric with its own chance.
    #[must_use]
    pub fn is_abnormal(&self, device: u64, metric: u64, row: u64) -> bool {
        let fault = row / self.fault_rows.max(1);
        mix(mix((fault * DEVICES + device) * METRICS + metric) ^ 1).is_multiple_of(ABNORMAL_ONE_IN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(fault_rows: u64) -> f64 {
        let workload = Workload { shape: Shape::One, fault_rows };
        let of_row = |row| (0..DEVICES).flat_map(move |device| (0..METRICS).map(move |metric| (device, metric, row)));
        let all = (0..200).flat_map(of_row);
        let abnormal = all.filter(|(device, metric, row)| workload.is_abnormal(*device, *metric, *row)).count();
        abnormal as f64 / (200 * DEVICES * METRICS) as f64
    }

    #[test]
    fn one_reading_in_a_thousand_is_abnormal_however_long_a_fault_lasts() {
        assert!((share(1) - 0.001).abs() < 0.0001, "{}", share(1));
        assert!((share(10) - 0.001).abs() < 0.0003, "{}", share(10));
    }

    #[test]
    fn messages_are_json_in_order_of_arrival() {
        for (shape, size) in [(Shape::One, 150..190), (Shape::Five, 150..200)] {
            let workload = Workload { shape, fault_rows: 1 };
            let messages: Vec<Message> = (0..12_000).map(|index| workload.message(index)).collect();
            assert!(messages.is_sorted_by_key(|message| message.arrived));
            for message in messages {
                assert!(serde_json::from_str::<serde_json::Value>(&message.text).is_ok(), "{}", message.text);
                assert!(size.contains(&message.text.len()), "{} {}", message.text.len(), message.text);
            }
        }
    }
}
