//! Backups: copies of all that a pipeline keeps, elsewhere, and the way back.
//!
//! What is copied, in which order, and why a restored pipeline goes on from it: `docs/adr/0017-backup-and-restore.md`. The lake is
//! kept by content, so that a second backup copies what is new; lists say which object has which content; the manifest has the hash
//! of every list, and its own, and is written last.
//!
//! - [`objects`]: buckets and folders ([`folder`], `aws`).
//! - [`tables`]: what the tables say, as items of DynamoDB ([`scan`]) or as the database of one machine ([`sqlite`]).
//! - [`create`], [`verify`], [`compare`], [`restore`], [`prune`]: what is done with a backup.
//!
//! What it does not do: talk to people, make environments, or read the clock.

pub mod area;
#[cfg(feature = "aws")]
pub mod aws;
mod beside;
pub mod compare;
pub mod create;
mod error;
pub mod folder;
mod heritage;
pub mod item;
pub mod list;
pub mod manifest;
pub mod objects;
pub mod place;
pub mod prune;
pub mod restore;
mod room;
pub mod scan;
pub mod sqlite;
pub mod tables;
pub mod verify;
mod world;

pub use error::BackupError;

/// How far a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'s> {
    /// What is done: an area of the lake, a table, …
    pub what: &'s str,
    /// Objects or rows so far.
    pub count: u64,
    /// Bytes so far.
    pub bytes: u64,
}

/// Who watches.
pub type Watch<'w> = &'w (dyn Fn(Step<'_>) + Sync);
