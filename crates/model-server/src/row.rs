//! One row: which device, when, and what its metrics were.
//!
//! Rows come in two forms, the same for training and for inference, and the same that `job.json` of a batch inference
//! describes: CSV without a head, whose columns are told beforehand, and JSON objects with `device`, `ts` and a number for
//! each metric. Whatever cannot be a row says why and costs only itself.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use anomaly_core::{DeviceName, METRICS_MAX, MetricName, Timestamp};
use serde::Deserialize;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};

use crate::fields::Fields;

/// Longest line, in bytes. A longer one is a bad row.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// Most columns of CSV.
pub const COLUMNS_MAX: usize = 256;
/// Most names of metrics that one reader has seen.
const NAMES_MAX: usize = 1_024;
/// Longest text of a line that an error shows, in characters.
const SHOWN_CHARS_MAX: usize = 40;

/// What a column of CSV is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The tenant, which must be the model's.
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

/// The columns of CSV, checked: there is a device, a time and at least one metric, and nothing twice.
/// The default has none, for rows that name theirs.
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
                mistakes.push(format!("`{name}` is not among them"));
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

    /// The names, as [`Self::new`] reads them.
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

/// A row, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The device; a checked name.
    pub device: String,
    /// When.
    pub at: Timestamp,
    /// Metrics with checked names and finite values, at most [`METRICS_MAX`], none twice.
    pub values: Vec<(Arc<str>, f64)>,
}

/// Why a line is no row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// It is longer than [`LINE_BYTES_MAX`].
    #[error("the line has more than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// It is not in the form that was told.
    #[error("the line is no row: {0}")]
    Misshapen(String),
    /// It names a tenant that is not the model's.
    #[error("the row names another tenant")]
    ForeignTenant,
}

fn misshapen(what: impl fmt::Display) -> RowError {
    RowError::Misshapen(what.to_string())
}

/// A piece of a line for an error: escaped, and cut.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        write!(f, "`{}", chars.by_ref().take(SHOWN_CHARS_MAX).collect::<String>().escape_debug())?;
        f.write_str(if chars.next().is_some() { "…`" } else { "`" })
    }
}

/// Reads rows of one tenant.
#[derive(Debug)]
pub struct RowReader {
    tenant: String,
    columns: Columns,
    names: HashSet<Arc<str>>,
    fields: Fields,
}

impl RowReader {
    /// For rows with these columns where they are CSV. In JSON, a member `features` holds the metrics in their order.
    #[must_use]
    pub fn new(tenant: &str, columns: Columns) -> Self {
        let names = columns.metrics().map(Arc::clone).collect();
        Self { tenant: tenant.to_owned(), columns, names, fields: Fields::default() }
    }

