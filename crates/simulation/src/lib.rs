//! The whole pipeline under a scheduler that owns time, order and failure, and a model that says what must come of it.
//!
//! `effectively once on an at-least-once stream` is a claim about what happens when things go wrong at the same time. Here
//! the real scorer ([`kinesis_scorer::Scorer`]) runs over stores in memory (`platform::sim`) and under the rules of the
//! event source mapping (`platform::embedded::stream`), on one thread, with every choice drawn from a seed:
//!
//! - [`plan`]: what a seed stands for: workload, settings, changes of shards and profiles, which faults how often;
//! - [`workload`]: every payload format, late, repeated and out-of-order readings, poison of every class;
//! - [`gate`] and [`world`]: every call to a store stops before its effect and before its answer;
//! - [`run`]: the scheduler that decides who goes on and what goes wrong;
//! - [`check`]: what must be true afterwards, against a reading of the same records without any fault;
//! - [`shrink`]: a failing seed made small;
//! - [`crossing`]: two processes and two batches, every place of a crash and of an interruption, enumerated;
//! - [`flaw`] and [`teeth`]: seeded bugs, to see that each of them is caught.
//!
//! What it does not do: a second region. The scorer has no code yet for adopting another region's states; when it has, the
//! change of region is one more [`plan::Change`], and [`run::Rest`] gets a second store. Real clocks, threads and sockets
//! are for the end-to-end tests.

pub mod chance;
pub mod check;
pub mod crossing;
pub mod flaw;
pub mod gate;
pub mod plan;
pub mod run;
pub mod shrink;
pub mod teeth;
pub mod trace;
pub mod workload;
pub mod world;
