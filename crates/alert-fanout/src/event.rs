//! What brings the function to life: changes of the results table, or the schedule.
//!
//! The table's stream is filtered to new anomalies and changed states (`infra/alerts.yaml`); whatever else comes is passed over.
//! A record that cannot be read is told and left: it will not read better the next time, and must not hold up the others.

use platform::aws::{parse_change, sequence_number};
use platform::model::Change;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An event.
#[derive(Debug)]
pub enum Event {
    /// Changes of the table.
    Changes(Vec<Numbered>),
    /// The schedule ticks.
    Tick,
}

/// A change, and its number in the stream.
#[derive(Debug)]
pub struct Numbered {
    /// As the stream says it; a failure names it.
    pub number: String,
    /// What changed.
    pub change: Change,
}

/// An event that is neither.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// No JSON.
    #[error("the event is no JSON ({0}); send records of a DynamoDB stream, or a scheduled event")]
    NotJson(#[from] serde_json::Error),
    /// JSON of another kind.
    #[error(
        "the event has neither `Records` nor the `source` of a schedule; send records of a DynamoDB stream, or a scheduled event"
    )]
    Unknown,
}

#[derive(Deserialize)]
struct Form<'e> {
    #[serde(rename = "Records", borrow)]
    records: Option<Vec<&'e RawValue>>,
    source: Option<String>,
}

/// Sources of schedules: a rule of Amazon `EventBridge`, its scheduler, and by hand.
const SCHEDULES: [&str; 3] = ["aws.events", "aws.scheduler", "millrace.tick"];

impl Event {
    /// Reads an event.
    ///
    /// # Errors
    /// [`EventError`] when it is none of those that are known.
    pub fn parse(json: &str) -> Result<Self, EventError> {
        let form: Form<'_> = serde_json::from_str(json)?;
        if let Some(records) = form.records {
            return Ok(Self::Changes(records.into_iter().filter_map(numbered).collect()));
        }
        let source = form.source.ok_or(EventError::Unknown)?;
        if SCHEDULES.contains(&source.as_str()) { Ok(Self::Tick) } else { Err(EventError::Unknown) }
    }
}

fn numbered(record: &RawValue) -> Option<Numbered> {
    match (sequence_number(record.get()), parse_change(record.get())) {
        (Some(number), Ok(change)) => Some(Numbered { number, change }),
        (number, Err(error)) => {
            let number = number.unwrap_or_default();
            tracing::error!(
                sequence_number = number,
                error = &error as &dyn std::error::Error,
                "a record of the stream is passed over"
            );
            None
        }
        (None, Ok(change)) => {
            let (pk, sk) = (change.key.pk, change.key.sk);
            tracing::error!(pk, sk, "a record of the stream without a number is passed over");
            None
        }
    }
}

/// The answer to a batch: what has to come again (AWS Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB").
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct BatchResponse {
    /// Records that failed. The stream goes on from the first of them.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<Failure>,
}

/// A record that failed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its number in the stream.
    #[serde(rename = "itemIdentifier")]
    pub number: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANOMALY: &str = include_str!("../../../events/table-anomaly.json");

    #[test]
    fn the_events_that_are_kept_are_read() {
        let Event::Changes(changes) = Event::parse(ANOMALY).unwrap() else { panic!("it has records") };
        assert_eq!(changes.len(), 2);
        assert!(changes[0].change.key.sk.starts_with("A#"));
        let malformed = include_str!("../../../events/table-malformed.json");
        let Event::Changes(changes) = Event::parse(malformed).unwrap() else { panic!("it has records") };
        assert_eq!(changes.len(), 1, "the one that reads");
        for tick in [include_str!("../../../events/alerts-tick.json"), r#"{"source":"aws.scheduler"}"#] {
            assert!(matches!(Event::parse(tick).unwrap(), Event::Tick));
        }
    }

    #[test]
    fn another_event_is_refused_with_what_to_send() {
        for other in ["", "[]", r#"{"source":"aws.s3"}"#, "{}"] {
            let error = Event::parse(other).unwrap_err().to_string();
            assert!(error.contains("records of a DynamoDB stream"), "{error}");
        }
    }
}
