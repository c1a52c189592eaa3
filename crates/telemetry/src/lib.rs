//! Bytes to readings, and back.
//!
//! [`kinesis`] reads and writes the event that Lambda hands over, [`payload`] turns one record's bytes into observations
//! of [`anomaly_core`] or into [`poison`] with a name. Everything is checked here, once; what comes out cannot be wrong.
//! Nothing here reads a clock, and only [`history`] opens files.

pub mod bronze;
pub mod history;
pub mod inference;
mod json;
pub mod kinesis;
mod kpl;
pub mod payload;
pub mod poison;
pub mod profile;
pub mod quarantine;
mod senml;
pub mod sequence;
pub mod silver;
pub mod snapshot;
pub mod sparkplug;
pub mod topic;
