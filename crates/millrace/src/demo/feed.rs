//! The plant into the stream, the stream into the scorer.

use std::sync::Arc;
use std::time::Duration;

use anomaly_core::Timestamp;
use anyhow::Context as _;
use kinesis_scorer::{Invocation, Scorer};
use platform::clock;
use platform::embedded::Local;
use platform::embedded::stream::{Discarded, Mapping, MappingSettings, Stream, StreamHandle, run};
use platform::model::ShardId;
use platform::ports::LoadCheckpoint as _;
use simulator::{Emission, PayloadFormat, Plant};

use super::TENANT;
use super::report::Tally;
use crate::ui::Ui;

/// Name of the demo's stream.
const STREAM: &str = "demo";
/// Shards of the demo's stream: one for each core that the demo is meant for.
const SHARDS: u32 = 2;
/// Bytes that wait in the stream before the plant has to wait.
const STREAM_BYTES_MAX: usize = 32 << 20;
/// How long after the measurement a message arrives.
const TRAVEL_MS: i64 = 250;
/// Messages put between two looks at the progress bar.
const STRIDE: u64 = 1_024;

type DemoScorer = Scorer<Local, Arc<Tally>>;

/// The demo's shards.
pub(super) fn shards() -> Vec<ShardId> {
    let stream = Stream::new(STREAM, SHARDS, 0);
    stream.shards().iter().map(|info| stream.shard_id(&info.shard)).collect()
}

/// Runs the plant to its end and returns how many messages it has sent since it was built.
pub(super) async fn feed(plant: Plant, scorer: &Arc<DemoScorer>, ui: &Ui) -> anyhow::Result<u64> {
    let stream = StreamHandle::new(Stream::new(STREAM, SHARDS, STREAM_BYTES_MAX));
    let world = scorer.world();
    world.define_shards(STREAM, &stream.shards()).await?;
    let mut mapping = Mapping::new(MappingSettings {
        batch_size: 2_500,
        batch_window: Duration::from_millis(200),
        report_batch_item_failures: true,
        bisect_on_error: true,
        retries_max: Some(20),
        retry_pause: Duration::from_millis(20),
        ..MappingSettings::default()
    })?;
    for shard in self::shards() {
        if let Some(checkpoint) = world.load_checkpoint(&shard).await? {
            mapping = mapping.starting_after(&shard.shard, checkpoint.last_seq);
        }
    }
    let bar =
        ui.progress(Some(plant.emissions_max()), "{bar:32} {percent:>3} %  {pos} messages  {per_sec}  {eta} left");
    let producer = tokio::spawn(produce(plant, stream.clone(), bar));

    let mut given_up: Option<Discarded> = None;
    let handler = |event: Vec<u8>| {
        let scorer = Arc::clone(scorer);
        async move { handle(&scorer, &event).await }
    };
    run(&stream, &mut mapping, clock::now, handler, |discarded| given_up = Some(discarded)).await;
    let sent = producer.await.context("the plant stopped")??;
    if let Some(discarded) = given_up {
        anyhow::bail!(
            "records of {} could not be scored after {} attempts: {}; run the demo again in the same folder, it goes on from \
             the last committed record",
            discarded.shard,
            discarded.attempts,
            discarded.error.as_deref().unwrap_or("see the log above")
        );
    }
    Ok(sent)
}

async fn handle(scorer: &DemoScorer, event: &[u8]) -> Result<Vec<u8>, String> {
    let remaining = || Duration::from_hours(1);
    let invocation = Invocation { now: clock::now(), remaining: &remaining, request_id: "demo" };
    let response = scorer.handle(event, &invocation).await.map_err(|error| error.to_string())?;
    serde_json::to_vec(&response).map_err(|error| error.to_string())
}

async fn produce(mut plant: Plant, stream: StreamHandle, bar: indicatif::ProgressBar) -> anyhow::Result<u64> {
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
