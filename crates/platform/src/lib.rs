//! What the pipeline needs from the world, as small traits, and three who provide it.
//!
//! - [`ports`]: one verb a trait, its contract in the doc comment.
//! - [`model`]: what crosses the ports: checkpoints, records to store, transactions.
//! - [`cost`]: what a batch costs on AWS, counted at the ports.
//! - `aws` (feature `aws`): DynamoDB, S3, Kinesis, CloudWatch through the SDK.
//! - `embedded` (feature `embedded`): SQLite, a folder, and an in-process stream with the semantics of Lambda's event
//!   source mapping.
//! - `sim` (feature `sim`): in memory, with faults on demand.
//!
//! One suite of tests (`tests/conformance.rs`) runs against all three. What this crate does not do: decide anything. When
//! to commit, retry or quarantine is for the handlers.

pub mod clock;
pub mod cost;
pub mod metrics;
pub mod model;
pub mod ports;

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "sim")]
pub mod sim;
