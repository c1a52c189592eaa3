//! Logs as lines of JSON on standard error, so that standard output is for metrics and people alone.

use std::error::Error;

use tracing_subscriber::filter::LevelFilter;

/// Starts them. `MILLRACE_LOG` sets the level: `error`, `warn`, `info` (default), `debug`, `trace`, `off`.
///
/// Comes before every other setting is read: what is wrong with those is logged.
///
/// # Panics
/// Where logs were started already.
pub fn init(lookup: impl Fn(&str) -> Option<String>) {
    let wanted = lookup("MILLRACE_LOG");
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
pub fn fatal(error: &(impl Error + 'static)) {
    let error: &(dyn Error + 'static) = error;
    tracing::error!(error, "the function cannot start");
}
