//! What brings the function to life: a result that is there, the schedule, or somebody who asks.

use serde::Deserialize;

use crate::job::{JobId, JobIdError};

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An object was created in the folder of a job.
    Created(JobId),
    /// An object was created elsewhere: nothing to do.
    Elsewhere,
    /// Look for jobs that were left: their last result came while the function could not.
    Tick,
    /// Somebody asks for a job.
    Asked {
        /// Which.
        id: JobId,
        /// Whether parts without results are to be reported as missing instead of waited for.
        accepts_missing: bool,
    },
}

/// An event that is none of them.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// No JSON.
    #[error(
        "the event is no JSON ({0}); send a created object of S3, a scheduled event, or {{\"job\":\"tenant/name\"}}"
    )]
    NotJson(#[from] serde_json::Error),
    /// JSON of another kind.
    #[error(
        "the event has neither `job` nor a `source` that is known; send a created object of S3, a scheduled event, or {{\"job\":\"tenant/name\"}}"
    )]
    Unknown,
    /// The job's name is none.
    #[error(transparent)]
    Job(#[from] JobIdError),
}

#[derive(Deserialize)]
struct Form {
    job: Option<String>,
    #[serde(default)]
    missing: Missing,
    source: Option<String>,
    detail: Option<Detail>,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Missing {
    #[default]
    Wait,
    Accept,
}

#[derive(Deserialize)]
struct Detail {
    object: Option<Object>,
}

#[derive(Deserialize)]
struct Object {
    key: String,
}

/// Sources of schedules: a rule of Amazon `EventBridge`, its scheduler, and by hand.
const SCHEDULES: [&str; 3] = ["aws.events", "aws.scheduler", "millrace.tick"];

impl Event {
    /// Reads an event. The key of an object is as it is: events of `EventBridge` do not encode it as notifications of S3 do
    /// (Amazon S3 User Guide, on the structure of `EventBridge` messages).
    ///
    /// # Errors
    /// [`EventError`].
    pub fn parse(json: &str) -> Result<Self, EventError> {
        let form: Form = serde_json::from_str(json)?;
        if let Some(job) = form.job {
            return Ok(Self::Asked { id: JobId::parse(&job)?, accepts_missing: form.missing == Missing::Accept });
        }
        match form.source.as_deref() {
            Some("aws.s3") => {
                let key = form.detail.and_then(|detail| detail.object).ok_or(EventError::Unknown)?.key;
                Ok(JobId::of_key(&key).map_or(Self::Elsewhere, Self::Created))
            }
            Some(source) if SCHEDULES.contains(&source) => Ok(Self::Tick),
            _ => Err(EventError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> JobId {
        JobId::new("acme", "week-47").unwrap()
    }

    #[test]
    fn each_kind_is_told_by_its_shape() {
        let created = include_str!("../../../events/inference-result.json");
        assert_eq!(Event::parse(created).unwrap(), Event::Created(id()));
        let elsewhere = r#"{"source":"aws.s3","detail":{"object":{"key":"silver/x"}}}"#;
        assert_eq!(Event::parse(elsewhere).unwrap(), Event::Elsewhere);
        for tick in [include_str!("../../../events/inference-tick.json"), r#"{"source":"aws.scheduler"}"#] {
            assert_eq!(Event::parse(tick).unwrap(), Event::Tick);
        }
        let asked = Event::parse(include_str!("../../../events/inference-asked.json")).unwrap();
        assert_eq!(asked, Event::Asked { id: id(), accepts_missing: true });
    }

    #[test]
    fn what_is_none_of_them_is_told_what_to_send() {
        for text in ["{}", "[]", r#"{"source":"aws.s3"}"#, r#"{"source":"aws.ec2"}"#, r#"{"job":"acme"}"#, "x"] {
            let error = Event::parse(text).unwrap_err().to_string();
            assert!(error.contains("tenant/"), "{text}: {error}");
        }
    }
}
