//! How often a warm process asks for memory, from event bytes to encoded objects: about once in a hundred readings, what it
//! found in them included, and never once a reading.
//!
//! `cargo nextest run -p kinesis-scorer --no-default-features --features embedded --test allocations --no-capture` prints
//! the figures, with those of the handler over its stores beside them, which are not bound here: a store in memory copies
//! what it is given, and SQLite allocates as it likes.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]
#![expect(clippy::print_stdout, reason = "the figures are for people, the assertions for the bound")]

#[path = "../benches/plant/mod.rs"]
mod plant;
#[path = "../benches/plant/whole.rs"]
mod whole;

use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use kinesis_scorer::state::ShardState;
use kinesis_scorer::{Config, Invocation, Scorer};
use plant::{EVENT_READINGS, Plant, Shape};
use platform::metrics::NoMetrics;
use platform::ports::ScorerWorld;
use platform::sim::SimWorld;
use whole::Whole;

/// Batches before the one that is counted: buffers have grown, devices are known and past their warm-up.
const WARM_BATCHES: u64 = 30;

fn event(plant: &Plant, index: u64) -> Vec<u8> {
    let mut event = Vec::new();
    plant.event(index * plant.messages()..(index + 1) * plant.messages(), &mut event);
    event
}

/// Prints what a batch took, and gives its allocations per hundred readings.
fn told(what: &str, plant: &Plant, counted: AllocationInfo) -> f64 {
    let per_hundred = counted.count_total as f64 * 100.0 / EVENT_READINGS as f64;
    println!(
        "{what}, {} a message: {} allocations of {} bytes for {EVENT_READINGS} readings, {per_hundred:.3} in 100",
        plant.readings(),
        counted.count_total,
        counted.bytes_total,
    );
    per_hundred
}

#[test]
fn a_warm_batch_allocates_at_most_twice_in_a_hundred_readings() {
    for shape in [Shape::Row, Shape::Single] {
        let plant = Plant::of(shape);
        let mut whole = Whole::new(ShardState::default());
        for index in 0..WARM_BATCHES {
            whole.take(&event(&plant, index)).unwrap();
        }
        let bytes = event(&plant, WARM_BATCHES);
        let counted = measure(|| drop(whole.take(&bytes).unwrap()));
        assert_eq!(whole.readings(), EVENT_READINGS);
        let per_hundred = told("event to objects", &plant, counted);
        assert!(per_hundred <= 2.0, "{shape:?}: {per_hundred:.3} allocations in 100 readings");
    }
}

/// Prints what the handler takes for a warm batch over `world`. The counter sees one thread, so all runs on this one.
fn handler_over<W: ScorerWorld>(what: &str, plant: &Plant, world: W) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scorer = Scorer::new(world, NoMetrics, Config::local("unused"));
    let remaining = || Duration::from_mins(15);
    let handle = |index: u64| {
        let event = event(plant, index);
        let now = plant.arrived((index + 1) * plant.messages());
        let invocation = Invocation { now, remaining: &remaining, request_id: "test" };
        let mut response = None;
        let counted = measure(|| response = Some(runtime.block_on(scorer.handle(&event, &invocation)).unwrap()));
        assert!(response.unwrap().batch_item_failures.is_empty(), "batch {index} was not committed");
        counted
    };
    let counted = (0..=WARM_BATCHES).map(handle).last().unwrap();
    assert!(counted.count_total > 0, "the counter saw nothing of it");
    told(what, plant, counted);
}

#[test]
fn the_handler_over_a_store_in_memory_is_counted() {
    handler_over("handler over memory", &Plant::of(Shape::Row), SimWorld::new());
}

#[test]
#[cfg(feature = "embedded")]
fn the_handler_over_files_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let world = platform::embedded::Local::open(folder.path().to_str().unwrap()).unwrap();
    handler_over("handler over files", &Plant::of(Shape::Row), world);
}
