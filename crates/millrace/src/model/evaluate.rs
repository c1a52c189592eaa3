//! `model evaluate`: an analysed job against the truth, beside the warm path and together with it.
//!
//! A finding counts at its onset: the model looks back over all rows, so there is no moment at which it was told. An anomaly of
//! the warm path counts when the reading arrived that raised it. Both are judged alike: as `millrace eval plant` judges, a
//! fault is found from its start to 30 minutes after its end, and an alert is false outside of every fault with an echo of two
//! hours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anomaly_core::{DetectorId, Timestamp};
use anyhow::{Context as _, bail};
use batch_analyzer::job::JobId;
use batch_analyzer::record::Told;
use batch_analyzer::report::Report;
use evaluation::{Grace, Incidents, Span, Spans, match_alerts};
use platform::embedded::Local;
use platform::model::Key;
use platform::ports::{AnomalyQuery, FindAnomalies as _, GetObject as _};

use super::batch::job;
use super::shelf::Store;
use crate::options;
use crate::output::Cell;
use crate::ui::Ui;

const GRACE: Grace = Grace { found_ms: 30 * 60_000, echo_ms: 2 * 3_600_000 };
const MINUTE_MS: f64 = 60_000.0;
/// Longest truth, in bytes.
const TRUTH_BYTES_MAX: u64 = 64 << 20;
/// Longest report and findings, in bytes.
const OBJECT_BYTES_MAX: usize = 256 << 20;
/// Anomalies of a device that are looked at.
const KNOWN_MAX: usize = 10_000;

/// What `model evaluate` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Truth is JSON as `millrace simulate --truth` writes it, or CSV with the columns device, start and end.

Examples:
  millrace model evaluate demo/week --truth truth.json
  millrace model evaluate acme/week-47 --truth labels.csv --output csv")]
pub(crate) struct Args {
    /// The job: tenant/job
    #[arg(value_name = "TENANT/JOB", value_parser = job)]
    job: JobId,
    /// What was wrong, and when
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    #[command(flatten)]
    store: Store,
}

/// By device: spans in which something was wrong, in milliseconds.
type Truth = BTreeMap<String, Vec<(i64, i64)>>;
/// By device: instants of alerts, in milliseconds.
type Alerts = BTreeMap<String, Vec<i64>>;

/// Judges and prints.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let local = Local::open_read_only(&args.store.dir)?;
    let id = &args.job;
    let report: Report = match local.get_object(&id.key("report.json")?, OBJECT_BYTES_MAX).await? {
        Some(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("the report of `{id}`"))?,
        None => bail!("`{id}` is not analysed: `millrace model analyze {id}` does that"),
    };
    let Some(span) = report.span else { bail!("`{id}` has no row that counts: there is nothing to judge") };
    let truth = truth(&args.truth, span)?;
    let told = findings(&local, id, span.1).await?;
    let mut model = Alerts::new();
    for one in &told {
        model.entry(one.anomaly.device.clone()).or_default().push(one.anomaly.onset.millis());
    }
    let devices: BTreeSet<&String> = truth.keys().chain(model.keys()).collect();
    let mut warm = warm_path(&local, id, span, &devices).await?;
    let mut both = model.clone();
    for (device, instants) in &warm {
        both.entry(device.clone()).or_default().extend(instants);
    }
    for alerts in [&mut model, &mut warm, &mut both] {
        for instants in alerts.values_mut() {
            instants.sort_unstable();
        }
    }
    let observed_ms = (span.1.millis() - span.0.millis()) * report.devices as i64;
    let columns = [
        "who",
        "faults",
        "found",
        "recall",
        "precision",
        "f1",
        "false_alerts",
        "false_per_device_week",
        "median_delay_minutes",
    ];
    let mut rows = ui.rows(columns.to_vec())?;
    for (who, alerts) in [("model", &model), ("warm path", &warm), ("both", &both)] {
        let judged = judge(&truth, alerts, observed_ms)?;
        let number = |value: Option<f64>| value.map_or(Cell::Nothing, Cell::Number);
        // The model looks back, so that a delay would flatter it.
        let delay = judged.median_delay_ms().filter(|_| who == "warm path").map(|delay| delay / MINUTE_MS);
        rows.push(&[
            Cell::text(who),
            Cell::Number(judged.spans as f64),
            Cell::Number(judged.found() as f64),
            number(judged.recall()),
            number(judged.precision()),
            number(judged.f1()),
            Cell::Number(judged.false_alerts as f64),
            number(judged.false_per_device_week()),
            number(delay),
        ])?;
    }
    Ok(rows.finish()?)
}

