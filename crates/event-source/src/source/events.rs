//! Recorded events: what Lambda once handed over, as `events/*.json` and on-failure destinations hold them.
//!
//! Records keep their shard, their sequence number and their stream. Given twice, as retries record them, they are read
//! once; the order of the files does not matter, that of the numbers does.

use std::collections::BTreeMap;
use std::sync::Arc;

use platform::embedded::stream::{Origin, Record, Stream};
use platform::model::ShardInfo;
use telemetry::kinesis::KinesisEvent;
use telemetry::sequence::SequenceNumber;

use super::{Input, Read, STREAM_BYTES_MAX, SourceError};

/// Records of one stream, by shard and number.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    of: Option<(String, Origin)>,
    shards: BTreeMap<String, BTreeMap<SequenceNumber, Record>>,
    pub(super) read: Read,
}

impl Recorded {
    /// Takes an event.
    ///
    /// # Errors
    /// [`SourceError::Form`] when it is none, or of another stream than those before.
    pub(super) fn add(&mut self, input: &Input, bytes: &[u8]) -> Result<(), SourceError> {
        let refuse = |why: String| SourceError::Form { path: input.name(), why };
        let event = KinesisEvent::parse(bytes).map_err(|error| refuse(format!("is no recorded event: {error}")))?;
        let Some(source) = event.source().map_err(|error| refuse(format!("is no recorded event: {error}")))? else {
            return Ok(());
        };
        let origin = Origin {
            partition: source.partition.to_owned(),
            region: source.region.to_owned(),
            account: source.account.to_owned(),
        };
        let of = self.of.get_or_insert_with(|| (source.stream.to_owned(), origin.clone()));
        if (of.0.as_str(), &of.1) != (source.stream, &origin) {
            let why = format!(
                "is of another stream ({}) than the events before it ({}): give one stream at a time, or --shards N, \
                 which puts all records into a new stream",
                origin.stream_arn(source.stream),
                of.1.stream_arn(&of.0)
            );
            return Err(refuse(why));
        }
        let shard = self.shards.entry(source.shard.to_owned()).or_default();
        for (index, record) in event.records.iter().enumerate() {
            let mut data = Vec::new();
            if let Err(poison) = record.payload_bytes(&mut data) {
                self.read.unreadable(format!("{}, record {index}: {}", input.name(), poison.detail()));
                continue;
            }
            let taken = Record {
                sequence: record.sequence,
                partition_key: record.partition_key.as_ref().into(),
                data: data.into(),
                arrived: record.arrived,
            };
            if shard.insert(taken.sequence, taken).is_some() {
                self.read.repeated += 1;
            }
        }
        Ok(())
    }

    /// An empty stream with the name and the shards of the recorded one.
    pub(super) fn mirror(&self) -> Stream {
        let (name, origin) = self.of.clone().unwrap_or_else(|| ("recorded".to_owned(), Origin::default()));
        let mut stream = Stream::mirror(&name, origin, STREAM_BYTES_MAX);
        for shard in self.shards.keys() {
            stream.adopt(ShardInfo {
                shard: shard.clone(),
                parent: None,
                adjacent_parent: None,
                hash_range: (0, u128::MAX),
            });
        }
        stream
    }

    /// The records, shard by shard in order.
    pub(super) fn into_records(self) -> (Vec<(Arc<str>, Record)>, Read) {
        let of_shard = |(shard, records): (String, BTreeMap<SequenceNumber, Record>)| {
            let shard: Arc<str> = shard.into();
            records.into_values().map(move |record| (Arc::clone(&shard), record))
        };
        (self.shards.into_iter().flat_map(of_shard).collect(), self.read)
    }
}
