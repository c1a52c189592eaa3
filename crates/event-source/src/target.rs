//! What takes the events: an address, a bootstrap as a child process, a handler in this process.

mod api;
mod bootstrap;
mod environment;
mod package;
mod url;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use platform::clock::Stopwatch;

pub use bootstrap::{Bootstrap, BootstrapSettings, Logs};
pub use package::{Package, PackageError};
pub use url::InvokeUrl;

/// Why a target cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// An address that is none.
    #[error(
        "`{url}` is no address to invoke: {why}; expected such as http://127.0.0.1:9000/2015-03-31/functions/NAME/invocations"
    )]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// No bootstrap, or one that cannot be run.
    #[error("`{path}` is no bootstrap: {why}")]
    Bootstrap {
        /// What was given.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

/// One invocation, as a target gets it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The event.
    pub event: Vec<u8>,
    /// Identity of the request.
    pub request_id: String,
    /// How long it may take.
    pub timeout: Duration,
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The function has answered.
    Answered(Vec<u8>),
    /// The function has reported an error.
    FunctionError(String),
    /// It took longer than it may.
    TimedOut,
    /// Its process ended.
    Crashed(String),
    /// It was not reached; trying again may help.
    NotInvoked(String),
    /// It cannot be reached at all.
    Broken(String),
}

/// An invocation that has ended, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// How.
    pub answer: Answer,
    /// From handing over the event to the answer.
    pub duration: Duration,
    /// From the start of the process to its first request for an event, where this invocation had to wait for that.
    pub init: Option<Duration>,
    /// The most memory that the process has had, in bytes, where that is known.
    pub memory_bytes_max: Option<u64>,
}

/// A future on the heap.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A function of this process: the bytes of the answer, or what went wrong.
pub type Handler = Arc<dyn Fn(Call) -> Boxed<Result<Vec<u8>, String>> + Send + Sync>;

/// What takes the events. Clones are the same target.
#[derive(Clone)]
pub enum Target {
    /// The Invoke API of an address.
    Url(Arc<InvokeUrl>),
    /// Child processes behind a Runtime API of ours.
    Bootstrap(Arc<Bootstrap>),
    /// A function of this process.
    Handler(Handler),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Bootstrap(bootstrap) => bootstrap.fmt(f),
            Self::Handler(_) => f.write_str("Handler"),
        }
    }
}

impl Target {
    /// Invokes the function once.
    pub async fn invoke(&self, call: Call) -> Done {
        match self {
            Self::Url(url) => url.invoke(call).await,
            Self::Bootstrap(bootstrap) => bootstrap.invoke(call).await,
            Self::Handler(handler) => handle(handler, call).await,
        }
    }

    /// Ends what was started: asks processes to end, and makes them end.
    pub async fn shut_down(&self) {
        if let Self::Bootstrap(bootstrap) = self {
            bootstrap.shut_down().await;
        }
    }
}

async fn handle(handler: &Handler, call: Call) -> Done {
    let (watch, timeout) = (Stopwatch::start(), call.timeout);
    let answer = match tokio::time::timeout(timeout, handler(call)).await {
        Ok(Ok(answer)) => Answer::Answered(answer),
        Ok(Err(error)) => Answer::FunctionError(error),
        Err(_) => Answer::TimedOut,
    };
    Done { answer, duration: watch.elapsed(), init: None, memory_bytes_max: None }
}

/// What a function says when it fails: `errorType: errorMessage`, or the text itself.
fn error_text(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        error_type: Option<String>,
        error_message: Option<String>,
    }
    match serde_json::from_slice::<Payload>(body) {
        Ok(Payload { error_type: Some(kind), error_message: Some(message) }) => format!("{kind}: {message}"),
        Ok(Payload { error_type: None, error_message: Some(text) } | Payload { error_type: Some(text), .. }) => text,
        _ => String::from_utf8_lossy(&body[..body.len().min(ERROR_BYTES_SHOWN)]).trim().to_owned(),
    }
}

/// How much of an answer that is no error document is quoted.
const ERROR_BYTES_SHOWN: usize = 400;

/// Whether an answer is an error document: what runtimes send, and some local tools hand on as if it were an answer.
fn is_error_document(body: &[u8]) -> bool {
    let value = serde_json::from_slice::<serde_json::Value>(body);
    value.is_ok_and(|value| {
        value.get("errorMessage").is_some_and(serde_json::Value::is_string) && value.get("batchItemFailures").is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_is_told_from_an_answer() {
        assert!(is_error_document(br#"{"errorType":"E","errorMessage":"no"}"#));
        for answer in [&b"null"[..], b"", br#"{"batchItemFailures":[]}"#, br#""errorMessage""#] {
            assert!(!is_error_document(answer));
        }
        assert_eq!(error_text(br#"{"errorType":"E","errorMessage":"no"}"#), "E: no");
        assert_eq!(error_text(br#"{"errorMessage":"no"}"#), "no");
        assert_eq!(error_text(b" bad gateway\n"), "bad gateway");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_takes_too_long_is_dropped() {
        let handler: Handler = Arc::new(|_| Box::pin(std::future::pending()));
        let call = Call { event: Vec::new(), request_id: "1".to_owned(), timeout: Duration::from_secs(3) };
        let done = Target::Handler(handler).invoke(call).await;
        assert_eq!(done.answer, Answer::TimedOut);
    }
}
