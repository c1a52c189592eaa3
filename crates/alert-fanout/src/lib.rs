//! New anomalies in, incidents and messages to people out.
//!
//! - [`message`]: what is told, once rendered for every medium: subject, text, JSON.
//! - [`channel`]: how it gets there: SNS, Slack, `PagerDuty`, a webhook, mail, a line on the console.
//! - [`secret`]: where the channels' keys come from; nothing prints them.
//! - [`network`]: the one way out, with its bounds and its guard against addresses that are nobody's business.
//!
//! A channel sends once and says what came of it. It neither repeats nor remembers: claims, results and the time of the
//! next try are kept in the table by those who call.

pub mod channel;
pub mod message;
pub mod network;
pub mod secret;
