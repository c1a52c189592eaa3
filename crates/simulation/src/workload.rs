//! What is sent: the records of one run, drawn from its seed, with what each is meant to become.
//!
//! What a record means is noted when it is made, not read back out of its bytes: that is how the checks know the right
//! tenant, the right count and the right refusal without asking the code that is checked. What is not made here: records
//! above 1 MiB (the stream does not take them) and enough Sparkplug nodes or devices to break a shard's bounds.

mod machine;
mod poison;
mod wire;

use anomaly_core::Timestamp;
use telemetry::payload::PULSE;
use telemetry::poison::PoisonReason;

use crate::chance::Chance;
use machine::Fleet;
pub use poison::BROKEN_ENVELOPE;

/// When the first record of every run arrives, in milliseconds since 1970: shortly before the end of a day, so that runs
/// cross from one partition of the lake into the next.
pub const START_MS: i64 = 1_790_034_000_000;

/// What becomes of a record if nothing is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meaning {
    /// Whose devices they are.
    pub tenant: String,
    /// The devices that the record may have readings of.
    pub devices: Vec<String>,
    /// How many readings it holds, scored or not.
    pub readings: usize,
    /// The messages in it that are refused: which user record, and why.
    pub refused: Vec<(u32, PoisonReason)>,
    /// Its envelope arrives broken, so that no bytes of it are kept in bronze.
    pub broken_envelope: bool,
}

/// One record to put.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The partition key.
    pub key: String,
    /// The payload.
    pub data: Vec<u8>,
    /// When the stream takes it.
    pub arrived: Timestamp,
    /// What must become of it.
    pub meaning: Meaning,
}

/// How a workload is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// How many records.
    pub records: usize,
    /// The one tenant of the stream, or `None` for a shared one.
    pub stream_tenant: Option<String>,
    /// Mean time between arrivals, milliseconds.
    pub gap_ms: i64,
    /// Probability of a gap of hours before a record.
    pub nights: f64,
    /// Probability that a record's arrival is set back, by up to an hour.
    pub set_back: f64,
    /// Probability of poison.
    pub poison: f64,
    /// Whether the clocks of some machines are an hour wrong.
    pub skewed: bool,
    /// So many machines that all break a limit at once; 0 for a plant as usual.
    pub storm: usize,
}

/// Tenants of a shared stream; the first is that of messages whose topic names none.
pub const TENANTS: [&str; 3] = ["default", "acme", "umbra"];

/// The records of a run, in the order in which they are put.
#[must_use]
pub fn records(shape: &Shape, chance: &mut Chance) -> Vec<Planned> {
    let mut fleet = Fleet::new(shape, chance);
    let mut now = START_MS;
    let mut made: Vec<Planned> = Vec::with_capacity(shape.records);
    for index in 0..shape.records {
        now += chance.within(0, 2 * shape.gap_ms);
        if chance.happens(shape.nights) {
            now += chance.within(1, 10) * 3_600_000;
        }
        let back = if chance.happens(shape.set_back) { chance.within(0, 3_600_000) } else { 0 };
        let arrived = Timestamp::from_millis(now - back).unwrap_or(Timestamp::MIN);
        let repeated = if chance.happens(0.04) { chance.pick(&made).cloned() } else { None };
        let (key, data, meaning) = match repeated {
            Some(before) => (before.key, before.data, before.meaning),
            None if chance.happens(shape.poison) => poison::record(&fleet, index, arrived, chance),
            None if chance.happens(0.01) => {
                ("millrace-pulse".to_owned(), PULSE.as_bytes().to_vec(), Meaning::default())
            }
            None => fleet.record(index, arrived, chance),
        };
        made.push(Planned { key, data, arrived, meaning });
    }
    made
}

#[cfg(test)]
mod tests;
