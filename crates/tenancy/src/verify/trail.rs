//! Where a reading has left its trail: in the stream, in the checkpoints, in the layers of the lake.

use std::time::Duration;

use telemetry::bronze::BronzeReader;
use telemetry::quarantine::QuarantineReader;
use telemetry::sequence::SequenceNumber;

use super::evidence::{Arrival, Position, Witness};
use super::run::Case;
use super::seen::{Seen, until};
use crate::lake::Lake;
use crate::record::Facts;
use account::Trouble;

/// Largest object of the lake that is looked into, unpacked.
const LAKE_BYTES_MAX: usize = 64 << 20;
/// Objects of an hour of a shard that are looked at: more than one every second.
const OBJECTS_MAX: usize = 5_000;

/// The record of the try, once it is in the shard.
pub(super) async fn arrival(
    witness: &impl Witness,
    position: &mut Position,
    topic: &str,
    nonce: &str,
    patience: Duration,
) -> Result<Option<Arrival>, Trouble> {
    until(patience, async || {
        let found = witness.arrivals(position).await?;
        Ok(found.into_iter().find(|record| {
            let record: serde_json::Value = serde_json::from_slice(&record.data).unwrap_or_default();
            record["millrace_try"] == nonce && record["topic"] == topic
        }))
    })
    .await
}

/// Whether a Region's checkpoint of the shard is past the record.
pub(super) async fn committed_in(
    witness: &impl Witness,
    case: Case<'_>,
    shard: &str,
    number: SequenceNumber,
    table: &str,
    region: &str,
) -> Seen {
    let key = format!("{}#{}#{shard}", case.facts.region, case.facts.stream);
    let look = async || {
        let last = witness.committed(table, &key).await?;
        Ok(last.filter(|last| last.parse::<SequenceNumber>().is_ok_and(|last| last >= number)))
    };
    match until(case.patience, look).await {
        Ok(Some(last)) => {
            let last = last.trim_start_matches('0');
            Seen::ok(format!("{region} has committed up to {last}"))
        }
        Ok(None) => Seen::failed(
            format!("not within {:?}", case.patience),
            "the function does not get on: look at its log and the alarms ScorerErrors, ScorerLate, and at docs/operations/runbook.md",
        ),
        Err(trouble) => Seen::trouble(&trouble),
    }
}

/// The objects of a layer that a record of the shard may be in: of the hour in which it arrived, or one beside it.
async fn spanning(
    lake: &impl Lake,
    case: Case<'_>,
    layer: &str,
    shard: &str,
    number: SequenceNumber,
) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
    let Facts { lake: bucket, region, stream, .. } = case.facts;
    let mut found = Vec::new();
    for hours in [0, 1, -1] {
        let at = case.at.as_second() + hours * 3_600;
        let hour = jiff::Timestamp::from_second(at).unwrap_or(case.at).strftime("dt=%Y-%m-%d/hour=%H").to_string();
        for key in lake.keys(bucket, &format!("{layer}/{hour}/{region}/{stream}/{shard}/"), OBJECTS_MAX).await? {
            let name = key.rsplit('/').next().unwrap_or_default();
            let span = name.split_once('.').and_then(|(span, _)| span.split_once('-'));
            let bounds = span.and_then(|(first, last)| {
                Some((first.parse::<SequenceNumber>().ok()?, last.parse::<SequenceNumber>().ok()?))
            });
            if bounds.is_some_and(|(before, last)| before < number && number <= last)
                && let Some(bytes) = lake.get(bucket, &key).await?
            {
                found.push((key, bytes));
            }
        }
    }
    Ok(found)
}

/// The key of the object that has the record's very bytes.
pub(super) async fn bronze(
    lake: &impl Lake,
    case: Case<'_>,
    shard: &str,
    record: &Arrival,
    number: SequenceNumber,
) -> Result<Option<String>, Trouble> {
    let has_it = |bytes: &[u8]| {
        BronzeReader::new(bytes, LAKE_BYTES_MAX)
            .is_ok_and(|reader| reader.records().flatten().any(|kept| kept.seq == number && *kept.data == *record.data))
    };
    let found = spanning(lake, case, "bronze", shard, number).await?;
    Ok(found.into_iter().find(|(_, bytes)| has_it(bytes)).map(|(key, _)| key))
}

/// Why the record was refused; `None`: it was not.
pub(super) async fn quarantined(
    lake: &impl Lake,
    case: Case<'_>,
    shard: &str,
    number: SequenceNumber,
) -> Result<Option<String>, Trouble> {
    for (_, bytes) in spanning(lake, case, "quarantine", shard, number).await? {
        let Ok(reader) = QuarantineReader::new(&bytes, LAKE_BYTES_MAX) else { continue };
        if let Some(record) = reader.records().flatten().find(|record| record.seq == number) {
            return Ok(Some(format!("{}: {}", record.reason, record.detail)));
        }
    }
    Ok(None)
}
