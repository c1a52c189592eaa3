//! What can come of a sending, in the terms its caller decides by.

use std::fmt;
use std::time::Duration;

use crate::secret::SecretError;

/// A far side that asks for more patience than this gets this: what it says must not park an alert for a day.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Try again; not before `after`, where the far side says so.
    Retry {
        /// At most [`RETRY_AFTER_MAX`].
        after: Option<Duration>,
    },
    /// This message will not be taken, others may.
    Refused,
    /// Nothing will be taken until a person has changed a setting or a key.
    Misconfigured,
}

/// A message that was not taken over: by which channel, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("channel `{channel}`: {what}; {kind}: {remedy}")]
pub struct SendError {
    channel: String,
    kind: FailureKind,
    what: String,
    remedy: String,
    is_auth_failure: bool,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { after: None } => f.write_str("to be tried again"),
            Self::Retry { after: Some(after) } => write!(f, "to be tried again after {} s", after.as_secs()),
            Self::Refused => f.write_str("refused"),
            Self::Misconfigured => f.write_str("to be set right"),
        }
    }
}

impl SendError {
    pub(crate) fn retry(channel: &str, after: Option<Duration>, what: impl Into<String>, remedy: &str) -> Self {
        let after = after.map(|after| after.min(RETRY_AFTER_MAX));
        Self::new(channel, FailureKind::Retry { after }, what.into(), remedy)
    }

    pub(crate) fn refused(channel: &str, what: impl Into<String>, remedy: &str) -> Self {
        Self::new(channel, FailureKind::Refused, what.into(), remedy)
    }

    pub(crate) fn misconfigured(channel: &str, what: impl Into<String>, remedy: &str) -> Self {
        Self::new(channel, FailureKind::Misconfigured, what.into(), remedy)
    }

    /// The far side did not accept who we say we are; the key may have been changed meanwhile.
    pub(crate) fn auth(channel: &str, what: impl Into<String>, remedy: &str) -> Self {
        Self { is_auth_failure: true, ..Self::misconfigured(channel, what, remedy) }
    }

    /// The far side did not say whether it has taken the message over.
    #[must_use]
    pub fn unanswered(channel: &str) -> Self {
        Self::retry(channel, None, "no answer", "nothing: it is tried again")
    }

    /// The profile cannot be read now.
    pub(crate) fn unknown(channel: &str, what: &str) -> Self {
        Self::retry(channel, None, what, "nothing, unless it stays")
    }

    /// The profile has no channel of that name any more.
    pub(crate) fn gone(channel: &str) -> Self {
        Self::refused(channel, "the profile has no channel of this name any more", "put it back, or leave it")
    }

    pub(crate) fn secret(channel: &str, error: &SecretError) -> Self {
        if error.is_transient() {
            Self::retry(channel, None, error.to_string(), "nothing, unless it stays")
        } else {
            Self::misconfigured(channel, error.to_string(), "see there, then `millrace alerts test-channel`")
        }
    }

    fn new(channel: &str, kind: FailureKind, what: String, remedy: &str) -> Self {
        Self { channel: channel.to_owned(), kind, what, remedy: remedy.to_owned(), is_auth_failure: false }
    }

    /// The channel's name.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// What happened, with the limit that was met.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What a person can do.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// Whether the key was not accepted.
    #[must_use]
    pub fn is_auth_failure(&self) -> bool {
        self.is_auth_failure
    }
}
