//! One line of the input: which device, when, and what its metrics were.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use anomaly_core::{DeviceName, METRICS_MAX, MetricName, Timestamp};
use foldhash::quality::RandomState;
use serde::de::{self, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::fields::Fields;
use crate::job::{Column, Rows};
use crate::refusal::{Reason, Refusal, Shown};

/// Most names of metrics in one job.
pub const METRIC_NAMES_MAX: usize = 1024;
/// The member of a joined result that holds the model's answer (SageMaker Developer Guide, "Associate Prediction Results
/// with Input Records").
pub(crate) const ANSWER: &str = "SageMakerOutput";

/// Names of metrics, each with a number.
#[derive(Debug, Clone, Default)]
pub struct MetricNames {
    names: Vec<String>,
    numbers: HashMap<String, u16, RandomState>,
}

impl MetricNames {
    /// The number of a name. `None`: it is not the name of a metric, or there are too many.
    fn number(&mut self, name: &str) -> Option<u16> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        if self.names.len() >= METRIC_NAMES_MAX || MetricName::new(name).is_err() {
            return None;
        }
        let number = self.names.len() as u16;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        Some(number)
    }

    /// The name of a number.
    #[must_use]
    pub fn name(&self, number: u16) -> &str {
        self.names.get(usize::from(number)).map_or("", String::as_str)
    }
}

/// A row, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The device.
    pub device: String,
    /// When.
    pub at: Timestamp,
    /// Its metrics by number; finite values.
    pub values: Vec<(u16, f64)>,
}

/// Reads rows. What it holds is kept from row to row, so that reading one allocates nothing.
#[derive(Debug)]
pub struct RowReader {
    tenant: String,
    rows: Rows,
    /// The metrics' names.
    pub names: MetricNames,
    /// Of CSV: which metric a column is.
    numbers: Vec<Option<u16>>,
    fields: Fields,
    row: Row,
}

impl RowReader {
    /// For rows of one job.
    #[must_use]
    pub fn new(tenant: &str, rows: &Rows) -> Self {
        let mut names = MetricNames::default();
        let numbers = match rows {
            Rows::JsonLines => Vec::new(),
            Rows::Csv(columns) => columns
                .iter()
                .map(|column| match column {
                    Column::Metric(name) => names.number(name),
                    _ => None,
                })
                .collect(),
        };
        Self {
            tenant: tenant.to_owned(),
            rows: rows.clone(),
            names,
            numbers,
            fields: Fields::default(),
            row: Row { device: String::new(), at: Timestamp::MIN, values: Vec::new() },
        }
    }

    /// Reads a row, which [`Self::row`] then is, and returns what the model answered where the line is a joined result.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn read<'l>(&mut self, line: &'l [u8]) -> Result<Option<&'l RawValue>, Refusal> {
        self.row.device.clear();
        self.row.values.clear();
        let answer = match self.rows {
            Rows::Csv(_) => {
                self.read_csv(line)?;
                None
            }
            Rows::JsonLines => self.read_json(line)?,
        };
        if let Err(error) = DeviceName::new(&self.row.device) {
            return Err(Refusal::new(Reason::UnknownDevice, error));
        }
        Ok(answer)
    }

    /// The row that was read last, if it could be.
    #[must_use]
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// Whether rows are CSV.
    #[must_use]
    pub fn is_csv(&self) -> bool {
        matches!(self.rows, Rows::Csv(_))
    }

    /// How many fields of a CSV line are the row's own; the model's answer comes behind them.
    #[must_use]
    pub fn width(&self) -> usize {
        self.numbers.len()
    }

    fn read_csv(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.fields.split(line);
        let Rows::Csv(columns) = &self.rows else { return Ok(()) };
        if self.fields.len() < columns.len() {
            let counts = format_args!("{} fields, {} columns: {}", self.fields.len(), columns.len(), Shown(line));
            return Err(Refusal::new(Reason::BadRow, counts));
        }
        let mut at = None;
        for (index, column) in columns.iter().enumerate() {
            let field = self.fields.get(index);
            match column {
                Column::Other => {}
                Column::Tenant => check_tenant(field, &self.tenant)?,
                Column::Device => self.row.device.push_str(field),
                Column::Time => at = telemetry::history::parse_time(field),
                Column::Metric(name) => match (field.parse::<f64>(), self.numbers[index]) {
                    (Ok(value), Some(number)) if value.is_finite() => self.row.values.push((number, value)),
                    // A metric that a machine did not send is an empty field.
                    _ if field.is_empty() => {}
                    _ => {
                        let what = format_args!("`{name}` is no number: {}", Shown(field.as_bytes()));
                        return Err(Refusal::new(Reason::BadRow, what));
                    }
                },
            }
        }
        self.row.at = at.ok_or_else(|| Refusal::new(Reason::BadTime, Shown(line)))?;
        Ok(())
    }

    fn read_json<'l>(&mut self, line: &'l [u8]) -> Result<Option<&'l RawValue>, Refusal> {
        let mut members = Members { reader: self, answer: None, at: None, refused: None };
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let read = deserializer.deserialize_map(&mut members).and_then(|()| deserializer.end());
        let Members { answer, at, refused, .. } = members;
        read.map_err(|error| Refusal::new(Reason::BadRow, format_args!("{error}: {}", Shown(line))))?;
        if let Some(refused) = refused {
            return Err(refused);
        }
        self.row.at = at.ok_or_else(|| Refusal::new(Reason::BadTime, Shown(line)))?;
        Ok(answer)
    }
}