    /// Reads a line of CSV. An empty field is a metric that was not sent.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn read_csv(&mut self, line: &[u8]) -> Result<Row, RowError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(RowError::TooLong);
        }
        if !self.fields.split(line) {
            return Err(misshapen("too many fields, or a quote that is not closed"));
        }
        let (found, expected) = (self.fields.len(), self.columns.0.len());
        if found != expected {
            return Err(misshapen(format_args!("{found} fields, {expected} columns")));
        }
        let (mut device, mut at, mut values) = ("", None, Vec::with_capacity(expected));
        for (index, column) in self.columns.0.iter().enumerate() {
            let field = self.fields.get(index).ok_or_else(|| misshapen("it is not UTF-8"))?;
            match column {
                Column::Other => {}
                Column::Tenant if field == self.tenant => {}
                Column::Tenant => return Err(RowError::ForeignTenant),
                Column::Device => device = field,
                Column::Time => at = telemetry::history::parse_time(field),
                Column::Metric(_) if field.is_empty() => {}
                Column::Metric(name) => match field.parse::<f64>() {
                    Ok(value) if value.is_finite() => values.push((Arc::clone(name), value)),
                    _ => return Err(misshapen(format_args!("{} is no number for `{name}`", Shown(field)))),
                },
            }
        }
        row(device, at, values)
    }

    /// Reads a JSON object. Members that are no numbers are passed over.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn read_json(&mut self, text: &[u8]) -> Result<Row, RowError> {
        if text.len() > LINE_BYTES_MAX {
            return Err(RowError::TooLong);
        }
        let Members(members) = serde_json::from_slice(text).map_err(misshapen)?;
        let (mut device, mut at, mut values) = (None, None, Vec::with_capacity(members.len()));
        for (name, member) in &members {
            match (name.as_ref(), member) {
                ("tenant", Member::Text(tenant)) if *tenant == self.tenant => {}
                ("tenant", _) => return Err(RowError::ForeignTenant),
                ("device", Member::Text(name)) if device.is_none() => device = Some(name),
                ("device", _) => return Err(misshapen("`device` must be one text")),
                ("ts", Member::Number(number)) if at.is_none() => at = telemetry::history::time_of_number(*number),
                ("ts", Member::Text(text)) if at.is_none() => at = telemetry::history::parse_time(text),
                ("features", Member::Numbers(numbers)) => self.features(numbers, &mut values)?,
                (metric, Member::Number(value)) => {
                    let name = self.name(metric)?;
                    push(&mut values, name, *value)?;
                }
                _ => {}
            }
        }
        row(device.map_or("", Cow::as_ref), at, values)
    }

    fn features(&self, numbers: &[f64], values: &mut Vec<(Arc<str>, f64)>) -> Result<(), RowError> {
        let (found, expected) = (numbers.len(), self.columns.metrics().count());
        if found != expected {
            return Err(misshapen(format_args!("{found} `features`, the model has {expected} metrics")));
        }
        self.columns.metrics().zip(numbers).try_for_each(|(name, value)| push(values, Arc::clone(name), *value))
    }

    /// The name, kept once.
    fn name(&mut self, name: &str) -> Result<Arc<str>, RowError> {
        if let Some(known) = self.names.get(name) {
            return Ok(Arc::clone(known));
        }
        MetricName::new(name).map_err(misshapen)?;
        if self.names.len() >= NAMES_MAX {
            return Err(misshapen(format_args!("there were {NAMES_MAX} names of metrics before {}", Shown(name))));
        }
        let new: Arc<str> = name.into();
        self.names.insert(Arc::clone(&new));
        Ok(new)
    }
}

fn push(values: &mut Vec<(Arc<str>, f64)>, name: Arc<str>, value: f64) -> Result<(), RowError> {
    if values.len() >= METRICS_MAX {
        return Err(misshapen(format_args!("more than {METRICS_MAX} metrics")));
    }
    if values.iter().any(|(known, _)| *known == name) {
        return Err(misshapen(format_args!("`{name}` stands there twice")));
    }
    values.push((name, value));
    Ok(())
}

fn row(device: &str, at: Option<Timestamp>, values: Vec<(Arc<str>, f64)>) -> Result<Row, RowError> {
    DeviceName::new(device).map_err(misshapen)?;
    let at = at.ok_or_else(|| misshapen("`ts` must be seconds, milliseconds or RFC 3339, of 1980 to 2200"))?;
    if values.is_empty() {
        return Err(misshapen("there is no metric in it"));
    }
    Ok(Row { device: device.to_owned(), at, values })
}

/// The members of an object, in their order.
struct Members<'l>(Vec<(Cow<'l, str>, Member<'l>)>);

