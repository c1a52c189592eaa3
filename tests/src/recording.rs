//! What a simulated plant sends, as records of a stream with the time of their arrival.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// What a message takes from the machine to the stream.
const TRAVEL_MS: i64 = 250;

/// Turns payloads (a line each, with their topic, as `millrace simulate` writes them) into lines that `millrace esm` reads:
/// the partition key is the device, as the rule's is, and what was sent while `is_lost` holds has never arrived.
///
/// # Errors
/// A line is no such payload.
pub fn recorded(payloads: &str, is_lost: impl Fn(i64) -> bool) -> Result<String> {
    let mut records = String::with_capacity(payloads.len() * 2);
    for line in payloads.lines() {
        let payload: Value = serde_json::from_str(line).with_context(|| format!("no payload: {line}"))?;
        // …/devices/{device}/telemetry
        let device = payload["topic"].as_str().and_then(|topic| topic.rsplit('/').nth(1)).context("no device")?;
        let at_ms = payload["ts"].as_i64().context("no time")?;
        if is_lost(at_ms) {
            continue;
        }
        let arrival = (at_ms + TRAVEL_MS) as f64 / 1000.0;
        // Writing to a string cannot fail.
        let _ = writeln!(records, "{}", json!({ "partition_key": device, "data": line, "arrival": arrival }));
    }
    Ok(records)
}
