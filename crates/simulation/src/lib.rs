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
//! - [`second`]: a second model that answers as it likes, where the plan asks one;
//! - [`telling`]: the real fan-out ([`alert_fanout::fanout::Fanout`]) beside it, and the people who are told;
//! - [`check`]: what must be true afterwards, against a reading of the same records without any fault;
//! - [`shrink`]: a failing seed made small;
//! - [`crossing`]: two processes and two batches, every place of a crash and of an interruption, enumerated;
//! - [`flaw`] and [`teeth`]: seeded bugs, to see that each of them is caught.
//!
//! Nearly half of the runs have a second region with a stream and processes of its own. What one region writes arrives in
//! the other late and in any order, the stream is moved over and back, and a region may be lost for a while; [`ledger`]
//! notes what a shard found of the other region when it took over.
//!
//! What it does not do: real clocks, threads and sockets, which are for the end-to-end tests; and a region whose clock makes
//! an older write of the same item win over a newer one.

pub mod chance;
pub mod check;
pub mod crossing;
pub mod flaw;
pub mod gate;
pub mod ledger;
pub mod plan;
pub mod run;
pub mod second;
pub mod shrink;
pub mod teeth;
pub mod telling;
pub mod trace;
pub mod workload;
pub mod world;
