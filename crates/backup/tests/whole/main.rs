//! Backups of what the real scorer has committed: whole, found out when they are not, and good to go on from.
#![expect(clippy::unwrap_used, reason = "a helper of a test ends the test")]

mod cut;
mod environment;
#[cfg(feature = "aws")]
mod export;
mod machine;
mod plant;
