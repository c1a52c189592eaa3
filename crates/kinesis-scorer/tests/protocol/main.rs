//! The commit protocol under everything that can happen to it: what is committed must be what a fault-free run commits.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod accounting;
mod bounds;
mod crashes;
mod cuts;
mod failover;
mod opinions;
mod outcome;
mod profiles;
mod quiet;
mod reshard;
mod snapshots;
mod succession;
mod workload;
mod zombies;
