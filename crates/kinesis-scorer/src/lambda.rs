//! The handler behind the Lambda runtime: connections, deadlines, shutdown.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use function::deadline::Deadline;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use platform::clock;
use platform::cost::{Architecture, Prices, PricesError, Rate};
use platform::metrics::EmitMetrics;
use platform::ports::{AskModel, ScorerWorld};
use serde_json::value::RawValue;
use telemetry::kinesis::BatchResponse;

use crate::Config;
use crate::config::MetricsSink;
use crate::handler::{Invocation, Scorer};

pub use lambda_runtime::Error;

/// How much time an invocation is taken to have whose deadline is not told.
const UNTOLD: Duration = Duration::from_mins(10);

/// What a batch is charged by, for the estimate beside its metrics.
///
/// # Errors
/// When the prices that were built in are no prices.
pub fn rate(config: &Config) -> Result<Rate, PricesError> {
    Ok(Rate {
        prices: Prices::built_in()?,
        architecture: Architecture::here(),
        memory_mb: config.memory_mb,
        metric_calls: u64::from(config.metrics == MetricsSink::CloudWatch),
    })
}

/// Connects to AWS during init, where the processor runs at full speed whatever the memory setting is: the stores, the metrics,
/// and the second model where one is configured.
///
/// # Errors
/// When the configuration names no AWS stores, or the environment says no region or has no credentials.
#[cfg(feature = "aws")]
pub async fn connect(
    config: &Config,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<(platform::aws::Aws, aws_metrics::Metrics, Option<platform::aws::Endpoint>), function::stores::ConnectError>
{
    let (world, sdk) = config.stores.connect(lookup)?;
    world.warm_up().await;
    let metrics = match config.metrics {
        MetricsSink::Emf => aws_metrics::Metrics::Emf(platform::metrics::EmfStdout),
        MetricsSink::CloudWatch => {
            aws_metrics::Metrics::CloudWatch(platform::aws::CloudWatchMetrics::from_config(&sdk))
        }
    };
    let model = config.opinion.as_ref().map(|opinion| platform::aws::Endpoint::from_config(&sdk, &opinion.endpoint));
    Ok((world, metrics, model))
}

#[cfg(feature = "aws")]
mod aws_metrics {
    use anomaly_core::Timestamp;
    use platform::aws::CloudWatchMetrics;
    use platform::metrics::{BatchMetrics, EmfStdout, EmitMetrics};

    /// Where the configuration sends metrics.
    #[derive(Debug)]
    pub enum Metrics {
        /// Log lines.
        Emf(EmfStdout),
        /// Calls.
        CloudWatch(CloudWatchMetrics),
    }

    impl EmitMetrics for Metrics {
        async fn emit(&self, metrics: &BatchMetrics, environment: &str, at: Timestamp) {
            match self {
                Self::Emf(sink) => sink.emit(metrics, environment, at).await,
                Self::CloudWatch(sink) => sink.emit(metrics, environment, at).await,
            }
        }
    }
}

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve<W, M, A>(scorer: Scorer<W, M, A>) -> Result<(), Error>
where
    W: ScorerWorld + 'static,
    M: EmitMetrics + Send + Sync + 'static,
    A: AskModel + Send + Sync + 'static,
{
    let scorer = Arc::new(scorer);
    end_gracefully(Arc::clone(&scorer)).await;
    // A batch's future holds all its locals, and is deep: on the heap it grows no caller, neither in bytes nor in the depth to which
    // the compiler follows what is laid out as one.
    let handler = service_fn(|event: LambdaEvent<Box<RawValue>>| Box::pin(respond(Arc::clone(&scorer), event)));
    Box::pin(lambda_runtime::run(handler)).await
}

async fn respond<W, M, A>(
    scorer: Arc<Scorer<W, M, A>>,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<BatchResponse, Diagnostic>
where
    W: ScorerWorld,
    M: EmitMetrics + Sync,
    A: AskModel + Sync,
{
    let now = clock::now();
    let deadline = Deadline::new(event.context.deadline, now, UNTOLD);
    let remaining = || deadline.remaining(clock::now());
    let invocation = Invocation { now, remaining: &remaining, request_id: &event.context.request_id };
    scorer.handle(event.payload.get().as_bytes(), &invocation).await.map_err(|error| {
        let message = error.to_string();
        let error: &dyn StdError = &error;
        tracing::error!(request_id = event.context.request_id, error, "the event cannot be read");
        Diagnostic { error_type: "EventError".to_owned(), error_message: message }
    })
}

/// Writes snapshots when the process is told to end.
///
/// Lambda sends SIGTERM only to functions with an extension (AWS Lambda Developer Guide, "Understanding the execution
/// environment lifecycle"), so one that wants no events is registered. Where the runtime API has no extensions the function
/// works all the same; its next start replays.
async fn end_gracefully<W, M, A>(scorer: Arc<Scorer<W, M, A>>)
where
    W: ScorerWorld + 'static,
    M: EmitMetrics + Send + Sync + 'static,
    A: Send + Sync + 'static,
{
    let registered =
        lambda_extension::Extension::new().with_events(&[]).with_extension_name("_millrace-shutdown").register().await;
    match registered {
        Ok(extension) => drop(tokio::spawn(async move {
            if let Err(error) = extension.run().await {
                tracing::debug!(error = &*error as &dyn StdError, "the extension ended");
            }
        })),
        Err(error) => tracing::info!(error = &*error as &dyn StdError, "no extension, so no word before the end"),
    }
    let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminated {
        Ok(mut terminated) => drop(tokio::spawn(async move {
            if terminated.recv().await.is_some() {
                scorer.shut_down().await;
                std::process::exit(0);
            }
        })),
        Err(error) => tracing::warn!(error = &error as &dyn StdError, "SIGTERM cannot be waited for"),
    }
}
