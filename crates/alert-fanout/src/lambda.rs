//! The handler behind the Lambda runtime: connections, deadlines, the two kinds of events.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use function::deadline::Deadline;
use function::stores::ConnectError;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use platform::aws::Aws;
use platform::clock;
use platform::ports::AlertWorld;
use serde_json::value::RawValue;

pub use lambda_runtime::Error;

use crate::channel::sns::Sns;
use crate::config::{Config, SecretsPlace};
use crate::dispatch::{Channels, Dispatch};
use crate::event::{BatchResponse, Event, Failure};
use crate::fanout::{Done, Fanout};
use crate::network::Outbound;
use crate::pulse::{Pulses, PutPulses};
use crate::secret::AnySecrets;
#[cfg(feature = "embedded")]
use crate::secret::SecretsOnAws;
use crate::secret::aws::SecretsManager;
use crate::secret::environment::EnvironmentSecrets;
use crate::secret::folder::FolderSecrets;

/// How much time an invocation is taken to have whose deadline is not told: as long as a claim holds.
const UNTOLD: Duration = Duration::from_mins(2);

/// What a function works with on AWS.
#[derive(Debug)]
pub struct Connected {
    /// The stores.
    pub world: Aws,
    /// The tables of the other region of a pair.
    pub peer: Option<Aws>,
    /// The ways out.
    pub channels: Channels<AnySecrets>,
}

/// The stores and the channels on AWS. Nothing is called yet.
///
/// # Errors
/// When the configuration names no AWS stores, or the environment says no region or has no credentials.
pub fn connect(
    config: &Config,
    lookup: impl Fn(&str) -> Option<String> + Copy + Send + Sync + 'static,
) -> Result<Connected, ConnectError> {
    let (world, sdk) = config.stores.connect(lookup)?;
    let in_peer = |region: &String| config.stores.tables_in(&sdk, region, config.peer_endpoint.as_deref());
    let peer = config.peer.as_ref().map(in_peer).transpose()?;
    let secrets = match &config.secrets {
        SecretsPlace::Aws => AnySecrets::Aws(SecretsManager::from_config(&sdk)),
        SecretsPlace::Environment => AnySecrets::Environment(EnvironmentSecrets::from_lookup(lookup)),
        SecretsPlace::Folder(path) => AnySecrets::Folder(FolderSecrets::new(path)),
    };
    let channels = Channels::new(secrets, Outbound::system(), config.allow_private, clock::now);
    Ok(Connected { world, peer, channels: channels.with_sns(Sns::client(&sdk)) })
}

/// The channels where the stores are a folder: without topics.
///
/// # Errors
/// The keys are to come from AWS.
#[cfg(feature = "embedded")]
pub fn channels_beside_a_folder(
    config: &Config,
    lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> Result<Channels<AnySecrets>, SecretsOnAws> {
    let secrets = AnySecrets::beside_a_folder(&config.secrets, lookup)?;
    Ok(Channels::new(secrets, Outbound::system(), config.allow_private, clock::now))
}

/// Who puts pulses into the stream of the configuration; nobody when it names none.
#[must_use]
pub fn pulses(config: &Config, world: &Aws) -> Option<Pulses<Aws>> {
    let quiet = Duration::from_secs(u64::from(config.pulse_seconds));
    let of =
        |stream: &String| Pulses { world: world.clone(), region: config.region.clone(), stream: stream.clone(), quiet };
    config.stream.as_ref().map(of)
}

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve<W, D, P>(fanout: Fanout<W, D>, pulses: P) -> Result<(), Error>
where
    W: AlertWorld + 'static,
    D: Dispatch + 'static,
    P: PutPulses + 'static,
{
    let parts = Arc::new((fanout, pulses));
    let handler = service_fn(|event: LambdaEvent<Box<RawValue>>| {
        let parts = Arc::clone(&parts);
        // Behind a pointer: futures in one another are laid out as one, and the compiler follows some hundred of them at the most.
        Box::pin(async move { respond(&parts.0, &parts.1, event).await })
    });
    Box::pin(lambda_runtime::run(handler)).await
}

async fn respond<W: AlertWorld, D: Dispatch, P: PutPulses>(
    fanout: &Fanout<W, D>,
    pulses: &P,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<BatchResponse, Diagnostic> {
    let now = clock::now();
    let deadline = Deadline::new(event.context.deadline, now, UNTOLD);
    let remaining = || deadline.remaining(clock::now());
    let failed = |kind: &str, error: &(dyn StdError + 'static)| {
        tracing::error!(request_id = event.context.request_id, error, "the invocation failed");
        Diagnostic { error_type: kind.to_owned(), error_message: error.to_string() }
    };
    match Event::parse(event.payload.get()).map_err(|error| failed("EventError", &error))? {
        Event::Tick => {
            // What is due is told whether or not the stream can be reached, and the other way round.
            let (done, put) = tokio::join!(fanout.tick(now, &remaining), fanout.pulse(pulses, now));
            told(done.map_err(|error| failed("StoreError", &error))?, 0);
            let pulses = put.map_err(|error| failed("StoreError", &error))?;
            if pulses > 0 {
                tracing::info!(pulses, "quiet shards got a pulse");
            }
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
