//! The plant into the stream, the stream into the scorer.

use std::sync::Arc;
use std::time::Duration;

use anomaly_core::Timestamp;
use anyhow::Context as _;
use indicatif::ProgressBar;
use kinesis_scorer::{Invocation, Scorer};
use platform::clock;
use platform::embedded::Local;
use platform::embedded::stream::{Mapping, MappingSettings, Stream, StreamHandle, run};
use platform::model::ShardId;
use platform::ports::LoadCheckpoint as _;
use simulator::{Emission, PayloadFormat, Plant};

use super::TENANT;
use super::alerts::Wake;
use super::faults::Faults;
use super::report::Tally;

/// Name of the demo's stream.
const STREAM: &str = "demo";
/// Shards of the demo's stream: one for each core that the demo is meant for.
const SHARDS: u32 = 2;
/// Bytes that wait in the stream before the plant has to wait.
const STREAM_BYTES_MAX: usize = 32 << 20;
/// How long after the measurement a message arrives.
pub(super) const TRAVEL_MS: i64 = 250;
/// Messages put between two looks at the progress bar.
const STRIDE: u64 = 1_024;

pub(super) type DemoScorer = Scorer<Local, Arc<Tally>>;

/// The demo's shards.
pub(super) fn shards() -> Vec<ShardId> {
    let stream = Stream::new(STREAM, SHARDS, 0);
    stream.shards().iter().map(|info| stream.shard_id(&info.shard)).collect()
}

/// Runs the plant to its end and returns how many messages it has sent since it was built.
///
/// # Errors
/// [`super::faults::Stopped`] when a batch cannot be committed; nothing behind it is, then.
pub(super) async fn feed(
    plant: Plant,
    scorer: &Arc<DemoScorer>,
    faults: &Faults,
    wake: &Wake,
    bar: ProgressBar,
) -> anyhow::Result<u64> {
    let stream = StreamHandle::new(Stream::new(STREAM, SHARDS, STREAM_BYTES_MAX));
    let world = scorer.world();
    world.define_shards(STREAM, &stream.shards()).await?;
    // Without a limit of retries no record is ever passed over; `faults` says when to stop.
    let mut mapping = Mapping::new(MappingSettings {
        batch_size: 2_500,
        batch_window: Duration::from_millis(200),
        report_batch_item_failures: true,
        retry_pause: Duration::from_millis(20),
        ..MappingSettings::default()
    })?;
    for shard in self::shards() {
        if let Some(checkpoint) = world.load_checkpoint(&shard).await? {
            mapping = mapping.starting_after(&shard.shard, checkpoint.last_seq);
        }
    }
    let producer = tokio::spawn(produce(plant, stream.clone(), bar));

    let handler = |event: Vec<u8>| {
        let (scorer, faults, wake) = (Arc::clone(scorer), faults.clone(), wake.clone());
        async move { handle(&scorer, &faults, &wake, &event).await }
    };
    tokio::select! {
        () = run(&stream, &mut mapping, clock::now, handler, drop) => {}
        stopped = faults.are_too_many() => {
            producer.abort();
            return Err(stopped.into());
        }
    }
    producer.await.context("the plant stopped")?
}

async fn handle(scorer: &DemoScorer, faults: &Faults, wake: &Wake, event: &[u8]) -> Result<Vec<u8>, String> {
    faults.attempt();
    let remaining = || Duration::from_hours(1);
    let invocation = Invocation { now: clock::now(), remaining: &remaining, request_id: "demo" };
    let response = scorer.handle(event, &invocation).await.map_err(|error| error.to_string());
    match &response {
        Ok(response) if response.batch_item_failures.is_empty() => {
            faults.committed();
            wake.committed();
        }
        Ok(_) => {}
        Err(words) => faults.failed(words),
    }
    serde_json::to_vec(&response?).map_err(|error| error.to_string())
}

async fn produce(mut plant: Plant, stream: StreamHandle, bar: ProgressBar) -> anyhow::Result<u64> {
    let (mut emission, mut payload) = (Emission::default(), Vec::new());
    let mut sent = 0;
    while plant.next_into(&mut emission) {
        emission.payload(PayloadFormat::Topic, TENANT, &mut payload);
        let arrived = Timestamp::from_millis(emission.at_ms + TRAVEL_MS)?;
        stream.put(&emission.device_name, &payload, arrived).await?;
        sent += 1;
        if sent % STRIDE == 0 {
            bar.set_position(sent);
        }
    }
    stream.end();
    bar.finish_and_clear();
    Ok(sent)
}
