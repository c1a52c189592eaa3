//! Recorded rows of a tenant, file after file: what a model learns from.
//!
//! Rows are CSV and JSON lines as [`crate::row`] reads them, packed with gzip or zstd or not, and everything else that
//! [`telemetry::history`] reads: CSV with a head, payloads as devices send them, silver and bronze of the lake, in which the
//! rows of other tenants are passed over. Files are read in the order of their names. A bad line costs only itself and is
//! counted; a file that cannot be read ends the reading.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anomaly_core::{DeviceName, Quality, TenantName};
use telemetry::history::{Defaults, History, HistoryError};

use crate::lines::{Line, Lines};
use crate::row::{Columns, Row, RowError, RowReader};

/// Most files of a channel.
const FILES_MAX: usize = 100_000;
/// Rows between two looks at whether to stop.
const ROWS_PER_LOOK: u64 = 1_024;
/// Device of a recording that names none: its file's name, else this.
const DEVICE_DEFAULT: &str = "device";

/// How files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// By what a file begins with: Parquet and bronze are history, text that begins with `{` is JSON lines, other text is CSV
    /// of the columns that are told, or history where none are.
    #[default]
    Auto,
    /// CSV without a head.
    Csv,
    /// JSON objects, one a line.
    JsonLines,
    /// Whatever [`telemetry::history`] reads.
    History,
}

/// What is read, and how.
#[derive(Debug, Clone)]
pub struct Recordings {
    /// Files, and folders of a lake, in the order in which they are read.
    pub paths: Vec<PathBuf>,
    /// How.
    pub format: Format,
    /// The columns of CSV without a head.
    pub columns: Option<Columns>,
    /// Whose rows they are.
    pub tenant: String,
}

/// What was not used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unused {
    /// Lines that are no rows.
    pub refused: u64,
    /// Why the first of them is none, with its place.
    pub first_refusal: Option<String>,
    /// Rows of other tenants.
    pub foreign: u64,
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file cannot be opened or read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A recording is not what it should be.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// CSV of which nobody has told the columns.
    #[error("`{}` is CSV without a head: tell its columns by the hyperparameter `columns`", .0.display())]
    NoColumns(PathBuf),
    /// More files than can be.
    #[error("there are more than {FILES_MAX} files in `{}`: join some", .0.display())]
    TooManyFiles(PathBuf),
    /// Somebody asked for the end.
    #[error("it was stopped before its end")]
    Stopped,
}

/// The files of a folder, those of its folders too, in the order of their names. A folder with nothing but objects of the lake
/// stands for itself: the same record may be in two of them.
///
/// # Errors
/// A folder cannot be read, or there are too many files.
pub fn files_of(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    collect(folder, folder, &mut files)?;
    files.sort();
    let is_object =
        |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(".parquet") || path.ends_with(".ndjson.zst"));
    if !files.is_empty() && files.iter().all(is_object) {
        return Ok(vec![folder.to_owned()]);
    }
    Ok(files)
}

/// Links to folders are not followed, so this ends. What SageMaker and people put beside data is passed over.
fn collect(top: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let failed = |source| DataError::Io { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(['.', '_']) || name.ends_with(".manifest") {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            collect(top, &entry.path(), files)?;
        } else if files.len() >= FILES_MAX {
            return Err(DataError::TooManyFiles(top.to_owned()));
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

impl Recordings {
    /// Hands each row to `each`. Reading it again hands over the same rows.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn for_each(&self, stop: &AtomicBool, each: impl FnMut(Row)) -> Result<Unused, DataError> {
        let mut pass = Pass { of: self, stop, each, unused: Unused::default(), looked: 0 };
        for path in &self.paths {
            pass.read(path)?;
        }
        Ok(pass.unused)
    }
}

/// Reading once.
struct Pass<'a, E> {
    of: &'a Recordings,
    stop: &'a AtomicBool,
    each: E,
    unused: Unused,
    looked: u64,
}

impl<E: FnMut(Row)> Pass<'_, E> {
    fn read(&mut self, path: &Path) -> Result<(), DataError> {
        let io = |source| DataError::Io { path: path.to_owned(), source };
        let is_csv = match self.of.format {
            Format::History => return self.history(path),
            Format::Csv => true,
            Format::JsonLines => false,
            Format::Auto => {
                if path.is_dir() || is_object(path).map_err(io)? {
                    return self.history(path);
                }
                let mut lines = Lines::open(path).map_err(io)?;
                let is_json = matches!(lines.next().map_err(io)?, Some(Line::Whole([b'{', ..])));
                if !is_json && self.of.columns.is_none() {
                    return self.history(path);
                }
                !is_json
            }
        };
        let columns = match (&self.of.columns, is_csv) {
            (Some(columns), _) => columns.clone(),
            (None, false) => Columns::default(),
            (None, true) => return Err(DataError::NoColumns(path.to_owned())),
        };
        let mut reader = RowReader::new(&self.of.tenant, columns);
        let mut lines = Lines::open(path).map_err(io)?;
        let mut number = 0_u64;
        while let Some(line) = lines.next().map_err(io)? {
            number += 1;
            let row = match line {
                Line::TooLong => Err(RowError::TooLong),
                Line::Whole(line) if is_csv => reader.read_csv(line),
                Line::Whole(line) => reader.read_json(line),
            };
            match row {
                Ok(row) => self.hand_over(row)?,
                Err(RowError::ForeignTenant) => self.unused.foreign += 1,
                Err(error) => self.refuse(path, number, &error),
            }
        }
        Ok(())
    }

    fn history(&mut self, path: &Path) -> Result<(), DataError> {
        // The tenant was checked with the hyperparameters.
        let Ok(tenant) = TenantName::new(&self.of.tenant) else { return Ok(()) };
        let named = path.file_stem().and_then(|name| DeviceName::new(name.to_str()?).ok());
        let Some(device) = named.or_else(|| DeviceName::new(DEVICE_DEFAULT).ok()) else { return Ok(()) };
        let mut history = History::open(path, &Defaults { tenant, device })?;
        for row in history.by_ref() {
            let row = row?;
            if *row.tenant != *self.of.tenant {
                self.unused.foreign += 1;
                continue;
            }
            let fit = row.values.iter().filter(|value| value.quality != Quality::Bad);
            let values: Vec<_> = fit.filter_map(|value| Some((value.metric.clone(), value.value?))).collect();
            if !values.is_empty() {
                self.hand_over(Row { device: row.device.as_ref().to_owned(), at: row.at, values })?;
            }
        }
        self.unused.refused += history.refused();
        Ok(())
    }

    fn hand_over(&mut self, row: Row) -> Result<(), DataError> {
        self.looked += 1;
        if self.looked.is_multiple_of(ROWS_PER_LOOK) && self.stop.load(Ordering::Relaxed) {
            return Err(DataError::Stopped);
        }
        (self.each)(row);
        Ok(())
    }

    fn refuse(&mut self, path: &Path, line: u64, error: &RowError) {
        self.unused.refused += 1;
        let place = || format!("{}, line {line}: {error}", path.display());
        self.unused.first_refusal.get_or_insert_with(place);
    }
}

