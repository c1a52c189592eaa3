//! A stream in Kinesis, or in an emulator of it: all shards, parents before children.
//!
//! Every shard has a reader of its own: at most five calls a second (Amazon Kinesis Data Streams Developer Guide, "Quotas
//! and limits"), one a second where nothing comes, which is the rate at which Lambda polls. A child is read when its parents
//! have been read to their end. An iterator that has expired is asked for again after the last record; what is throttled or
//! fails for a while is tried again, later and later. Nothing is kept: a second run starts at the starting position again.

mod progress;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anomaly_core::Timestamp;
use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use platform::clock;
use platform::embedded::stream::{AppendError, Origin, PutRecordError, Record, StartingPosition, Stream, StreamHandle};
use platform::model::ShardInfo;
use telemetry::sequence::SequenceNumber;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use progress::Progress;

use super::{Filling, Read, STREAM_BYTES_MAX, Source, SourceError};

/// Five calls a second for a shard are the limit.
const CALL_PAUSE: Duration = Duration::from_millis(200);
/// Lambda polls a shard once a second.
const IDLE_PAUSE: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Calls that fail in a row before the run is given up; with the pauses between them some two minutes.
const FAILURES_MAX: u32 = 8;
const NOT_FOUND: &str = "ResourceNotFoundException";
/// Most records of a call.
const RECORDS_MAX: i32 = 10_000;

// As `platform::aws` sets them for every client.
const ATTEMPTS_MAX: u32 = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);

/// Which stream, and from where.
#[derive(Debug, Clone)]
pub struct KinesisSettings {
    /// Its name.
    pub stream: String,
    /// Another address than that of AWS.
    pub endpoint_url: Option<String>,
    /// Where shards begin that are there at the start; later ones are read from their beginning.
    pub position: StartingPosition,
    /// Ends the stream when every shard has been read to its tip; else it is read until the run is stopped.
    pub until_caught_up: bool,
}

/// Finds the stream and begins to read. Credentials and region are what the environment says (AWS SDKs and Tools Reference
/// Guide).
///
/// # Errors
/// [`SourceError::Service`] when there is no such stream or it cannot be reached.
pub async fn open_kinesis(settings: KinesisSettings) -> Result<Source, SourceError> {
    let mut config = aws_config::defaults(BehaviorVersion::latest());
    if let Some(url) = &settings.endpoint_url {
        config = config.endpoint_url(url);
    }
    let config = config.load().await;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let config = aws_sdk_kinesis::config::Builder::from(&config)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(timeouts)
        .build();
    open_with(Client::from_conf(config), settings).await
}

/// As [`open_kinesis`], with a client that is there.
///
/// # Errors
/// As [`open_kinesis`].
async fn open_with(client: Client, settings: KinesisSettings) -> Result<Source, SourceError> {
    let name = settings.stream.clone();
    let summary = client.describe_stream_summary().stream_name(&name).send().await;
    let summary = summary.map_err(|error| failed("the stream cannot be described", &name, &error))?;
    let arn = summary.stream_description_summary().map(|summary| summary.stream_arn().to_owned());
    let origin = arn.as_deref().and_then(origin).unwrap_or_default();
    let reader = Reader { client, name: name.clone(), records: Arc::default() };
    let shards = reader.shards().await?;
    let stream = StreamHandle::new(Stream::mirror(&name, origin, STREAM_BYTES_MAX));
    let mut source = Source::spawn(stream, move |filling| tokio::spawn(read_all(reader, settings, shards, filling)));
    source.positions_itself = true;
    Ok(source)
}

fn origin(arn: &str) -> Option<Origin> {
    let mut parts = arn.split(':');
    let (_, partition, _) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account) = (parts.next()?, parts.next()?);
    Some(Origin { partition: partition.to_owned(), region: region.to_owned(), account: account.to_owned() })
}

fn failed<E>(what: &str, stream: &str, error: &SdkError<E>) -> SourceError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let remedy = match error.code() {
        Some(NOT_FOUND) => "; is its name right, and the region (AWS_REGION) and account?",
        Some("AccessDeniedException" | "UnrecognizedClientException") => {
            "; the credentials need kinesis:DescribeStreamSummary, ListShards, GetShardIterator, GetRecords"
        }
        _ if matches!(error, SdkError::DispatchFailure(_)) => "; is --endpoint-url right, and somebody there?",
        _ => "",
    };
    SourceError::Service(format!("stream `{stream}`: {what}: {}{remedy}", causes(error)))
}

