//! What a job of batch inference is: where its parts are, and what their lines mean.
//!
//! A job is a folder of the lake, `inference/{tenant}/{job}/`:
//!
//! | object | is |
//! |---|---|
//! | `job.json` | this description; written by whoever starts the inference |
//! | `input/{part}` | rows, one a line: what SageMaker batch transform was given (`SplitType: Line`) |
//! | `output/{part}.out` | results, one a line: what it made of them (`AssembleWith: Line`) |
//! | `report.json`, `report.md` | what became of it; written here, last of all |
//!
//! The tenant is that of the folder. A row that says otherwise is refused.

use std::collections::BTreeMap;

use anomaly_core::TenantName;
use platform::model::{Key, KeyError};
use serde::{Deserialize, Serialize};
use telemetry::inference::Columns;

use crate::survey::ASSETS_MAX;

/// Where jobs are.
pub const PREFIX: &str = "inference/";
/// The one version of the description.
pub const VERSION: u32 = 1;
/// Most parts of a job.
pub const PARTS_MAX: usize = 10_000;
/// Longest description, in bytes.
pub const JOB_BYTES_MAX: usize = 2 << 20;
/// Longest name of a job and of a model, in bytes: what SageMaker allows (API Reference, `CreateTransformJob`).
const NAME_BYTES_MAX: usize = 63;

/// Which job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct JobId {
    /// Whose it is.
    pub tenant: String,
    /// Its name: 1 to 63 letters, digits and dashes.
    pub job: String,
}

/// The names are none of a tenant or of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no job: write tenant/job, the job 1 to 63 letters, digits and dashes", .0.escape_debug())]
pub struct JobIdError(pub String);

impl JobId {
    /// Checks both names.
    ///
    /// # Errors
    /// [`JobIdError`].
    pub fn new(tenant: &str, job: &str) -> Result<Self, JobIdError> {
        let is_name = (1..=NAME_BYTES_MAX).contains(&job.len())
            && job.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !job.starts_with('-');
        if TenantName::new(tenant).is_err() || !is_name {
            return Err(JobIdError(format!("{tenant}/{job}")));
        }
        Ok(Self { tenant: tenant.to_owned(), job: job.to_owned() })
    }

    /// Reads `tenant/job`.
    ///
    /// # Errors
    /// [`JobIdError`].
    pub fn parse(text: &str) -> Result<Self, JobIdError> {
        let (tenant, job) = text.split_once('/').ok_or_else(|| JobIdError(text.to_owned()))?;
        Self::new(tenant, job)
    }

    /// The job that an object belongs to. `None`: it is not in the folder of a job.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let mut levels = key.strip_prefix(PREFIX)?.split('/');
        let (tenant, job, _object) = (levels.next()?, levels.next()?, levels.next()?);
        Self::new(tenant, job).ok()
    }

    /// A key in the job's folder.
    ///
    /// # Errors
    /// The name makes no key.
    pub fn key(&self, name: &str) -> Result<Key, KeyError> {
        Key::new(format!("{PREFIX}{self}/{name}"))
    }
}

/// `tenant/job`.
impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.tenant, self.job)
    }
}

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Comma-separated, without a head.
    Csv(Columns),
    /// One JSON object a line: `device`, `ts`, and a number for each metric; what else it has is passed over.
    JsonLines,
}

/// Where a result's score is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScorePlace {
    /// Where models put it: the line is a number, or has `score`, `scores[0].score`, `scores[0]`, `predictions[0].score`,
    /// `predictions[0]` or, joined with its row, any of these below `SageMakerOutput`. Of CSV, the last column.
    Usual,
    /// At this JSON pointer (RFC 6901).
    Pointer(String),
    /// In this column, the first being 0.
    Column(usize),
}

/// A checked description.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The model whose scores these are.
    pub model: String,
    /// How rows are written; results are in the same form.
    pub rows: Rows,
    /// Whether a result has its row beside it (`JoinSource: Input`).
    pub is_joined: bool,
    /// Where the score is.
    pub score: ScorePlace,
    /// Names of the input's parts, in the order in which they are read.
    pub parts: Vec<String>,
    /// Patterns of the devices that the model was trained on; empty for all.
    pub devices: Vec<String>,
    /// By type of asset: the score from which on the model's training says that it is too high. A type that is not among them has
    /// its line from the job's own scores.
    pub lines: BTreeMap<String, f64>,
}

/// What is wrong with a description, all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct JobErrors(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: u32,
    model: String,
    format: String,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    joined: bool,
    #[serde(default)]
    score: Option<ScoreText>,
    parts: Vec<String>,
    #[serde(default)]
    devices: Vec<String>,
    #[serde(default)]
    lines: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ScoreText {
    Column(usize),
    Pointer(String),
}

impl Job {
    /// Reads `job.json`.
    ///
    /// # Errors
    /// [`JobErrors`] with every mistake.
    pub fn parse(bytes: &[u8]) -> Result<Self, JobErrors> {
        let mut text: Text =
            serde_json::from_slice(bytes).map_err(|error| JobErrors(vec![format!("it is no description: {error}")]))?;
        let mut mistakes = Vec::new();
        if text.version != VERSION {
            mistakes.push(format!("`version` is {}, this release reads {VERSION}", text.version));
        }
        if text.model.is_empty() || text.model.len() > NAME_BYTES_MAX || text.model.chars().any(char::is_control) {
            mistakes.push(format!("`model` must have 1 to {NAME_BYTES_MAX} bytes"));
        }
        let rows = rows(&text, &mut mistakes);
        let score = score(text.score.take(), &rows, &mut mistakes);
        check_parts(&text.parts, &mut mistakes);
        let lines = lines(std::mem::take(&mut text.lines), &mut mistakes);
        if !mistakes.is_empty() {
            return Err(JobErrors(mistakes));
        }
        let Text { model, joined, parts, devices, .. } = text;
        Ok(Self { model, rows, is_joined: joined, score, parts, devices, lines })
    }
}

