//! Which shard of which stream a record is from.
//!
//! These texts become parts of object names and DynamoDB keys, so they are checked like names before anyone sees them.

use super::EventError;

/// A shard of a stream. Every part is of safe characters: letters, digits, `_`, `-` and `.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source<'e> {
    /// The AWS partition, usually `aws`.
    pub partition: &'e str,
    /// The region, for example `eu-west-1`.
    pub region: &'e str,
    /// The account's 12 digits.
    pub account: &'e str,
    /// The name of the stream.
    pub stream: &'e str,
    /// The shard, for example `shardId-000000000000`.
    pub shard: &'e str,
}

impl<'e> Source<'e> {
    /// Longest part, in bytes: what Kinesis allows for the name of a stream.
    pub const PART_BYTES_MAX: usize = 128;

    /// Reads the `eventSourceARN` and the `eventID` of the first record.
    pub(super) fn of(arn: &'e str, event_id: &'e str) -> Result<Self, EventError> {
        let origin = |field, expected| EventError::Origin { index: 0, field, expected };
        let (partition, region, account, stream) = stream_of(arn)
            .ok_or_else(|| origin("eventSourceARN", "arn:aws:kinesis:{region}:{account}:stream/{name}"))?;
        let shard = shard_of(event_id).ok_or_else(|| origin("eventID", "shardId-{12 digits}:{sequence number}"))?;
        Ok(Self { partition, region, account, stream, shard })
    }
}

fn stream_of(arn: &str) -> Option<(&str, &str, &str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let ("arn", partition, "kinesis", region, account) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?)
    else {
        return None;
    };
    // An enhanced fan-out consumer adds `/consumer/…` to the stream's ARN.
    let stream = parts.next()?.strip_prefix("stream/")?.split('/').next()?;
    [partition, region, account, stream].into_iter().all(safe).then_some((partition, region, account, stream))
}

pub(super) fn shard_of(event_id: &str) -> Option<&str> {
    let (shard, _) = event_id.split_once(':')?;
    (shard.starts_with("shardId-") && safe(shard)).then_some(shard)
}

fn safe(part: &str) -> bool {
    (1..=Source::PART_BYTES_MAX).contains(&part.len())
        && part.bytes().any(|b| b != b'.')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/millrace-telemetry";

    #[test]
    fn a_source_is_read_from_arn_and_event_id() {
        let source = Source::of(ARN, "shardId-000000000006:4959").unwrap();
        assert_eq!((source.region, source.stream), ("eu-west-1", "millrace-telemetry"));
        assert_eq!((source.account, source.shard), ("123456789012", "shardId-000000000006"));
        assert_eq!(Source::of(&format!("{ARN}/consumer/c:1"), "shardId-1:2").unwrap().stream, "millrace-telemetry");
    }

    #[test]
    fn what_could_break_out_of_a_key_is_refused() {
        for arn in
            ["", "arn:aws:sqs:eu-west-1:1:stream/x", "arn:aws:kinesis:eu#1:1:stream/x", "arn:aws:kinesis:e:1:stream/.."]
        {
            assert!(Source::of(arn, "shardId-0:1").is_err(), "{arn}");
        }
        for id in ["", "shardId-0", "shardId-../x:1", "x:1"] {
            assert!(Source::of(ARN, id).is_err(), "{id}");
        }
    }
}