fn check_tenant(named: &str, tenant: &str) -> Result<(), Refusal> {
    if named == tenant {
        return Ok(());
    }
    let what = format_args!("the row names `{}`, the job is `{tenant}`'s", Shown(named.as_bytes()));
    Err(Refusal::new(Reason::ForeignTenant, what))
}

/// The members of a row that is a JSON object.
struct Members<'r, 'l> {
    reader: &'r mut RowReader,
    answer: Option<&'l RawValue>,
    at: Option<Timestamp>,
    refused: Option<Refusal>,
}

impl<'l> Visitor<'l> for &mut Members<'_, 'l> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `device` and `ts`")
    }

    fn visit_map<M: MapAccess<'l>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<Name<'l>>()? {
            match name.0.as_ref() {
                ANSWER => self.answer = Some(map.next_value()?),
                "tenant" => {
                    let named = map.next_value::<Name<'l>>()?;
                    if let Err(refusal) = check_tenant(&named.0, &self.reader.tenant) {
                        self.refused = Some(refusal);
                    }
                }
                "device" => self.reader.row.device.push_str(&map.next_value::<Name<'l>>()?.0),
                "ts" => {
                    self.at = match map.next_value::<Member<'l>>()? {
                        Member::Number(number) => telemetry::history::time_of_number(number),
                        Member::Text(text) => telemetry::history::parse_time(&text),
                        Member::Other => None,
                    }
                }
                metric => {
                    if let Member::Number(value) = map.next_value::<Member<'l>>()? {
                        self.metric(metric, value);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Members<'_, '_> {
    fn metric(&mut self, name: &str, value: f64) {
        match self.reader.names.number(name) {
            Some(number) if self.reader.row.values.len() < METRICS_MAX => self.reader.row.values.push((number, value)),
            _ => {
                let what = format_args!("the metric `{}`", Shown(name.as_bytes()));
                self.refused = Some(Refusal::new(Reason::TooMany, what));
            }
        }
    }
}

/// A text of JSON, borrowed where it has no escapes.
struct Name<'l>(Cow<'l, str>);

impl<'l> de::Deserialize<'l> for Name<'l> {
    fn deserialize<D: de::Deserializer<'l>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'l> Visitor<'l> for Text {
            type Value = Name<'l>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'l str) -> Result<Name<'l>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name<'l>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A value of JSON, as far as a row is concerned.
enum Member<'l> {
    Number(f64),
    Text(Cow<'l, str>),
    Other,
}

impl<'l> de::Deserialize<'l> for Member<'l> {
    fn deserialize<D: de::Deserializer<'l>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyMember)
    }
}

struct AnyMember;

