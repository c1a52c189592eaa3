//! `explain`: why an anomaly was raised, or why a row of a recording is abnormal or not.
//!
//! Every metric of the row is told with what was expected and how far it is from the alarm line, the quiet ones too: "why
//! no alarm?" is asked as often as "why?".

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

use anomaly_core::{Contribution, DeviceStatus, Explanation, Timestamp};
use anyhow::bail;

use crate::anomalies::{self, Store};
use crate::options;
use crate::output::{Cell, Format, rounded};
use crate::replay::{self, Input};
use crate::ui::{Ui, Usage};

const EXAMPLES: &str = "\
Examples:
  millrace explain 08f4060f
  millrace explain --file run.csv --warmup normal.csv --at '2000-01-01 08:30'
  millrace explain --file plant.ndjson --device pump-00001 --at 2026-01-06T10:00:00Z --output json

With --file the row explained is the last one before the first that is later than --at, scored with all that came
before it.";

/// What `explain` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A stored anomaly: its id, or enough of its beginning to tell it from others
    #[arg(conflicts_with = "file", value_parser = options::anomaly_id)]
    id: Option<String>,
    #[command(flatten)]
    store: Store,
    /// A recording: CSV, NDJSON, Parquet or bronze, as for `millrace replay`
    #[arg(long, value_name = "FILE", requires = "at")]
    file: Option<PathBuf>,
    /// Which row of the file: the last one at or before this time
    #[arg(long, value_name = "TIME", requires = "file", value_parser = options::instant)]
    at: Option<Timestamp>,
    /// Which device of the file; needed where there are several
    #[arg(long, value_name = "NAME", requires = "file", value_parser = options::device)]
    device: Option<String>,
    /// History that the detectors learn from first; may be given several times
    #[arg(long, value_name = "FILE", requires = "file")]
    warmup: Vec<PathBuf>,
    /// Profile of the tenant: limits, units, sensitivity
    #[arg(long, value_name = "FILE", requires = "file")]
    profile: Option<PathBuf>,
}

/// One row, explained.
#[derive(Debug, serde::Serialize)]
struct Explained {
    device: String,
    at: Timestamp,
    status: DeviceStatus,
    score: f64,
    summary: String,
    contributions: Vec<Contribution>,
}

/// Explains.
///
/// # Errors
/// There is no such anomaly or row, something cannot be read, or standard output cannot be written.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    match (&args.id, &args.file, args.at) {
        (Some(id), _, _) => {
            let anomaly = anomalies::by_id(&args.store, id)?.anomaly;
            let explained = Explained {
                device: anomaly.device,
                at: anomaly.onset,
                status: DeviceStatus::Abnormal,
                score: anomaly.score,
                summary: anomaly.explanation.summary,
                contributions: anomaly.explanation.contributions,
            };
            print(&explained, ui)
        }
        (None, Some(file), Some(at)) => {
            let input = Input {
                file,
                warmup: &args.warmup,
                profile: args.profile.as_deref(),
                tenant: &args.store.tenant,
                device: args.device.as_deref(),
            };
            print(&row(&input, at, ui)?, ui)
        }
        _ => Err(Usage("explain what? Give the id of an anomaly, or --file and --at".to_owned()).into()),
    }
}

/// Scores the file up to `at` and explains the last row of the device.
fn row(input: &Input<'_>, at: Timestamp, ui: &Ui) -> anyhow::Result<Explained> {
    let mut found: Option<Explained> = None;
    let shown = input.file.display();
    replay::score(input, ui, &mut |row, device, scored| {
        let (name, time) = (row.observation.device.as_str(), row.observation.at);
        if input.device.is_some_and(|asked| row.several_devices && asked != name) {
            return Ok(ControlFlow::Continue(()));
        }
        if time > at {
            return Ok(ControlFlow::Break(()));
        }
        if found.as_ref().is_some_and(|found| found.device != name) {
            return Err(Usage(format!("`{shown}` has several devices: name one with --device")).into());
        }
        // Which row is the last one shows only when it has passed, so each is explained on the way.
        let Explanation { summary, contributions, .. } = device.explain(&scored.readings);
        let (device, status, score) = (name.to_owned(), scored.status, scored.score);
        found = Some(Explained { device, at: time, status, score, summary, contributions });
        Ok(ControlFlow::Continue(()))
    })?;
    match found {
        Some(found) => Ok(found),
        None => bail!(
            "`{shown}` has no row at or before {at}{}: choose a later --at",
            input.device.map_or_else(String::new, |device| format!(" of device `{device}`")),
        ),
    }
}

fn print(explained: &Explained, ui: &Ui) -> anyhow::Result<()> {
    let format = ui.format();
    if matches!(format, Format::Json | Format::Ndjson) {
        return ui.document(explained);
    }
    if format == Format::Table {
        let Explained { device, at, status, score, summary, .. } = explained;
        let mut out = io::stdout().lock();
        writeln!(out, "{device} at {at} is {}: score {}, the alarm line is 1", status.as_str(), rounded(*score))?;
        writeln!(out, "{summary}")?;
    }
    let mut rows = ui.rows(vec![
        "metric",
        "unit",
        "observed",
        "expected",
        "spread",
        "detector",
        "strength",
        "to_the_line",
        "tail",
        "outcome",
        "sentence",
    ])?;
    for contribution in &explained.contributions {
        rows.push(&[
            Cell::text(&contribution.metric),
            contribution.unit.as_deref().map_or(Cell::Nothing, Cell::text),
            Cell::Number(contribution.observed),
            Cell::Number(contribution.expected),
            Cell::Number(contribution.spread),
            Cell::text(contribution.detector.as_str()),
            Cell::Number(contribution.strength),
            Cell::Number(1.0 - contribution.strength),
            Cell::Number(contribution.tail),
            Cell::text(contribution.outcome.as_str()),
            Cell::text(&contribution.sentence),
        ])?;
    }
    Ok(rows.finish()?)
}
