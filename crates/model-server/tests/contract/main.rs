//! The real program in a folder that looks like `/opt/ml`: what SageMaker sees of it.

#![expect(clippy::unwrap_used, reason = "a helper of a test ends the test")]

mod dockerfile;
mod image;
mod laws;
mod plant;
mod serve;
mod train;
