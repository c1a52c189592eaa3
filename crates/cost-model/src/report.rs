//! The figures for people and for programs: every line per million readings, one column a design.

use comfy_table::{CellAlignment, Table, presets};
use platform::cost::prices::Prices;
use platform::cost::{Cost, Usage};
use serde_json::{Map, Value};

use crate::run::Outcome;

/// One design with one workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub title: &'static str,
    /// Readings that usage and cost are of.
    pub readings: u64,
    /// What was used.
    pub usage: Usage,
    /// What that costs.
    pub cost: Cost,
    /// What else a run tells; none for a design that was not run.
    pub outcome: Option<Outcome>,
}

/// One figure of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// For programs.
    pub key: &'static str,
    /// For people.
    pub words: &'static str,
    /// `None`: not known of this design.
    pub value: Option<f64>,
    /// Digits after the point that a table shows.
    pub digits: usize,
}

impl Column {
    /// Of a run.
    #[must_use]
    pub fn of(title: &'static str, outcome: Outcome) -> Self {
        Self { title, readings: outcome.readings, usage: outcome.usage, cost: outcome.cost, outcome: Some(outcome) }
    }

    /// Every figure, all but the first per million readings.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let Self { usage, cost, .. } = self;
        let run = self.outcome.as_ref();
        let million = 1e6 / self.readings.max(1) as f64;
        let line = |key, words, digits, value: Option<f64>| Figure {
            key,
            words,
            value: value.map(|value| value * million),
            digits,
        };
        let count = |key, words, value: u64| line(key, words, 0, Some(value as f64));
        let dollars = |key, words, value: f64| line(key, words, 5, Some(value));
        let per_batch = self.readings as f64 / usage.lambda_requests.max(1) as f64;
        vec![
            Figure { key: "readings_per_batch", words: "readings a batch", value: Some(per_batch), digits: 0 },
            count("invocations", "invocations", usage.lambda_requests),
            count("store_calls", "calls to stores", usage.store_calls()),
            count("s3_puts", "  S3 PUT", usage.s3_puts),
            count("s3_gets_and_lists", "  S3 GET and LIST", usage.s3_gets + usage.s3_lists),
            count("dynamodb_calls", "  DynamoDB", usage.dynamodb_calls),
            count("dynamodb_write_units", "DynamoDB write units", usage.dynamodb_write_units),
            count("dynamodb_index_write_units", "  and of the index", usage.dynamodb_index_write_units),
            line("anomalies", "anomalies stored", 0, run.map(|run| run.anomalies as f64)),
            line("megabytes_put", "MB put to S3", 1, Some(usage.s3_bytes_put as f64 / 1e6)),
            line("snapshot_megabytes", "  of it snapshots", 1, run.map(|run| run.snapshot_bytes as f64 / 1e6)),
            line("log_megabytes", "MB of log", 2, Some(usage.log_bytes as f64 / 1e6)),
            line("cpu_seconds", "processor seconds, measured", 2, run.map(|run| run.cpu_seconds)),
            line("gb_seconds", "GB-seconds", 1, Some(usage.lambda_gb_seconds)),
            dollars("s3_dollars", "$ S3", cost.s3),
            dollars("dynamodb_dollars", "$ DynamoDB", cost.dynamodb),
            dollars("lambda_dollars", "$ Lambda", cost.lambda),
            dollars("cloudwatch_dollars", "$ CloudWatch logs", cost.cloudwatch),
            dollars("dollars_without_kinesis", "$ WITHOUT KINESIS", cost.without_kinesis()),
            line("dollars_emitted", "  as the metric says", 5, run.map(|run| run.emitted_dollars)),
            dollars("kinesis_dollars", "$ Kinesis, shards full", cost.kinesis),
        ]
    }

    /// Dollars a month for keeping what a million readings put into S3; never part of the figures.
    #[must_use]
    pub fn keeping_dollars_per_month(&self, prices: &Prices) -> f64 {
        let gigabytes = self.usage.s3_bytes_put as f64 / 1e9 * 1e6 / self.readings.max(1) as f64;
        gigabytes * prices.s3.storage_dollars_per_gb_month.get()
    }
}

/// The columns side by side.
#[must_use]
pub fn table(columns: &[Column]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let titles = columns.iter().map(|column| column.title);
    table.set_header(["per million readings"].into_iter().chain(titles));
    let figures: Vec<Vec<Figure>> = columns.iter().map(Column::figures).collect();
    for (place, line) in figures.first().into_iter().flatten().enumerate() {
        let shown = |figure: &Figure| figure.value.map_or_else(String::new, |value| grouped(value, figure.digits));
        let values = figures.iter().filter_map(|column| column.get(place)).map(shown);
        table.add_row([line.words.to_owned()].into_iter().chain(values));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// A number with its thousands apart.
fn grouped(value: f64, digits: usize) -> String {
    let plain = format!("{value:.digits$}");
    let (whole, fraction) = plain.split_once('.').map_or((plain.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut text = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// The columns as an object of objects, unrounded.
#[must_use]
pub fn json(columns: &[Column]) -> Value {
    let of = |column: &Column| -> Map<String, Value> {
        let value = |figure: &Figure| (figure.key.to_owned(), Value::from(figure.value));
        column.figures().iter().map(value).chain([("readings".to_owned(), Value::from(column.readings))]).collect()
    };
    columns.iter().map(|column| (column.title.to_owned(), Value::Object(of(column)))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(1_234_567.0, 0), "1,234,567");
        assert_eq!(grouped(999.0, 1), "999.0");
        assert_eq!(grouped(0.012_34, 5), "0.01234");
        assert_eq!(grouped(1_000.5, 2), "1,000.50");
    }

    #[test]
    fn figures_are_per_million_readings() {
        let usage = Usage { s3_puts: 10, lambda_requests: 4, ..Usage::default() };
        let cost = Cost { s3: 0.5, ..Cost::default() };
        let column = Column { title: "x", readings: 2_000, usage, cost, outcome: None };
        let value = |key: &str| json(std::slice::from_ref(&column))["x"][key].clone();
        assert_eq!(value("s3_puts"), 5_000.0);
        assert_eq!(value("readings_per_batch"), 500.0);
        assert_eq!(value("dollars_without_kinesis"), 250.0);
        assert_eq!(value("anomalies"), Value::Null);
        assert!(table(&[column]).contains("| $ WITHOUT KINESIS           | 250.00000 |"));
    }
}
