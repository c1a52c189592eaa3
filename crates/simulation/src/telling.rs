//! People's side of a run: what the real fan-out makes of the changes that the real scorer made.
//!
//! The fan-out's processes stand beside those of the scorer, over the same stores and in the same time, under a scheduler of
//! their own ([`crate::run`]). Each change comes to them at least once, those of a device in order, cut into batches, late and
//! again. They read what a tenant has set about alerts from profiles of their own: who is told does not depend on what the
//! scorer's profiles become.
//!
//! What it does not do: real channels, and an index of what is due that is behind its table.

mod desk;
mod world;

use platform::model::AnomalyRecord;

pub use desk::{Desk, Heard, Sender, who_tells};
pub use world::TellingWorld;

/// What a run has told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Every message that somebody heard, in order, repetitions too.
    pub heard: Vec<Heard>,
    /// So many of them before everything came once more, at rest.
    pub before_again: usize,
    /// Anomalies that were in no incident before everything came once more.
    pub untold: Vec<AnomalyRecord>,
    /// The region that has the say in the end.
    pub say: usize,
    /// Who tells was moved while the other region may have been telling.
    pub was_sudden: bool,
}
