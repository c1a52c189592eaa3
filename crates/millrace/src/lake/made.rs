//! `lake rollup` and `lake compact`: what is to be done is found by looking, done, and said.

use indicatif::ProgressBar;
use lake::compact;
use lake::rollup::{self, Plan};
use lake::run::Product;
use lake::seal::{self, Waiting};
use platform::embedded::Local;

use super::{Folder, Hours, Memory};
use crate::output::Cell;
use crate::ui::Ui;

const HELP: &str = "\
An hour is over when every shard of its Region has committed something that arrived later. What is committed in it is then written
down (sealed), its readings are stored once each, and its summary is made: count, mean, least, greatest, deviation, abnormal
readings and anomalies of each metric. A day that is over has its readings judged by what was usual in the week up to it, by medians
(gold_anomalies). What is done is not done again: a second time changes nothing. A run that was killed is gone on with.

Examples:
  millrace lake rollup --dry-run
  millrace lake rollup --from 2026-01-05 --until 2026-01-06
  millrace lake query --file infra/sql/summary.sql --set dt_from=2026-01-05 --set dt_to=2026-01-05";

const COMPACT_HELP: &str = "\
What was committed in an hour that is over becomes few objects, in order of device and time (the table readings); orphans stay
behind. Bronze and silver are never touched. It is the first half of rollup, which then has the second left to do.

Example:
  millrace lake compact --output csv";

/// What `lake rollup` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct RollupArgs {
    #[command(flatten)]
    hours: Hours,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    memory: Memory,
}

/// What `lake compact` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPACT_HELP)]
pub(crate) struct CompactArgs {
    #[command(flatten)]
    hours: Hours,
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    memory: Memory,
}

/// One thread: the same rows are then the same bytes, so that a run that was killed finds its own objects.
const THREADS: usize = 1;

/// Rolls up.
pub(super) async fn rollup(args: &RollupArgs, ui: &Ui) -> anyhow::Result<()> {
    let world = if args.dry_run { args.folder.look()? } else { args.folder.open()? };
    let plan = rollup::plan(&world, &args.hours.window(), &Product::ALL).await?;
    if plan.is_empty() {
        ui.note("there is nothing to do");
    }
    let mut rows = ui.rows(vec!["hour", "region", "what", "rows", "objects", "run"])?;
    if args.dry_run {
        for one in &plan.sealable {
            rows.push(&sealed(&one.hour.to_string(), &one.region, one.objects.len()))?;
        }
        for task in &plan.tasks {
            let (hour, name) = (task.hour.to_string(), task.product.name());
            let nothing = Cell::Nothing;
            rows.push(&[
                Cell::text(hour),
                Cell::text(&task.region),
                Cell::text(name),
                nothing.clone(),
                nothing.clone(),
                nothing,
            ])?;
        }
    } else {
        let engine = args.memory.engine(&args.folder, THREADS)?;
        let bar = bar(ui, &plan);
        for one in &plan.sealable {
            seal::seal(&world, one).await?;
            bar.inc(1);
            rows.push(&sealed(&one.hour.to_string(), &one.region, one.objects.len()))?;
        }
        for task in &plan.tasks {
            bar.set_message(format!("{} {}", task.product.name(), task.hour));
            let (marker, _) = task.perform(&world, &engine).await?;
            bar.inc(1);
            rows.push(&[
                Cell::text(task.hour.to_string()),
                Cell::text(&task.region),
                Cell::text(task.product.name()),
                Cell::Number(marker.row_count as f64),
                Cell::Number(marker.object_count as f64),
                Cell::text(marker.run),
            ])?;
        }
        bar.finish_and_clear();
    }
    rows.finish()?;
    say_waiting(ui, &plan.waiting);
    Ok(())
}

fn sealed<'c>(hour: &str, region: &'c str, objects: usize) -> [Cell<'c>; 6] {
    let count = Cell::Number(objects as f64);
    [Cell::text(hour.to_owned()), Cell::text(region), Cell::text("sealed"), Cell::Nothing, count, Cell::Nothing]
}

/// Compacts.
pub(super) async fn compact(args: &CompactArgs, ui: &Ui) -> anyhow::Result<()> {
    let world: Local = args.folder.open()?;
    let lake = args.folder.lake()?;
    let plan = rollup::plan(&world, &args.hours.window(), &[Product::Readings]).await?;
    if plan.is_empty() {
        ui.note("there is nothing to do");
    }
    let engine = args.memory.engine(&args.folder, THREADS)?;
    let bar = bar(ui, &plan);
    for one in &plan.sealable {
        seal::seal(&world, one).await?;
        bar.inc(1);
    }
    let columns = vec![
        "hour",
        "region",
        "rows",
        "objects_before",
        "bytes_before",
        "objects_after",
        "bytes_after",
        "orphans_left_out",
    ];
    let mut rows = ui.rows(columns)?;
    let (mut before, mut after) = (compact::Sizes::default(), compact::Sizes::default());
    for task in &plan.tasks {
        bar.set_message(task.hour.to_string());
        let (marker, _) = task.perform(&world, &engine).await?;
        let compact::Compacted { silver, orphans, readings } = compact::measure(&world, &lake, task, &marker).await?;
        before = add(before, silver);
        after = add(after, readings);
        let numbers =
            [marker.row_count, silver.objects, silver.bytes, readings.objects, readings.bytes, orphans.objects];
        let place = [Cell::text(task.hour.to_string()), Cell::text(&task.region)];
        rows.push(&place.into_iter().chain(numbers.map(|number| Cell::Number(number as f64))).collect::<Vec<_>>())?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    rows.finish()?;
    if !plan.tasks.is_empty() {
        ui.note(format_args!(
            "{} objects of silver with {} bytes are {} objects of readings with {} bytes",
            before.objects, before.bytes, after.objects, after.bytes
        ));
    }
    say_waiting(ui, &plan.waiting);
    Ok(())
}

fn add(a: compact::Sizes, b: compact::Sizes) -> compact::Sizes {
    compact::Sizes { objects: a.objects + b.objects, bytes: a.bytes + b.bytes }
}

fn bar(ui: &Ui, plan: &Plan) -> ProgressBar {
    let steps = plan.sealable.len() + plan.tasks.len();
    ui.progress(Some(steps as u64), "{bar:32} {pos} of {len}  {msg}")
}

/// Why later hours are not done.
fn say_waiting(ui: &Ui, waiting: &[Waiting]) {
    for Waiting { hour, shard, .. } in waiting {
        match hour {
            Some(hour) => ui.note(format_args!(
                "{}: hours from {hour} on are open, shard {}/{} has committed nothing later",
                shard.region, shard.stream, shard.shard
            )),
            None => ui.warn(format_args!(
                "{}: no hour is over, shard {}/{} has never committed anything; if it never will, say --without {}/{}",
                shard.region, shard.stream, shard.shard, shard.stream, shard.shard
            )),
        }
    }
}