/// A value, as far as a row is concerned.
#[derive(Deserialize)]
#[serde(untagged)]
enum Member<'l> {
    Number(f64),
    Text(#[serde(borrow)] Cow<'l, str>),
    Numbers(Vec<f64>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Name<'l>(#[serde(borrow)] Cow<'l, str>);

impl<'l> Deserialize<'l> for Members<'l> {
    fn deserialize<D: de::Deserializer<'l>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'l> Visitor<'l> for Object {
            type Value = Members<'l>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `device`, `ts` and numbers")
            }

            fn visit_map<M: MapAccess<'l>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    if members.len() == COLUMNS_MAX {
                        return Err(de::Error::custom(format_args!("more than {COLUMNS_MAX} members")));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_793_534_400_000;

    fn reader() -> RowReader {
        let columns = Columns::new(["device", "ts", "-", "temperature", "vibration", "tenant"]).unwrap();
        RowReader::new("acme", columns)
    }

    fn values(row: &Row) -> Vec<(&str, f64)> {
        row.values.iter().map(|(name, value)| (&**name, *value)).collect()
    }

    #[test]
    fn a_row_is_the_same_in_every_form() {
        let expected = reader().read_csv(b"pump-7,1793534400,x,25.5,-1,acme").unwrap();
        assert_eq!((expected.device.as_str(), expected.at.millis()), ("pump-7", AT));
        assert_eq!(values(&expected), [("temperature", 25.5), ("vibration", -1.0)]);
        let csv = b"\"pump-7\", 2026-11-01T12:00:00Z ,\"x,y\",25.5,-1e0,acme\r";
        assert_eq!(reader().read_csv(csv), Ok(expected.clone()));
        for line in [
            r#"{"device":"pump-7","ts":1793534400000,"temperature":25.5,"vibration":-1}"#,
            r#"{"note":[1,{"a":2}],"ts":"2026-11-01T12:00:00Z","temperature":25.5,"ok":true,"none":null,
                "vibration":-1.0,"tenant":"acme","device":"pump-\u0037","unit":"C"}"#,
            r#"{"device":"pump-7","ts":1793534400,"features":[25.5,-1]}"#,
        ] {
            assert_eq!(reader().read_json(line.as_bytes()), Ok(expected.clone()), "{line}");
        }
    }

    #[test]
    fn a_metric_that_was_not_sent_is_not_there() {
        assert_eq!(values(&reader().read_csv(b"p,1793534400,,,2,acme").unwrap()), [("vibration", 2.0)]);
    }

    #[test]
    fn a_bad_row_says_why_and_costs_only_itself() {
        let mut reader = reader();
        for (line, part) in [
            ("pump-7,1793534400,x", "3 fields, 6 columns"),
            ("pump-7,1793534400,x,1,1,acme,1", "7 fields"),
            ("pump-7,1793534400,x,hot,1,acme", "`hot` is no number for `temperature`"),
            ("pump-7,1793534400,x,nan,1,acme", "`nan`"),
            ("pump-7,yesterday,x,1,1,acme", "RFC 3339"),
            ("pump/7,1793534400,x,1,1,acme", "pump/7"),
            ("pump-7,1793534400,x,,,acme", "no metric"),
            ("pump-7,1793534400,x,1,1,globex", "another tenant"),
            ("pump-7,1793534400,x,1,\"1,acme", "not closed"),
        ] {
            let told = reader.read_csv(line.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(part), "{line}: {told}");
            assert!(reader.read_csv(b"pump-7,1793534400,x,1,2,acme").is_ok());
        }
        for (line, part) in [
            ("[1]", "an object"),
            (r#"{"device":"p","ts":1793534400"#, "EOF"),
            (r#"{"device":"p","ts":1793534400,"t":1}}"#, "trailing"),
            (r#"{"device":7,"ts":1793534400,"t":1}"#, "`device` must be one text"),
            (r#"{"device":"p","device":"q","ts":1793534400,"t":1}"#, "`device` must be one text"),
            (r#"{"device":"p","ts":7,"t":1}"#, "`ts`"),
            (r#"{"device":"p","t":1}"#, "`ts`"),
            (r#"{"device":"p","ts":1793534400}"#, "no metric"),
            (r#"{"device":"p","ts":1793534400,"t":1,"t":2}"#, "twice"),
            (r#"{"device":"p","ts":1793534400,"features":[1]}"#, "1 `features`, the model has 2"),
            (r#"{"device":"p","ts":1793534400,"t":1,"tenant":"globex"}"#, "another tenant"),
        ] {
            let told = reader.read_json(line.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(part), "{line}: {told}");
        }
        let many: Vec<String> = (0..=METRICS_MAX).map(|n| format!(r#""m{n}":1"#)).collect();
        let line = format!(r#"{{"device":"p","ts":1793534400,{}}}"#, many.join(","));
        assert!(reader.read_json(line.as_bytes()).unwrap_err().to_string().contains("more than 64 metrics"));
        assert_eq!(reader.read_csv(&vec![b'x'; LINE_BYTES_MAX + 1]), Err(RowError::TooLong));
    }

    #[test]
    fn columns_that_cannot_be_are_told_at_once() {
        let mistakes = Columns::new(["ts", "ts", "a\u{1}b"]).unwrap_err();
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
        assert_eq!(Columns::new(["device", "ts"]).unwrap_err().len(), 1);
        let columns = Columns::new(["device", "ts", "-", "t"]).unwrap();
        assert_eq!(columns.names().collect::<Vec<_>>(), ["device", "ts", "-", "t"]);
    }
}
