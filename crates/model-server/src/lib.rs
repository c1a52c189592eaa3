//! SageMaker's container contract: train a model on history, serve its scores.
//!
//! The warm path knows what a machine has done so far; a model is made of months. This crate is the program in the container
//! that SageMaker runs, `model-server train` once and `model-server serve` for endpoints and batch transform, and the library
//! with which the command line does the same on one machine. What was scored is judged elsewhere: `batch-analyzer` draws the
//! alarm line.
//!
//! | kind | a model is | the score of a row is |
//! |---|---|---|
//! | `engine` | the engine of the warm path, warmed up on history: one state a device | how abnormal the device is, in units of the alarm line |
//! | `forest` | a random cut forest for each type of asset, over standardised metrics | how far out the row lies among all rows that were learned; it has no unit |
//!
//! [`container`] knows the folders below `/opt/ml`, [`training`] makes an [`artifact::Artifact`] of rows, [`server`] answers
//! requests with it. What this does not do: read S3 or any other service; SageMaker brings files and takes them.

pub mod archive;
pub mod artifact;
pub mod card;
pub mod container;
pub mod data;
pub mod hyperparameters;
mod line;
mod lines;
pub mod media;
mod middle;
pub mod model;
pub mod program;
pub mod request;
pub mod row;
pub mod server;
pub mod settings;
pub mod training;
