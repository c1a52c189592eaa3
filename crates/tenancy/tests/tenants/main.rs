//! Tenants over services of the tests' own: interrupted anywhere, and proven or not.
#![expect(clippy::unwrap_used, reason = "a test may; its helpers are part of it")]

mod interrupted;
mod proven;
mod synced;
mod world;
