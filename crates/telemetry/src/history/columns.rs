//! What the columns of a CSV file are, as its header says.

use std::path::Path;
use std::sync::Arc;

use anomaly_core::{METRICS_MAX, MetricName};

use super::error::{HistoryError, Problem, quoted};
use super::{Form, time};

/// The place of each column, counted from 0.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) count: usize,
    pub(super) timestamp: usize,
    pub(super) tenant: Option<usize>,
    pub(super) device: Option<usize>,
    pub(super) values: Values,
}

/// Where the values are.
#[derive(Debug)]
pub(super) enum Values {
    /// One column a metric.
    Wide(Vec<(usize, Arc<str>)>),
    /// One line a value.
    Long { metric: usize, value: usize, quality: Option<usize> },
}

impl Default for Values {
    fn default() -> Self {
        Self::Wide(Vec::new())
    }
}

/// Columns that may hold the times under another name.
const LIKE_TIMESTAMP: [&str; 7] = ["time", "ts", "date", "datetime", "time stamp", "date_time", "zeit"];

const LONG: [&str; 6] = ["timestamp", "tenant", "device", "metric", "value", "quality"];

impl Columns {
    pub(super) fn form(&self) -> Form {
        if matches!(self.values, Values::Wide(_)) { Form::CsvWide } else { Form::CsvLong }
    }

    /// Reads a header.
    pub(super) fn of(file: &Path, line: u64, names: &[&str]) -> Result<Self, HistoryError> {
        let header = Header { file, line, names };
        header.check_names()?;
        let timestamp = header.find("timestamp").ok_or_else(|| header.no_timestamp())?;
        let mut columns = Self {
            count: names.len(),
            timestamp,
            tenant: header.find("tenant"),
            device: header.find("device"),
            values: Values::default(),
        };
        columns.values = match (header.find("metric"), header.find("value")) {
            (Some(metric), Some(value)) => header.long(metric, value)?,
            (Some(metric), None) => {
                let why = "there is a column `metric` and no column `value`".to_owned();
                return Err(header.error(Some(metric), Problem::Mixed { why }));
            }
            (None, _) => header.wide(&columns)?,
        };
        Ok(columns)
    }
}

struct Header<'h> {
    file: &'h Path,
    line: u64,
    names: &'h [&'h str],
}

impl Header<'_> {
    fn error(&self, column: Option<usize>, problem: Problem) -> HistoryError {
        let column = column.map(|index| index + 1);
        HistoryError { file: self.file.to_owned(), line: Some(self.line), column, problem }
    }

    /// The column of a reserved name, written large or small.
    fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|found| found.eq_ignore_ascii_case(name))
    }

    fn check_names(&self) -> Result<(), HistoryError> {
        for (index, name) in self.names.iter().enumerate() {
            let is_data = time::parse_time(name).is_some() || name.parse::<f64>().is_ok();
            let problem = if is_data {
                Problem::HeaderIsData { found: quoted(name) }
            } else if name.is_empty() {
                Problem::Unnamed
            } else if let Some(first) = self.names[..index].iter().position(|other| other.eq_ignore_ascii_case(name)) {
                Problem::Repeated { name: quoted(name), first: first + 1 }
            } else {
                continue;
            };
            return Err(self.error(Some(index), problem));
        }
        Ok(())
    }

    fn no_timestamp(&self) -> HistoryError {
        let like = self.names.iter().find(|name| LIKE_TIMESTAMP.contains(&name.to_ascii_lowercase().as_str()));
        self.error(None, Problem::NoTimestamp { like: like.map(|name| quoted(name)) })
    }

    fn long(&self, metric: usize, value: usize) -> Result<Values, HistoryError> {
        let other = self.names.iter().position(|name| !LONG.iter().any(|known| known.eq_ignore_ascii_case(name)));
        if let Some(other) = other {
            let why = format!("there are columns `metric` and `value`, and {}", quoted(self.names[other]));
            return Err(self.error(Some(other), Problem::Mixed { why }));
        }
        Ok(Values::Long { metric, value, quality: self.find("quality") })
    }

    fn wide(&self, columns: &Columns) -> Result<Values, HistoryError> {
        let reserved = [Some(columns.timestamp), columns.tenant, columns.device];
        let mut metrics = Vec::new();
        for (index, name) in self.names.iter().enumerate().filter(|(index, _)| !reserved.contains(&Some(*index))) {
            let name = MetricName::new(name).map_err(|error| self.error(Some(index), error.into()))?;
            metrics.push((index, name.as_str().into()));
        }
        match metrics.len() {
            0 => Err(self.error(None, Problem::NoMetric)),
            found if found > METRICS_MAX => Err(self.error(None, Problem::TooManyMetrics { found })),
            _ => Ok(Values::Wide(metrics)),
        }
    }
}
