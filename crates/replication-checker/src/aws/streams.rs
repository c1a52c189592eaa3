//! The stream in Kinesis.

use account::Trouble;

use super::{Aws, there};
use crate::ports::{Looked, StreamState, Streams};

impl Streams for Aws {
    async fn stream(&self, name: &str) -> Looked<Option<StreamState>> {
        let answer = self.kinesis.describe_stream_summary().stream_name(name).send().await;
        let answer = there(answer.map_err(|error| Trouble::of("DescribeStreamSummary", name, &error)))?;
        let Some(answer) = answer else { return Ok(None) };
        let summary = answer.stream_description_summary();
        let summary = summary.ok_or_else(|| Trouble::incomplete("DescribeStreamSummary", "no summary"))?;
        let mode = summary.stream_mode_details().map(|details| details.stream_mode().as_str().to_owned());
        let encryption = summary.encryption_type().map_or("NONE", |kind| kind.as_str());
        let encryption = [Some(encryption), summary.key_id()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        Ok(Some(StreamState {
            status: summary.stream_status().as_str().to_owned(),
            mode: mode.unwrap_or_else(|| "PROVISIONED".to_owned()),
            open_shards: summary.open_shard_count(),
            retention_hours: summary.retention_period_hours(),
            encryption,
        }))
    }
}