/// Whether the file is an object of the lake: Parquet, or bronze, packed or not.
fn is_object(path: &Path) -> io::Result<bool> {
    let mut start = [0; 4];
    let read = fs::File::open(path)?.read(&mut start)?;
    let mut lines = Lines::open(path)?;
    let is_bronze = |line: &[u8]| line.starts_with(b"{\"seq\":\"");
    Ok(start[..read] == *b"PAR1" || matches!(lines.next(), Ok(Some(Line::Whole(line))) if is_bronze(line)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const ROWS: &str = "pump-1,1793534400,25.5\npump-1,1793534460,\nhot\npump-1,1793534520,26\n";

    fn read(recordings: &Recordings) -> (Vec<(String, f64)>, Unused) {
        let mut rows = Vec::new();
        let unused = recordings.for_each(&AtomicBool::new(false), |row| rows.push((row.device, row.values[0].1)));
        (rows, unused.unwrap())
    }

    fn recordings(folder: &Path, columns: Option<&str>) -> Recordings {
        let columns = columns.map(|names| Columns::new(names.split(',')).unwrap());
        let tenant = "acme".to_owned();
        Recordings { paths: files_of(folder).unwrap(), format: Format::Auto, columns, tenant }
    }

    #[test]
    fn files_of_every_form_are_read_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
        put("a.csv", ROWS.as_bytes());
        put("b.jsonl", br#"{"device":"pump-2","ts":1793534400,"temperature":1}"#);
        fs::create_dir(folder.path().join("c")).unwrap();
        put("c/packed", &zstd::encode_all(&br#"{"device":"pump-3","ts":1793534400,"temperature":2}"#[..], 3).unwrap());
        put("_SUCCESS", b"");
        let (rows, unused) = read(&recordings(folder.path(), Some("device,ts,temperature")));
        let expected = [("pump-1", 25.5), ("pump-1", 26.0), ("pump-2", 1.0), ("pump-3", 2.0)];
        assert_eq!(rows, expected.map(|(device, value)| (device.to_owned(), value)));
        assert_eq!(unused.refused, 2);
        assert!(unused.first_refusal.unwrap().contains("a.csv, line 2: the line is no row: there is no metric"));
    }

    #[test]
    fn a_head_says_what_columns_are_and_other_tenants_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let text = "timestamp,tenant,device,temperature\n2026-11-01,acme,p,5\n2026-11-02,globex,p,6\n";
        fs::write(folder.path().join("a.csv"), text).unwrap();
        let (rows, unused) = read(&recordings(folder.path(), None));
        assert_eq!((rows.len(), unused.foreign), (1, 1));
    }

    #[test]
    fn reading_stops_when_it_is_asked_to() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for second in 0..5_000 {
            writeln!(file, "p,{},1", 1_793_534_400 + second).unwrap();
        }
        let columns = Columns::new(["device", "ts", "t"]).ok();
        let paths = vec![file.path().to_owned()];
        let recordings = Recordings { paths, format: Format::Csv, columns, tenant: "acme".to_owned() };
        let mut rows = 0;
        let stopped = recordings.for_each(&AtomicBool::new(true), |_| rows += 1);
        assert!(matches!(stopped, Err(DataError::Stopped)) && rows < 1_100, "{rows}");
    }
}
