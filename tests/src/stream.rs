//! What stands in the stream, whoever has read it.

use anyhow::{Context, Result};
use aws_sdk_kinesis::types::ShardIteratorType;

use crate::stack::Stack;

/// Most records that one call answers.
const RECORDS_MAX: i32 = 10_000;

/// A record as it stands in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The shard it stands in.
    pub shard: String,
    /// Its sequence number without leading zeros.
    pub sequence: String,
    /// The partition key.
    pub partition_key: String,
    /// The payload.
    pub payload: String,
}

/// Every record of a stack's stream, of each shard in order.
///
/// # Errors
/// A call fails.
pub async fn records(stack: &Stack) -> Result<Vec<Record>> {
    let (kinesis, stream) = (&stack.world().kinesis, stack.output("StreamName"));
    let listed = kinesis.list_shards().stream_name(stream).send().await.context("cannot list the shards")?;
    let mut found = Vec::new();
    for shard in listed.shards() {
        let iterator = kinesis.get_shard_iterator().stream_name(stream).shard_id(shard.shard_id());
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?;
        let read = kinesis.get_records().set_shard_iterator(iterator.shard_iterator).limit(RECORDS_MAX).send().await?;
        found.extend(read.records().iter().map(|record| Record {
            shard: shard.shard_id().to_owned(),
            sequence: record.sequence_number().trim_start_matches('0').to_owned(),
            partition_key: record.partition_key().unwrap_or_default().to_owned(),
            payload: String::from_utf8_lossy(record.data().as_ref()).into_owned(),
        }));
    }
    Ok(found)
}
