//! Incidents: how they open, change, close and are told; the laws that hold for any course; the form in which they are stored.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod course;
mod digest;
mod form;
mod laws;
mod support;
mod telling;
