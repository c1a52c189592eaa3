//! A real lake, made by the scorer's own handler from a simulated plant, with what can happen to one: orphans and lost runs.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod ask;
mod days;
mod kills;
mod plain;
mod plant;
mod rollup;
mod templates;
mod verify;
mod wait;
