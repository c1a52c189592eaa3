//! Recorded data, for a replay: files that people and other systems have written, as rows of readings.
//!
//! What a file is, its first bytes tell:
//! - **CSV wide:** a header, a column `timestamp`, and one column a metric. One device, unless there is a column `device`.
//! - **CSV long:** columns `timestamp`, `metric`, `value`, in any order, and `device`, `tenant`, `quality` where they are
//!   needed. Lines of one device and instant that follow one another are one row.
//! - **NDJSON:** one payload a line, in any form that [`crate::payload`] reads as JSON.
//! - **Parquet:** silver, as [`crate::silver`] writes it.
//! - **Bronze:** an object, packed or not, or a folder of them; a folder of silver likewise. The objects of a folder are read
//!   in the order of their names, and a record that two objects share is read once.
//!
//! Times are ISO 8601 (no zone is UTC, a space stands for `T`), or seconds or milliseconds since 1970. An empty cell and
//! `NaN` are a missing value. Anything else that cannot be read stops with the file, the line, the column and what was
//! expected: a replay that skips would answer for data that it has not seen. The one exception is bronze, where a message
//! that was refused when it arrived is refused again and counted ([`History::refused`]).
//!
//! Together with its parts this is the one module that opens files. What it does not do: score, sort, or fill gaps.

mod columns;
mod csv;
mod error;
mod lake;
mod ndjson;
mod open;
mod time;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anomaly_core::{DeviceName, Observation, Quality, TenantName, Timestamp};

pub use self::error::{HistoryError, Problem};
pub use self::time::{parse_time, time_of_number};

/// Whose data it is where the file does not say.
#[derive(Debug, Clone, Copy)]
pub struct Defaults<'a> {
    /// The tenant.
    pub tenant: TenantName<'a>,
    /// The device.
    pub device: DeviceName<'a>,
}

/// One device at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRow {
    /// Whose device it is; a checked name.
    pub tenant: Arc<str>,
    /// The device; a checked name.
    pub device: Arc<str>,
    /// When it was measured.
    pub at: Timestamp,
    /// When it arrived; the time of measurement where the file does not say.
    pub arrived: Timestamp,
    /// One entry a metric, at most [`anomaly_core::METRICS_MAX`], in the order of the file.
    pub values: Vec<HistoryValue>,
    /// The row's number among those of the file or folder, counted from 1.
    pub number: u64,
}

/// One metric of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryValue {
    /// The metric; a checked name.
    pub metric: Arc<str>,
    /// Its value, finite; none where it is missing.
    pub value: Option<f64>,
    /// What the source said of it.
    pub quality: Quality,
}

/// Recorded data, row by row. CSV and NDJSON are read as they are asked for; a lake is read object by object.
///
/// After an error there are no more rows.
#[derive(Debug)]
pub struct History {
    source: Source,
    rows: u64,
    over: bool,
}

#[derive(Debug)]
enum Source {
    Csv(csv::CsvRows),
    Ndjson(ndjson::NdjsonRows),
    Lake(lake::LakeRows),
}

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// CSV, one column a metric.
    CsvWide,
    /// CSV, one line a reading.
    CsvLong,
    /// One payload a line.
    Ndjson,
    /// Scored readings as Parquet.
    Silver,
    /// Raw records.
    Bronze,
}

impl History {
    /// Opens a file or a folder.
    ///
    /// # Errors
    /// [`HistoryError`] when it cannot be opened, is in no form that is read here, is empty, or has a header that does not
    /// say what its columns are.
    pub fn open(path: &Path, defaults: &Defaults<'_>) -> Result<Self, HistoryError> {
        Ok(Self { source: open::source(path, defaults)?, rows: 0, over: false })
    }

    /// What it turned out to be.
    #[must_use]
    pub fn form(&self) -> Form {
        match &self.source {
            Source::Csv(rows) => rows.form(),
            Source::Ndjson(_) => Form::Ndjson,
            Source::Lake(rows) => rows.form(),
        }
    }

    /// Messages of bronze so far that are poison, as they were when they arrived.
    #[must_use]
    pub fn refused(&self) -> u64 {
        if let Source::Lake(rows) = &self.source { rows.refused() } else { 0 }
    }
}

impl Iterator for History {
    type Item = Result<HistoryRow, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = match &mut self.source {
            Source::Csv(rows) => rows.next(),
            Source::Ndjson(rows) => rows.next(),
            Source::Lake(rows) => rows.next(),
        };
        match next {
            Ok(Some(mut row)) => {
                self.rows += 1;
                row.number = self.rows;
                Some(Ok(row))
            }
            Ok(None) => {
                self.over = true;
                let file = match &self.source {
                    Source::Csv(rows) => rows.file(),
                    Source::Ndjson(rows) => rows.file(),
                    Source::Lake(rows) => rows.folder(),
                };
                (self.rows == 0).then(|| Err(HistoryError::of(file, Problem::NoRows)))
            }
            Err(error) => {
                self.over = true;
                Some(Err(error))
            }
        }
    }
}

/// Names, each kept once: a clone counts a reference.
#[derive(Debug, Default)]
struct Pool {
    names: HashSet<Arc<str>>,
}

impl Pool {
    fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.names.insert(Arc::clone(&new));
        new
    }

    /// An observation as a row.
    fn row(&mut self, observation: &Observation<'_>) -> HistoryRow {
        let values = observation.readings.iter().map(|reading| HistoryValue {
            metric: self.get(reading.metric.as_str()),
            value: Some(reading.value.get()),
            quality: reading.quality,
        });
        HistoryRow {
            values: values.collect(),
            tenant: self.get(observation.tenant.as_str()),
            device: self.get(observation.device.as_str()),
            at: observation.at,
            arrived: observation.arrived,
            number: 0,
        }
    }
}
