//! Filter criteria: which records go to the function at all.
//!
//! The rules are those of the AWS Lambda Developer Guide, "Control which events Lambda sends to your function" and "Using
//! event filtering with a Kinesis event source": up to five patterns, a record passes if one of them matches; the only key
//! is `data`; a payload that is not JSON passes no pattern about `data`. Values are compared as they are written: strings
//! character by character, numbers too, so that `300`, `300.0` and `3.0e2` are three values; only `numeric` compares
//! numbers. KPL-aggregated records are no JSON, and are dropped as AWS drops them without enhanced fan-out.

mod matching;
mod rule;

use serde_json::Value;

use super::Record;
use rule::Node;

/// Most patterns of a mapping; AWS raises it to 10 on request.
pub const FILTERS_MAX: usize = 5;

/// Most characters of a pattern.
pub const FILTER_CHARS_MAX: usize = 4_096;

/// The patterns of a mapping. Without any, every record passes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilterCriteria {
    /// What each says of the payload; `None`: nothing.
    patterns: Vec<Option<Node>>,
}

/// A pattern that Lambda would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// More than [`FILTERS_MAX`].
    #[error("{0} filters, the limit is {FILTERS_MAX}: join values of one field in one pattern, or use `$or`")]
    TooMany(usize),
    /// Longer than [`FILTER_CHARS_MAX`].
    #[error("the filter has {0} characters, the limit is {FILTER_CHARS_MAX}: split it into several")]
    TooLong(usize),
    /// Not JSON.
    #[error("the filter is not JSON: {0}; expected such as {{\"data\":{{\"metric\":[\"temperature\"]}}}}")]
    NotJson(String),
    /// Something that the pattern language does not have.
    #[error("the filter at `{path}`: {what}")]
    Rule {
        /// Where in the pattern.
        path: String,
        /// What is wrong, and what may stand there.
        what: String,
    },
}

impl FilterCriteria {
    /// Reads patterns.
    ///
    /// # Errors
    /// [`FilterError`] for the first that Lambda would refuse.
    pub fn parse<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Self, FilterError> {
        let patterns = patterns.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        if patterns.len() > FILTERS_MAX { Err(FilterError::TooMany(patterns.len())) } else { Ok(Self { patterns }) }
    }

    /// Whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a record goes to the function.
    #[must_use]
    pub fn passes(&self, record: &Record) -> bool {
        let says_nothing = |pattern: &Option<Node>| pattern.is_none();
        self.patterns.is_empty()
            || self.patterns.iter().any(says_nothing)
            || self.patterns.iter().flatten().any(|data| matching::matches(data, &record.data))
    }
}

fn parse(pattern: &str) -> Result<Option<Node>, FilterError> {
    let chars = pattern.chars().count();
    if chars > FILTER_CHARS_MAX {
        return Err(FilterError::TooLong(chars));
    }
    // Read once as a whole: numbers keep the form they are written in.
    let fields = rule::fields(pattern).map_err(|error| FilterError::NotJson(error.to_string()))?;
    let mut data = None;
    for (key, value) in &fields {
        if key != "data" {
            let what = "a Kinesis mapping filters on the key `data` only".to_owned();
            return Err(FilterError::Rule { path: key.clone(), what });
        }
        if serde_json::from_str::<Value>(value.get()).is_ok_and(|value| !value.is_object()) {
            let what = "the pattern of a payload is an object of its fields, payloads that are not JSON cannot be \
                        filtered"
                .to_owned();
            return Err(FilterError::Rule { path: "data".to_owned(), what });
        }
        data = Some(rule::node(value, "data")?);
    }
    Ok(data)
}

#[cfg(test)]
mod tests;
