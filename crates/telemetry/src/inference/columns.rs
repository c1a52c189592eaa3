//! What the columns of a CSV without a head are.

use std::sync::Arc;

use anomaly_core::{METRICS_MAX, MetricName};

/// Most columns.
pub const COLUMNS_MAX: usize = 256;

/// What a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The tenant, which must be the one whose rows are read.
    Tenant,
    /// The device.
    Device,
    /// The time.
    Time,
    /// A metric of this name.
    Metric(Arc<str>),
    /// Nothing of interest.
    Other,
}

/// Columns, checked: there is a device, a time and at least one metric, and nothing twice. The default has none, for rows that
/// name theirs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns(Vec<Column>);

impl Columns {
    /// Reads names: `tenant`, `device`, `ts`, `-` for what is passed over, and any other for a metric.
    ///
    /// # Errors
    /// Every mistake, each in words.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, Vec<String>> {
        let names: Vec<&str> = names.into_iter().map(str::trim).collect();
        let mut mistakes = Vec::new();
        let mut columns = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            if *name != "-" && names[..index].contains(name) {
                mistakes.push(format!("`{}` stands there twice", name.escape_debug()));
            }
            columns.push(match *name {
                "tenant" => Column::Tenant,
                "device" => Column::Device,
                "ts" => Column::Time,
                "-" => Column::Other,
                metric => {
                    if let Err(error) = MetricName::new(metric) {
                        mistakes.push(error.to_string());
                    }
                    Column::Metric(metric.into())
                }
            });
        }
        for (column, name) in [(Column::Device, "device"), (Column::Time, "ts")] {
            if !columns.contains(&column) {
                mistakes.push(format!("`{name}` is not among them: without it a row belongs to nothing"));
            }
        }
        let metrics = columns.iter().filter(|column| matches!(column, Column::Metric(_))).count();
        if metrics == 0 || metrics > METRICS_MAX || columns.len() > COLUMNS_MAX {
            mistakes.push(format!(
                "{metrics} metrics in {} columns; 1 to {METRICS_MAX} in at most {COLUMNS_MAX} can be read, `-` passes one over",
                columns.len()
            ));
        }
        if mistakes.is_empty() { Ok(Self(columns)) } else { Err(mistakes) }
    }

    /// The columns, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Column] {
        &self.0
    }

    /// Their names, as [`Self::new`] reads them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|column| match column {
            Column::Tenant => "tenant",
            Column::Device => "device",
            Column::Time => "ts",
            Column::Metric(name) => name,
            Column::Other => "-",
        })
    }

    /// The names of the metrics, in order.
    pub fn metrics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter_map(|column| if let Column::Metric(name) = column { Some(name) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_cannot_be_are_told_at_once() {
        let mistakes = Columns::new(["ts", "ts", "a\u{1}b"]).unwrap_err();
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
        assert_eq!(Columns::new(["device", "ts"]).unwrap_err().len(), 1);
        let many: Vec<String> = (0..=METRICS_MAX).map(|n| format!("m{n}")).collect();
        let names = ["device", "ts"].into_iter().chain(many.iter().map(String::as_str));
        assert!(Columns::new(names).unwrap_err()[0].starts_with("65 metrics in 67 columns"));
    }

    #[test]
    fn columns_have_the_names_that_they_were_told_by() {
        let columns = Columns::new(["device", "ts", "-", " t"]).unwrap();
        assert_eq!(columns.names().collect::<Vec<_>>(), ["device", "ts", "-", "t"]);
        assert_eq!(columns.metrics().map(|name| &**name).collect::<Vec<_>>(), ["t"]);
    }
}
