//! Decoding, from the outside: bytes in, observations or poison out.

#![expect(clippy::unwrap_used, reason = "every function here belongs to a test, whose panic is its report")]

mod event;
mod events;
mod json;
mod kpl;
mod poison;
mod properties;
mod senml;
mod sparkplug;
mod support;
