//! What a million readings cost: a standard workload through the real scorer, over stores that count.
//!
//! [`kinesis_scorer::Scorer`] handles events as Lambda would hand them over. Its stores are in memory behind the adapter
//! that counts in the deployed function, too ([`platform::cost::Metered`]). Duration is the processor time that the handler
//! really took, scaled to the share of a processor that the memory setting buys, and what the calls are assumed to wait, in
//! virtual time, so that calls made at once wait at once.
//!
//! - [`workload`]: the messages. [`mapping`]: how they are cut into events.
//! - [`waiting`]: the store that takes its time. [`run`]: all of it together.
//! - [`naive`]: the design that this one is compared with, by arithmetic.
//! - [`report`]: the table.
//!
//! What it does not do: ask AWS. Waits are assumptions and stand in `prices.toml` beside the prices; processor time is
//! that of this machine. `docs/operations/costs.md` says how to compare with a bill.

pub mod mapping;
pub mod naive;
pub mod report;
pub mod run;
pub mod waiting;
pub mod workload;
