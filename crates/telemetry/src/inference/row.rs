//! One row: which device, when, and what its metrics were.
//!
//! A row is CSV without a head, whose columns are told beforehand, or a JSON object with `device`, `ts` and a number for each
//! metric, or with `features`, the metrics in the order of the columns. Whatever cannot be a row says why and costs only itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use anomaly_core::{DeviceName, METRICS_MAX, MetricName, Timestamp};
use foldhash::quality::RandomState;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

mod member;

use super::LINE_BYTES_MAX;
use super::columns::{Column, Columns};
use super::fields::Fields;
use crate::history::{parse_time, time_of_number};
use member::{Member, Text};

/// Most names of metrics that one reader tells apart.
pub const METRIC_NAMES_MAX: usize = 1_024;
/// The member of a row that holds what a model answered (SageMaker Developer Guide, "Associate Prediction Results with Input
/// Records").
pub const ANSWER: &str = "SageMakerOutput";
/// Longest text of a line that an error shows, in characters.
const SHOWN_CHARS_MAX: usize = 40;

/// Names of metrics, each with a number.
#[derive(Debug, Clone, Default)]
pub struct MetricNames {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u16, RandomState>,
}

impl MetricNames {
    fn number(&mut self, name: &str) -> Result<u16, RowError> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        MetricName::new(name).map_err(misshapen)?;
        if self.names.len() >= METRIC_NAMES_MAX {
            let what = format!("{METRIC_NAMES_MAX} names of metrics came before {}", Shown(name));
            return Err(RowError::TooMany(what));
        }
        let (number, name) = (self.names.len() as u16, Arc::<str>::from(name));
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        Ok(number)
    }

    /// The name of a number; empty where it has none.
    #[must_use]
    pub fn name(&self, number: u16) -> &str {
        self.names.get(usize::from(number)).map_or("", |name| name)
    }

    /// The same, to keep.
    #[must_use]
    pub fn shared(&self, number: u16) -> Option<&Arc<str>> {
        self.names.get(usize::from(number))
    }
}

/// A row, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The device; a checked name.
    pub device: String,
    /// When.
    pub at: Timestamp,
    /// Its metrics by number, at most [`METRICS_MAX`], none twice; finite values. There may be none.
    pub values: Vec<(u16, f64)>,
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
    /// It names another tenant than the one whose rows are read.
    #[error("the row names another tenant")]
    ForeignTenant,
    /// What it names as its device cannot be one.
    #[error("the line is no row: {0}")]
    Device(anomaly_core::NameError),
    /// It has no time, or one that no working clock shows.
    #[error("the line is no row: `ts` must be seconds, milliseconds or RFC 3339, of 1980 to 2200")]
    Time,
    /// It has more metrics, or names of metrics, than are told apart.
    #[error("the line is no row: {0}")]
    TooMany(String),
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

/// Reads rows of one tenant. What it holds is kept from row to row, so that reading one allocates nothing.
#[derive(Debug)]
pub struct RowReader {
    tenant: String,
    columns: Columns,
    /// Which metric a column is.
    numbers: Vec<Option<u16>>,
    names: MetricNames,
    fields: Fields,
    row: Row,
}

impl RowReader {
    /// For rows with these columns where they are CSV. In JSON, a member `features` holds the metrics in their order.
    #[must_use]
    pub fn new(tenant: &str, columns: Columns) -> Self {
        let mut names = MetricNames::default();
        let number = |column: &Column| match column {
            Column::Metric(name) => names.number(name).ok(),
            _ => None,
        };
        let numbers = columns.as_slice().iter().map(number).collect();
        let row = Row { device: String::new(), at: Timestamp::MIN, values: Vec::new() };
        Self { tenant: tenant.to_owned(), columns, numbers, names, fields: Fields::default(), row }
    }

    /// The row that was read last, if it could be.
    #[must_use]
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// The metrics' names so far.
    #[must_use]
    pub fn names(&self) -> &MetricNames {
        &self.names
    }

