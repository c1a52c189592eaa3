//! The shards of a stream in Kinesis.

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::Shard;

use super::Aws;
use super::failure::Call;
use crate::model::ShardInfo;
use crate::ports::StoreError;

impl Aws {
    pub(super) async fn describe_shards(&self, stream: &str) -> Result<Vec<ShardInfo>, StoreError> {
        let resource = format!("stream `{stream}`");
        let call = Call {
            verb: "list shards",
            target: stream,
            action: "kinesis:ListShards",
            resource,
            setting: "the mapping",
        };
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            // A token stands for the stream's name; Kinesis refuses both together.
            let list = self.kinesis.list_shards();
            let list = match token.take() {
                None => list.stream_name(stream),
                Some(token) => list.next_token(token),
            };
            let page = list.send().await.map_err(|error| call.failed(error))?;
            for shard in page.shards.unwrap_or_default() {
                shards.push(info(&shard, &call)?);
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    pub(super) async fn put_into_shard(
        &self,
        stream: &str,
        shard: &ShardInfo,
        partition_key: &str,
        data: &[u8],
    ) -> Result<(), StoreError> {
        let call = Call {
            verb: "put record",
            target: &shard.shard,
            action: "kinesis:PutRecord",
            resource: format!("stream `{stream}`"),
            setting: "MILLRACE_STREAM",
        };
        let put = self.kinesis.put_record().stream_name(stream).partition_key(partition_key).data(Blob::new(data));
        let put = put.explicit_hash_key(shard.hash_range.0.to_string());
        put.send().await.map(drop).map_err(|error| call.failed(error))
    }
}

fn info(shard: &Shard, call: &Call<'_>) -> Result<ShardInfo, StoreError> {
    let range = shard.hash_key_range();
    let first = range.and_then(|range| range.starting_hash_key().parse().ok());
    let last = range.and_then(|range| range.ending_hash_key().parse().ok());
    let (Some(first), Some(last)) = (first, last) else {
        return Err(call.permanent(format!("shard `{}` has no hash range of 128-bit numbers", shard.shard_id())));
    };
    Ok(ShardInfo {
        shard: shard.shard_id().to_owned(),
        parent: shard.parent_shard_id().map(str::to_owned),
        adjacent_parent: shard.adjacent_parent_shard_id().map(str::to_owned),
        hash_range: (first, last),
    })
}
