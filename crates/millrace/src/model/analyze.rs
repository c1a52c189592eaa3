//! `model analyze`: `batch-analyzer` on a job of this machine.

use anyhow::bail;
use batch_analyzer::handler::{Outcome, Request, run as analyze};
use batch_analyzer::job::JobId;
use batch_analyzer::report::Report;
use platform::clock;
use platform::embedded::Local;

use super::batch::job;
use super::shelf::Store;
use crate::output::{Cell, Format};
use crate::ui::Ui;

/// How long findings stay in the table, in days: what the function's setting is unless told.
const TTL_DAYS: u32 = 90;

/// What `model analyze` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The alarm line of each type of asset is the one that the model's training has found, else it is drawn from the job's own scores; what
lies beyond it is told as anomalies, and what the warm path has found as well gets the model as its second witness. The report lies
beside the job. Twice changes nothing.

Examples:
  millrace model analyze acme/week-47
  millrace model analyze acme/week-47 --output json")]
pub(crate) struct Args {
    /// The job: tenant/job
    #[arg(value_name = "TENANT/JOB", value_parser = job)]
    job: JobId,
    #[command(flatten)]
    store: Store,
    /// Analyse what is there, and report parts without results as missing
    #[arg(long)]
    accept_missing: bool,
}

/// Analyses.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let local = Local::open(&args.store.dir)?;
    let id = &args.job;
    let request = Request { id, accepts_missing: args.accept_missing, ttl_days: TTL_DAYS, now: clock::now() };
    let report = match analyze(&local, &request, || true).await? {
        Outcome::Analyzed(report, recorded) => {
            ui.note(format_args!("{} new anomalies, {} second witnesses", recorded.anomalies, recorded.witnesses));
            report
        }
        Outcome::Done(report) => {
            ui.note("it was analysed before: nothing was changed");
            report
        }
        Outcome::Waiting { missing, parts } => {
            bail!("{missing} of {parts} parts of `{id}` have no results yet; --accept-missing analyses the others");
        }
        Outcome::Undescribed => {
            bail!("there is no job `{id}` in `{}`: `millrace model batch` makes one", args.store.dir.display());
        }
    };
    print(&report, ui)?;
    if ui.format() == Format::Table {
        let path = args.store.dir.join("lake").join(id.key("report.md")?.as_str());
        ui.note(format_args!("what was found: {}", path.display()));
    }
    Ok(())
}

fn print(report: &Report, ui: &Ui) -> anyhow::Result<()> {
    if ui.format() == Format::Json {
        return ui.document(report);
    }
    let columns =
        ["asset", "devices", "rows", "usual_score", "alarm_line", "findings", "of_model_alone", "refused_lines"];
    let mut rows = ui.rows(columns.to_vec())?;
    let number = |value: Option<f64>| value.map_or(Cell::Nothing, Cell::Number);
    for (name, asset) in &report.assets {
        rows.push(&[
            Cell::text(&**name),
            Cell::Number(asset.devices as f64),
            Cell::Number(asset.rows as f64),
            number(asset.median),
            number(asset.line),
            Cell::Nothing,
            Cell::Nothing,
            Cell::Nothing,
        ])?;
    }
    rows.push(&[
        Cell::text("total"),
        Cell::Number(report.devices as f64),
        Cell::Number(report.rows as f64),
        Cell::Nothing,
        Cell::Nothing,
        Cell::Number((report.alone + report.seen_twice) as f64),
        Cell::Number(report.alone as f64),
        Cell::Number(report.refused.values().sum::<u64>() as f64),
    ])?;
    Ok(rows.finish()?)
}
