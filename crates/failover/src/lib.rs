//! Moving an environment to the other Region of its pair, and back.
//!
//! A move is a list of steps, each of which may be done twice. What was done is kept beside the data, in the Region that takes
//! over, so that whoever runs the command again, from any machine, goes on after the last step that is known to be done. Only
//! data planes are called: tables, objects, records, messages. Whatever would have to be made or switched by a control plane is
//! there already, in both Regions, and on (`docs/adr/0016-a-move-of-data-planes-alone.md`).
//!
//! - [`Mover::run`]: a move. [`Mover::plan`]: what it would do. [`record::Move`]: what was done.
//! - [`card::PairCard`]: names of both Regions, kept in both, so that nobody has to be asked in the hour of need.
//! - [`Side`]: one Region, its stores and what else is reached in it.
//!
//! What this does not do: decide that a Region is lost, restore the devices' states (the scorer does, when it sees the epoch:
//! ADR 0010), or copy what replication copies.

#[cfg(feature = "aws")]
pub mod aws;
pub mod card;
pub mod error;
pub mod mover;
pub mod pieces;
pub mod plan;
pub mod reconcile;
pub mod record;
pub mod setup;
pub mod side;
mod standing;
mod steps;

pub use error::MoveError;
pub use mover::{Bounds, Mover, Ran};
pub use plan::Planned;
pub use record::{Done, Move, Outcome, Purpose, Step};
pub use side::{Reach, Side, Stores};
