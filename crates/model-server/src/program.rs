//! What the program in the container does: it trains or serves until it is done or asked to end.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use function::settings::SettingsError;
use telemetry::profile::ProfileErrors;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::container::{Container, ContainerError, ROOT_DEFAULT};
use crate::model::Loaded;
use crate::server::Server;
use crate::settings::ServeSettings;

/// Why the program could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The settings have mistakes.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// There is no model, or it cannot be trained.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// This release does not take the model's profile.
    #[error("the model's profile is refused: {0}")]
    Profile(#[from] ProfileErrors),
    /// The system refuses.
    #[error("the server cannot listen: {0}")]
    Io(#[from] io::Error),
}

/// Does what the first argument says: `train` or `serve`. Exit code 1 for a failure, 2 for a word that is not known.
pub fn run(asked: Option<&str>, lookup: impl Fn(&str) -> Option<String>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let done = match asked {
        Some("train") => runtime.block_on(train(&lookup)),
        Some("serve") => runtime.block_on(serve(&lookup)),
        _ => {
            tracing::error!(asked, "say `train` or `serve`");
            return ExitCode::from(2);
        }
    };
    done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn failed(error: &(dyn Error + 'static)) -> ExitCode {
    tracing::error!(error, "failed");
    ExitCode::FAILURE
}

async fn train(lookup: impl Fn(&str) -> Option<String>) -> Result<(), ProgramError> {
    let root = lookup("MILLRACE_ML_ROOT").filter(|root| !root.is_empty()).unwrap_or_else(|| ROOT_DEFAULT.to_owned());
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), end()?);
    let training = tokio::task::spawn_blocking({
        let stop = Arc::clone(&stop);
        move || Container::new(root).train(&stop)
    });
    tokio::spawn(async move {
        asked.await;
        stop.store(true, Ordering::Relaxed);
    });
    let card = training.await.map_err(io::Error::other)??;
    tracing::info!(
        model = card.full_name(),
        kind = card.kind.as_str(),
        rows = card.rows,
        refused = card.refused,
        devices = card.device_count,
        score_p50 = card.scores.map(|scores| scores.p50),
        score_p99 = card.scores.map(|scores| scores.p99),
        validation_p50 = card.validation.map(|scores| scores.p50),
        validation_p99 = card.validation.map(|scores| scores.p99),
        "trained"
    );
    Ok(())
}

async fn serve(lookup: impl Fn(&str) -> Option<String>) -> Result<(), ProgramError> {
    let settings = ServeSettings::from_lookup(lookup)?;
    let model = Loaded::new(Container::new(settings.root).load()?)?;
    let (listener, stop) = (TcpListener::bind(settings.address).await?, end()?);
    let address = listener.local_addr()?;
    let (name, kind) = (model.card.full_name(), model.card.kind.as_str());
    tracing::info!(%address, model = name, kind, "serving");
    Server::new(model, settings.limits).run(listener, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

/// When the system asks for the end: SIGTERM, or an interrupt at the keyboard.
///
/// # Errors
/// The signals cannot be watched.
pub fn end() -> io::Result<impl Future<Output = ()> + Send> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
