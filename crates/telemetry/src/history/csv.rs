//! CSV, wide and long, read strictly: a cell that is not what its column says ends the reading.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anomaly_core::{DeviceName, METRICS_MAX, MetricName, Quality, TenantName, Timestamp};
use csv::{ReaderBuilder, StringRecord};

use super::columns::{Columns, Values};
use super::error::{HistoryError, Problem, quoted};
use super::{Defaults, Form, HistoryRow, HistoryValue, Pool, time};

/// Rows of a CSV file.
pub(super) struct CsvRows {
    file: PathBuf,
    /// Byte of the file at which the reader began.
    start: u64,
    reader: csv::Reader<BufReader<File>>,
    record: StringRecord,
    columns: Columns,
    tenant: Arc<str>,
    device: Arc<str>,
    pool: Pool,
    /// The row of the long form that the next line may still belong to.
    pending: Option<HistoryRow>,
}

impl std::fmt::Debug for CsvRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvRows").field("file", &self.file).field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl CsvRows {
    /// Reads the header. `input` stands at its beginning.
    pub(super) fn open(file: &Path, mut input: BufReader<File>, defaults: &Defaults<'_>) -> Result<Self, HistoryError> {
        let io = |error: io::Error| HistoryError::of(file, error.into());
        let start = input.stream_position().map_err(io)?;
        let delimiter = delimiter(input.fill_buf().map_err(io)?);
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(input);
        let mut rows = Self {
            file: file.to_owned(),
            start,
            reader,
            record: StringRecord::new(),
            columns: Columns::default(),
            tenant: defaults.tenant.as_str().into(),
            device: defaults.device.as_str().into(),
            pool: Pool::default(),
            pending: None,
        };
        if !rows.read()? {
            return Err(HistoryError::of(file, Problem::Empty));
        }
        let names: Vec<&str> = rows.record.iter().map(str::trim).collect();
        rows.columns = Columns::of(file, rows.line(), &names)?;
        Ok(rows)
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn form(&self) -> Form {
        self.columns.form()
    }

    /// The next row; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<HistoryRow>, HistoryError> {
        if matches!(self.columns.values, Values::Wide(_)) {
            return if self.read_whole()? { self.wide().map(Some) } else { Ok(None) };
        }
        while self.read_whole()? {
            let row = self.long()?;
            if let Some(done) = self.gather(row) {
                return Ok(Some(done));
            }
        }
        Ok(self.pending.take())
    }

    /// Adds a line of the long form to the row before it; gives that row back when the line begins another.
    fn gather(&mut self, row: HistoryRow) -> Option<HistoryRow> {
        if let Some(pending) = &mut self.pending
            && (&pending.tenant, &pending.device, pending.at) == (&row.tenant, &row.device, row.at)
            && pending.values.len() < METRICS_MAX
            && !pending.values.iter().any(|value| row.values.iter().any(|new| new.metric == value.metric))
        {
            pending.values.extend(row.values);
            return None;
        }
        self.pending.replace(row)
    }

    /// Reads a line; false after the last. Lines without a character are passed over.
    fn read(&mut self) -> Result<bool, HistoryError> {
        self.reader.read_record(&mut self.record).map_err(|error| {
            let line = error.position().map(|position| self.line_at(position));
            let problem = match error.kind() {
                csv::ErrorKind::Utf8 { .. } => Problem::NotUtf8,
                _ => Problem::Csv(error),
            };
            HistoryError { line, ..HistoryError::of(&self.file, problem) }
        })
    }

    /// Reads a line with as many cells as the header.
    fn read_whole(&mut self) -> Result<bool, HistoryError> {
        let read = self.read()?;
        let (expected, found) = (self.columns.count, self.record.len());
        if read && found != expected {
            return Err(HistoryError::line(&self.file, self.line(), Problem::Cells { expected, found }));
        }
        Ok(read)
    }

    /// The line of the record that was read last.
    fn line(&self) -> u64 {
        self.record.position().map_or(0, |position| self.line_at(position))
    }

    /// The line of a record. The CSV reader passes over empty lines without a word, so the place where it began to look is
    /// looked at again; this happens once, for an error.
    fn line_at(&self, position: &csv::Position) -> u64 {
        let skipped = || -> io::Result<usize> {
            let mut file = File::open(&self.file)?;
            file.seek(SeekFrom::Start(self.start + position.byte()))?;
            let bytes = BufReader::new(file).bytes().map_while(Result::ok);
            let ends = bytes.take_while(|byte| matches!(byte, b'\r' | b'\n'));
            Ok(ends.filter(|byte| *byte == b'\n').count())
        };
        position.line() + skipped().unwrap_or(0) as u64
    }

    fn cell(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default().trim()
    }

    fn error(&self, column: usize, problem: Problem) -> HistoryError {
        HistoryError { column: Some(column + 1), ..HistoryError::line(&self.file, self.line(), problem) }
    }

    fn wide(&mut self) -> Result<HistoryRow, HistoryError> {
        let mut row = self.start()?;
        if let Values::Wide(metrics) = &self.columns.values {
            row.values.reserve(metrics.len());
            for (column, metric) in metrics {
                let value = self.value(*column, metric)?;
                row.values.push(HistoryValue { metric: Arc::clone(metric), value, quality: Quality::Good });
            }
        }
        Ok(row)
    }

    fn long(&mut self) -> Result<HistoryRow, HistoryError> {
        let mut row = self.start()?;
        if let Values::Long { metric, value, quality } = self.columns.values {
            let name = self.cell(metric);
            let name = MetricName::new(name).map_err(|error| self.error(metric, error.into()))?.as_str();
            let value = self.value(value, name)?;
            let quality = quality.map(|column| self.quality(column)).transpose()?.unwrap_or_default();
            // The record is borrowed beside the pool.
            let name = self.record.get(metric).unwrap_or_default().trim();
            row.values.push(HistoryValue { metric: self.pool.get(name), value, quality });
        }
        Ok(row)
    }

    /// A row without values.
    fn start(&mut self) -> Result<HistoryRow, HistoryError> {
        let at = self.time(self.columns.timestamp)?;
        let (mut tenant, mut device) = (Arc::clone(&self.tenant), Arc::clone(&self.device));
        if let Some(column) = self.columns.tenant {
            let name = self.cell(column);
            TenantName::new(name).map_err(|error| self.error(column, error.into()))?;
            tenant = self.pool.get(self.record.get(column).unwrap_or_default().trim());
        }
        if let Some(column) = self.columns.device {
            let name = self.cell(column);
            DeviceName::new(name).map_err(|error| self.error(column, error.into()))?;
            device = self.pool.get(self.record.get(column).unwrap_or_default().trim());
        }
        Ok(HistoryRow { tenant, device, at, arrived: at, values: Vec::new(), number: 0 })
    }

    fn time(&self, column: usize) -> Result<Timestamp, HistoryError> {
        let cell = self.cell(column);
        time::parse_time(cell).ok_or_else(|| self.error(column, Problem::NotATime { found: quoted(cell) }))
    }

    /// A finite number, or none for an empty cell and `NaN`.
    fn value(&self, column: usize, metric: &str) -> Result<Option<f64>, HistoryError> {
        let cell = self.cell(column);
        if cell.is_empty() || cell.eq_ignore_ascii_case("nan") {
            return Ok(None);
        }
        let number = cell.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or_else(|| {
            let metric = metric.to_owned();
            self.error(column, Problem::NotANumber { metric, found: quoted(cell) })
        })
    }

    fn quality(&self, column: usize) -> Result<Quality, HistoryError> {
        match self.cell(column) {
            "" | "good" => Ok(Quality::Good),
            "uncertain" => Ok(Quality::Uncertain),
            "bad" => Ok(Quality::Bad),
            other => Err(self.error(column, Problem::NotAQuality { found: quoted(other) })),
        }
    }
}

/// What parts the cells of the header: a comma, or where there is none, a semicolon or a tab.
fn delimiter(start: &[u8]) -> u8 {
    let header = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    [b',', b';', b'\t'].into_iter().find(|delimiter| header.contains(delimiter)).unwrap_or(b',')
}