    /// How many fields of a line of CSV are the row's own.
    #[must_use]
    pub fn width(&self) -> usize {
        self.numbers.len()
    }

    /// Reads a line of CSV, which [`Self::row`] then is. An empty field is a metric that was not sent. Returns how many fields
    /// stand behind those of the row: what a model answered stands there.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn read_csv(&mut self, line: &[u8]) -> Result<usize, RowError> {
        self.begin(line)?;
        let Self { tenant, columns, numbers, fields, row, .. } = self;
        if !fields.split(line) {
            return Err(misshapen("too many fields, or a quote that is not closed"));
        }
        let (found, expected) = (fields.len(), numbers.len());
        let Some(behind) = found.checked_sub(expected) else {
            return Err(misshapen(format_args!("{found} fields, {expected} columns")));
        };
        let mut at = None;
        for (index, (column, number)) in columns.as_slice().iter().zip(numbers).enumerate() {
            let field = fields.get(index).ok_or_else(|| misshapen("it is not UTF-8"))?;
            match (column, number) {
                (Column::Tenant, _) if field != tenant => return Err(RowError::ForeignTenant),
                (Column::Device, _) => row.device.push_str(field),
                (Column::Time, _) => at = parse_time(field),
                (Column::Metric(name), Some(number)) if !field.is_empty() => match field.parse::<f64>() {
                    Ok(value) if value.is_finite() => row.values.push((*number, value)),
                    _ => return Err(misshapen(format_args!("{} is no number for `{name}`", Shown(field)))),
                },
                _ => {}
            }
        }
        self.finish(at)?;
        Ok(behind)
    }

    /// Reads a JSON object, which [`Self::row`] then is. Members that are no numbers are passed over. Returns what a model
    /// answered, where the row has it beside it.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn read_json<'l>(&mut self, line: &'l [u8]) -> Result<Option<&'l RawValue>, RowError> {
        self.begin(line)?;
        let mut members =
            Members { reader: self, answer: None, has_device: false, has_time: false, at: None, refused: None };
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let read = deserializer.deserialize_map(&mut members).and_then(|()| deserializer.end());
        let Members { answer, at, refused, .. } = members;
        read.map_err(misshapen)?;
        match refused {
            Some(refused) => Err(refused),
            None => self.finish(at).map(|()| answer),
        }
    }

    fn begin(&mut self, line: &[u8]) -> Result<(), RowError> {
        self.row.device.clear();
        self.row.values.clear();
        if line.len() > LINE_BYTES_MAX { Err(RowError::TooLong) } else { Ok(()) }
    }

    fn finish(&mut self, at: Option<Timestamp>) -> Result<(), RowError> {
        DeviceName::new(&self.row.device).map_err(RowError::Device)?;
        self.row.at = at.ok_or(RowError::Time)?;
        Ok(())
    }

    fn metric(&mut self, name: &str, value: f64) -> Result<(), RowError> {
        let number = self.names.number(name)?;
        if self.row.values.len() >= METRICS_MAX {
            return Err(RowError::TooMany(format!("more than {METRICS_MAX} metrics")));
        }
        if self.row.values.iter().any(|(known, _)| *known == number) {
            return Err(misshapen(format_args!("{} stands there twice", Shown(name))));
        }
        self.row.values.push((number, value));
        Ok(())
    }

    fn features(&mut self, features: &[f64]) -> Result<(), RowError> {
        let numbers: Vec<u16> = self.numbers.iter().copied().flatten().collect();
        let (found, expected) = (features.len(), numbers.len());
        if found != expected {
            return Err(misshapen(format_args!("{found} `features`, the model has {expected} metrics")));
        }
        for (number, value) in numbers.into_iter().zip(features) {
            let name = self.names.shared(number).map(Arc::clone).unwrap_or_default();
            self.metric(&name, *value)?;
        }
        Ok(())
    }
}

