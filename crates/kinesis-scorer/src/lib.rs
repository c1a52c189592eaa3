//! The scorer: a Kinesis batch in, scored and committed exactly once.
//!
//! The event source mapping delivers a shard's records in order and at least once, in batches that a retry may cut
//! differently; an invocation that timed out may still be writing while its successor runs. Everything here is built so
//! that none of this shows: state is the fold of what was committed, objects are never overwritten, and one conditional
//! transaction a batch decides what exists. The protocol is described in `docs/ARCHITECTURE.md` and decided in
//! `docs/adr/0001-state-is-the-fold-of-what-was-committed.md`.
//!
//! - [`config`]: settings, checked as a whole.
//! - [`state`] and [`fold`]: pure. Records in, state and findings out.
//! - [`opinion`]: what a second model says of readings between watch and alarm.
//! - [`restore`]: state from the checkpoint: snapshot, then replay; or from the parents of a shard.
//! - [`epoch`] and [`adopt`]: which of two regions has the say, and what one that takes over goes on with.
//! - [`succeed`]: what the shards of a stream that was made anew begin with.
//! - [`commit`]: objects first, then the one transaction.
//! - [`chain`]: for readers of the lake, which objects are committed.
//! - [`handler`]: a batch from event bytes to the response.
//! - `lambda` (feature `lambda`): the handler behind the Lambda runtime.
//!
//! What it does not do: tell people (that is `alert-fanout`), or read the clock.

#[macro_use]
mod tooth;

pub mod adopt;
pub mod backfill;
pub mod chain;
pub mod commit;
pub mod config;
pub mod epoch;
pub mod fold;
pub mod handler;
#[cfg(feature = "lambda")]
pub mod lambda;
mod layout;
pub mod opinion;
pub mod profiles;
pub mod restore;
pub mod state;
pub mod succeed;
#[cfg(feature = "teeth")]
pub use tooth::{TEETH, bite};

pub use config::Config;
pub use handler::{Invocation, Scorer};
