//! Whether the other Region is ready: what is late there, missing, or not the same, and what could not be looked at.
//!
//! Tables and lake are replicated by AWS, things and models by people, code by deployments; each can stop without a word, and
//! one learns of it when it is too late. This crate looks at both sides of a pair, writes canaries on each and looks for them
//! on the other, and tells every few minutes. `millrace dr check` uses the same.
//!
//! - [`run::Checker::check`]: one check. [`report::Report`] is what came of it, [`metrics`] what `CloudWatch` hears.
//! - [`ports`]: what is asked of a Region. [`look`] asks, [`compare()`] compares what was seen, [`canary`] judges what was sent.
//! - [`check::Verdict`]: ok, late, unknown, drifted, missing. A failure to look is never ok.
//!
//! What this does not do: mend, copy, or move anything to the other Region.

#[cfg(feature = "aws")]
pub mod aws;
pub mod canary;
pub mod check;
pub mod compare;
pub mod config;
pub mod event;
mod gather;
pub mod ground;
pub mod inventory;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod limits;
pub mod look;
pub mod metrics;
pub mod ports;
pub mod report;
pub mod run;
pub mod watch;

pub use check::{Check, Kind, Verdict};
pub use compare::compare;
pub use config::Config;
pub use limits::Limits;
pub use run::{Checker, Done, Side};
