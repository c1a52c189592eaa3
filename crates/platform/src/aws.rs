//! The services themselves: DynamoDB for the tables, S3 for the lake, Kinesis for the shards, CloudWatch for metrics,
//! SageMaker for a second opinion.
//!
//! One call to a service a verb (two for an object that is there already); what the items look like is in `items`, what an
//! error means in `failure`. The SDK repeats a call twice on its own; what is beyond that is for the handlers, which know
//! how much time is left.

mod endpoint;
mod entries;
mod environment;
mod epochs;
mod failure;
pub(crate) mod items;
pub(crate) mod json;
mod metrics;
mod objects;
mod shards;
mod stream;
mod tables;

use std::time::Duration;

use anomaly_core::Timestamp;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_types::SdkConfig;

use crate::model::{
    AnomalyRecord, Checkpoint, Entry, EntryChange, EntryKey, Epoch, Key, ShardId, ShardInfo, StateRecord, Transaction,
};
use crate::ports::{
    AnomalyQuery, BeginEpoch, ChangeEntries, ChangeError, CommitError, CommitTransaction, FindAnomalies, FindDue,
    GetDeviceState, GetObject, GetTagged, ListCheckpoints, ListDay, ListEntries, ListFolders, ListObjects, ListShards,
    Listed, LoadCheckpoint, LoadEntry, LoadEpoch, Order, PutError, PutIfAbsent, PutRecord, ReadRange, StoreError,
    Stored, Stretch, Tagged,
};

pub use endpoint::Endpoint;
pub use environment::{EnvironmentError, from_environment, in_region};
pub use metrics::CloudWatchMetrics;
pub use stream::{ChangeRecordError, RECORD_BYTES_MAX, parse_change, sequence_number};

/// The SDK's tries, the first one included.
const ATTEMPTS_MAX: u32 = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);

/// Names of what the stack has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsSettings {
    /// The lake (`MILLRACE_BUCKET`).
    pub bucket: String,
    /// Anomalies, states and entries (`MILLRACE_RESULTS_TABLE`).
    pub results_table: String,
    /// Checkpoints (`MILLRACE_CHECKPOINTS_TABLE`).
    pub checkpoints_table: String,
    /// Whether the bucket stands in the path of S3's addresses instead of the host: emulators need it, AWS does not.
    pub s3_path_style: bool,
}

/// All stores on AWS. Clones share connections.
#[derive(Debug, Clone)]
pub struct Aws {
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    kinesis: aws_sdk_kinesis::Client,
    settings: AwsSettings,
}

/// Retries and timeouts of every client. S3's are the same: the largest object is a snapshot of some 35 MB, half a
/// second at the bandwidth of a Lambda function.
fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

impl Aws {
    /// Clients from `config`, with retries and timeouts of their own.
    #[must_use]
    pub fn from_config(config: &SdkConfig, settings: AwsSettings) -> Self {
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(config);
        let kinesis = aws_sdk_kinesis::config::Builder::from(config);
        let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(settings.s3_path_style);
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(
                dynamodb.retry_config(retries()).timeout_config(timeouts()).build(),
            ),
            kinesis: aws_sdk_kinesis::Client::from_conf(
                kinesis.retry_config(retries()).timeout_config(timeouts()).build(),
            ),
            s3: aws_sdk_s3::Client::from_conf(s3.retry_config(retries()).timeout_config(timeouts()).build()),
            settings,
        }
    }

    /// The names.
    #[must_use]
    pub fn settings(&self) -> &AwsSettings {
        &self.settings
    }

    /// Opens connections while initialisation has the whole processor: one small read of each service that every batch
    /// needs, at a time. Kinesis is not among them: a shard's parents are looked up once in its life. What fails is
    /// logged and tried again by the first batch.
    pub async fn warm_up(&self) {
        let nobody = ShardId { region: "warm-up".to_owned(), stream: "-".to_owned(), shard: "-".to_owned() };
        let (checkpoint, objects) = tokio::join!(self.load_checkpoint(&nobody), self.reach_bucket());
        for failed in [checkpoint.err(), objects.err()].into_iter().flatten() {
            tracing::warn!(error = &failed as &dyn std::error::Error, "a service could not be reached at start");
        }
    }
}

