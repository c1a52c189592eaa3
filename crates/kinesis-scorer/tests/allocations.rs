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

/// Batches before those that are counted: buffers have grown, devices are known and past their warm-up.
const WARM_BATCHES: u64 = 30;
/// Batches that are counted: a finding, of which most have none, takes some ninety.
const COUNTED_BATCHES: u64 = 8;

fn event(plant: &Plant, index: u64) -> Vec<u8> {
    let mut event = Vec::new();
    plant.event(index * plant.messages()..(index + 1) * plant.messages(), &mut event);
    event
}

/// Prints what a number of readings took, and gives the allocations per hundred of them.
fn told(what: &str, plant: &Plant, counted: &AllocationInfo, readings: u64) -> f64 {
    let per_hundred = counted.count_total as f64 * 100.0 / readings as f64;
    println!(
        "{what}, {} a message: {} allocations of {} bytes for {readings} readings, {per_hundred:.3} in 100",
        plant.readings(),
        counted.count_total,
        counted.bytes_total,
    );
    per_hundred
}

#[test]
fn warm_batches_allocate_at_most_once_in_a_hundred_readings() {
    for shape in [Shape::Row, Shape::Single] {
        let plant = Plant::of(shape);
        let mut whole = Whole::new(ShardState::default());
        for index in 0..WARM_BATCHES {
            whole.take(&event(&plant, index)).unwrap();
        }
        let (mut counted, mut findings) = (AllocationInfo::default(), 0);
        for index in WARM_BATCHES..WARM_BATCHES + COUNTED_BATCHES {
            let bytes = event(&plant, index);
            counted += measure(|| drop(whole.take(&bytes).unwrap()));
            assert_eq!(whole.readings(), EVENT_READINGS);
            findings += whole.findings();
        }
        let per_hundred = told("event to objects", &plant, &counted, COUNTED_BATCHES * EVENT_READINGS);
        println!("    {findings} findings among them");
        assert!(per_hundred <= 1.0, "{shape:?}: {per_hundred:.3} allocations in 100 readings");
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
    told(what, plant, &counted, EVENT_READINGS);
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
