//! The design that this one is compared with: each reading is an object and an item, and its payload is logged.
//!
//! Arithmetic, not a run: there is nothing to find out by running it. Its numbers stand in `prices.toml` under `naive`;
//! where there was a choice, the cheaper one.

use platform::cost::prices::Prices;
use platform::cost::{Usage, item};

/// Attribute names and keys beside the payload of an item.
const ITEM_BYTES_BESIDE_PAYLOAD: u64 = 100;
/// Memory that buys one whole processor, megabytes (AWS Lambda Developer Guide, "Configure Lambda function memory").
const WHOLE_PROCESSOR_MB: f64 = 1_769.0;

/// What `readings` of one metric each, of `payload_bytes` in all, use.
#[must_use]
pub fn usage(readings: u64, payload_bytes: u64, prices: &Prices) -> Usage {
    let naive = &prices.naive;
    let each = payload_bytes / readings.max(1);
    // Its two calls are made at the same time.
    let wait_ms = prices.assumed.s3_wait_ms.get().max(prices.assumed.dynamodb_item_wait_ms.get());
    let share = naive.memory_mb.get() / WHOLE_PROCESSOR_MB;
    let seconds = readings as f64 * (wait_ms + naive.cpu_ms_per_reading.get() / share) / 1_000.0;
    let invocations = (readings as f64 / naive.batch_records.get()).ceil();
    let log_bytes = payload_bytes as f64
        + readings as f64 * naive.log_bytes_beside_payload.get()
        + invocations * prices.assumed.log_bytes_per_invocation.get();
    Usage {
        s3_puts: readings,
        s3_bytes_put: payload_bytes,
        dynamodb_calls: readings,
        dynamodb_write_units: readings * item::write_units(each + ITEM_BYTES_BESIDE_PAYLOAD),
        lambda_requests: invocations as u64,
        lambda_gb_seconds: seconds * naive.memory_mb.get() / 1_024.0,
        log_bytes: log_bytes as u64,
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use platform::cost::Architecture;

    use super::*;

    #[test]
    fn a_million_readings_cost_what_an_object_and_an_item_each_cost() {
        let prices = Prices::built_in().unwrap();
        let usage = usage(1_000_000, 172_000_000, &prices);
        let dollars = usage.dollars(&prices, Architecture::Arm64, 0).without_kinesis();
        assert_eq!(usage.store_calls(), 2_000_000);
        assert!((5.7..6.1).contains(&dollars), "{dollars}");
    }
}