impl LoadCheckpoint for Aws {
    async fn load_checkpoint(&self, shard: &ShardId) -> Result<Option<Checkpoint>, StoreError> {
        self.get_checkpoint(&shard.partition_key()).await
    }
}

impl ListCheckpoints for Aws {
    async fn list_checkpoints(&self, region: &str, stream: &str) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        self.scan_checkpoints(region, stream).await
    }
}

impl LoadEpoch for Aws {
    async fn load_epoch(&self, stream: &str) -> Result<Option<Epoch>, StoreError> {
        self.get_epoch(stream).await
    }
}

impl BeginEpoch for Aws {
    async fn begin_epoch(&self, stream: &str, next: &Epoch) -> Result<bool, StoreError> {
        self.put_epoch(stream, next).await
    }
}

impl CommitTransaction for Aws {
    async fn commit(&self, transaction: &Transaction<'_>) -> Result<(), CommitError> {
        self.write_transaction(transaction).await
    }
}

impl PutIfAbsent for Aws {
    async fn put_if_absent(&self, key: &Key, body: &[u8]) -> Result<Stored, PutError> {
        self.put_new_object(key, body).await
    }
}

impl GetObject for Aws {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_object(key, bytes_max).await
    }
}

impl GetTagged for Aws {
    async fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        self.read_tagged(key, bytes_max).await
    }
}

impl ReadRange for Aws {
    async fn read_range(&self, key: &Key, offset: u64, bytes_max: usize) -> Result<Option<Stretch>, StoreError> {
        self.read_stretch(key, offset, bytes_max).await
    }
}

impl ListFolders for Aws {
    async fn list_folders(&self, prefix: &str, count_max: usize) -> Result<Vec<String>, StoreError> {
        self.list_levels(prefix, count_max).await
    }
}

impl ListObjects for Aws {
    async fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        self.list_bucket(prefix, count_max).await
    }
}

impl ListShards for Aws {
    async fn list_shards(&self, stream: &str) -> Result<Vec<ShardInfo>, StoreError> {
        self.describe_shards(stream).await
    }
}

impl PutRecord for Aws {
    async fn put_record(
        &self,
        stream: &str,
        shard: &ShardInfo,
        partition_key: &str,
        data: &[u8],
    ) -> Result<(), StoreError> {
        self.put_into_shard(stream, shard, partition_key, data).await
    }
}

impl FindAnomalies for Aws {
    async fn find_anomalies(&self, query: &AnomalyQuery, count_max: usize) -> Result<Vec<AnomalyRecord>, StoreError> {
        self.query_anomalies(query, count_max).await
    }
}

impl GetDeviceState for Aws {
    async fn device_state(&self, tenant: &str, device: &str) -> Result<Option<StateRecord>, StoreError> {
        self.get_state(&format!("{tenant}#{device}")).await
    }
}

impl LoadEntry for Aws {
    async fn load_entry(&self, key: &EntryKey) -> Result<Option<Entry>, StoreError> {
        self.get_entry(key).await
    }
}

impl ListEntries for Aws {
    async fn list_entries(
        &self,
        pk: &str,
        sk_prefix: &str,
        order: Order,
        count_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.query_entries(pk, sk_prefix, order, count_max).await
    }
}

impl ChangeEntries for Aws {
    async fn change_entries(&self, changes: &[EntryChange<'_>]) -> Result<(), ChangeError> {
        self.write_entries(changes).await
    }
}

impl FindDue for Aws {
    async fn find_due(&self, queue: &str, until: Timestamp, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.query_due(queue, until, count_max).await
    }
}

impl ListDay for Aws {
    async fn list_day(&self, day: &str, sk_prefix: &str, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.query_day(day, sk_prefix, count_max).await
    }
}
