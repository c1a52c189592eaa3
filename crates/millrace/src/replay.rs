//! `replay`: recorded readings through the engine, the same code and the same verdicts as in the stream.
//!
//! One row in, one row out, in the same order and in constant memory. What is printed of a row depends on that row and
//! those before it, never on those after it. It stores nothing and tells nobody.

mod input;
mod print;
mod warmup;

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::options;
use crate::output::Format;
use crate::ui::Ui;
pub(crate) use input::{Input, NotMetrics, Row, read, score, score_without, warn_of_unused};
use print::{Printer, Totals};

const EXAMPLES: &str = "\
Examples:
  millrace replay run.csv
  millrace replay --warmup january.csv --warmup february.csv march.csv
  millrace replay --output csv --explain run.csv > scored.csv
  millrace replay --profile profile.toml --tenant acme bronze/dt=2026-11-21

Files (told by their content):
  CSV wide   timestamp,temperature,pressure      one device, a column a metric
  CSV long   timestamp,device,metric,value       lines of one device and instant are one row
  NDJSON     one payload a line, any shape that the stream accepts
  Parquet    scored readings of the lake (silver)
  bronze     an object of the lake, or a folder of them

Rows (--output csv, json or ndjson): timestamp, device where the file may hold several, score, alert, status.
  score      how abnormal the device is: 1 and more is abnormal, and it stays there while the fault lasts
  alert      1 and more: the strength of the alert raised on this row; below 1: of one that a higher sensitivity
             would raise; 0 on every other row
  status     warming, normal or abnormal
A row without values keeps the score of the device. A table shows the alerts alone.";

/// What `replay` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recording; `-` is standard input (CSV or NDJSON)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// History that the detectors learn from first, its verdicts dropped; may be given several times. Where it does not end
    /// before what follows begins, it is moved back by whole days
    #[arg(long, value_name = "FILE")]
    warmup: Vec<PathBuf>,
    /// Profile of the tenant: limits, units, sensitivity
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Device, where the file does not name it [default: the file's name]
    #[arg(long, value_name = "NAME", value_parser = options::device)]
    device: Option<String>,
    /// Tenant, where the file does not name it, and whose profile --profile is
    #[arg(long, value_name = "NAME", default_value = options::TENANT_DEFAULT, value_parser = options::tenant)]
    tenant: String,
    /// Add metric, detector and explanation to each row
    #[arg(long)]
    explain: bool,
}

/// Scores a recording and prints it.
///
/// # Errors
/// Something cannot be read, with its place, or standard output cannot be written.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let input = Input {
        file: &args.file,
        warmup: &args.warmup,
        profile: args.profile.as_deref(),
        tenant: &args.tenant,
        device: args.device.as_deref(),
    };
    let mut printer = None;
    let mut totals = Totals::default();
    score(&input, ui, &mut |row, device, scored| {
        totals.count(scored);
        let printer = match &mut printer {
            Some(printer) => printer,
            none => none.insert(Printer::new(ui, row.several_devices, args.explain)?),
        };
        printer.row(&row.observation, device, scored)?;
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(printer) = printer {
        printer.finish()?;
    }
    if ui.format() == Format::Table {
        ui.note(totals);
    } else {
        ui.detail(totals);
    }
    Ok(())
}
