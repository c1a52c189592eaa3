//! `millrace esm`: the event source mapping of Lambda on this machine, for any function.
//!
//! It wires sources, rules and targets of the crate `event-source`, and prints. What AWS documents of a mapping, and which
//! test shows that it is kept here, is in `docs/esm.md`.

mod in_process;
mod input;
mod options;
mod print;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use event_source::rules::Checked;
use event_source::source::Source;
use event_source::{Ended, RunSettings, plan};
use tokio::signal::unix::{SignalKind, signal};

use crate::ui::{Ui, Usage};
use options::RuleOptions;
use print::{Journal, Plan};

const EXAMPLES: &str = "\
Examples:
  millrace esm events/*.json --invoke-url http://127.0.0.1:9000/2015-03-31/functions/NAME/invocations
  millrace esm plant.ndjson --bootstrap target/lambda/kinesis-scorer/bootstrap.zip --timeout 2m \\
      --env MILLRACE_BUCKET=lake --bisect --retries 5 --report-batch-item-failures --on-failure failed.ndjson
  millrace simulate --devices 3 --days 1 | millrace esm - --in-process --dir plant-data --duplicate 0.1
  millrace esm plant.ndjson --shards 2 --split-after 5000 --batch-size 500 --dry-run
  millrace esm --stream telemetry --endpoint-url http://127.0.0.1:4566 --until-caught-up --bootstrap bootstrap.zip

Files (told by their content, or --input-format):
  events     a recorded Lambda event: records keep shard and number, unless --shards puts them anew
  records    a line a record: {\"partition_key\":\"pump-7\",\"data\":TEXT or JSON,\"arrival\":\"2026-01-31T08:00:00Z\"},
             or \"data_base64\"; `arrival` may be left out
  lines      a line a payload; its partition key is where --partition-key-field points

The function fails when it says so, takes too long or ends; the rules decide what comes again.
Exit codes: 0 every record done or passed over, 1 some were given up or the function was out of reach, 2 the command
line was wrong. Ctrl-C waits for the events under way and prints the report; a second one does not wait.";

/// Signals so close to each other are one wish.
const SAME_WISH: Duration = Duration::from_millis(500);

/// Options of `millrace esm`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["files", "stream"]))]
#[command(group = clap::ArgGroup::new("target").required(true)
    .args(["invoke_url", "bootstrap", "in_process", "dry_run"]))]
pub(crate) struct Args {
    #[command(flatten)]
    input: input::InputOptions,
    #[command(flatten)]
    target: target::TargetOptions,
    #[command(flatten)]
    rules: RuleOptions,
    /// Write what is given up to this file: a line a batch, in the form of AWS's on-failure destinations, with the event
    #[arg(long, value_name = "FILE", help_heading = "Rules")]
    on_failure: Option<PathBuf>,
    /// Print the batches that would be cut, and invoke nothing
    #[arg(long, help_heading = "Target")]
    dry_run: bool,
}

/// Runs the mapping.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    // All mistakes of the rules at once, before anything happens.
    let rules = args.rules.rules(&args.target, args.input.position()).check();
    let rules = rules.map_err(|error| Usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ran = runtime.block_on(async {
        tokio::select! {
            ran = drive(args, &rules, ui) => ran,
            () = asked_twice() => Err(anyhow::anyhow!("stopped at once, without a report")),
        }
    });
    // A thread that waits for a terminal's input would be waited for.
    runtime.shutdown_background();
    ran
}

async fn drive(args: &Args, rules: &Checked, ui: &Ui) -> anyhow::Result<()> {
    let source = args.input.open(ui).await?;
    if args.dry_run { plan_only(source, rules, ui).await } else { invoke(args, source, rules, ui).await }
}

async fn plan_only(source: Source, rules: &Checked, ui: &Ui) -> anyhow::Result<()> {
    let mut printed = Plan::new(ui)?;
    let ended = plan(source, rules, |batch| printed.push(&batch), asked_to_stop(ui)).await;
    printed.finish()?;
    check(&ended, ui)
}

async fn invoke(args: &Args, source: Source, rules: &Checked, ui: &Ui) -> anyhow::Result<()> {
    let mut journal = Journal::new(ui, args.on_failure.as_deref())?;
    let target = args.target.open(&source, ui).await?;
    let settings = RunSettings { function_arn: target.function_arn(), ..RunSettings::default() };
    let ended = event_source::run(source, rules, target.target(), settings, &mut journal, asked_to_stop(ui)).await;
    target.close().await;
    print::report(&ended.report, ui)?;
    journal.finish().context("the on-failure file is not complete")?;
    check(&ended, ui)
}

/// What the end means for the exit code.
fn check(ended: &Ended, ui: &Ui) -> anyhow::Result<()> {
    let report = &ended.report;
    for what in &report.unreadable {
        ui.warn(format_args!("not a record: {what}"));
    }
    if report.failures_ignored > 0 {
        ui.warn(format_args!(
            "{} answers named failed records, which nobody reads without --report-batch-item-failures: those records are lost",
            report.failures_ignored
        ));
    }
    if let Some(problem) = &ended.problem {
        anyhow::bail!("{problem}");
    }
    if ended.was_stopped && report.records_discarded + report.records_unreadable == 0 {
        return Ok(());
    }
    let (given_up, unreadable) = (report.records_discarded, report.records_unreadable);
    anyhow::ensure!(given_up == 0, "{given_up} record(s) given up; --on-failure FILE keeps them");
    anyhow::ensure!(unreadable == 0, "{unreadable} record(s) could not be read, all others were done");
    debug_assert!(report.is_whole(), "{report:?}");
    Ok(())
}

/// Ready when the person, or the system, wants an end.
async fn asked_to_stop(ui: &Ui) {
    one_signal().await;
    ui.note("stopping: waiting for the events under way; once more to stop at once");
}

/// Ready at the second wish. A terminal and a supervisor may both tell of the same one, so the second comes a moment later.
async fn asked_twice() {
    one_signal().await;
    tokio::time::sleep(SAME_WISH).await;
    one_signal().await;
}

async fn one_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Where signals cannot be waited for, they end the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
