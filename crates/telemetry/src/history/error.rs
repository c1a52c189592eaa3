//! Why recorded data cannot be read: the file, the line, the column, what was expected, and what to do.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use anomaly_core::{METRICS_MAX, NameError};

use crate::bronze::LakeError;
use crate::poison::Poison;

/// A fault in recorded data and its place.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}", place = Place(self))]
pub struct HistoryError {
    /// The file or folder.
    pub file: PathBuf,
    /// Line of a text file, counted from 1.
    pub line: Option<u64>,
    /// Cell of a CSV line, counted from 1.
    pub column: Option<usize>,
    /// What is wrong there.
    pub problem: Problem,
}

impl HistoryError {
    pub(super) fn of(file: &Path, problem: Problem) -> Self {
        Self { file: file.to_owned(), line: None, column: None, problem }
    }

    pub(super) fn line(file: &Path, line: u64, problem: Problem) -> Self {
        Self { line: Some(line), ..Self::of(file, problem) }
    }
}

struct Place<'e>(&'e HistoryError);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.file.display())?;
        if let Some(line) = self.0.line {
            write!(f, ", line {line}")?;
        }
        if let Some(column) = self.0.column {
            write!(f, ", column {column}")?;
        }
        Ok(())
    }
}

/// What is wrong. Texts of the file are shown escaped and cut.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file system refused.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// No byte in it.
    #[error("it is empty; expected CSV, NDJSON, Parquet or bronze")]
    Empty,
    /// A header, or a lake, without data.
    #[error("there is not one row of data in it")]
    NoRows,
    /// Another form.
    #[error("this is {found}; {remedy}")]
    Foreign {
        /// What it looks like.
        found: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A folder without objects of a lake.
    #[error(
        "the folder has no `.ndjson.zst` (bronze) and no `.parquet` (silver) in it; name a file, or the folder of a lake"
    )]
    NoObjects,
    /// A folder with objects of two kinds.
    #[error("the folder has bronze and silver in it, which hold the same readings; name one of its folders")]
    TwoLayers,
    /// A file larger than is read at once.
    #[error("it has {bytes} bytes, the limit is {bytes_max}; split it")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// No column of times.
    #[error("the header has no column `timestamp`; {}", remedy_for_time(.like.as_deref()))]
    NoTimestamp {
        /// A column that may be meant.
        like: Option<String>,
    },
    /// The first line is not a header.
    #[error(
        "the first line is data: {found} is no name; put a header before it, as in `timestamp,temperature,pressure`"
    )]
    HeaderIsData {
        /// A cell of it.
        found: String,
    },
    /// A column without a name.
    #[error("the header has no name in this column; name it or remove it")]
    Unnamed,
    /// Two columns of one name.
    #[error("the header has {name} in column {first} already; rename one of them")]
    Repeated {
        /// The name.
        name: String,
        /// Where it stands first, counted from 1.
        first: usize,
    },
    /// A column that has no meaning in the long form, or a long form without all of its columns.
    #[error(
        "the header mixes two forms: {why}; long is `timestamp,device,metric,value`, wide is `timestamp` and a column a metric"
    )]
    Mixed {
        /// What does not fit.
        why: String,
    },
    /// No column of values.
    #[error("the header has no metric beside `timestamp`; add a column a metric")]
    NoMetric,
    /// A name that cannot be.
    #[error("{0}")]
    Name(#[from] NameError),
    /// More metrics than a device may have.
    #[error("there are {found} metrics, the limit is {METRICS_MAX}; leave some out or divide the device")]
    TooManyMetrics {
        /// How many.
        found: usize,
    },
    /// A line that is shorter or longer than the header.
    #[error("expected {expected} cells as in the header, found {found}; {}", remedy_for_cells(*.expected, *.found))]
    Cells {
        /// As the header has.
        expected: usize,
        /// As the line has.
        found: usize,
    },
    /// A cell that is no number.
    #[error(
        "expected a number for `{metric}`, found {found}; write it with a decimal point and no unit, or leave the cell empty"
    )]
    NotANumber {
        /// Whose value.
        metric: String,
        /// The cell.
        found: String,
    },
    /// A cell that is no time.
    #[error(
        "expected a time from 1980 to 2200, found {found}; write ISO 8601 (`2026-11-21T07:30:00Z`), or seconds or milliseconds since 1970"
    )]
    NotATime {
        /// The cell.
        found: String,
    },
    /// A cell that is no quality.
    #[error("expected `good`, `uncertain` or `bad`, found {found}")]
    NotAQuality {
        /// The cell.
        found: String,
    },
    /// Bytes that are no text.
    #[error("this is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// The line is longer than is read.
    #[error("the line has more than {bytes_max} bytes; is it one payload a line?")]
    LineTooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// The CSV cannot be taken apart.
    #[error("this is not CSV: {0}")]
    Csv(#[source] ::csv::Error),
    /// A payload that is poison.
    #[error("the payload is not readable ({0}); correct or remove the line")]
    Payload(#[source] Poison),
    /// A payload without a time: a record of a stream has the time of its arrival, a line of a file has none.
    #[error("the payload has no time; add `\"timestamp\"` to it")]
    NoTime,
    /// An object of the lake that is damaged or foreign.
    #[error("{0}")]
    Lake(#[from] LakeError),
}

fn remedy_for_time(like: Option<&str>) -> String {
    match like {
        Some(like) => format!("rename the column {like}"),
        None => "add one with the time of each row".to_owned(),
    }
}

fn remedy_for_cells(expected: usize, found: usize) -> &'static str {
    if found < expected {
        "leave a cell empty where a value is missing"
    } else {
        "put a text with a comma in quotes, and write numbers with a decimal point"
    }
}

/// The start of a text of the file, escaped and in quotes.
pub(super) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let start: String = text.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
    let rest = if text.chars().nth(CHARS_MAX).is_some() { "…" } else { "" };
    format!("`{start}{rest}`")
}