impl<'l> Visitor<'l> for AnyMember {
    type Value = Member<'l>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_f64<E>(self, value: f64) -> Result<Member<'l>, E> {
        Ok(Member::Number(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Member<'l>, E> {
        Ok(Member::Number(value as f64))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Member<'l>, E> {
        Ok(Member::Number(value as f64))
    }
    fn visit_borrowed_str<E>(self, text: &'l str) -> Result<Member<'l>, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Member<'l>, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Member<'l>, E> {
        Ok(Member::Other)
    }
    fn visit_unit<E>(self) -> Result<Member<'l>, E> {
        Ok(Member::Other)
    }
    fn visit_seq<S: de::SeqAccess<'l>>(self, mut sequence: S) -> Result<Member<'l>, S::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
    fn visit_map<M: MapAccess<'l>>(self, mut map: M) -> Result<Member<'l>, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_793_534_400_000;

    fn csv() -> RowReader {
        let columns = ["device", "ts", "-", "temperature", "vibration", "tenant"];
        let columns = columns.map(|name| match name {
            "device" => Column::Device,
            "ts" => Column::Time,
            "-" => Column::Other,
            "tenant" => Column::Tenant,
            metric => Column::Metric(metric.to_owned()),
        });
        RowReader::new("acme", &Rows::Csv(columns.to_vec()))
    }

    type Values = Vec<(String, f64)>;

    fn read(reader: &mut RowReader, line: &str) -> Result<(String, i64, Values), Reason> {
        reader.read(line.as_bytes()).map_err(|refusal| refusal.reason)?;
        let row = reader.row().clone();
        let values = row.values.iter().map(|(number, value)| (reader.names.name(*number).to_owned(), *value));
        Ok((row.device, row.at.millis(), values.collect()))
    }

    fn both(temperature: f64, vibration: f64) -> Values {
        vec![("temperature".to_owned(), temperature), ("vibration".to_owned(), vibration)]
    }

    #[test]
    fn a_row_is_the_same_in_either_form() {
        let expected = Ok(("pump-7".to_owned(), AT, both(25.5, -1.0)));
        for line in ["pump-7,1793534400,x,25.5,-1,acme", "\"pump-7\", 2026-11-01T12:00:00Z ,\"x,y\",25.5,-1e0,acme,0.7"]
        {
            assert_eq!(read(&mut csv(), line), expected, "{line}");
        }
        for line in [
            r#"{"device":"pump-7","ts":1793534400000,"temperature":25.5,"vibration":-1}"#,
            r#"{"note":[1,{"a":2}],"ts":"2026-11-01T12:00:00Z","temperature":25.5,"ok":true,"none":null,
                "vibration":-1.0,"tenant":"acme","device":"pump-\u0037","unit":"C"}"#,
        ] {
            assert_eq!(read(&mut RowReader::new("acme", &Rows::JsonLines), line), expected, "{line}");
        }
    }

    #[test]
    fn a_metric_that_was_not_sent_is_not_there() {
        let values = vec![("vibration".to_owned(), 2.0)];
        assert_eq!(read(&mut csv(), "p,1793534400,,,2,acme"), Ok(("p".to_owned(), AT, values)));
    }

    #[test]
    fn a_bad_row_says_why_and_costs_only_itself() {
        let mut reader = csv();
        for (line, reason) in [
            ("pump-7,1793534400,x", Reason::BadRow),
            ("pump-7,1793534400,x,hot,1,acme", Reason::BadRow),
            ("pump-7,1793534400,x,nan,1,acme", Reason::BadRow),
            ("pump-7,yesterday,x,1,1,acme", Reason::BadTime),
            ("pump/7,1793534400,x,1,1,acme", Reason::UnknownDevice),
            ("pump-7,1793534400,x,1,1,globex", Reason::ForeignTenant),
        ] {
            assert_eq!(read(&mut reader, line), Err(reason), "{line}");
            assert!(read(&mut reader, "pump-7,1793534400,x,1,2,acme").is_ok());
        }
        let mut reader = RowReader::new("acme", &Rows::JsonLines);
        let many: Vec<String> = (0..=METRICS_MAX).map(|n| format!(r#""m{n}":1"#)).collect();
        for (line, reason) in [
            ("[1]".to_owned(), Reason::BadRow),
            (r#"{"device":"p","ts":1793534400"#.to_owned(), Reason::BadRow),
            (r#"{"device":"p","ts":1793534400}}"#.to_owned(), Reason::BadRow),
            (r#"{"device":7,"ts":1793534400}"#.to_owned(), Reason::BadRow),
            (r#"{"device":"p","ts":7}"#.to_owned(), Reason::BadTime),
            (r#"{"device":"p"}"#.to_owned(), Reason::BadTime),
            (r#"{"ts":1793534400}"#.to_owned(), Reason::UnknownDevice),
            (r#"{"device":"p","ts":1793534400,"tenant":"globex"}"#.to_owned(), Reason::ForeignTenant),
            (format!(r#"{{"device":"p","ts":1793534400,{}}}"#, many.join(",")), Reason::TooMany),
        ] {
            assert_eq!(read(&mut reader, &line), Err(reason), "{line}");
            assert!(read(&mut reader, r#"{"device":"p","ts":1793534400,"m0":1}"#).is_ok());
        }
    }

    #[test]
    fn what_the_model_answered_stands_beside_a_joined_row() {
        let mut reader = RowReader::new("acme", &Rows::JsonLines);
        let line = br#"{"device":"p","ts":1793534400,"t":1,"SageMakerOutput":{"score":0.5}}"#;
        assert_eq!(reader.read(line).unwrap().unwrap().get(), r#"{"score":0.5}"#);
    }
}
