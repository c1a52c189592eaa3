//! The handler behind the Lambda runtime: logs, connections, shutdown.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use anomaly_core::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use platform::clock;
use platform::cost::{Architecture, Prices, PricesError, Rate};
use platform::metrics::EmitMetrics;
use platform::ports::ScorerWorld;
use serde_json::value::RawValue;
use telemetry::kinesis::BatchResponse;
use tracing_subscriber::filter::LevelFilter;

use crate::Config;
use crate::config::MetricsSink;
use crate::handler::{Invocation, Scorer};

pub use lambda_runtime::Error;

/// Logs as lines of JSON on standard error, so that standard output is for metrics alone. `MILLRACE_LOG` sets the level:
/// `error`, `warn`, `info` (default), `debug`, `trace`, `off`.
pub fn init_logs() {
    #[expect(clippy::disallowed_methods, reason = "logs must be there before the configuration is read and refused")]
    let wanted = std::env::var("MILLRACE_LOG").ok();
    let level = wanted.as_deref().map_or(Ok(LevelFilter::INFO), str::parse);
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(std::io::stderr)
        .with_max_level(*level.as_ref().unwrap_or(&LevelFilter::INFO))
        .init();
    if level.is_err() {
        tracing::warn!(value = wanted, "MILLRACE_LOG must be error, warn, info, debug, trace or off; using info");
    }
}

/// Logs what ends the process before it could serve.
pub fn log_fatal(error: &(impl StdError + 'static)) {
    let error: &(dyn StdError + 'static) = error;
    tracing::error!(error, "the function cannot start");
}

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

/// Connects to AWS during init, where the processor runs at full speed whatever the memory setting is.
///
/// # Errors
/// When the configuration names no AWS stores, or the environment says no region or has no credentials.
#[cfg(feature = "aws")]
pub async fn connect(
    config: &Config,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<(platform::aws::Aws, aws_metrics::Metrics), Error> {
    use crate::config::Stores;
    use platform::aws::{Aws, AwsSettings, CloudWatchMetrics};

    let Stores::Aws { bucket, results_table, checkpoints_table, s3_path_style } = &config.stores else {
        return Err("the configuration names a folder, not AWS".into());
    };
    let sdk = platform::aws::from_environment(lookup).inspect_err(log_fatal)?;
    let settings = AwsSettings {
        bucket: bucket.clone(),
        results_table: results_table.clone(),
        checkpoints_table: checkpoints_table.clone(),
        s3_path_style: *s3_path_style,
    };
    let world = Aws::from_config(&sdk, settings);
    world.warm_up().await;
    let metrics = match config.metrics {
        MetricsSink::Emf => aws_metrics::Metrics::Emf(platform::metrics::EmfStdout),
        MetricsSink::CloudWatch => aws_metrics::Metrics::CloudWatch(CloudWatchMetrics::from_config(&sdk)),
    };
    Ok((world, metrics))
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
pub async fn serve<W, M>(scorer: Scorer<W, M>) -> Result<(), Error>
where
    W: ScorerWorld + 'static,
    M: EmitMetrics + Send + Sync + 'static,
{
    let scorer = Arc::new(scorer);
    end_gracefully(Arc::clone(&scorer)).await;
    // The future holds a whole batch's locals; on the heap it does not grow its callers.
    Box::pin(lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| respond(Arc::clone(&scorer), event))))
        .await
}

async fn respond<W, M>(
    scorer: Arc<Scorer<W, M>>,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<BatchResponse, Diagnostic>
where
    W: ScorerWorld,
    M: EmitMetrics + Sync,
{
    let now = clock::now();
    let deadline_ms = deadline(event.context.deadline, now);
    let remaining = || {
        let left = deadline_ms.saturating_sub(clock::now().millis());
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    };
    let invocation = Invocation { now, remaining: &remaining, request_id: &event.context.request_id };
    scorer.handle(event.payload.get().as_bytes(), &invocation).await.map_err(|error| {
        let message = error.to_string();
        let error: &dyn StdError = &error;
        tracing::error!(request_id = event.context.request_id, error, "the event cannot be read");
        Diagnostic { error_type: "EventError".to_owned(), error_message: message }
    })
}

/// The invocation's deadline in milliseconds since 1970. An invocation cannot begin after its deadline: `cargo lambda watch`
/// names ten minutes after 1970 whatever the time is, which is taken as ten minutes from now.
fn deadline(told_ms: u64, now: Timestamp) -> i64 {
    const UNKNOWN_MS: i64 = 600_000;
    let told_ms = i64::try_from(told_ms).unwrap_or(i64::MAX);
    if told_ms < Timestamp::MIN.millis() { now.millis() + UNKNOWN_MS } else { told_ms }
}

/// Writes snapshots when the process is told to end.
///
/// Lambda sends SIGTERM only to functions with an extension (AWS Lambda Developer Guide, "Understanding the execution
/// environment lifecycle"), so one that wants no events is registered. Where the runtime API has no extensions the function
/// works all the same; its next start replays.
async fn end_gracefully<W, M>(scorer: Arc<Scorer<W, M>>)
where
    W: ScorerWorld + 'static,
    M: EmitMetrics + Send + Sync + 'static,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_cannot_be_is_taken_as_unknown() {
        let now = Timestamp::from_millis(1_790_000_000_000).unwrap();
        assert_eq!(deadline(600_000, now), 1_790_000_600_000);
        assert_eq!(deadline(1_790_000_120_000, now), 1_790_000_120_000);
        // A real one that has passed is believed: nothing is begun then.
        assert_eq!(deadline(1_789_999_999_000, now), 1_789_999_999_000);
    }
}
