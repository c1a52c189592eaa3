//! A small plant for the tests of the lake: ten pumps, five metrics each, a record a second from each.

use std::fmt::Write as _;

use anomaly_core::{Outcome, Quality, Timestamp};
use telemetry::sequence::SequenceNumber;
use telemetry::silver::SilverRow;

/// One row, every cell of its own kind.
pub(crate) fn row(seq: SequenceNumber, at: Timestamp) -> SilverRow<'static> {
    SilverRow {
        tenant: "acme",
        device: "pump-7",
        metric: "Öldruck",
        at,
        value: 83.21,
        score: 1.25,
        alert: 0.0,
        expected: 80.123_456_789,
        outcome: Outcome::Scored,
        quality: Quality::Uncertain,
        seq,
        sub: 2,
        arrived: at,
        opinion: None,
    }
}

const METRICS: [(&str, f64, f64, usize); 5] = [
    ("temperature", 62.0, 1.5, 1),
    ("vibration", 0.42, 0.05, 3),
    ("pressure", 95.0, 2.0, 1),
    ("rpm", 1425.0, 12.0, 0),
    ("power", 7.1, 0.3, 2),
];

const PUMPS: usize = 10;

/// Noise that is the same on every machine: a sum of twelve uniform numbers from a congruential generator (Knuth's MMIX
/// constants), less six.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// The number whose binary digits these are, the most significant first. Kinesis leaves the front and the end as they are,
/// a count and a clock grow by uneven steps between them.
fn number(mut limbs: [u32; 6]) -> SequenceNumber {
    let mut digits = Vec::new();
    while limbs != [0; 6] {
        let mut rest = 0_u64;
        for limb in &mut limbs {
            let value = rest << 32 | u64::from(*limb);
            (*limb, rest) = ((value / 10) as u32, value % 10);
        }
        digits.push(b'0' + rest as u8);
    }
    digits.reverse();
    String::from_utf8(digits).unwrap().parse().unwrap()
}

/// Gives each record to `bronze` as (sequence number, arrival, partition key, payload) and each reading to `silver`.
/// The level that a reading is compared with follows the values; most rows are normal, one in a thousand alerts.
pub(crate) fn batch(
    records: usize,
    mut silver: impl FnMut(&SilverRow<'_>),
    mut bronze: impl FnMut(&SequenceNumber, Timestamp, &str, &[u8]),
) {
    let mut noise = Noise(42);
    let names: Vec<String> = (0..PUMPS).map(|pump| format!("pump-{pump:02}")).collect();
    let mut levels = [[0.0; 5]; PUMPS];
    let (mut count, mut clock) = (0x6764_8a17_u32, 0xc181_eea0_u32);
    for record in 0..records {
        let pump = record % PUMPS;
        let sent =
            1_700_000_000_000 + (record / PUMPS) as i64 * 1000 + pump as i64 * 97 + (noise.uniform() * 6.0) as i64;
        let (at, arrived) = (Timestamp::from_millis(sent).unwrap(), Timestamp::from_millis(sent + 40).unwrap());
        count += 1 + (noise.uniform() * 5000.0) as u32;
        clock += 1 + (noise.uniform() * 2000.0) as u32;
        let seq = number([0x0205_bf4e, 0x5c26_0000, 0x0000_6764 + (count >> 16), count << 16 | 5, clock, 0x62]);
        let mut payload = format!("{{\"ts\":{sent}");
        let mut values = [0.0; 5];
        for (index, (name, mean, spread, digits)) in METRICS.iter().enumerate() {
            let text = format!("{:.*}", digits, mean + spread * noise.normal());
            _ = write!(payload, ",\"{name}\":{text}");
            values[index] = text.parse().unwrap();
        }
        _ = write!(payload, ",\"topic\":\"tenants/acme/devices/{}/telemetry\"}}", names[pump]);
        bronze(&seq, arrived, &names[pump], payload.as_bytes());
        for (index, (name, mean, spread, _)) in METRICS.iter().enumerate() {
            let level = &mut levels[pump][index];
            *level = if *level == 0.0 { *mean } else { *level + 0.02 * (values[index] - *level) };
            let off = ((values[index] - *level) / spread).abs();
            silver(&SilverRow {
                tenant: "acme",
                device: &names[pump],
                metric: name,
                at,
                value: values[index],
                score: (off / 5.0) as f32,
                alert: if record % 200 == 199 && index == 0 { 1.5 } else { 0.0 },
                expected: *level,
                outcome: if record < 20 * PUMPS { Outcome::Warming } else { Outcome::Scored },
                quality: Quality::Good,
                seq,
                sub: 0,
                arrived,
                opinion: None,
            });
        }
    }
}
