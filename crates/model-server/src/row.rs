//! A row to learn or to score: [`telemetry::inference`]'s, with the names of its metrics and at least one of them.

use std::sync::Arc;

use anomaly_core::Timestamp;
pub use telemetry::inference::{Columns, LINE_BYTES_MAX, RowError};

/// A row, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The device; a checked name.
    pub device: String,
    /// When.
    pub at: Timestamp,
    /// Metrics with checked names and finite values, at most [`anomaly_core::METRICS_MAX`], none twice, at least one.
    pub values: Vec<(Arc<str>, f64)>,
}

/// Reads rows of one tenant.
#[derive(Debug)]
pub struct RowReader(telemetry::inference::RowReader);

impl RowReader {
    /// For rows with these columns where they are CSV. In JSON, a member `features` holds the metrics in their order.
    #[must_use]
    pub fn new(tenant: &str, columns: Columns) -> Self {
        Self(telemetry::inference::RowReader::new(tenant, columns))
    }

    /// Reads a line of CSV. An empty field is a metric that was not sent.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn read_csv(&mut self, line: &[u8]) -> Result<Row, RowError> {
        match self.0.read_csv(line)? {
            0 => self.row(),
            behind => {
                let columns = self.0.width();
                Err(RowError::Misshapen(format!("{} fields, {columns} columns", columns + behind)))
            }
        }
    }

    /// Reads a JSON object. Members that are no numbers are passed over.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn read_json(&mut self, text: &[u8]) -> Result<Row, RowError> {
        self.0.read_json(text)?;
        self.row()
    }

    fn row(&self) -> Result<Row, RowError> {
        let (row, names) = (self.0.row(), self.0.names());
        if row.values.is_empty() {
            return Err(RowError::Misshapen("there is no metric in it".to_owned()));
        }
        let with_name = |(number, value): &(u16, f64)| Some((Arc::clone(names.shared(*number)?), *value));
        Ok(Row { device: row.device.clone(), at: row.at, values: row.values.iter().filter_map(with_name).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_as_many_fields_as_columns_and_a_metric() {
        let columns = Columns::new(["device", "ts", "temperature", "vibration"]).unwrap();
        let mut reader = RowReader::new("acme", columns);
        let row = reader.read_csv(b"pump-7,1793534400,,-1").unwrap();
        assert_eq!((row.device.as_str(), &*row.values), ("pump-7", &[("vibration".into(), -1.0)][..]));
        for (line, part) in [
            ("pump-7,1793534400,1,2,3", "5 fields, 4 columns"),
            ("pump-7,1793534400,,", "there is no metric in it"),
            ("pump-7,1793534400,1", "3 fields, 4 columns"),
        ] {
            let told = reader.read_csv(line.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(part), "{line}: {told}");
        }
        let none = reader.read_json(br#"{"device":"p","ts":1793534400,"note":"x"}"#);
        assert!(none.unwrap_err().to_string().contains("no metric"));
    }
}
