//! Following a reading through Kinesis, DynamoDB and CloudWatch Logs.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::types::{Shard, ShardIteratorType};
use md5::{Digest as _, Md5};

use super::Aws;
use crate::verify::{Arrival, DeviceState, Position, Witness};
use account::{Kind, Trouble};

/// Whether new records of this partition key come to the shard: it is open, and the key's MD5 is in its range (Kinesis Data
/// Streams Developer Guide, "Partition key").
fn takes(shard: &Shard, partition_key: &str) -> bool {
    let hash = u128::from_be_bytes(Md5::digest(partition_key).into());
    let is_open = shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_none());
    let bound = |text: &str| text.parse::<u128>().ok();
    is_open
        && shard.hash_key_range().is_some_and(|range| {
            let bounds = bound(range.starting_hash_key()).zip(bound(range.ending_hash_key()));
            bounds.is_some_and(|(first, last)| (first..=last).contains(&hash))
        })
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

impl Witness for Aws {
    async fn position(&self, stream: &str, partition_key: &str) -> Result<Position, Trouble> {
        let mut token = None;
        let shard = loop {
            let call = self.kinesis.list_shards();
            // A token stands for the stream, too.
            let call = match token.take() {
                None => call.stream_name(stream),
                token => call.set_next_token(token),
            };
            let page = call.send().await.map_err(|error| Trouble::of("ListShards", stream, &error))?;
            if let Some(shard) = page.shards().iter().find(|shard| takes(shard, partition_key)) {
                break shard.shard_id().to_owned();
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Err(Trouble::incomplete("ListShards", "no open shard takes the partition key"));
            }
        };
        let call = self.kinesis.get_shard_iterator().stream_name(stream).shard_id(&shard);
        let answer = call.shard_iterator_type(ShardIteratorType::Latest).send().await;
        let answer = answer.map_err(|error| Trouble::of("GetShardIterator", &shard, &error))?;
        Ok(Position { shard, iterator: answer.shard_iterator().map(str::to_owned) })
    }

    async fn arrivals(&self, position: &mut Position) -> Result<Vec<Arrival>, Trouble> {
        let Some(iterator) = position.iterator.clone() else {
            let message = "the shard was closed meanwhile, by a split or a merge; run it again".to_owned();
            let subject = position.shard.clone();
            return Err(Trouble { action: "GetRecords", subject, kind: Kind::Refused, message });
        };
        let answer = self.kinesis.get_records().shard_iterator(iterator).send().await;
        let answer = answer.map_err(|error| Trouble::of("GetRecords", &position.shard, &error))?;
        position.iterator = answer.next_shard_iterator().map(str::to_owned);
        let arrival = |record: &aws_sdk_kinesis::types::Record| Arrival {
            sequence: record.sequence_number().to_owned(),
            data: record.data().as_ref().to_vec(),
        };
        Ok(answer.records().iter().map(arrival).collect())
    }

    async fn committed(&self, table: &str, key: &str) -> Result<Option<String>, Trouble> {
        let call = self.dynamodb.get_item().table_name(table).key("pk", text(key)).consistent_read(true);
        let answer = call.send().await.map_err(|error| Trouble::of("GetItem", table, &error))?;
        let last = answer.item().and_then(|item| item.get("last_seq"));
        Ok(last.and_then(|last| last.as_s().ok()).cloned())
    }

    async fn device_state(&self, table: &str, tenant: &str, device: &str) -> Result<Option<DeviceState>, Trouble> {
        let call = self.dynamodb.get_item().table_name(table).key("pk", text(format!("{tenant}#{device}")));
        let answer = call.key("sk", text("S")).consistent_read(true).send().await;
        let answer = answer.map_err(|error| Trouble::of("GetItem", table, &error))?;
        let field = |item: &std::collections::HashMap<String, AttributeValue>, name: &str| match item.get(name) {
            Some(AttributeValue::S(text) | AttributeValue::N(text)) => text.clone(),
            _ => "?".to_owned(),
        };
        Ok(answer.item().map(|item| DeviceState { status: field(item, "status"), since: field(item, "since") }))
    }

    async fn log_lines(&self, group: &str, since_ms: i64, word: &str) -> Result<Vec<String>, Trouble> {
        let call = self.logs.filter_log_events().log_group_name(group).start_time(since_ms).filter_pattern(word);
        let mut pages = call.into_paginator().send();
        let mut lines = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("FilterLogEvents", group, &error))?;
            let words = page.events().iter().filter_map(|event| event.message()).filter(|line| line.contains(word));
            lines.extend(words.map(str::to_owned));
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kinesis::types::{HashKeyRange, SequenceNumberRange};

    fn shard(first: u128, last: u128, ends: Option<&str>) -> Shard {
        let range = HashKeyRange::builder().starting_hash_key(first.to_string()).ending_hash_key(last.to_string());
        let numbers = SequenceNumberRange::builder().starting_sequence_number("1");
        let numbers = numbers.set_ending_sequence_number(ends.map(str::to_owned));
        let shard = Shard::builder().shard_id("shard").hash_key_range(range.build().unwrap());
        shard.sequence_number_range(numbers.build().unwrap()).build().unwrap()
    }

    #[test]
    fn a_partition_key_goes_to_the_open_shard_of_its_md5() {
        // RFC 1321, appendix A.5: the MD5 of "abc".
        let hash = 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72;
        assert!(takes(&shard(hash, hash, None), "abc"));
        assert!(!takes(&shard(hash, hash, Some("9")), "abc"));
        assert!(!takes(&shard(0, hash - 1, None), "abc"));
    }
}
