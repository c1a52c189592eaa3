//! How long a cold start takes to be where the warm process was: a snapshot and the longest replay that may follow it.
//!
//! `cargo bench -p kinesis-scorer --no-default-features --bench restore` makes a shard of 1,000 devices with 5 metrics that
//! have reported every five minutes for two weeks, commits 64 segments with 250,000 readings in all after its snapshot, and
//! restores it from a store in memory, so that no network is in the figure. Wanted: at most a second.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and it is here to measure time"
)]

#[expect(dead_code, reason = "shared with the benches that need the rest")]
mod plant;
#[path = "plant/warm.rs"]
mod warm;

use std::error::Error;
use std::time::{Duration, Instant};

use kinesis_scorer::commit::{self, READINGS_MAX, SEGMENTS_MAX};
use kinesis_scorer::fold::Tenancy;
use kinesis_scorer::profiles::Profiles;
use kinesis_scorer::restore::restore;
use kinesis_scorer::state::ShardState;
use kinesis_scorer::{Config, Invocation, Scorer};
use plant::{Plant, Shape, TENANT, sequence};
use platform::metrics::NoMetrics;
use platform::model::{Checkpoint, CheckpointChange, ContentHash, Key, ShardId, SnapshotRef};
use platform::sim::SimWorld;

const PLANT: Plant = Plant { devices: 1_000, cadence_ms: 300_000, shape: Shape::Row };
/// Two weeks of five minutes.
const WARM_ROWS: u64 = 14 * 288;
/// Runs whose best is printed.
const RUNS: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let shard = ShardId {
        region: "eu-west-1".to_owned(),
        stream: "bench".to_owned(),
        shard: "shardId-000000000000".to_owned(),
    };
    let first = WARM_ROWS * PLANT.devices;
    let state = warm::state(&PLANT, first)?;
    let world = SimWorld::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let snapshot = runtime.block_on(commit_snapshot(&world, &shard, &state, first - 1))?;
    let replayed = runtime.block_on(commit_segments(&world, &shard, first))?;

    let decoding = best(|| {
        std::hint::black_box(ShardState::from_snapshot(&snapshot)?);
        Ok(())
    })?;
    let tenancy = Tenancy::new(None, TENANT);
    let whole = best(|| {
        let (warm, _) = runtime.block_on(restore(&world, &shard, &tenancy))?;
        let devices = warm.state.engine.len() as u64;
        if devices == PLANT.devices { Ok(()) } else { Err(format!("{devices} devices were restored").into()) }
    })?;
    println!("devices                {} of 5 metrics, two weeks old", PLANT.devices);
    println!("snapshot               {:.1} MB", snapshot.len() as f64 / 1e6);
    println!("  decoded in           {:.0} ms", milliseconds(decoding));
    println!("replay                 {} segments, {} readings", replayed.segments, replayed.readings);
    println!("restored in            {:.0} ms", milliseconds(whole));
    Ok(())
}

/// Commits `state` as of message `count`, as the batch before the segments would have.
async fn commit_snapshot(world: &SimWorld, shard: &ShardId, state: &ShardState, count: u64) -> Outcome<Vec<u8>> {
    let (last_seq, stream_time) = (sequence(count), PLANT.arrived(count));
    let bytes = state.to_snapshot(last_seq, stream_time, Profiles::default().fingerprint())?;
    let name = |suffix: &str| Key::new(format!("state/bench{suffix}"));
    let (object, _) = commit::put(world, &bytes, ContentHash::of(&bytes), name).await?;
    let next = Checkpoint {
        version: 1,
        last_seq,
        stream_time,
        batch: String::new(),
        snapshot: Some(SnapshotRef { object, at: stream_time }),
        segments: Vec::new(),
        epoch: 0,
        hash_range: None,
    };
    let change = CheckpointChange { shard, next: &next, expected: None };
    commit::commit(world, change, None, &commit::Items::default()).await?;
    Ok(bytes)
}

/// What a restore replays.
struct Replayed {
    segments: usize,
    readings: u64,
}

/// Lets the handler commit as many segments as it does before it writes the next snapshot.
async fn commit_segments(world: &SimWorld, shard: &ShardId, first: u64) -> Outcome<Replayed> {
    // Not by time: what is measured is the other bound.
    let config = Config { snapshot_seconds: 7 * 86_400, ..Config::local("unused") };
    let scorer = Scorer::new(world.clone(), NoMetrics, config);
    let messages = READINGS_MAX / PLANT.readings() / SEGMENTS_MAX as u64;
    let remaining = || Duration::from_mins(15);
    let mut event = Vec::new();
    for segment in 0..SEGMENTS_MAX as u64 {
        let counts = first + segment * messages..first + (segment + 1) * messages;
        let invocation = Invocation { now: PLANT.arrived(counts.end), remaining: &remaining, request_id: "bench" };
        PLANT.event(counts, &mut event);
        let response = scorer.handle(&event, &invocation).await?;
        if !response.batch_item_failures.is_empty() {
            return Err("a batch of the plant was not committed".into());
        }
    }
    let checkpoint = world.checkpoint(shard).ok_or("nothing was committed")?;
    let readings = checkpoint.segments.iter().map(|segment| u64::from(segment.readings)).sum();
    Ok(Replayed { segments: checkpoint.segments.len(), readings })
}

fn best(mut work: impl FnMut() -> Outcome<()>) -> Outcome<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let started = Instant::now();
        work()?;
        best = best.min(started.elapsed());
    }
    Ok(best)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
