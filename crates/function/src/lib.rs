//! What every function of Millrace shares, so that one is set up, watched and stopped like the other.
//!
//! - [`settings`]: variables by lookup, every mistake reported at once.
//! - [`stores`]: where state is kept: on AWS, or in a folder.
//! - `logs` (feature `logs`): lines of JSON on standard error.
//! - [`deadline`]: how much time an invocation has left.
//!
//! What it does not do: read the environment or the clock (`main` hands them in), know an event, or decide anything.

pub mod deadline;
#[cfg(feature = "logs")]
pub mod logs;
pub mod settings;
pub mod stores;
