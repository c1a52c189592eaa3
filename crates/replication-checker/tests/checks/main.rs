//! Whole checks against two Regions in memory: what is well is found well, and each fault by the next check, by its name.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod clean;
mod faults;
mod made;
mod refusals;
mod world;
