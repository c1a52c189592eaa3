//! The real binary, from outside: what a person or a script sees of it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test ends the test")]

mod alerts;
mod backup;
mod bad_input;
mod esm;
mod eval;
#[cfg(feature = "lake")]
mod lake;
mod model;
mod readme;
mod replay;
mod run;
mod simulate;
mod stored;
mod why;
mod words;
