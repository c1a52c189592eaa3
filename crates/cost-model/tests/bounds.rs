//! The bounds that the project promises, held on a small run: `cargo xtask cost` prints the large one.

use anyhow::Result;
use cost_model::run::{Outcome, Setting, run};
use cost_model::workload::{Shape, Workload};
use platform::cost::{Architecture, Prices};

const READINGS: u64 = 100_000;

fn outcome(shape: Shape, readings: u64, window_seconds: u32) -> Result<Outcome> {
    let setting = Setting {
        workload: Workload { shape, fault_rows: 1 },
        readings,
        window_seconds,
        memory_mb: 512,
        architecture: Architecture::Arm64,
        replicas: 0,
        prices: Prices::built_in()?,
    };
    run(&setting, |_| ())
}

fn check(shape: Shape) -> Result<()> {
    let outcome = outcome(shape, READINGS, 300)?;
    let million = 1e6 / READINGS as f64;
    assert_eq!(outcome.readings, READINGS);
    let calls = outcome.usage.store_calls() as f64 * million;
    assert!(calls <= 1_000.0, "{calls} calls a million readings: {:?}", outcome.usage);
    let dollars = outcome.cost.without_kinesis() * million;
    assert!(dollars <= 0.02, "${dollars} a million readings: {:?} {:?}", outcome.cost, outcome.usage);
    let emitted = outcome.emitted_dollars;
    let difference = (emitted - outcome.cost.without_kinesis()).abs();
    assert!(difference < 1e-9, "the metric says ${emitted}, the stores say {:?}", outcome.cost);
    Ok(())
}

#[test]
fn a_million_readings_of_one_metric_a_message_stay_below_1000_calls_and_2_cents() -> Result<()> {
    check(Shape::One)
}

#[test]
fn a_million_readings_of_five_metrics_a_message_stay_below_1000_calls_and_2_cents() -> Result<()> {
    check(Shape::Five)
}

#[test]
fn a_short_window_makes_more_batches_and_each_of_them_is_paid() -> Result<()> {
    let (long, short) = (outcome(Shape::One, 20_000, 300)?, outcome(Shape::One, 20_000, 5)?);
    assert!(short.batches > 10 * long.batches, "{} and {}", short.batches, long.batches);
    assert!(short.cost.s3 > 10.0 * long.cost.s3, "{:?} and {:?}", short.cost, long.cost);
    Ok(())
}
