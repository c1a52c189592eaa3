//! `eval labelled`: recordings with known truth, judged device by device.
//!
//! Each recording is scored by an engine of its own that has learned from the history given, so that no recording teaches
//! another. All rows are judged, those at its beginning too, where nothing was learned yet.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anomaly_core::Scored;
use anyhow::bail;
use evaluation::{Grace, Judgement, ScoredRow, Span, Spans, judge};

use super::labels::Labels;
use super::{count, number};
use crate::options;
use crate::output::{Cell, Format};
use crate::replay::{self, Input, NotMetrics, Row};
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  millrace eval labelled run.csv --labels labels.csv
  millrace eval labelled --warmup january.csv february.csv march.csv --labels labels.csv --grace 30m
  millrace eval labelled run.csv --label-column is_fault --leave-out operator_note
  millrace eval labelled nab/*/*.csv --labels windows.json --output csv

Labels (told by their content), times in ISO 8601, no zone is UTC, both ends inside:
  CSV     device,start,end     the column device is not needed for one device; other columns are passed over
  JSON    {\"file.csv\": [[\"start\", \"end\"]]}     the windows of the Numenta Anomaly Benchmark

A span is found when an alert is raised in it; several alerts in one span count once; an alert outside every span and
its --grace is false.
  recall, precision   of spans: found of all, and right ones of the alerts that are right or false
  median_delay        from the start of a span to its first alert, over the spans found
  row_f1, row_far     of rows with a score of 1 or more: F1, and the share of alarmed rows among the normal
  vus_pr              how well scores rank abnormal rows above normal ones, 0 to 1, without a threshold; the mean over
                      the devices with a span (Paparrizos et al., VLDB 2022)";

/// What `eval labelled` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recordings: CSV, NDJSON, Parquet or bronze, as for `millrace replay`
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// File of labelled spans
    #[arg(long, value_name = "FILE", required_unless_present = "label_column", conflicts_with = "label_column")]
    labels: Option<PathBuf>,
    /// Column of the recordings that says with 1 or 0 whether the row is abnormal; it is not scored. An empty cell means
    /// what the cell before it means
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// Column that is no metric and is not scored; may be given several times
    #[arg(long, value_name = "NAME")]
    leave_out: Vec<String>,
    /// History that the detectors learn from before each recording; may be given several times
    #[arg(long, value_name = "FILE")]
    warmup: Vec<PathBuf>,
    /// Profile of the tenant: limits, units, sensitivity
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Tenant, where the recording does not name it, and whose profile --profile is
    #[arg(long, value_name = "NAME", default_value = options::TENANT_DEFAULT, value_parser = options::tenant)]
    tenant: String,
    /// So long after a span an alert is neither right nor false: what was abnormal settles [default: 0]
    #[arg(long, value_name = "SPAN", value_parser = options::span_ms)]
    grace: Option<i64>,
}

/// What was said of one device.
#[derive(Debug, Default)]
struct Series {
    rows: Vec<ScoredRow>,
    /// From the column of labels: whether the row before is abnormal, and since when and until when rows have been.
    is_abnormal: bool,
    runs: Vec<(i64, i64)>,
    has_labels: bool,
}

impl Series {
    fn take(&mut self, row: &Row<'_>, scored: &Scored, label_column: Option<&str>) -> anyhow::Result<()> {
        let at_ms = row.observation.at.millis();
        self.rows.push(ScoredRow { at_ms, score: scored.score, is_alert: scored.alert.is_some() });
        let before = self.is_abnormal;
        if let Some(label) = row.label {
            let is_one = label.total_cmp(&1.0).is_eq();
            if !is_one && label != 0.0 {
                let (place, column) = (row.place(), label_column.unwrap_or_default());
                bail!("{place}: expected 1 or 0 in the column `{column}` of labels, found {label}");
            }
            self.is_abnormal = is_one;
            self.has_labels = true;
        }
        match self.runs.last_mut() {
            Some(run) if self.is_abnormal && before => run.1 = at_ms,
            _ if self.is_abnormal => self.runs.push((at_ms, at_ms)),
            _ => {}
        }
        Ok(())
    }

    /// From its first instant to its last.
    fn covered(&self) -> anyhow::Result<Span> {
        let times = || self.rows.iter().map(|row| row.at_ms);
        Ok(Span::new(times().min().unwrap_or_default(), times().max().unwrap_or_default())?)
    }

    /// The spans that its column of labels says. A row that came late may have turned two ends round.
    fn own_spans(&self) -> anyhow::Result<Vec<Span>> {
        self.runs.iter().map(|(a, b)| Ok(Span::new(*a.min(b), *a.max(b))?)).collect()
    }
}

/// Judges the recordings and prints what came of each, and of all.
///
/// # Errors
/// Something cannot be read, with its place; labels that do not fit the recordings.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let mut labels = args.labels.as_ref().map(|file| Labels::read(file, &args.files, ui)).transpose()?;
    let mut judgements = Vec::with_capacity(args.files.len());
    let mut total = Judgement::default();
    for (index, file) in args.files.iter().enumerate() {
        let judgement = of_recording(args, index, file, &mut labels, ui)?;
        total.absorb(&judgement);
        judgements.push(judgement);
    }
    if let Some(labels) = &labels {
        labels.look_back(ui)?;
    }
    if total.incidents.spans == 0 {
        bail!("no row of any recording is labelled as abnormal: there is nothing to judge against");
    }
    let is_short = ui.format() == Format::Table;
    let mut rows = ui.rows(columns(is_short))?;
    for (file, judgement) in args.files.iter().zip(&judgements) {
        rows.push(&cells(file.display().to_string(), judgement, is_short))?;
    }
    rows.push(&cells("total".to_owned(), &total, is_short))?;
    Ok(rows.finish()?)
}

/// Scores one recording and judges its devices.
fn of_recording(
    args: &Args,
    index: usize,
    file: &Path,
    labels: &mut Option<Labels>,
    ui: &Ui,
) -> anyhow::Result<Judgement> {
    let column = args.label_column.as_deref();
    let input =
        Input { file, warmup: &args.warmup, profile: args.profile.as_deref(), tenant: &args.tenant, device: None };
    let not_metrics = NotMetrics { label: column, others: &args.leave_out };
    let mut devices: BTreeMap<String, Series> = BTreeMap::new();
    replay::score_without(&input, not_metrics, ui, &mut |row, _, scored| {
        let (tenant, device) = (row.observation.tenant.as_str(), row.observation.device.as_str());
        // A device of another tenant is another device; `/` is in no name.
        let foreign = (tenant != args.tenant).then(|| format!("{tenant}/{device}"));
        let name = foreign.as_deref().unwrap_or(device);
        if !devices.contains_key(name) {
            devices.insert(name.to_owned(), Series::default());
        }
        if let Some(series) = devices.get_mut(name) {
            series.take(row, scored, column)?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(column) = column.filter(|_| !devices.values().any(|series| series.has_labels)) {
        bail!("`{}` has no label in a column `{column}`: write its name as the header does", file.display());
    }
    let is_alone = devices.len() == 1;
    let mut judgement = Judgement::default();
    for (name, series) in devices {
        let spans = Spans::new(match labels {
            Some(labels) => labels.of(index, &name, is_alone, series.covered()?)?,
            None => series.own_spans()?,
        });
        if spans.merged() > 0 && column.is_none() {
            let merged = spans.merged();
            ui.warn(format_args!("`{name}`: labelled spans that overlap the one before were merged with it: {merged}"));
        }
        let grace = Grace { found_ms: 0, echo_ms: args.grace.unwrap_or(0) };
        judgement.absorb(&judge(series.rows, &spans, grace));
    }
    Ok(judgement)
}

fn columns(is_short: bool) -> Vec<&'static str> {
    let all = ["file", "spans", "found", "recall", "precision"];
    let rest = ["median_delay_seconds", "false_per_device_week", "row_f1", "row_far", "vus_pr"];
    let more = ["f1", "false_alerts", "device_days", "rows", "abnormal_rows", "row_precision", "row_recall"];
    let more = if is_short { &[][..] } else { &more };
    [&all, &rest, more].concat()
}

fn cells<'a>(file: String, judgement: &Judgement, is_short: bool) -> Vec<Cell<'a>> {
    let (incidents, rows) = (&judgement.incidents, judgement.rows);
    let mut cells = vec![
        Cell::text(file),
        count(incidents.spans),
        count(incidents.found()),
        number(incidents.recall()),
        number(incidents.precision()),
        number(incidents.median_delay_ms().map(|delay| delay / 1_000.0)),
        number(incidents.false_per_device_week()),
        number(rows.f1()),
        number(rows.false_alarm_rate()),
        number(judgement.vus_pr()),
    ];
    if !is_short {
        cells.extend([
            number(incidents.f1()),
            count(incidents.false_alerts),
            Cell::Number(incidents.observed_ms as f64 / 86_400_000.0),
            count(rows.rows()),
            count(rows.abnormal()),
            number(rows.precision()),
            number(rows.recall()),
        ]);
    }
    cells
}