/// The members of a row that is a JSON object.
struct Members<'r, 'l> {
    reader: &'r mut RowReader,
    answer: Option<&'l RawValue>,
    has_device: bool,
    has_time: bool,
    at: Option<Timestamp>,
    /// The first mistake. The rest of the object is read all the same: it may be none.
    refused: Option<RowError>,
}

impl<'l> Visitor<'l> for &mut Members<'_, 'l> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `device`, `ts` and numbers")
    }

    fn visit_map<M: MapAccess<'l>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Text(name)) = map.next_key::<Text<'l>>()? {
            let taken = match name.as_ref() {
                ANSWER => {
                    self.answer = Some(map.next_value()?);
                    Ok(())
                }
                "features" if self.reader.width() > 0 => self.reader.features(&map.next_value::<Vec<f64>>()?),
                "features" => map.next_value::<IgnoredAny>().map(|_| Ok(()))?,
                name => self.member(name, &map.next_value::<Member<'l>>()?),
            };
            if let Err(error) = taken {
                self.refused.get_or_insert(error);
            }
        }
        Ok(())
    }
}

impl Members<'_, '_> {
    fn member(&mut self, name: &str, member: &Member<'_>) -> Result<(), RowError> {
        match (name, member) {
            ("tenant", Member::Text(tenant)) if *tenant == self.reader.tenant => Ok(()),
            ("tenant", _) => Err(RowError::ForeignTenant),
            ("device", Member::Text(device)) if !self.has_device => {
                self.has_device = true;
                self.reader.row.device.push_str(device);
                Ok(())
            }
            ("device", _) => Err(misshapen("`device` must be one text")),
            ("ts", _) if self.has_time => Err(misshapen("`ts` stands there twice")),
            ("ts", member) => {
                self.has_time = true;
                self.at = match member {
                    Member::Number(number) => time_of_number(*number),
                    Member::Text(text) => parse_time(text),
                    Member::Other => None,
                };
                Ok(())
            }
            (name, Member::Number(value)) => self.reader.metric(name, *value),
            _ => Ok(()),
        }
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

    fn csv(reader: &mut RowReader, line: &str) -> Result<Row, RowError> {
        reader.read_csv(line.as_bytes()).map(|_| reader.row().clone())
    }

    fn json(reader: &mut RowReader, line: &str) -> Result<Row, RowError> {
        reader.read_json(line.as_bytes()).map(|_| reader.row().clone())
    }

    #[test]
    fn a_row_is_the_same_in_every_form() {
        let mut reader = reader();
        let expected = csv(&mut reader, "pump-7,1793534400,x,25.5,-1,acme").unwrap();
        assert_eq!((expected.device.as_str(), expected.at.millis()), ("pump-7", AT));
        let values: Vec<_> = expected.values.iter().map(|(number, v)| (reader.names().name(*number), *v)).collect();
        assert_eq!(values, [("temperature", 25.5), ("vibration", -1.0)]);
        let row = csv(&mut reader, "\"pump-7\", 2026-11-01T12:00:00Z ,\"x,y\",25.5,-1e0,acme\r");
        assert_eq!(row, Ok(expected.clone()));
        for line in [
            r#"{"device":"pump-7","ts":1793534400000,"temperature":25.5,"vibration":-1}"#,
            r#"{"note":[1,{"a":2}],"ts":"2026-11-01T12:00:00Z","temperature":25.5,"ok":true,"none":null,
                "vibration":-1.0,"tenant":"acme","device":"pump-\u0037","unit":"C"}"#,
            r#"{"device":"pump-7","ts":1793534400,"features":[25.5,-1]}"#,
        ] {
            assert_eq!(json(&mut reader, line), Ok(expected.clone()), "{line}");
        }
    }

    #[test]
    fn a_metric_that_was_not_sent_is_not_there() {
        assert_eq!(csv(&mut reader(), "p,1793534400,,,2,acme").unwrap().values, [(1, 2.0)]);
    }

