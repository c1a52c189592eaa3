//! What brings the function to life: the schedule, or somebody who asks.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::check::Kind;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The schedule: everything.
    Tick,
    /// Somebody asks for some kinds, or for all where none is named.
    Asked(BTreeSet<Kind>),
}

/// An event that is neither.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// No JSON, or with a check that there is none of.
    #[error(
        "the event cannot be read ({0}); send a scheduled event, or {{\"only\":[\"stream\"]}}, or {{\"only\":[]}} for all"
    )]
    Form(#[from] serde_json::Error),
    /// JSON of another kind.
    #[error(
        "the event has neither `only` nor the `source` of a schedule; send a scheduled event, or {{\"only\":[]}} for all"
    )]
    Unknown,
}

#[derive(Deserialize)]
struct Form {
    only: Option<BTreeSet<Kind>>,
    source: Option<String>,
}

/// Sources of schedules: a rule of Amazon `EventBridge`, its scheduler, and by hand.
const SCHEDULES: [&str; 3] = ["aws.events", "aws.scheduler", "millrace.tick"];

impl Event {
    /// Reads an event.
    ///
    /// # Errors
    /// [`EventError`].
    pub fn parse(json: &str) -> Result<Self, EventError> {
        let form: Form = serde_json::from_str(json)?;
        match (form.only, form.source) {
            (Some(only), _) => Ok(Self::Asked(only)),
            (None, Some(source)) if SCHEDULES.contains(&source.as_str()) => Ok(Self::Tick),
            _ => Err(EventError::Unknown),
        }
    }

    /// Which of these kinds are to be checked.
    #[must_use]
    pub fn of(&self, kinds: &BTreeSet<Kind>) -> BTreeSet<Kind> {
        match self {
            Self::Asked(only) if !only.is_empty() => kinds.intersection(only).copied().collect(),
            _ => kinds.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_by_its_shape() {
        let tick = include_str!("../../../events/replication-tick.json");
        assert_eq!(Event::parse(tick).unwrap(), Event::Tick);
        let asked = Event::parse(include_str!("../../../events/replication-asked.json")).unwrap();
        assert_eq!(asked, Event::Asked([Kind::Stream, Kind::Policy].into()));
        let all: BTreeSet<Kind> = Kind::ALL.into();
        assert_eq!(asked.of(&all).len(), 2);
        assert_eq!(
            asked.of(&[Kind::Stream, Kind::Thing].into()),
            [Kind::Stream].into(),
            "what is skipped stays skipped"
        );
        assert_eq!(Event::parse(r#"{"only":[]}"#).unwrap().of(&all), all);
    }

    #[test]
    fn what_is_neither_is_told_what_to_send() {
        for text in ["{}", "x", r#"{"source":"aws.s3"}"#, r#"{"only":["strem"]}"#] {
            let error = Event::parse(text).unwrap_err().to_string();
            assert!(error.contains(r#""only":["#), "{text}: {error}");
        }
    }
}