/// What went wrong, from the outside in, each once.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |error| error.source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause);
        }
    }
    text
}

/// What a shard's reader tells.
enum News {
    /// It has read everything there is for now.
    AtTip(String),
    /// The shard is closed and read to its end.
    Ended(String),
}

async fn read_all(
    reader: Reader,
    settings: KinesisSettings,
    shards: Vec<ShardInfo>,
    filling: Filling,
) -> Result<Read, SourceError> {
    filling.begin();
    let first: BTreeSet<String> = shards.iter().map(|shard| shard.shard.clone()).collect();
    let mut progress = Progress::default();
    progress.learn(shards);
    let (told, mut news) = mpsc::unbounded_channel();
    let mut readers = JoinSet::new();
    loop {
        for info in progress.next() {
            filling.stream.adopt(info.clone());
            let position = if first.contains(&info.shard) { settings.position } else { StartingPosition::TrimHorizon };
            readers.spawn(reader.clone().read_shard(info.shard, position, filling.stream.clone(), told.clone()));
        }
        if settings.until_caught_up && progress.is_caught_up() {
            return Ok(Read { records: reader.records.load(Ordering::Relaxed), ..Read::default() });
        }
        tokio::select! {
            Some(joined) = readers.join_next() => match joined {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(error),
                Err(error) => return Err(SourceError::Stopped(error.to_string())),
            },
            Some(news) = news.recv() => match news {
                News::AtTip(shard) => drop(progress.at_tip.insert(shard)),
                News::Ended(shard) => {
                    filling.stream.close(&shard);
                    progress.ended.insert(shard);
                    // Its children are there by now: a shard ends when they have opened.
                    progress.learn(reader.shards().await?);
                }
            },
        }
    }
}

/// Reads one stream. Clones share the client and the count.
#[derive(Debug, Clone)]
struct Reader {
    client: Client,
    name: String,
    records: Arc<AtomicU64>,
}

impl Reader {
    async fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            // A token stands for the stream's name; Kinesis refuses both together.
            let request = self.client.list_shards();
            let request = match token.take() {
                None => request.stream_name(&self.name),
                Some(token) => request.next_token(token),
            };
            let page =
                request.send().await.map_err(|error| failed("its shards cannot be listed", &self.name, &error))?;
            for shard in page.shards() {
                let range = shard.hash_key_range();
                let key = |text: Option<&str>| text.and_then(|text| text.parse().ok());
                let first = key(range.map(aws_sdk_kinesis::types::HashKeyRange::starting_hash_key)).unwrap_or(0);
                let last = key(range.map(aws_sdk_kinesis::types::HashKeyRange::ending_hash_key)).unwrap_or(u128::MAX);
                shards.push(ShardInfo {
                    shard: shard.shard_id().to_owned(),
                    parent: shard.parent_shard_id().map(str::to_owned),
                    adjacent_parent: shard.adjacent_parent_shard_id().map(str::to_owned),
                    hash_range: (first, last),
                });
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    /// Whether the stream is there and this shard of it no longer: its retention is over, or an emulator drops the parents of
    /// a split at once. Then nothing more can be read from it.
    async fn has_expired(&self, shard: &str) -> bool {
        self.shards().await.is_ok_and(|shards| shards.iter().all(|known| known.shard != shard))
    }

    async fn iterator(
        &self,
        shard: &str,
        position: StartingPosition,
        after: Option<SequenceNumber>,
    ) -> Result<Option<String>, SourceError> {
        let request = self.client.get_shard_iterator().stream_name(&self.name).shard_id(shard);
        let request = match (after, position) {
            (Some(after), _) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(after.trimmed()),
            (None, StartingPosition::TrimHorizon) => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            (None, StartingPosition::Latest) => request.shard_iterator_type(ShardIteratorType::Latest),
            (None, StartingPosition::AtTimestamp(at)) => request
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(at.millis())),
        };
        let answer = request.send().await.map_err(|error| failed("a shard cannot be read", &self.name, &error))?;
        Ok(answer.shard_iterator().map(str::to_owned))
    }

