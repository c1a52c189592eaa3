//! Hostile bytes for everything that reads bytes.
//!
//! A device, a producer or a damaged disk can hand us anything, and one record that ends the process stops a shard. So each
//! reader is a [`Target`] with laws of its own (nothing panics, bounds hold, what was decoded and encoded again decodes to
//! the same), and [`Fuzzer`] feeds it seeded mutations of a small corpus of real inputs. It runs on a stable compiler: what
//! coverage tells other fuzzers, the kind of answer tells this one. An input with an answer not seen before is kept and
//! mutated further.
//!
//! Checksums would turn nearly every mutation away at the door, so a [`Shell`] takes them off before and puts right ones on
//! after. The seed decides everything; a run is repeated by its seed, a finding by its input.
//!
//! What this does not do: read clocks or count memory (a [`Meter`] that the binary brings does), or find wrong detections.
//! The only file that is touched beside the corpus is the scratch file of [`Target::History`], whose reader opens files.

mod chance;
pub mod corpus;
mod fuzzer;
mod mutation;
mod shell;
pub mod target;

pub use chance::Chance;
pub use fuzzer::{Cost, Finding, Fuzzer, Meter, Report, Unmetered};
pub use mutation::INPUT_BYTES_MAX;
pub use shell::{Shell, kpl, snapshot};
pub use target::{Bench, Target};