fn rows(text: &Text, mistakes: &mut Vec<String>) -> Rows {
    match text.format.as_str() {
        "jsonl" => {
            if !text.columns.is_empty() {
                mistakes.push("`columns` are for `csv`; rows of `jsonl` name theirs".to_owned());
            }
            Rows::JsonLines
        }
        "csv" => Rows::Csv(columns(&text.columns, mistakes)),
        other => {
            mistakes.push(format!("`format` must be `csv` or `jsonl`, not `{}`", other.escape_debug()));
            Rows::JsonLines
        }
    }
}

fn columns(names: &[String], mistakes: &mut Vec<String>) -> Columns {
    Columns::new(names.iter().map(String::as_str)).unwrap_or_else(|found| {
        mistakes.extend(found.into_iter().map(|mistake| format!("`columns`: {mistake}")));
        Columns::default()
    })
}

fn lines(lines: BTreeMap<String, f64>, mistakes: &mut Vec<String>) -> BTreeMap<String, f64> {
    if lines.len() > ASSETS_MAX {
        mistakes.push(format!("`lines` has {} types of asset, the limit is {ASSETS_MAX}", lines.len()));
    }
    for (asset, line) in lines.iter().filter(|(_, line)| !line.is_finite()) {
        mistakes.push(format!("`lines`: that of `{}` is {line}, which is no score", asset.escape_debug()));
    }
    lines
}

fn score(text: Option<ScoreText>, rows: &Rows, mistakes: &mut Vec<String>) -> ScorePlace {
    match (text, rows) {
        (None, _) => ScorePlace::Usual,
        (Some(ScoreText::Column(column)), Rows::Csv(_)) => ScorePlace::Column(column),
        (Some(ScoreText::Pointer(pointer)), Rows::JsonLines) if pointer.starts_with('/') => {
            ScorePlace::Pointer(pointer)
        }
        (Some(_), Rows::Csv(_)) => {
            mistakes.push("`score` of `csv` is the number of a column, the first being 0".to_owned());
            ScorePlace::Usual
        }
        (Some(_), Rows::JsonLines) => {
            mistakes.push("`score` of `jsonl` is a JSON pointer such as `/scores/0/score`".to_owned());
            ScorePlace::Usual
        }
    }
}

fn check_parts(parts: &[String], mistakes: &mut Vec<String>) {
    if parts.is_empty() || parts.len() > PARTS_MAX {
        mistakes.push(format!("`parts` names {} objects; 1 to {PARTS_MAX} can be read", parts.len()));
    }
    let mut sorted: Vec<&String> = parts.iter().collect();
    sorted.sort_unstable();
    for twice in sorted.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]) {
        mistakes.push(format!("`parts` has `{}` twice", twice.escape_debug()));
    }
    for part in parts.iter().filter(|part| Key::new(part.as_str()).is_err()) {
        mistakes.push(format!("`parts`: `{}` is no object's name", part.escape_debug()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read() {
        let text = br#"{"version":1,"model":"pumps-7","format":"csv","columns":["device","ts","-","temperature"],
                        "joined":true,"score":4,"parts":["b.csv","a/x.csv"],"devices":["pump-*"],"lines":{"pump":1.5}}"#;
        let job = Job::parse(text).unwrap();
        assert_eq!(
            job,
            Job {
                model: "pumps-7".to_owned(),
                rows: Rows::Csv(Columns::new(["device", "ts", "-", "temperature"]).unwrap()),
                is_joined: true,
                score: ScorePlace::Column(4),
                parts: vec!["b.csv".to_owned(), "a/x.csv".to_owned()],
                devices: vec!["pump-*".to_owned()],
                lines: BTreeMap::from([("pump".to_owned(), 1.5)]),
            }
        );
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let text = br#"{"version":2,"model":"","format":"csv","columns":["ts","ts","a b\u0000"],"score":"/x",
                        "parts":["a","../b","a"]}"#;
        let JobErrors(mistakes) = Job::parse(text).unwrap_err();
        assert_eq!(mistakes.len(), 8, "{mistakes:#?}");
        for (format, score) in [("jsonl", "3"), ("jsonl", "\"x\""), ("xml", "null")] {
            let text = format!(r#"{{"version":1,"model":"m","format":"{format}","score":{score},"parts":["a"]}}"#);
            assert_eq!(Job::parse(text.as_bytes()).unwrap_err().0.len(), 1, "{text}");
        }
        let unknown = Job::parse(br#"{"version":1,"model":"m","format":"jsonl","parts":["a"],"join":true}"#);
        assert!(unknown.unwrap_err().to_string().contains("unknown field `join`"));
    }

    #[test]
    fn a_job_is_known_by_its_folder() {
        let id = JobId::of_key("inference/acme/week-47/output/a.csv.out").unwrap();
        assert_eq!((id.tenant.as_str(), id.job.as_str()), ("acme", "week-47"));
        assert_eq!(id.key("job.json").unwrap().as_str(), "inference/acme/week-47/job.json");
        for other in ["inference/acme/week-47", "silver/acme/week/x", "inference/acme/-w/x", "inference/a b/w/x"] {
            assert_eq!(JobId::of_key(other), None, "{other}");
        }
        assert!(JobId::parse("acme").is_err());
    }
}
