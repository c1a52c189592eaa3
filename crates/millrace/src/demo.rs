//! `millrace demo`: a simulated plant at full speed through the in-process stream, the scorer's own handler, SQLite and a
//! lake folder, and what came of it.
//!
//! The plant is a function of its seed, so the stream can be made again: a run that was killed goes on after the last
//! committed record, and a second run in the same folder goes on where the first has ended. At the end the lake is read
//! back and every record that the plant has ever sent must be in it, once. Beside it, incidents are opened and closed in the
//! plant's time; nothing is sent to anybody.

mod alerts;
mod as_of;
mod check;
mod faults;
mod feed;
mod incidents;
mod ledger;
mod report;
mod room;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use kinesis_scorer::{Config, Scorer};
use platform::clock::Stopwatch;
use platform::embedded::Local;
use simulator::{Plant, PlantConfig};

use crate::ui::{Ui, Usage};
pub(crate) use alerts::plant_time;
use alerts::{Alerts, Shown, Wake};
use faults::Faults;
use incidents::Incidents;
use ledger::Ledger;
use report::{Report, Tally};

/// Whose plant it is.
const TENANT: &str = "demo";
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

const EXAMPLES: &str = "\
Examples:
  millrace demo
  millrace demo --devices 10 --days 30 --dir /tmp/plant --output json

Run it again in the same folder: after a kill it goes on where it was, after its end it adds as many days.";

/// Options of `millrace demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many machines the plant has, each with up to 5 metrics a minute
    #[arg(long, default_value = "50")]
    devices: NonZeroU32,
    /// How many days to simulate; a second run in the same folder adds as many
    #[arg(long, default_value = "7")]
    days: NonZeroU32,
    /// What the plant's chance starts from: the same seed gives the same plant
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Messages in a million that are broken on purpose
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    poison_per_million: u32,
    /// The folder that keeps everything
    #[arg(long, default_value = "millrace-data")]
    dir: PathBuf,
}

/// Runs the demo.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let _answered = large_files_are_errors()?;
        let world = Local::open(&args.dir)?;
        let (report, incidents) = play(args, &world, ui).await?;
        incidents.print(ui)?;
        report.print(ui)?;
        anyhow::ensure!(report.is_whole(), "{}", report.damage());
        Ok(())
    })
}

/// Where a file may only grow so far (`ulimit -f`), a write beyond that ends the process without a word, unless the signal
/// is answered: then the write fails, and that is reported like any other.
fn large_files_are_errors() -> std::io::Result<tokio::signal::unix::Signal> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))
}

async fn play(args: &Args, world: &Local, ui: &Ui) -> anyhow::Result<(Report, Incidents)> {
    let plant_of = |days: u32| PlantConfig {
        seed: args.seed,
        devices: args.devices.get(),
        duration_ms: i64::from(days) * DAY_MS,
        tenant: TENANT.to_owned(),
        poison_per_million: args.poison_per_million,
        ..PlantConfig::default()
    };
    let mut ledger = Ledger::open(world.dir())?;
    let days = ledger.begin(&plant_of(0), args.days.get())?;
    if days.from > 0 || days.is_resumed {
        let how = if days.is_resumed { "resuming" } else { "going on" };
        ui.note(format_args!("{how} in `{}`: day {} to {}", args.dir.display(), days.from + 1, days.to));
    }
    let config = plant_of(days.to);
    let start = config.start;
    let plant = Plant::new(config).map_err(|error| Usage(error.to_string())).context("the plant cannot be built")?;

    let tally = Arc::new(Tally::default());
    let mut settings = Config::local(&args.dir.to_string_lossy());
    TENANT.clone_into(&mut settings.default_tenant);
    let scorer = Arc::new(Scorer::new(world.clone(), Arc::clone(&tally), settings));

    let faults = Faults::default();
    tracing::subscriber::set_global_default(faults.clone()).context("somebody else listens to the log")?;
    let bar =
        ui.progress(Some(plant.emissions_max()), "{bar:32} {percent:>3} %  {pos} messages  {per_sec}  {eta} left");
    let shown = Shown { above: ui.tells_all().then(|| bar.clone()) };
    let devices = (0..args.devices.get()).filter_map(|device| plant.device_name(device));
    let end = start + i64::from(days.to) * DAY_MS + feed::TRAVEL_MS;
    let (alerts, wake) = (Alerts::open(world, devices, end, shown).await?, Wake::default());
    let watch = Stopwatch::start();
    let sent = match feed_and_follow(plant.clone(), &scorer, &faults, alerts, &wake, bar).await {
        Ok(sent) => sent,
        Err(error) => {
            if let Some(words) = room::lacking(&args.dir, plant.emissions_max()) {
                ui.warn(words);
            }
            return Err(error);
        }
    };
    let elapsed = watch.elapsed();
    scorer.shut_down().await;

    ui.detail("reading the lake back");
    let stored = check::count(world, &feed::shards()).await?;
    ledger.finish(days.to)?;
    let span = (start + i64::from(days.from) * DAY_MS, start + i64::from(days.to) * DAY_MS);
    let incidents = Incidents::new(world, &plant, span).await?;
    let report = Report::new(world, &plant, span, &tally, elapsed, (sent, stored), incidents.counts()).await?;
    Ok((report, incidents))
}

/// The plant into the scorer, and its findings into incidents, until both are done.
async fn feed_and_follow(
    plant: Plant,
    scorer: &Arc<feed::DemoScorer>,
    faults: &Faults,
    alerts: Alerts,
    wake: &Wake,
    bar: indicatif::ProgressBar,
) -> anyhow::Result<u64> {
    let mut following = std::pin::pin!(alerts.follow(wake.clone()));
    let sent = tokio::select! {
        fed = feed::feed(plant, scorer, faults, wake, bar) => fed?,
        // It ends before the feed only when it cannot go on.
        stopped = &mut following => return stopped.and(Err(anyhow::anyhow!("the incidents ended before the plant"))),
    };
    wake.over();
    following.await?;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn no_more_messages_can_be_broken_than_there_are() {
        let asked = |poison| Cli::try_parse_from(["millrace", "demo", "--poison-per-million", poison]);
        assert!(asked("0").is_ok() && asked("1000000").is_ok());
        let error = asked("1000001").unwrap_err().to_string();
        assert!(error.contains("--poison-per-million") && error.contains("0..=1000000"), "{error}");
    }
}
