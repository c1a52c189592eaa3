//! Rows of a request, and a result for each.
//!
//! As many results as rows, in their order, always: whoever sent the rows finds the result of a row by its place. So a row
//! that is none has a result that says so. Blank lines are no rows, here as in `batch-analyzer`, which matches the two.
//!
//! JSON is `{"instances":[…]}` with rows as of JSON lines: `{"device":"pump-1","ts":1793534400,"temperature":25.5}`, or with the
//! metrics in the order of the model's columns, `{"device":"pump-1","ts":1793534400,"features":[25.5]}`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::media::Media;
use crate::model::{Loaded, ScoreError, Session};
use crate::row::{Columns, Row, RowError, RowReader};

/// Most rows of a request: 6 MB of the shortest rows have half of it.
pub const ROWS_MAX: usize = 1_000_000;
/// Longest error of a row, in characters.
const ERROR_CHARS_MAX: usize = 160;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It has too many rows.
    #[error("there are more than {ROWS_MAX} rows: send fewer at once")]
    TooManyRows,
    /// JSON of another shape.
    #[error("expected {{\"instances\":[…]}}: {0}")]
    NotInstances(String),
    /// CSV, where the model's columns cannot be told.
    #[error("the model has too many metrics to be columns: send JSON lines, or set MILLRACE_COLUMNS")]
    NoColumns,
}

/// Why a row has no score.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Row(#[from] RowError),
    #[error(transparent)]
    Score(#[from] ScoreError),
}

#[derive(Deserialize)]
struct Instances<'b> {
    #[serde(borrow)]
    instances: Vec<&'b RawValue>,
}

/// Scores the rows of a body of form `media`, and answers in form `accepted`.
///
/// # Errors
/// [`RequestError`]; a row that is none is no error.
pub fn answer(
    model: &Loaded,
    columns: Option<&Columns>,
    media: Media,
    accepted: Media,
    body: &[u8],
) -> Result<Vec<u8>, RequestError> {
    let columns = match (columns, media) {
        (Some(columns), _) => columns.clone(),
        (None, Media::Csv) => return Err(RequestError::NoColumns),
        (None, _) => Columns::default(),
    };
    let mut asked = Asked {
        model,
        reader: RowReader::new(&model.card.tenant, columns),
        session: model.session(),
        results: Results::new(accepted),
        rows: 0,
    };
    if media == Media::Json {
        let Instances { instances } =
            serde_json::from_slice(body).map_err(|error| RequestError::NotInstances(error.to_string()))?;
        for instance in instances {
            asked.score(|reader| reader.read_json(instance.get().as_bytes()))?;
        }
    } else {
        for line in body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            asked.score(|reader| match media {
                Media::Csv => reader.read_csv(line.trim_ascii_end()),
                _ => reader.read_json(line),
            })?;
        }
    }
    Ok(asked.results.finish())
}

/// A request under way.
struct Asked<'m> {
    model: &'m Loaded,
    reader: RowReader,
    session: Session<'m>,
    results: Results,
    rows: usize,
}

impl Asked<'_> {
    fn score(&mut self, read: impl FnOnce(&mut RowReader) -> Result<Row, RowError>) -> Result<(), RequestError> {
        self.rows += 1;
        if self.rows > ROWS_MAX {
            return Err(RequestError::TooManyRows);
        }
        let row = read(&mut self.reader).map_err(Refused::from);
        let scored = row.and_then(|row| Ok((self.session.score(&row)?, self.model.line(&row.device))));
        self.results.push(&scored);
        Ok(())
    }
}

/// The answer so far.
struct Results {
    media: Media,
    text: Vec<u8>,
    count: usize,
}

impl Results {
    fn new(media: Media) -> Self {
        let text = if media == Media::Json { b"{\"scores\":[".to_vec() } else { Vec::new() };
        Self { media, text, count: 0 }
    }

    fn push(&mut self, scored: &Result<(f64, Option<f64>), Refused>) {
        if self.media == Media::Json && self.count > 0 {
            self.text.push(b',');
        }
        self.count += 1;
        match (scored, self.media) {
            (Ok((score, _)), Media::Csv) => self.text.extend(score.to_string().into_bytes()),
            (Err(_), Media::Csv) => self.text.extend(b"nan"),
            (Ok((score, line)), _) => {
                let number = |value: f64| serde_json::Value::from(value).to_string();
                self.text.extend(format!("{{\"score\":{}", number(*score)).bytes());
                if let Some(line) = line {
                    self.text.extend(format!(",\"line\":{}", number(*line)).bytes());
                }
                self.text.push(b'}');
            }
            (Err(error), _) => {
                let why: String = error.to_string().chars().take(ERROR_CHARS_MAX).collect();
                self.text.extend(b"{\"error\":");
                self.text.extend(serde_json::Value::from(why).to_string().bytes());
                self.text.push(b'}');
            }
        }
        if self.media != Media::Json {
            self.text.push(b'\n');
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.media == Media::Json {
            self.text.extend(b"]}\n");
        }
        self.text
    }
}
