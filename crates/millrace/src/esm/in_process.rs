//! The scorer's own handler in this process, over a folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event_source::source::Source;
use event_source::target::{Call, Handler};
use kinesis_scorer::{Config, Invocation, Scorer};
use platform::clock::{self, Stopwatch};
use platform::embedded::Local;
use platform::embedded::stream::StreamHandle;
use platform::metrics::NoMetrics;
use platform::model::ShardId;
use platform::ports::LoadCheckpoint as _;
use telemetry::sequence::SequenceNumber;

use crate::options::TENANT_DEFAULT;
use crate::ui::Ui;

/// The scorer, its folder, and the stream that it is told about.
#[derive(Clone)]
pub(super) struct InProcess {
    scorer: Arc<Scorer<Local, NoMetrics>>,
    stream: StreamHandle,
    /// How many shards the folder knows.
    defined: Arc<tokio::sync::Mutex<usize>>,
}

impl InProcess {
    /// Opens the folder.
    pub(super) async fn open(dir: &Path, source: &Source, ui: &Ui) -> anyhow::Result<Self> {
        let world = Local::open(dir)?;
        let stream = source.stream().clone();
        warn_of_earlier(&world, &stream, dir, ui).await?;
        let mut config = Config::local(&dir.to_string_lossy());
        TENANT_DEFAULT.clone_into(&mut config.default_tenant);
        let scorer = Arc::new(Scorer::new(world, NoMetrics, config));
        Ok(Self { scorer, stream, defined: Arc::default() })
    }

    pub(super) fn handler(&self) -> Handler {
        let this = self.clone();
        Arc::new(move |call| {
            let this = this.clone();
            Box::pin(async move { this.handle(call).await })
        })
    }

    async fn handle(&self, call: Call) -> Result<Vec<u8>, String> {
        self.define_shards().await.map_err(|error| error.to_string())?;
        let watch = Stopwatch::start();
        let remaining = || call.timeout.saturating_sub(watch.elapsed()).max(Duration::ZERO);
        let invocation = Invocation { now: clock::now(), remaining: &remaining, request_id: &call.request_id };
        let response = self.scorer.handle(&call.event, &invocation).await.map_err(|error| error.to_string())?;
        serde_json::to_vec(&response).map_err(|error| error.to_string())
    }

    /// Says which shards there are: a child looks for its parents.
    async fn define_shards(&self) -> Result<(), platform::ports::StoreError> {
        let shards = self.stream.shards();
        let mut defined = self.defined.lock().await;
        if *defined != shards.len() {
            self.scorer.world().define_shards(&self.stream.name(), &shards).await?;
            *defined = shards.len();
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.scorer.shut_down().await;
    }
}

/// A second run with other records under the same name and numbers would be taken for a redelivery.
async fn warn_of_earlier(world: &Local, stream: &StreamHandle, dir: &Path, ui: &Ui) -> anyhow::Result<()> {
    let (name, region) = (stream.name(), stream.origin().region);
    for info in stream.shards() {
        let shard = ShardId { region: region.clone(), stream: name.clone(), shard: info.shard };
        // A shard that knows nothing but history (`millrace backfill`) has taken no record yet.
        let checkpoint = world.load_checkpoint(&shard).await?;
        if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.last_seq > SequenceNumber::ZERO) {
            ui.warn(format_args!(
                "`{}` has records of the stream `{name}` up to {} in {}: what comes under those numbers is taken for a \
                 redelivery and not scored again; other records need another --stream-name or --dir",
                dir.display(),
                checkpoint.last_seq.trimmed(),
                shard.shard
            ));
            return Ok(());
        }
    }
    Ok(())
}
