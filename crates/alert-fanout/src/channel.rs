//! How a message leaves: one trait, six ways.
//!
//! A channel sends a message once, within 10 s, and says what came of it in the terms its caller decides by: sent, try
//! again (when?), refused, or something that a person has to set right. It does not repeat, remember or choose; the one
//! exception is a key that was refused, which is looked up anew once, so that a rotated key needs nobody.

pub mod console;
mod error;
pub mod pagerduty;
pub mod slack;
pub mod smtp;
#[cfg(feature = "aws")]
pub mod sns;
pub mod webhook;

use std::fmt;
use std::time::Duration;

pub use error::{FailureKind, RETRY_AFTER_MAX, SendError};

use crate::message::{Message, clean};
use crate::secret::Secrets;

/// Until a connection stands, its encryption included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// From the look-up of the key to the answer.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Characters of what the far side says that are kept.
const SAID_CHARS_MAX: usize = 200;

/// Somewhere a message can go.
pub trait Channel {
    /// The name by which routes call it.
    fn name(&self) -> &str;

    /// Whether the far side drops a message that it has already: only then is sending again harmless.
    fn deduplicates(&self) -> bool;

    /// Sends the message once, in at most [`SEND_TIMEOUT`]. `Ok` means that the far side has taken it over. After
    /// [`FailureKind::Retry`] it may have taken it over all the same: the answer can be lost.
    ///
    /// # Errors
    /// Says whether to try again; never holds a key or an address that is one.
    fn send(&self, message: &Message) -> impl Future<Output = Result<Receipt, SendError>> + Send;
}

/// That a message was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// What the far side calls it, cleaned, at most 200 characters.
    pub id: Option<String>,
    /// What a person may want to know all the same: a recipient who was refused beside others who were not.
    pub note: Option<String>,
}

impl Receipt {
    /// A receipt with the far side's name for the message.
    pub(crate) fn with_id(id: &str) -> Self {
        Self { id: Some(clean(id, SAID_CHARS_MAX)), note: None }
    }
}

/// Any of the channels.
pub enum AnyChannel<S> {
    /// A topic.
    #[cfg(feature = "aws")]
    Sns(sns::Sns),
    /// An incoming webhook of Slack.
    Slack(slack::Slack<S>),
    /// A service of `PagerDuty`.
    PagerDuty(pagerduty::PagerDuty<S>),
    /// `CloudEvents` to an address.
    Webhook(webhook::Webhook<S>),
    /// Mail.
    Smtp(smtp::Smtp<S>),
    /// A line.
    Console(console::Console),
}

impl<S: Secrets> Channel for AnyChannel<S> {
    fn name(&self) -> &str {
        match self {
            #[cfg(feature = "aws")]
            Self::Sns(channel) => channel.name(),
            Self::Slack(channel) => channel.name(),
            Self::PagerDuty(channel) => channel.name(),
            Self::Webhook(channel) => channel.name(),
            Self::Smtp(channel) => channel.name(),
            Self::Console(channel) => channel.name(),
        }
    }

    fn deduplicates(&self) -> bool {
        match self {
            #[cfg(feature = "aws")]
            Self::Sns(channel) => channel.deduplicates(),
            Self::Slack(channel) => channel.deduplicates(),
            Self::PagerDuty(channel) => channel.deduplicates(),
            Self::Webhook(channel) => channel.deduplicates(),
            Self::Smtp(channel) => channel.deduplicates(),
            Self::Console(channel) => channel.deduplicates(),
        }
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        match self {
            #[cfg(feature = "aws")]
            Self::Sns(channel) => channel.send(message).await,
            Self::Slack(channel) => channel.send(message).await,
            Self::PagerDuty(channel) => channel.send(message).await,
            Self::Webhook(channel) => channel.send(message).await,
            Self::Smtp(channel) => channel.send(message).await,
            Self::Console(channel) => channel.send(message).await,
        }
    }
}

impl<S: Secrets> fmt::Debug for AnyChannel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyChannel").field(&self.name()).finish()
    }
}

/// The whole of a sending, cut off at [`SEND_TIMEOUT`].
pub(crate) async fn in_time<T>(
    channel: &str,
    sending: impl Future<Output = Result<T, SendError>>,
) -> Result<T, SendError> {
    tokio::time::timeout(SEND_TIMEOUT, sending).await.unwrap_or_else(|_| {
        Err(SendError::retry(
            channel,
            None,
            format!("not done within {} s", SEND_TIMEOUT.as_secs()),
            "nothing: it is tried again",
        ))
    })
}
