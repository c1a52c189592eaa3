//! Asking a model, where somebody serves one.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use super::{StoreError, StoreErrorKind};

/// Why a model gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AskErrorKind {
    /// Nobody answers there, or a server's fault.
    Unreachable,
    /// The time was over.
    Slow,
    /// Told to slow down.
    Throttled,
    /// It will not work until somebody changes something: a name, a permission.
    Refused,
    /// The model itself failed.
    Model,
}

/// A model gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("ask model `{target}`: {remedy}")]
pub struct AskError {
    /// What kind of failure.
    pub kind: AskErrorKind,
    /// Which model.
    pub target: String,
    /// What went wrong and what to do.
    pub remedy: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl From<StoreErrorKind> for AskErrorKind {
    fn from(kind: StoreErrorKind) -> Self {
        match kind {
            StoreErrorKind::Throttled => Self::Throttled,
            StoreErrorKind::Unavailable => Self::Unreachable,
            StoreErrorKind::Permanent => Self::Refused,
        }
    }
}

impl From<StoreError> for AskError {
    fn from(StoreError { kind, target, remedy, source, .. }: StoreError) -> Self {
        Self { kind: kind.into(), target, remedy, source }
    }
}

/// Asks a model about rows: JSON lines in, and for each of them one line of JSON out, in their order.
///
/// Changes nothing, so that it may be asked again; the same rows may be answered otherwise the next time. What the answer
/// holds is for the caller to judge: it may be anything.
pub trait AskModel {
    /// Tries once, and gives up after `within` as [`AskErrorKind::Slow`].
    fn ask_model(&self, rows: &[u8], within: Duration) -> impl Future<Output = Result<Vec<u8>, AskError>> + Send;
}

/// Nobody is there to be asked.
impl AskModel for Infallible {
    async fn ask_model(&self, _: &[u8], _: Duration) -> Result<Vec<u8>, AskError> {
        match *self {}
    }
}
