//! New anomalies in, incidents and messages to people out.
//!
//! - [`message`]: what is told, once rendered for every medium: subject, text, JSON.
//! - [`fanout`]: anomalies and states in, incidents and deliveries out; and what time alone brings. Its parts: [`draft`] (what a
//!   device's findings make of its incidents), [`delivery`], [`budget`], [`tenants`], [`active`], [`place`], [`say`].
//! - [`pulse`]: a record for each shard in which nothing arrives, so that silence is found there.
//! - [`dispatch`]: a message and the channel of the profile.
//! - [`channel`]: how it gets there: SNS, Slack, `PagerDuty`, a webhook, mail, a line on the console.
//! - [`secret`]: where the channels' keys come from; nothing prints them.
//! - [`network`]: the one way out, with its bounds and its guard against addresses that are nobody's business.
//!
//! A channel sends once and says what came of it. It neither repeats nor remembers: claims, results and the time of the
//! next try are kept in the table by those who call.

#[macro_use]
mod tooth;

pub mod active;
#[cfg(feature = "aws")]
mod arn;
mod body;
pub mod budget;
pub mod channel;
pub mod config;
pub mod delivery;
pub mod dispatch;
pub mod draft;
#[cfg(feature = "aws")]
pub mod event;
pub mod fanout;
#[cfg(feature = "aws")]
pub mod lambda;
pub mod message;
pub mod network;
pub mod place;
pub mod pulse;
pub mod say;
pub mod secret;
pub mod tenants;

#[cfg(feature = "teeth")]
pub use tooth::{TEETH, bite};
