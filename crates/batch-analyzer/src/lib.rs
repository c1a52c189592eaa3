//! Results of batch inference in, anomalies, gold and a report out.
//!
//! The warm path decides in seconds by what a machine has done so far. A model that was trained on months may see what it
//! cannot; its scores come hours later, as files of SageMaker batch transform. This crate reads them in constant memory,
//! however many they are, finds the alarm line of each type of asset ([`line`]), and tells what lies beyond it by the same rules
//! of identity, so that a job that is analysed twice, or by two at once, tells nothing twice, and what the warm path has found
//! as well is one anomaly with two witnesses.
//!
//! [`job`] says what a job is, [`handler::run`] does one, [`report::Report`] is what became of it. What this does not do: run
//! a model, or tell people; new anomalies leave by the table's stream like any other.

pub mod analysis;
pub mod config;
pub mod crest;
pub mod episode;
pub mod event;
pub mod handler;
pub mod job;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod line;
pub mod lines;
pub mod pairs;
pub mod record;
pub mod refusal;
pub mod report;
pub mod score;
pub mod survey;
pub mod tail;
pub mod unpack;

pub use config::Config;
