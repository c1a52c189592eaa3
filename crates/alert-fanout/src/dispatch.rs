//! The way out: a message, and the channel as the profile describes it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anomaly_core::Timestamp;
use anomaly_core::incident::{ChannelSettings, SmtpTls};

use crate::channel::console::Console;
use crate::channel::pagerduty::{self, PagerDuty};
use crate::channel::slack::Slack;
use crate::channel::smtp::{Encryption, Smtp, SmtpSettings};
use crate::channel::webhook::Webhook;
use crate::channel::{AnyChannel, Channel as _, Receipt, SendError};
use crate::message::Message;
use crate::network::{Endpoint, Outbound, Reach};
use crate::secret::{Keyring, SecretRef, Secrets};

/// Channels that are kept ready; then all are made anew.
const READY_MAX: usize = 1_024;

/// Sends a message over a channel of a tenant, once.
pub trait Dispatch: Send + Sync {
    /// As [`crate::channel::Channel::send`].
    ///
    /// # Errors
    /// Says whether to try again.
    fn dispatch(
        &self,
        tenant: &str,
        channel: &str,
        settings: &ChannelSettings,
        message: &Message,
    ) -> impl Future<Output = Result<Receipt, SendError>> + Send;
}

/// The channels themselves.
pub struct Channels<S> {
    keyring: Arc<Keyring<S>>,
    outbound: Outbound,
    allow_private: bool,
    clock: fn() -> Timestamp,
    #[cfg(feature = "aws")]
    sns: Option<aws_sdk_sns::Client>,
    ready: Mutex<HashMap<(String, String), Ready<S>>>,
}

/// A channel, and the settings that it was made from.
struct Ready<S> {
    settings: ChannelSettings,
    channel: Arc<AnyChannel<S>>,
}

impl<S> fmt::Debug for Channels<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("allow_private", &self.allow_private).finish_non_exhaustive()
    }
}

impl<S: Secrets> Channels<S> {
    /// Channels with these keys. `allow_private` must be true for a profile's own `allow_private` to count.
    #[must_use]
    pub fn new(secrets: S, outbound: Outbound, allow_private: bool, clock: fn() -> Timestamp) -> Self {
        Self {
            keyring: Arc::new(Keyring::new(secrets)),
            outbound,
            allow_private,
            clock,
            #[cfg(feature = "aws")]
            sns: None,
            ready: Mutex::default(),
        }
    }

    /// The same, with topics.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn with_sns(self, client: aws_sdk_sns::Client) -> Self {
        Self { sns: Some(client), ..self }
    }

    /// The channel for these settings, made anew when they have changed.
    fn ready(&self, tenant: &str, name: &str, settings: &ChannelSettings) -> Result<Arc<AnyChannel<S>>, SendError> {
        let place = (tenant.to_owned(), name.to_owned());
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ready.get(&place).filter(|known| known.settings == *settings) {
            return Ok(Arc::clone(&known.channel));
        }
        let channel = Arc::new(self.make(name, settings)?);
        if ready.len() >= READY_MAX {
            ready.clear();
        }
        ready.insert(place, Ready { settings: settings.clone(), channel: Arc::clone(&channel) });
        Ok(channel)
    }

    fn make(&self, name: &str, settings: &ChannelSettings) -> Result<AnyChannel<S>, SendError> {
        let wrong = |what: &dyn fmt::Display| SendError::misconfigured(name, what.to_string(), SET_RIGHT);
        let secret = |reference: &str| SecretRef::new(reference).map_err(|error| wrong(&error));
        let (keyring, outbound) = (Arc::clone(&self.keyring), self.outbound.clone());
        let reach = |private: bool| if private && self.allow_private { Reach::Anywhere } else { Reach::Public };
        Ok(match settings {
            ChannelSettings::Console => AnyChannel::Console(Console::new(name, std::io::stdout())),
            ChannelSettings::Slack { secret: url } => {
                AnyChannel::Slack(Slack::new(name, secret(url)?, keyring, outbound, Reach::Public))
            }
            ChannelSettings::PagerDuty { secret: key, url } => {
                // Whoever names another endpoint means one of their own, which may be beside this machine.
                let to = url.as_deref().unwrap_or(pagerduty::ENDPOINT);
                let endpoint = Endpoint::new(to, reach(url.is_some())).map_err(|error| wrong(&error))?;
                AnyChannel::PagerDuty(PagerDuty::new(name, endpoint, secret(key)?, keyring, outbound))
            }
            ChannelSettings::Webhook { url, secret: key, allow_private } => {
                if *allow_private && !self.allow_private {
                    return Err(wrong(&"the profile allows private addresses, this deployment does not"));
                }
                let endpoint = Endpoint::new(url, reach(*allow_private)).map_err(|error| wrong(&error))?;
                let key = key.as_deref().map(secret).transpose()?;
                AnyChannel::Webhook(Webhook::new(name, endpoint, key, keyring, outbound, self.clock))
            }
            ChannelSettings::Smtp { server, port, tls, from, to, username, secret: password } => {
                let (encryption, usual) = match tls {
                    SmtpTls::StartTls => (Encryption::StartTls, 587),
                    SmtpTls::Implicit => (Encryption::Tls, 465),
                    SmtpTls::None => (Encryption::None, 25),
                };
                let login = match (username, password) {
                    (Some(user), Some(password)) => Some((user.clone(), secret(password)?)),
                    _ => None,
                };
                // A relay stands in one's own network more often than not.
                let reach = match (self.allow_private, tls) {
                    (true, SmtpTls::None) => Reach::ThisMachine,
                    (allowed, _) => reach(allowed),
                };
                let settings = SmtpSettings {
                    host: server.clone(),
                    port: port.unwrap_or(usual),
                    encryption,
                    reach,
                    from: from.clone(),
                    to: to.clone(),
                    login,
                };
                AnyChannel::Smtp(Smtp::new(name, settings, keyring, outbound).map_err(|error| wrong(&error))?)
            }
            ChannelSettings::Sns { topic } => self.topic(name, topic)?,
        })
    }

    #[cfg(feature = "aws")]
    fn topic(&self, name: &str, topic: &str) -> Result<AnyChannel<S>, SendError> {
        let Some(client) = &self.sns else { return Err(SendError::misconfigured(name, NO_TOPICS, SET_RIGHT)) };
        Ok(AnyChannel::Sns(crate::channel::sns::Sns::new(name, client.clone(), topic)))
    }

    #[cfg(not(feature = "aws"))]
    fn topic(&self, name: &str, _: &str) -> Result<AnyChannel<S>, SendError> {
        let _ = self;
        Err(SendError::misconfigured(name, NO_TOPICS, SET_RIGHT))
    }
}

const NO_TOPICS: &str = "there are no topics on this machine";
const SET_RIGHT: &str = "set it right in the profile, then `millrace alerts test-channel`";

impl<S: Secrets> Dispatch for Channels<S> {
    async fn dispatch(
        &self,
        tenant: &str,
        channel: &str,
        settings: &ChannelSettings,
        message: &Message,
    ) -> Result<Receipt, SendError> {
        self.ready(tenant, channel, settings)?.send(message).await
    }
}
