//! The on-failure destination: what AWS writes of records that a mapping has given up on.
//!
//! The shape is that of the AWS Lambda Developer Guide, "Retain discarded batch records for a Kinesis Data Streams event
//! source in Lambda"; `payload`, the event as text, is what an S3 destination gets, so that nothing is lost.

use anomaly_core::Timestamp;
use platform::embedded::stream::{Discarded, Origin};
use serde::Serialize;

/// One document of an on-failure destination.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureRecord {
    request_context: RequestContext,
    /// Missing where the function was never invoked with these records.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext>,
    version: &'static str,
    timestamp: String,
    #[serde(rename = "KinesisBatchInfo")]
    batch: BatchInfo,
    payload: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    request_id: String,
    function_arn: String,
    condition: &'static str,
    approximate_invoke_count: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    status_code: u16,
    executed_version: &'static str,
    function_error: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    shard_id: String,
    start_sequence_number: String,
    end_sequence_number: String,
    approximate_arrival_of_first_record: String,
    approximate_arrival_of_last_record: String,
    batch_size: usize,
    stream_arn: String,
}

impl FailureRecord {
    /// What is written of `discarded`, of the stream `stream`, at `now`. `request_id` is that of the last invocation.
    #[must_use]
    pub fn new(
        discarded: &Discarded,
        stream: &str,
        origin: &Origin,
        function_arn: &str,
        request_id: &str,
        now: Timestamp,
    ) -> Self {
        let (first, last) = discarded.range();
        let arrived = |record: Option<&platform::embedded::stream::Record>| {
            record.map_or_else(String::new, |record| record.arrived.to_string())
        };
        let response_context = discarded.error.is_some().then_some(ResponseContext {
            status_code: 200,
            executed_version: "$LATEST",
            function_error: "Unhandled",
        });
        Self {
            request_context: RequestContext {
                request_id: request_id.to_owned(),
                function_arn: function_arn.to_owned(),
                condition: discarded.reason.as_str(),
                approximate_invoke_count: discarded.attempts,
            },
            response_context,
            version: "1.0",
            timestamp: now.to_string(),
            batch: BatchInfo {
                shard_id: discarded.shard.to_string(),
                start_sequence_number: first.trimmed().to_owned(),
                end_sequence_number: last.trimmed().to_owned(),
                approximate_arrival_of_first_record: arrived(discarded.records.first()),
                approximate_arrival_of_last_record: arrived(discarded.records.last()),
                batch_size: discarded.records.len(),
                stream_arn: origin.stream_arn(stream),
            },
            // An event is JSON, so it is text.
            payload: String::from_utf8(discarded.event_from(stream, origin)).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use platform::embedded::stream::{DiscardReason, Record};
    use serde_json::Value;

    use super::*;

    fn record(number: u32) -> Record {
        Record {
            sequence: number.to_string().parse().unwrap(),
            partition_key: "k".into(),
            data: b"x".as_slice().into(),
            arrived: Timestamp::from_millis(1_700_000_000_000 + i64::from(number)).unwrap(),
        }
    }

    fn document(discarded: &Discarded) -> Value {
        let now = Timestamp::from_millis(1_700_000_001_000).unwrap();
        let record = FailureRecord::new(discarded, "plant", &Origin::default(), "arn:f", "id-1", now);
        serde_json::to_value(&record).unwrap()
    }

    #[test]
    fn the_document_has_the_fields_of_the_guide() {
        let discarded = Discarded {
            shard: "shardId-000000000001".into(),
            reason: DiscardReason::RetryAttemptsExhausted,
            attempts: 3,
            error: Some("no".to_owned()),
            records: vec![record(5), record(9)],
        };
        let document = document(&discarded);
        let batch = &document["KinesisBatchInfo"];
        for (found, expected) in [
            (&document["requestContext"]["requestId"], "id-1"),
            (&document["requestContext"]["functionArn"], "arn:f"),
            (&document["requestContext"]["condition"], "RetryAttemptsExhausted"),
            (&document["responseContext"]["functionError"], "Unhandled"),
            (&document["version"], "1.0"),
            (&document["timestamp"], "2023-11-14T22:13:21.000Z"),
            (&batch["shardId"], "shardId-000000000001"),
            (&batch["startSequenceNumber"], "5"),
            (&batch["endSequenceNumber"], "9"),
            (&batch["approximateArrivalOfFirstRecord"], "2023-11-14T22:13:20.005Z"),
            (&batch["approximateArrivalOfLastRecord"], "2023-11-14T22:13:20.009Z"),
            (&batch["streamArn"], "arn:aws:kinesis:local:000000000000:stream/plant"),
        ] {
            assert_eq!(found, expected, "{document}");
        }
        assert_eq!(document["requestContext"]["approximateInvokeCount"], 3);
        assert_eq!(batch["batchSize"], 2);
        let payload: Value = serde_json::from_str(document["payload"].as_str().unwrap()).unwrap();
        assert_eq!(payload["Records"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn records_that_expired_unseen_have_no_response() {
        let discarded = Discarded {
            shard: "shardId-000000000001".into(),
            reason: DiscardReason::RecordAgeExceeded,
            attempts: 0,
            error: None,
            records: vec![record(5)],
        };
        let document = document(&discarded);
        assert_eq!(document["requestContext"]["condition"], "RecordAgeExceeded");
        assert!(document.get("responseContext").is_none());
    }
}
