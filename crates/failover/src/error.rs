//! Why a move stopped, and what to do.

use anomaly_core::Timestamp;
use platform::ports::StoreError;

/// Why a move stopped. It can be gone on with, but where another has taken its place.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// A store or service of the Region that takes over failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another move is under way.
    #[error(
        "a {purpose} to {to} (epoch {epoch}) was begun at {began} and not ended: it stopped before the step `{next}`; \
         finish it by `millrace dr {purpose} --to {to}`, or give it up with --abandon"
    )]
    Unfinished {
        /// Why it was moved.
        purpose: &'static str,
        /// Where to.
        to: String,
        /// The epoch it begins.
        epoch: u64,
        /// When it began.
        began: Timestamp,
        /// The first step that is not done.
        next: &'static str,
    },
    /// Somebody else moves the same.
    #[error(
        "somebody else is moving to {to} (epoch {epoch}), too: let one of you finish, then look with `millrace dr moves`"
    )]
    Busy {
        /// Where to.
        to: String,
        /// The epoch.
        epoch: u64,
    },
    /// A newer epoch has begun.
    #[error(
        "epoch {newer} has begun, in which {active} has the say: this move (epoch {epoch}) is out of date, begin a new one"
    )]
    Superseded {
        /// The epoch of this move.
        epoch: u64,
        /// The one that is there.
        newer: u64,
        /// Who has the say in it.
        active: String,
    },
    /// The Region to go back from does not answer.
    #[error(
        "{region} does not answer ({cause}): what it has seen cannot be brought together; if it is lost, `millrace dr failover --to {to}`"
    )]
    Unreachable {
        /// The Region.
        region: String,
        /// Where to.
        to: String,
        /// What it said.
        cause: Box<StoreError>,
    },
    /// No scorer took the pulses.
    #[error(
        "{to} has the say, and {} of {shards} shards have committed nothing in epoch {epoch} within {seconds} s, `{}` first: is the \
         mapping of kinesis-scorer in {to} enabled, and what does the function's log say? Run the command again when it is mended",
        waiting.len(), waiting.first().map_or("", String::as_str)
    )]
    NotTaken {
        /// Where.
        to: String,
        /// The epoch.
        epoch: u64,
        /// Open shards of the stream.
        shards: usize,
        /// Those without a commit.
        waiting: Vec<String>,
        /// How long was waited.
        seconds: u64,
    },
    /// The stream has no shard that could take anything.
    #[error(
        "the stream `{stream}` in {to} has no open shard: deploy the pipeline there (`millrace deploy --region {to}`)"
    )]
    NoShards {
        /// Where.
        to: String,
        /// The stream.
        stream: String,
    },
}