    async fn read_shard(
        self,
        shard: String,
        position: StartingPosition,
        stream: StreamHandle,
        news: mpsc::UnboundedSender<News>,
    ) -> Result<(), SourceError> {
        let mut last: Option<SequenceNumber> = None;
        let mut iterator = match self.iterator(&shard, position, last).await {
            Err(_) if self.has_expired(&shard).await => None,
            iterator => iterator?,
        };
        let mut failures = 0;
        while let Some(current) = &iterator {
            let answer = self.client.get_records().shard_iterator(current).limit(RECORDS_MAX).send().await;
            let batch = match answer {
                Ok(batch) => batch,
                Err(error) if error.code() == Some("ExpiredIteratorException") => {
                    iterator = self.iterator(&shard, position, last).await?;
                    continue;
                }
                Err(error) if error.code() == Some(NOT_FOUND) && self.has_expired(&shard).await => break,
                Err(error) if is_final(&error) || failures >= FAILURES_MAX => {
                    return Err(failed("its records cannot be read", &self.name, &error));
                }
                Err(_) => {
                    tokio::time::sleep(back_off(failures)).await;
                    failures += 1;
                    continue;
                }
            };
            failures = 0;
            for record in batch.records() {
                let record = self.record(record)?;
                last = Some(record.sequence);
                match stream.append(&shard, record).await {
                    Ok(()) => drop(self.records.fetch_add(1, Ordering::Relaxed)),
                    // The run was stopped.
                    Err(AppendError::Put(PutRecordError::Ended)) => return Ok(()),
                    Err(error) => return Err(SourceError::Stopped(error.to_string())),
                }
            }
            let is_empty = batch.records().is_empty();
            let at_tip = is_empty && batch.millis_behind_latest().unwrap_or(0) == 0;
            iterator = batch.next_shard_iterator().map(str::to_owned);
            if iterator.is_some() {
                if at_tip {
                    // Nobody listens when the run is over.
                    let _told = news.send(News::AtTip(shard.clone()));
                }
                tokio::time::sleep(if at_tip { IDLE_PAUSE } else { CALL_PAUSE }).await;
            }
        }
        let _told = news.send(News::Ended(shard));
        Ok(())
    }

    fn record(&self, record: &aws_sdk_kinesis::types::Record) -> Result<Record, SourceError> {
        let number = record.sequence_number();
        let sequence = number.parse().map_err(|error| {
            SourceError::Service(format!("stream `{}`: a record's sequence number `{number}`: {error}", self.name))
        })?;
        let arrived = record.approximate_arrival_timestamp().and_then(|at| at.to_millis().ok());
        let arrived = arrived.and_then(|millis| Timestamp::from_millis(millis).ok()).unwrap_or_else(clock::now);
        let data = record.data().as_ref().into();
        Ok(Record { sequence, partition_key: record.partition_key().unwrap_or_default().into(), data, arrived })
    }
}

/// Whether trying again cannot help.
fn is_final<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    matches!(
        error.code(),
        Some(
            NOT_FOUND
                | "AccessDeniedException"
                | "UnrecognizedClientException"
                | "InvalidArgumentException"
                | "KMSAccessDeniedException"
                | "KMSDisabledException"
                | "KMSNotFoundException"
        )
    )
}

fn back_off(failures: u32) -> Duration {
    (Duration::from_secs(1) * 2_u32.saturating_pow(failures)).min(BACK_OFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_after_a_failure_grows_to_a_bound() {
        let pauses: Vec<u64> = (0..7).map(|failures| back_off(failures).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn the_origin_is_read_from_the_arn() {
        let origin = origin("arn:aws:kinesis:eu-west-1:123456789012:stream/plant").unwrap();
        assert_eq!((origin.region.as_str(), origin.account.as_str()), ("eu-west-1", "123456789012"));
        assert_eq!(origin.stream_arn("plant"), "arn:aws:kinesis:eu-west-1:123456789012:stream/plant");
    }
}
