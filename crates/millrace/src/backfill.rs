//! `backfill`: history into the scorer's memory, so that a new tenant does not wait weeks for warm detectors.
//!
//! Here are the files, the stream and the words; what is learned and how it is committed is `kinesis_scorer::backfill`. It tells
//! nobody anything and puts no reading into the lake.

#[cfg(feature = "aws")]
pub(crate) mod aws;
mod place;

use std::ops::ControlFlow;
use std::path::PathBuf;

use anomaly_core::Timestamp;
use anyhow::{Context as _, bail};
use kinesis_scorer::backfill::{Course, Learned, Put};
use platform::ports::ScorerWorld;

use crate::options;
use crate::output::Cell;
use crate::replay::{Input, NotMetrics, read};
use crate::ui::Ui;
use place::{Place, PlaceOptions};

const EXAMPLES: &str = "\
Files are those of `millrace replay`: CSV, NDJSON, Parquet, bronze, or a folder of a lake's bronze; rows of other tenants are
passed over. Rows of a device are in the order of time, file after file.

Each device goes into the shard that its name chooses. What the shard knows already stays as it is, so that a second time changes
nothing; a scorer that runs takes what is new with its next batch.

Examples:
  millrace backfill october.csv november.csv --tenant acme --stream telemetry --dry-run
  millrace backfill old-lake/bronze --tenant acme --stream telemetry --dir millrace-data --until 2026-11-16
  millrace backfill history.ndjson --tenant acme --environment prod";

/// What `backfill` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// History, in the order of time
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Whose history it is; where files hold several tenants', the others' is passed over
    #[arg(long, value_name = "NAME", default_value = options::TENANT_DEFAULT, value_parser = options::tenant)]
    tenant: String,
    /// Device, where a file does not name it [default: the file's name]
    #[arg(long, value_name = "NAME", value_parser = options::device)]
    device: Option<String>,
    /// Only rows before this time: what the stream has not brought yet must not be learned before it does
    #[arg(long, value_name = "TIME", value_parser = options::instant)]
    until: Option<Timestamp>,
    /// When the stream begins to bring these devices' readings: nobody is told that they were silent before [default: now; in a
    /// folder, whose streams may be of any time, the end of history and of what the stream has]
    #[arg(long, value_name = "TIME", value_parser = options::instant)]
    begins: Option<Timestamp>,
    #[command(flatten)]
    place: PlaceOptions,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Learns and puts.
///
/// # Errors
/// A file cannot be read, with the place; the stream is not known; what [`kinesis_scorer::backfill::BackfillError`] says.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        #[cfg(feature = "aws")]
        if let Some(place) = args.place.on_aws().await? {
            return fill(args, place, ui).await;
        }
        fill(args, args.place.folder(args.dry_run).await?, ui).await
    })
}

async fn fill<W: ScorerWorld>(args: &Args, place: Place<W>, ui: &Ui) -> anyhow::Result<()> {
    let Place { world, region, stream, shards, tenancy, now } = place;
    let learned = Learned::new(&world, &stream, shards, now.unwrap_or(Timestamp::MIN), args.dry_run).await?;
    let learned = learn(args, learned, ui)?;
    let Some(end) = learned.courses().map(|course| course.span.1).max() else {
        bail!("there is no row of tenant `{}` in that time", args.tenant);
    };
    let begins = match (args.begins, now) {
        (Some(told), _) => told,
        (None, Some(now)) => now,
        (None, None) => {
            let known = world.list_checkpoints(&region, &stream).await?;
            known.iter().map(|(_, checkpoint)| checkpoint.stream_time).fold(end, Timestamp::max)
        }
    };
    let done = learned.put(&world, &region, &tenancy, begins, args.dry_run).await?;
    print(args, &done, ui)
}

/// All rows, in order.
fn learn(args: &Args, mut learned: Learned, ui: &Ui) -> anyhow::Result<Learned> {
    let (mut foreign, mut newer) = (0_u64, 0_u64);
    for file in &args.files {
        let input = Input { file, warmup: &[], profile: None, tenant: &args.tenant, device: args.device.as_deref() };
        read(&input, NotMetrics::default(), ui, &mut |row| {
            let observation = &row.observation;
            if observation.tenant.as_str() != args.tenant {
                foreign += 1;
            } else if args.until.is_some_and(|until| observation.at >= until) {
                newer += 1;
            } else {
                learned.take(observation).with_context(|| row.place())?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    for (count, what) in [(foreign, "rows are of other tenants"), (newer, "rows are not before --until")] {
        if count > 0 {
            ui.detail(format_args!("{count} {what}: passed over"));
        }
    }
    Ok(learned)
}

fn print(args: &Args, done: &[Put], ui: &Ui) -> anyhow::Result<()> {
    let columns = vec!["device", "shard", "first", "last", "readings", "left_out", "became"];
    let mut rows = ui.rows(columns)?;
    let fresh = if args.dry_run { "would be new" } else { "new" };
    for put in done {
        let of = |courses: &[Course], became: &'static str| -> Vec<(Course, &'static str)> {
            courses.iter().map(|course| (course.clone(), became)).collect()
        };
        for (course, became) in [of(&put.added, fresh), of(&put.known, "known, stays as it is")].concat() {
            rows.push(&[
                Cell::text(course.device),
                Cell::text(put.shard.shard.as_str()),
                Cell::shown(&course.span.0),
                Cell::shown(&course.span.1),
                Cell::Number(course.readings as f64),
                Cell::Number(course.left_out as f64),
                Cell::text(became),
            ])?;
        }
    }
    rows.finish()?;
    let count = |of: fn(&Put) -> usize| done.iter().map(of).sum::<usize>();
    let (added, known) = (count(|put| put.added.len()), count(|put| put.known.len()));
    if args.dry_run {
        ui.note(format_args!("{added} devices would be new, {known} are known; nothing was written: --dry-run"));
    } else {
        ui.note(format_args!("{added} devices are new, {known} are known and stay as they are"));
    }
    let left_out: u64 = done.iter().flat_map(|put| &put.added).map(|course| course.left_out).sum();
    if left_out > 0 {
        ui.warn(format_args!(
            "{left_out} readings are out of order, repeated or of bad quality, and teach nothing: give files in the order of time"
        ));
    }
    Ok(())
}