fn judge(truth: &Truth, alerts: &Alerts, observed_ms: i64) -> anyhow::Result<Incidents> {
    let mut judged = Incidents { observed_ms, ..Incidents::default() };
    let devices: BTreeSet<&String> = truth.keys().chain(alerts.keys()).collect();
    for device in devices {
        let spans = truth.get(device).into_iter().flatten().map(|(start, end)| Span::new(*start, *end));
        let spans = Spans::new(spans.collect::<Result<_, _>>()?);
        let instants = alerts.get(device).map_or(&[][..], Vec::as_slice);
        judged.absorb(&Incidents::of(&match_alerts(&spans, instants, GRACE), 0));
    }
    Ok(judged)
}

/// The job's findings.
async fn findings(local: &Local, id: &JobId, last: Timestamp) -> anyhow::Result<Vec<Told>> {
    let key = Key::new(format!("gold/model_findings/dt={}/{id}.ndjson.zst", last.date()))?;
    let bytes = local.get_object(&key, OBJECT_BYTES_MAX).await?;
    let bytes = bytes.with_context(|| format!("`{key}` is not there, though the job has its report"))?;
    let text = zstd::bulk::decompress(&bytes, OBJECT_BYTES_MAX).with_context(|| format!("`{key}` is damaged"))?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).with_context(|| format!("`{key}` is not of this release"))).collect()
}

/// What the warm path has told of these devices in that time.
async fn warm_path(
    local: &Local,
    id: &JobId,
    (first, last): (Timestamp, Timestamp),
    devices: &BTreeSet<&String>,
) -> anyhow::Result<Alerts> {
    let mut alerts = Alerts::new();
    for device in devices {
        let query = AnomalyQuery::Device { tenant: id.tenant.clone(), device: (*device).clone() };
        for record in local.find_anomalies(&query, KNOWN_MAX).await? {
            if record.anomaly.detector != DetectorId::Model && (first..=last).contains(&record.detected_at) {
                alerts.entry((*device).clone()).or_default().push(record.detected_at.millis());
            }
        }
    }
    Ok(alerts)
}

/// What was wrong in that time.
fn truth(path: &Path, (first, last): (Timestamp, Timestamp)) -> anyhow::Result<Truth> {
    let shown = path.display();
    let bytes = fs::metadata(path).map(|found| found.len());
    let bytes = bytes.with_context(|| format!("cannot read the truth `{shown}`: give the path of a file"))?;
    if bytes > TRUTH_BYTES_MAX {
        bail!("the truth `{shown}` has {bytes} bytes, the limit is {TRUTH_BYTES_MAX}: is it another file?");
    }
    let text = fs::read_to_string(path).with_context(|| format!("the truth `{shown}` must be UTF-8 text"))?;
    let mut truth = Truth::new();
    let mut add = |device: &str, start: i64, end: i64| {
        if start <= last.millis() && end >= first.millis() {
            truth.entry(device.to_owned()).or_default().push((start, end));
        }
    };
    if text.trim_start().starts_with('{') {
        let of_plant: simulator::Truth = serde_json::from_str(&text)
            .with_context(|| format!("the truth `{shown}` is not as `millrace simulate --truth` writes it"))?;
        for fault in &of_plant.faults {
            add(&fault.device_name, fault.start_ms, fault.end_ms);
        }
    } else {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for (index, label) in reader.deserialize::<Label>().enumerate() {
            let place = || format!("the truth `{shown}`, row {}: expected device, start and end", index + 1);
            let label = label.with_context(place)?;
            let instant = |text: &str| options::instant(text.trim()).map_err(anyhow::Error::msg).with_context(place);
            add(&label.device, instant(&label.start)?.millis(), instant(&label.end)?.millis());
        }
    }
    if truth.is_empty() {
        bail!(
            "the truth `{shown}` has nothing from {first} to {last}, the job's time: there is nothing to judge against"
        );
    }
    Ok(truth)
}

#[derive(serde::Deserialize)]
struct Label {
    device: String,
    start: String,
    end: String,
}
