//! The fan-out over stores in memory: every order of events, every loss of a process, and what people got in the end.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod calls;
mod courses;
mod pair;
mod plant;
mod receiver;
mod regions;
mod runs;
mod spawned;
mod storms;
