//! What is asked of a Region: one narrow trait for each thing that is looked at.
//!
//! Each reads, but for the canaries, which are the only things that are written besides the report. What is not there is
//! `None` or not in the list; an `Err` is a failure to look, and never means that something is not there, save where the
//! bucket itself is [`account::Kind::Missing`]. [`crate::aws`] asks the services; the tests have Regions of their own that
//! are late, lose, change and refuse.

use std::collections::BTreeMap;
use std::future::Future;

use account::Trouble;
use anomaly_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::canary::{Canary, Place};

/// What was seen, or why it was not.
pub type Looked<T> = Result<T, Trouble>;

/// A list, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// What there is.
    pub all: Vec<T>,
    /// Whether there is more, which the bound has left out.
    pub is_cut: bool,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { all: Vec::new(), is_cut: false }
    }
}

/// An object of the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// Another one for other content; the same for a copy (the `ETag`).
    pub tag: String,
    /// When it was written, by the clock of S3, in whole seconds.
    pub modified: Timestamp,
}

/// What S3 says of the copying of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copying {
    /// No rule took it.
    None,
    /// Not yet done.
    Pending,
    /// Done.
    Completed,
    /// Given up.
    Failed,
    /// It is itself a copy.
    Replica,
}

/// How far the copying of an object is that was listed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its key.
    pub key: String,
    /// When it was written.
    pub since: Timestamp,
    /// What S3 says; `None`: it has gone since the listing.
    pub copying: Option<Copying>,
}

/// The lake.
pub trait Objects {
    /// Stores an object, in the place of one of that name. Safe to repeat.
    fn put(&self, key: &str, body: Vec<u8>) -> impl Future<Output = Looked<()>> + Send;
    /// The object, at most `bytes_max`; a larger one is a trouble. `None`: there is none of that name.
    fn get(&self, key: &str, bytes_max: usize) -> impl Future<Output = Looked<Option<Vec<u8>>>> + Send;
    /// Objects below a prefix, in order of key, at most `count_max`.
    fn list(&self, prefix: &str, count_max: usize) -> impl Future<Output = Looked<Listed<Object>>> + Send;
    /// How far its copying is. `None`: there is no such object.
    fn copying(&self, key: &str) -> impl Future<Output = Looked<Option<Copying>>> + Send;
}

/// One of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Anomalies, states, incidents.
    Results,
    /// Checkpoints and epochs.
    Checkpoints,
}

impl Table {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Results, Self::Checkpoints];

    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Results => "results",
            Self::Checkpoints => "checkpoints",
        }
    }
}

/// A table as the service describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableState {
    /// Such as `ACTIVE`.
    pub status: String,
    /// Its replicas by Region, each with its status.
    pub replicas: BTreeMap<String, String>,
}

/// The tables.
pub trait Items {
    /// Stores a canary in the place of the one before. Safe to repeat.
    fn put_canary(&self, table: Table, place: &Place, canary: &Canary) -> impl Future<Output = Looked<()>> + Send;
    /// The canary of that place, strongly consistent for what was written in this Region.
    fn canary(&self, table: Table, place: &Place) -> impl Future<Output = Looked<Option<Canary>>> + Send;
    /// The table. `None`: there is none.
    fn table(&self, table: Table) -> impl Future<Output = Looked<Option<TableState>>> + Send;
}

/// A stream as the service describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamState {
    /// Such as `ACTIVE`.
    pub status: String,
    /// Such as `PROVISIONED`.
    pub mode: String,
    /// Shards that take records.
    pub open_shards: i32,
    /// How long it keeps records.
    pub retention_hours: i32,
    /// Such as `KMS alias/aws/kinesis`.
    pub encryption: String,
}

/// The stream.
pub trait Streams {
    /// The stream of that name. `None`: there is none.
    fn stream(&self, name: &str) -> impl Future<Output = Looked<Option<StreamState>>> + Send;
}

/// A model in `SageMaker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its name, which `CloudFormation` makes up.
    pub name: String,
    /// The image of its container.
    pub image: String,
    /// Where its artifact is, `s3://…`.
    pub data: String,
}

/// An endpoint configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    /// Its name.
    pub name: String,
    /// Model, instance type and number of instances of each variant.
    pub variants: Vec<(String, String, i32)>,
}

/// Models that can be asked.
pub trait Models {
    /// Models of the account.
    fn models(&self, count_max: usize) -> impl Future<Output = Looked<Listed<Model>>> + Send;
    /// Endpoint configurations of the account.
    fn endpoint_configs(&self, count_max: usize) -> impl Future<Output = Looked<Listed<EndpointConfig>>> + Send;
}

/// A thing of AWS `IoT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

/// A rule of AWS `IoT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it selects.
    pub sql: String,
    /// What it does with it, and what where that fails; without the roles, whose names `CloudFormation` makes up.
    pub actions: Vec<String>,
    /// Whether it does nothing at present.
    pub is_disabled: bool,
}

/// What devices connect with.
pub trait Things {
    /// Things with this attribute.
    fn things(
        &self,
        attribute: &str,
        value: &str,
        count_max: usize,
    ) -> impl Future<Output = Looked<Listed<Thing>>> + Send;
    /// Ids of the certificates that are attached to a thing.
    fn principals(&self, thing: &str) -> impl Future<Output = Looked<Vec<String>>> + Send;
    /// Ids of certificates of the account, each with its status.
    fn certificates(&self, count_max: usize) -> impl Future<Output = Looked<Listed<(String, String)>>> + Send;
    /// Policies whose names begin so, each with its document.
    fn policies(&self, prefix: &str, count_max: usize)
    -> impl Future<Output = Looked<Listed<(String, String)>>> + Send;
    /// Ids of the certificates that a policy is attached to.
    fn holders(&self, policy: &str, count_max: usize) -> impl Future<Output = Looked<Listed<String>>> + Send;
    /// Rules whose names begin so.
    fn rules(&self, prefix: &str, count_max: usize) -> impl Future<Output = Looked<Listed<Rule>>> + Send;
}

/// Code that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionState {
    /// SHA-256 of the zip, as the service gives it.
    pub code_sha256: String,
    /// Such as `arm64`.
    pub architecture: String,
}

/// The functions.
pub trait Functions {
    /// The version of the function that its alias `live` names. `None`: there is none.
    fn function(&self, name: &str) -> impl Future<Output = Looked<Option<FunctionState>>> + Send;
}

/// All that is asked of a Region.
pub trait Region: Objects + Items + Streams + Models + Things + Functions + Send + Sync {}

impl<R: Objects + Items + Streams + Models + Things + Functions + Send + Sync> Region for R {}
