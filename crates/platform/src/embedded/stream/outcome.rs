//! What became of an invocation, and how the answer of a function is read.

use serde_json::Value;
use telemetry::sequence::SequenceNumber;

use super::Record;

/// What became of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every record is done.
    Success,
    /// The function failed, timed out, or gave an answer that names no record of the event: nothing is done.
    Failure {
        /// What it said.
        error: String,
    },
    /// The records before this one are done; this one and those after it come again.
    FailedFrom(SequenceNumber),
    /// The function was not reached (throttled): the event comes again and no retry is used up.
    NotInvoked,
    /// Every record is done, but the note of it was lost, as when a poller is replaced: the records come again, possibly
    /// cut otherwise, and no retry is used up. This is what at-least-once means.
    Unnoted,
}

impl Outcome {
    /// Reads the answer of a function to `records`. With `report_batch_item_failures` off, every answer is a success.
    ///
    /// Success: an empty or null list, an empty or null answer. Failure of the whole batch: an identifier that is empty,
    /// null, missing or of no record of the event, and what is no JSON of that shape. Otherwise the lowest identifier
    /// counts (AWS Lambda Developer Guide, "Configuring partial batch response with Kinesis Data Streams and Lambda").
    #[must_use]
    pub fn of_response(
        response: &Result<Vec<u8>, String>,
        records: &[Record],
        report_batch_item_failures: bool,
    ) -> Self {
        let answer = match response {
            Err(error) => return Self::Failure { error: error.clone() },
            Ok(_) if !report_batch_item_failures => return Self::Success,
            Ok(answer) => answer,
        };
        match failed_from(answer, records) {
            Ok(None) => Self::Success,
            Ok(Some(lowest)) => Self::FailedFrom(lowest),
            Err(error) => Self::Failure { error },
        }
    }
}

fn failed_from(answer: &[u8], records: &[Record]) -> Result<Option<SequenceNumber>, String> {
    if answer.trim_ascii().is_empty() {
        return Ok(None);
    }
    let answer: Value = serde_json::from_slice(answer).map_err(|error| format!("the answer is not JSON: {error}"))?;
    let failures = match &answer {
        Value::Null => return Ok(None),
        Value::Object(fields) => match fields.get("batchItemFailures") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(failures)) => failures,
            Some(_) => return Err("`batchItemFailures` of the answer is no list".to_owned()),
        },
        _ => return Err("the answer is no object with `batchItemFailures`".to_owned()),
    };
    let mut lowest = None;
    for failure in failures {
        let identifier = failure.get("itemIdentifier").and_then(Value::as_str).unwrap_or_default();
        let sequence = identifier.parse::<SequenceNumber>().ok();
        let known = sequence.filter(|at| records.binary_search_by_key(at, |record| record.sequence).is_ok());
        let Some(known) = known else {
            return Err(format!("`{}` in the answer is no record of the event", identifier.escape_debug()));
        };
        lowest = Some(lowest.map_or(known, |lowest: SequenceNumber| lowest.min(known)));
    }
    Ok(lowest)
}
