//! What became of a job, for people and for programs. The same analysis makes the same report: there is no time of day in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anomaly_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::analysis::Analysis;
use crate::job::{Job, JobId};
use crate::line::Drawn;
use crate::record::Told;
use crate::refusal::Reason;

/// Version of the form.
pub const VERSION: u32 = 1;
/// Findings that the text for people names; all are in gold.
const NAMED_MAX: usize = 50;

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the form.
    pub version: u32,
    /// Whose job it is.
    pub tenant: String,
    /// Its name.
    pub job: String,
    /// The model.
    pub model: String,
    /// Fingerprint of the profile that it was judged by.
    pub profiles: String,
    /// Parts that the job has.
    pub parts: u64,
    /// Rows that count.
    pub rows: u64,
    /// Plain text that was read, in bytes.
    pub plain_bytes: u64,
    /// Time of the first and of the last row.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Devices.
    pub devices: u64,
    /// Types of asset.
    pub assets: BTreeMap<String, Asset>,
    /// Findings that the model alone has.
    pub alone: u64,
    /// Findings that the warm path has as well.
    pub seen_twice: u64,
    /// Findings beyond those that are kept.
    pub left_out: u64,
    /// Lines, and parts, that count for nothing, by reason.
    pub refused: BTreeMap<Reason, u64>,
}

/// What is known of a type of asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asset {
    /// Its devices.
    pub devices: u64,
    /// Its rows.
    pub rows: u64,
    /// The score that the middle row has.
    pub median: Option<f64>,
    /// The score on the alarm line; none: there are too few rows to draw one, or all have one score.
    pub line: Option<f64>,
    /// Who has drawn it.
    pub drawn: Option<Drawn>,
    /// Probability of a row beyond the line while all is well, by the tail of the job's rows.
    pub probability: Option<f64>,
}

impl Report {
    /// Of an analysis.
    #[must_use]
    pub fn of(id: &JobId, job: &Job, profiles: &str, analysis: &Analysis, told: &[Told]) -> Self {
        let devices = analysis.survey.devices();
        let mut assets: BTreeMap<String, Asset> = BTreeMap::new();
        for (asset, line) in &analysis.lines {
            let of_asset = || devices.values().filter(|device| device.asset == *asset);
            let known = Asset {
                devices: of_asset().count() as u64,
                rows: of_asset().map(|device| device.rows).sum(),
                median: line.as_ref().map(|line| line.tail.median()),
                line: line.as_ref().map(|line| line.score),
                drawn: line.as_ref().map(|line| line.drawn),
                probability: line.as_ref().map(|line| line.tail.of(line.score)),
            };
            assets.insert(asset.clone(), known);
        }
        let first = devices.values().map(|device| device.first).min();
        let last = devices.values().map(|device| device.last).max();
        let alone = told.iter().filter(|one| one.seen_by.is_empty()).count() as u64;
        Self {
            version: VERSION,
            tenant: id.tenant.clone(),
            job: id.job.clone(),
            model: job.model.clone(),
            profiles: profiles.to_owned(),
            parts: job.parts.len() as u64,
            rows: analysis.survey.rows,
            plain_bytes: analysis.plain_bytes,
            span: first.zip(last),
            devices: devices.len() as u64,
            assets,
            alone,
            seen_twice: told.len() as u64 - alone,
            left_out: analysis.findings_left_out,
            refused: analysis.refused.clone(),
        }
    }

    /// For people.
    #[must_use]
    pub fn markdown(&self, told: &[Told]) -> String {
        let mut text =
            format!("# Job {} of {}\n\nModel `{}`, profile {}.\n\n", self.job, self.tenant, self.model, self.profiles);
        let span = self.span.map_or_else(|| "no time".to_owned(), |(first, last)| format!("{first} to {last}"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} rows of {} devices in {} parts, {span}.\n", self.rows, self.devices, self.parts);
        text.push_str("| type of asset | devices | rows | usual score | alarm line | drawn by | probability of the line |\n|---|---|---|---|---|---|---|\n");
        for (name, asset) in &self.assets {
            let number = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |value| format!("{value:.4}"));
            let drawn = asset.drawn.map_or("", Drawn::as_str);
            let probability = asset.probability.map_or_else(String::new, |value| format!("{value:.1e}"));
            let (median, line) = (number(asset.median), number(asset.line));
            let Asset { devices, rows, .. } = asset;
            let _ = writeln!(text, "| {name} | {devices} | {rows} | {median} | {line} | {drawn} | {probability} |");
        }
        let _ = writeln!(
            text,
            "\n{} findings of the model alone, {} that the warm path has as well.",
            self.alone, self.seen_twice
        );
        if self.left_out > 0 {
            let _ = writeln!(
                text,
                "\n**{} more were left out: a model that finds so much does not fit these machines.**",
                self.left_out
            );
        }
        if !self.refused.is_empty() {
            text.push_str("\nLines and parts that count for nothing, with their places in `refused.ndjson.zst`:\n\n");
            for (reason, count) in &self.refused {
                let _ = writeln!(text, "- {}: {count}", reason.as_str());
            }
        }
        if !told.is_empty() {
            text.push_str("\n| device | from | to | strength | seen by | why |\n|---|---|---|---|---|---|\n");
            for one in told.iter().take(NAMED_MAX) {
                let anomaly = &one.anomaly;
                let by = if one.seen_by.is_empty() { "model" } else { "model and warm path" };
                let why = anomaly.explanation.summary.replace('|', "\\|");
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {:.2} | {by} | {why} |",
                    anomaly.device, anomaly.onset, one.end, anomaly.score
                );
            }
        }
        if told.len() > NAMED_MAX {
            let _ = writeln!(text, "\nand {} more in gold.", told.len() - NAMED_MAX);
        }
        text
    }
}
