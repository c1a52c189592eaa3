//! The handler behind the Lambda runtime: logs, connections, the two kinds of events.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use anomaly_core::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use platform::clock;
use platform::ports::AlertWorld;
use serde_json::value::RawValue;
use tracing::level_filters::LevelFilter;

pub use lambda_runtime::Error;

use crate::config::Config;
use crate::dispatch::Dispatch;
use crate::event::{BatchResponse, Event, Failure};
use crate::fanout::{Done, Fanout};

/// Logs as lines of JSON on standard error. `MILLRACE_LOG` sets the level: `error`, `warn`, `info` (default), `debug`,
/// `trace`, `off`.
pub fn init_logs() {
    #[expect(clippy::disallowed_methods, reason = "logs must be there before the configuration is read and refused")]
    let wanted = std::env::var("MILLRACE_LOG").ok();
    let level = wanted.as_deref().map_or(Ok(LevelFilter::INFO), str::parse);
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(std::io::stderr)
        .with_max_level(level.as_ref().copied().unwrap_or(LevelFilter::INFO))
        .init();
    if level.is_err() {
        tracing::warn!(level = wanted, "MILLRACE_LOG must be error, warn, info, debug, trace or off; it is info now");
    }
}

/// Logs what ends the process before it could serve.
pub fn log_fatal(error: &(impl StdError + 'static)) {
    let error: &(dyn StdError + 'static) = error;
    tracing::error!(error, "the function cannot start");
}

/// The stores and the channels on AWS.
///
/// # Errors
/// When the configuration names no AWS stores, or the environment says no region or has no credentials.
#[cfg(feature = "aws")]
pub fn connect(
    config: &Config,
    lookup: impl Fn(&str) -> Option<String> + Copy + Send + Sync + 'static,
) -> Result<(platform::aws::Aws, crate::dispatch::Channels<crate::secret::AnySecrets>), Error> {
    use crate::channel::sns::Sns;
    use crate::config::{SecretsPlace, Stores};
    use crate::dispatch::Channels;
    use crate::network::Outbound;
    use crate::secret::AnySecrets;
    use crate::secret::aws::SecretsManager;
    use crate::secret::environment::EnvironmentSecrets;
    use crate::secret::folder::FolderSecrets;
    use platform::aws::{Aws, AwsSettings};

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
    let secrets = match &config.secrets {
        SecretsPlace::Aws => AnySecrets::Aws(SecretsManager::from_config(&sdk)),
        SecretsPlace::Environment => AnySecrets::Environment(EnvironmentSecrets::from_lookup(lookup)),
        SecretsPlace::Folder(path) => AnySecrets::Folder(FolderSecrets::new(path)),
    };
    let channels = Channels::new(secrets, Outbound::system(), config.allow_private, clock::now);
    Ok((Aws::from_config(&sdk, settings), channels.with_sns(Sns::client(&sdk))))
}

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve<W, D>(fanout: Fanout<W, D>) -> Result<(), Error>
where
    W: AlertWorld + 'static,
    D: Dispatch + 'static,
{
    let fanout = Arc::new(fanout);
    let handler = service_fn(|event: LambdaEvent<Box<RawValue>>| respond(Arc::clone(&fanout), event));
    Box::pin(lambda_runtime::run(handler)).await
}

async fn respond<W: AlertWorld, D: Dispatch>(
    fanout: Arc<Fanout<W, D>>,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<BatchResponse, Diagnostic> {
    let now = clock::now();
    let deadline_ms = deadline(event.context.deadline, now);
    let remaining = || {
        let left = deadline_ms.saturating_sub(clock::now().millis());
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    };
    let failed = |kind: &str, error: &(dyn StdError + 'static)| {
        tracing::error!(request_id = event.context.request_id, error, "the invocation failed");
        Diagnostic { error_type: kind.to_owned(), error_message: error.to_string() }
    };
    match Event::parse(event.payload.get()).map_err(|error| failed("EventError", &error))? {
        Event::Tick => {
            let done = fanout.tick(now, &remaining).await.map_err(|error| failed("StoreError", &error))?;
            told(done, 0);
            Ok(BatchResponse::default())
        }
        Event::Changes(numbered) => {
            let (numbers, changes): (Vec<String>, Vec<_>) =
                numbered.into_iter().map(|numbered| (numbered.number, numbered.change)).unzip();
            let outcome = fanout.take(&changes, now, &remaining).await.map_err(|error| failed("StoreError", &error))?;
            told(outcome.done, outcome.failed.len());
            let number = |place: usize| numbers.get(place).map(|number| Failure { number: number.clone() });
            let failures = outcome.failed.iter().filter_map(|(place, _)| number(*place)).collect();
            Ok(BatchResponse { failures })
        }
    }
}

fn told(done: Done, failed: usize) {
    let Done { happenings, commits, sent, unsent, held } = done;
    tracing::info!(happenings, commits, sent, unsent, held, failed, "done");
}

/// The invocation's deadline in milliseconds since 1970. An invocation cannot begin after its deadline: `cargo lambda watch`
/// names ten minutes after 1970 whatever the time is, which is taken as two minutes from now.
fn deadline(told_ms: u64, now: Timestamp) -> i64 {
    const UNKNOWN_MS: i64 = 120_000;
    let told_ms = i64::try_from(told_ms).unwrap_or(i64::MAX);
    if told_ms < Timestamp::MIN.millis() { now.millis() + UNKNOWN_MS } else { told_ms }
}
