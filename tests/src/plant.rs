//! A small plant of which everything is known: who sends what, what is poison, which device runs hot and when.
//!
//! Deterministic but for the time it starts at, so that two stacks given the same plant must come to the same results.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_sdk_kinesis::primitives::Blob;

use crate::stack::Stack;

/// Readings of each device.
const STEPS: u32 = 100;
const STEP_MS: i64 = 10_000;
/// While these steps last, two of the devices run at [`HOT`] degrees.
const HOT_STEPS: std::ops::Range<u32> = 40..46;
/// Above the built-in limit of 80 °C.
const HOT: f64 = 95.0;

/// One record that a device sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The device, by which a stream chooses the shard.
    pub partition_key: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The reason under which it must be quarantined, if it must be.
    pub poison: Option<&'static str>,
}

/// A record that was accepted by the stream.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// What was sent.
    pub record: Sent,
    /// The shard it went to.
    pub shard: String,
    /// Its sequence number without leading zeros.
    pub sequence: String,
}

/// The plant's records, in the order in which they are sent.
pub struct Plant {
    records: Vec<Sent>,
    begin_ms: i64,
}

impl Plant {
    /// A plant whose last readings are a minute old now: the pipeline sees nothing late and nothing from the future.
    ///
    /// # Errors
    /// The machine's clock stands before 1970.
    pub fn new() -> Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "devices have clocks, and the pipeline compares them with arrival"
        )]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
        let now_ms = i64::try_from(now.as_millis()).context("the clock stands beyond the calendar")?;
        // Whole seconds, as one of the payload forms counts them.
        let begin_ms = (now_ms - i64::from(STEPS) * STEP_MS - 60_000) / 1000 * 1000;
        let mut records = Vec::new();
        for step in 0..STEPS {
            records.extend(readings(step, begin_ms + i64::from(step) * STEP_MS));
            records.extend(poison(step));
        }
        Ok(Self { records, begin_ms })
    }

    /// Everything it sends.
    #[must_use]
    pub fn records(&self) -> &[Sent] {
        &self.records
    }

    /// The devices that run hot, as `{tenant}#{device}`: one whose topic names its tenant, one without a topic.
    #[must_use]
    pub fn hot_devices() -> [&'static str; 2] {
        ["acme#press-7", "default#boiler-1"]
    }

    /// The devices that are fine throughout.
    #[must_use]
    pub fn quiet_devices() -> [&'static str; 2] {
        ["default#pump-2", "default#M001"]
    }

    /// When the two devices begin to run hot, in milliseconds since 1970.
    #[must_use]
    pub fn hot_from_ms(&self) -> i64 {
        self.begin_ms + i64::from(HOT_STEPS.start) * STEP_MS
    }

    /// Puts records into the stack's stream, one after another: a shard gets its records in this order.
    ///
    /// # Errors
    /// The stream refuses one.
    pub async fn send(stack: &Stack, records: &[Sent]) -> Result<Vec<Accepted>> {
        let mut accepted = Vec::with_capacity(records.len());
        for record in records {
            let answer = stack
                .world()
                .kinesis
                .put_record()
                .stream_name(stack.output("StreamName"))
                .partition_key(&record.partition_key)
                .data(Blob::new(record.payload.clone()))
                .send()
                .await
                .context("the stream refused a record")?;
            accepted.push(Accepted {
                record: record.clone(),
                shard: answer.shard_id().to_owned(),
                sequence: answer.sequence_number().trim_start_matches('0').to_owned(),
            });
        }
        Ok(accepted)
    }
}

/// One reading of each device, each in another of the JSON forms.
fn readings(step: u32, at_ms: i64) -> Vec<Sent> {
    let heat = if HOT_STEPS.contains(&step) { HOT } else { 57.0 + ripple(step, 1) };
    let seconds = at_ms / 1000;
    // A payload may be laid out over several lines: the lake must give that back byte for byte, too.
    let gap = if step % 10 == 3 { "\n  " } else { "" };
    [
        (
            "press-7",
            format!(
                r#"{{"topic":"tenants/acme/devices/press-7/telemetry","ts":{seconds},"temperature":{heat:.2},"vibration":{:.3}}}"#,
                1.2 + 0.1 * ripple(step, 2)
            ),
        ),
        (
            "boiler-1",
            format!(
                r#"{{"deviceId":"boiler-1","sensorType":"temperature","value":{:.2},"timestamp":{at_ms}}}"#,
                if HOT_STEPS.contains(&step) { HOT } else { 61.0 + ripple(step, 3) }
            ),
        ),
        (
            "pump-2",
            format!(
                r#"{{"deviceId":"pump-2","sensorType":"pressure","value":{:.2},"timestamp":{at_ms}}}"#,
                90.0 + ripple(step, 4)
            ),
        ),
        (
            "M001",
            format!(
                r#"{{"device_id":"M001",{gap}"ts":{at_ms},"temp":{:.2},"vibration":{:.3},"rpm":{:.0},"power":{:.2}}}"#,
                59.0 + ripple(step, 5),
                0.4 + 0.05 * ripple(step, 6),
                1425.0 + 5.0 * ripple(step, 7),
                7.1 + 0.1 * ripple(step, 8)
            ),
        ),
    ]
    .into_iter()
    .map(|(device, payload)| Sent {
        partition_key: device.to_owned(),
        payload: payload.into_bytes(),
        poison: None,
    })
    .collect()
}

/// Now and then something that no reader can take, between good records of the same shard.
fn poison(step: u32) -> Option<Sent> {
    let (payload, reason): (&[u8], _) = match step % 15 {
        2 => (b"temperature=93", "not_json"),
        4 => (b"\xff\xfes\x00e\x00n\x00s\x00o\x00r\x00", "wrong_encoding"),
        6 => (b"{\"deviceId\":\"caf\xe9\",\"sensorType\":\"temperature\",\"value\":21.5}", "not_utf8"),
        9 => (br#"{"sensorType":"temperature","value":21.5}"#, "no_device"),
        12 => (br#"{"deviceId":"boiler-1","sensorType":"temperature","value":1e999}"#, "not_finite"),
        _ => return None,
    };
    Some(Sent { partition_key: format!("poison-{step}"), payload: payload.to_vec(), poison: Some(reason) })
}

/// Noise between -1 and 1 without a random number: `SplitMix64` of step and channel.
fn ripple(step: u32, channel: u32) -> f64 {
    let mut z = (u64::from(channel) << 32 | u64::from(step)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}
