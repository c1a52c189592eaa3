//! What the end-to-end tests stand on: the emulator, a deployed stack, a plant that sends, and readers of what was kept.
//!
//! `cargo xtask e2e` prepares everything. The tests look at the pipeline from outside: records go into the stream, and
//! what comes out is read from the bucket and the tables by the documented formats, with no code of the pipeline.
//!
//! Stream, bucket and tables are reached with the SDK clients that the workspace compiles anyway. CloudFormation is
//! called by hand, three actions over plain HTTP: its client would cost minutes of compilation, and the emulator reads
//! of a signature only the service's name.

mod anomalies;
mod bridge;
mod functions;
mod lake;
mod plant;
mod stack;
mod subscriber;
mod wait;
mod world;

pub use anomalies::{Anomaly, anomalies, checkpoints, device_states};
pub use bridge::Bridge;
pub use functions::kill;
pub use lake::{Line, bronze, quarantine};
pub use plant::{Accepted, Plant, Sent};
pub use stack::{Settings, Stack};
pub use subscriber::{Subscriber, Told};
pub use wait::until;
pub use world::World;