    #[test]
    fn what_a_model_answered_stands_beside_the_row() {
        assert_eq!(reader().read_csv(b"p,1793534400,x,1,2,acme,.7,yes"), Ok(2));
        let line = br#"{"device":"p","ts":1793534400,"t":1,"SageMakerOutput":{"score":0.5}}"#;
        assert_eq!(reader().read_json(line).unwrap().unwrap().get(), r#"{"score":0.5}"#);
    }

    #[test]
    fn a_bad_row_says_why_and_costs_only_itself() {
        let mut reader = reader();
        for (line, part) in [
            ("pump-7,1793534400,x", "3 fields, 6 columns"),
            ("pump-7,1793534400,x,hot,1,acme", "`hot` is no number for `temperature`"),
            ("pump-7,1793534400,x,nan,1,acme", "`nan`"),
            ("pump-7,yesterday,x,1,1,acme", "RFC 3339"),
            ("pump/7,1793534400,x,1,1,acme", "pump/7"),
            ("pump-7,1793534400,x,1,1,globex", "another tenant"),
            ("pump-7,1793534400,x,1,\"1,acme", "not closed"),
        ] {
            let told = csv(&mut reader, line).unwrap_err().to_string();
            assert!(told.contains(part), "{line}: {told}");
            assert!(csv(&mut reader, "pump-7,1793534400,x,1,2,acme").is_ok());
        }
        let many: Vec<String> = (0..=METRICS_MAX).map(|n| format!(r#""m{n}":1"#)).collect();
        let many = format!(r#"{{"device":"p","ts":1793534400,{}}}"#, many.join(","));
        for (line, part) in [
            ("[1]", "an object"),
            (r#"{"device":"p","ts":1793534400"#, "EOF"),
            (r#"{"device":"p","ts":1793534400,"t":1}}"#, "trailing"),
            (r#"{"device":7,"ts":1793534400,"t":1}"#, "`device` must be one text"),
            (r#"{"device":"p","device":"q","ts":1793534400,"t":1}"#, "`device` must be one text"),
            (r#"{"ts":1793534400,"t":1}"#, "device name"),
            (r#"{"device":"p","ts":7,"t":1}"#, "`ts`"),
            (r#"{"device":"p","ts":1793534400,"ts":1793534400,"t":1}"#, "`ts` stands there twice"),
            (r#"{"device":"p","t":1}"#, "`ts`"),
            (r#"{"device":"p","ts":1793534400,"t":1,"t":2}"#, "`t` stands there twice"),
            (r#"{"device":"p","ts":1793534400,"features":[1]}"#, "1 `features`, the model has 2"),
            (r#"{"device":"p","ts":1793534400,"temperature":1,"features":[1,2]}"#, "`temperature` stands there twice"),
            (r#"{"device":"p","ts":1793534400,"t":1,"tenant":"globex"}"#, "another tenant"),
            (r#"{"device":"p","ts":1793534400,"t":1,"tenant":7}"#, "another tenant"),
            (&many, "more than 64 metrics"),
        ] {
            let told = json(&mut reader, line).unwrap_err().to_string();
            assert!(told.contains(part), "{line}: {told}");
            assert!(json(&mut reader, r#"{"device":"p","ts":1793534400,"t":1}"#).is_ok());
        }
        let long = " ".repeat(LINE_BYTES_MAX + 1);
        assert_eq!(
            (csv(&mut reader, &long), json(&mut reader, &long)),
            (Err(RowError::TooLong), Err(RowError::TooLong))
        );
    }

    #[test]
    fn names_of_metrics_are_told_apart_up_to_a_limit() {
        let mut reader = RowReader::new("acme", Columns::default());
        let row = |number: usize| format!(r#"{{"device":"p","ts":1793534400,"m{number}":1}}"#);
        for number in 0..METRIC_NAMES_MAX {
            json(&mut reader, &row(number)).unwrap();
        }
        let told = json(&mut reader, &row(METRIC_NAMES_MAX)).unwrap_err();
        assert!(matches!(&told, RowError::TooMany(what) if what.contains("`m1024`")), "{told}");
        assert!(json(&mut reader, &row(7)).is_ok());
    }
}
