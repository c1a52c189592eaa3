//! The whole tool without its command line: files in, a function as a real child process or an address, out.
//!
//! The function is this test binary itself, started again through a script: see `function`.

#![expect(clippy::unwrap_used, reason = "a helper of a test ends the test")]

mod children;
mod document;
mod files;
mod function;
mod kit;
mod targets;
