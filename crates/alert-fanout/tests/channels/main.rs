//! The channels against receivers that really receive: servers on 127.0.0.1 that play the far sides and check what they
//! get as those do. Every channel's messages are kept as golden files beside the tests.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod any;
#[cfg(feature = "aws")]
mod aws;
mod failures;
mod golden;
mod guard;
mod pagerduty;
mod slack;
mod smtp;
mod support;
mod webhook;
