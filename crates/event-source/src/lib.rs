//! The event source mapping of Lambda as a tool: records from files or Kinesis in, any function out, by AWS's rules.
//!
//! - [`rules`]: the settings of a mapping with AWS's limits, every mistake at once.
//! - [`source`]: what fills the stream: recorded events, records a line, plain lines; Kinesis with feature `aws`.
//! - [`target`]: what takes the events: an address, a bootstrap as a child process behind a Runtime API, a handler.
//! - [`run`](run()): the loop, and what came of it in a [`Report`].
//! - [`destination`]: the invocation record of what was given up.
//!
//! The mapping itself is `platform::embedded::stream`. What this crate does not do: tumbling windows, enhanced fan-out,
//! freezing a process between invocations, positions that survive the process. `docs/esm.md` says which behaviour of AWS
//! is kept, and which test shows it.

mod chance;
pub mod destination;
mod report;
pub mod rules;
mod run;
pub mod source;
pub mod target;

pub use report::Report;
pub use run::{Batch, Ended, Invoked, Observer, RunSettings, plan, run};
