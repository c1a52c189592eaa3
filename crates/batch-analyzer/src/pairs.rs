//! The rows of a part, each with its score.
//!
//! A result alone says nothing of whose it is: it belongs to the row of the same line. So a part whose rows and results are
//! not equally many is refused as a whole; who knows which line is missing? Results that have their row beside them need no
//! counting.

use platform::ports::{ReadRange, StoreError};
use serde_json::value::RawValue;
use telemetry::inference::{Columns, MetricNames, Row, RowReader};

use crate::job::{Job, JobId, Rows};
use crate::lines::{Line, Lines, LinesError};
use crate::refusal::{Reason, Refusal};
use crate::score::ScoreReader;

/// Reads the parts of one job, one after the other.
#[derive(Debug)]
pub struct PairReader {
    rows: RowReader,
    scores: ScoreReader,
    is_csv: bool,
    is_joined: bool,
}

/// A part that is being read.
#[derive(Debug)]
pub struct Part<'w, W> {
    /// The input; none where results have their rows beside them.
    input: Option<Lines<'w, W>>,
    output: Lines<'w, W>,
    line: u64,
}

/// What a line came to.
#[derive(Debug)]
pub enum Pair<'r> {
    /// A row with its score.
    Row {
        /// Number of the line in the part, counted from 1, blank ones left out.
        line: u64,
        /// The row.
        row: &'r Row,
        /// The model's score.
        score: f64,
    },
    /// A line that counts for nothing.
    Refused {
        /// Its number.
        line: u64,
        /// Why.
        refusal: Refusal,
    },
    /// The part has been read to its end.
    End,
}

/// Why a part cannot be read on.
#[derive(Debug)]
pub enum PartError {
    /// The part counts for nothing.
    Refused(Refusal),
    /// The store could not be read, or somebody writes the part: the whole may be tried again.
    Failed(LinesError),
}

impl From<LinesError> for PartError {
    fn from(error: LinesError) -> Self {
        match error {
            LinesError::Missing(_) => Self::Refused(Refusal::new(Reason::Missing, &error)),
            LinesError::Damaged { .. } => Self::Refused(Refusal::new(Reason::Damaged, &error)),
            LinesError::Store(_) | LinesError::Replaced(_) => Self::Failed(error),
        }
    }
}

impl PairReader {
    /// For the parts of a job.
    #[must_use]
    pub fn new(id: &JobId, job: &Job) -> Self {
        let columns = match &job.rows {
            Rows::Csv(columns) => columns.clone(),
            Rows::JsonLines => Columns::default(),
        };
        Self {
            rows: RowReader::new(&id.tenant, columns),
            scores: ScoreReader::new(&job.rows, &job.score),
            is_csv: matches!(job.rows, Rows::Csv(_)),
            is_joined: job.is_joined,
        }
    }

    /// The metrics' names so far.
    #[must_use]
    pub fn names(&self) -> &MetricNames {
        self.rows.names()
    }

    /// Begins a part. Nothing is read yet.
    ///
    /// # Errors
    /// The part's name makes no key.
    pub fn open<'w, W: ReadRange>(&self, world: &'w W, id: &JobId, part: &str) -> Result<Part<'w, W>, StoreError> {
        let key = |name: String| {
            id.key(&name)
                .map_err(|error| StoreError::permanent("read part", part.escape_debug().to_string(), error.to_string()))
        };
        let output = Lines::new(world, key(format!("output/{part}.out"))?);
        let input = if self.is_joined { None } else { Some(Lines::new(world, key(format!("input/{part}"))?)) };
        Ok(Part { input, output, line: 0 })
    }

    /// The part's next line.
    ///
    /// # Errors
    /// [`PartError`].
    pub async fn next<W: ReadRange>(&mut self, part: &mut Part<'_, W>) -> Result<Pair<'_>, PartError> {
        let input = match &mut part.input {
            Some(input) => Some(input.next().await?),
            None => None,
        };
        let output = part.output.next().await?;
        part.line += 1;
        let line = part.line;
        let is_row = output.is_none();
        let read = match (input, output) {
            (None | Some(None), None) => return Ok(Pair::End),
            (None, Some(Line::Whole(joined))) => self.read_joined(joined),
            (Some(Some(Line::Whole(row))), Some(Line::Whole(result))) => self.read_apart(row, result),
            (Some(Some(_)), None) | (Some(None), Some(_)) => {
                let (rows, results) = part.count(is_row).await?;
                let what = format_args!("{rows} rows and {results} results: which belong together is not known");
                return Err(PartError::Refused(Refusal::new(Reason::Unmatched, what)));
            }
            (_, Some(_)) => Err(Refusal::new(Reason::TooLong, "a line is longer than a mebibyte")),
        };
        match read {
            Ok(score) => Ok(Pair::Row { line, row: self.rows.row(), score }),
            Err(refusal) => Ok(Pair::Refused { line, refusal }),
        }
    }

    fn read_apart(&mut self, row: &[u8], result: &[u8]) -> Result<f64, Refusal> {
        self.read_row(row)?;
        self.scores.read(result, 0)
    }

    fn read_joined(&mut self, line: &[u8]) -> Result<f64, Refusal> {
        let answer = self.read_row(line)?;
        if self.is_csv {
            return self.scores.read(line, self.rows.width());
        }
        self.scores.read_joined(answer, line)
    }

    /// Returns what the model answered, where it stands in a row of JSON.
    fn read_row<'l>(&mut self, line: &'l [u8]) -> Result<Option<&'l RawValue>, Refusal> {
        if self.is_csv {
            self.rows.read_csv(line)?;
            return Ok(None);
        }
        Ok(self.rows.read_json(line)?)
    }
}

impl<W: ReadRange> Part<'_, W> {
    /// Reads both sides to their ends, of which one has just had one line more than the other, and counts rows and results.
    async fn count(&mut self, is_row: bool) -> Result<(u64, u64), LinesError> {
        let (mut more, before) = (self.line, self.line - 1);
        let longer = match &mut self.input {
            Some(input) if is_row => input,
            _ => &mut self.output,
        };
        while longer.next().await?.is_some() {
            more += 1;
        }
        Ok(if is_row { (more, before) } else { (before, more) })
    }

    /// How much plain text was read of results, in bytes.
    #[must_use]
    pub fn plain_bytes(&self) -> u64 {
        self.output.plain_bytes() + self.input.as_ref().map_or(0, Lines::plain_bytes)
    }
}
