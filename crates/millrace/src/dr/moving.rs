//! `dr failover`, `dr failback`: the two Regions found by the pair's card, and the move made or planned.

use std::time::Duration;

use account::{Access, Place};
use anyhow::{Context as _, bail};
use failover::aws::{Names, Reached, side};
use failover::card::{self, PairCard};
use failover::{Bounds, Done, Move, Mover, Outcome, Purpose, Side, Step};
use platform::aws::{Aws, AwsSettings, in_region};

use super::timeline;
use crate::deploy::{Across, Clerk, Environment};
use crate::output::Cell;
use crate::ui::{Found, Ui, Usage};

/// Nobody knows who has the say, as `dr check` has it for what could not be looked at.
const UNKNOWN: u8 = 4;
/// Of one try of a call. A Region that is lost must not be waited for.
const PATIENCE: Duration = Duration::from_secs(5);

const HELP: &str = "\
Only tables, objects, records, messages and one invocation are called, no control plane: everything that is needed stands in
both Regions already. Names come from the pair's card, which `millrace dr sync` keeps in both; without it, say --from and --lake.

Steps: reconcile (failback only), fence, drain, pieces, take-over, alerting, devices, verify, tick. A step that ends with
`warned` was not done as it should be, and the move went on: its evidence says what is missing and what to do.
Exit codes: 0 the Region has the say, and its scorer commits; 1 it does not yet: mend what is said, and run it again; 4 it has the
say as far as it knows, and the other Region does not answer.";

/// Where the pair is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "AWS")]
pub(super) struct Both {
    /// The Region that is left [default: the other one of the pair's card]
    #[arg(long, value_name = "REGION")]
    from: Option<String>,
    /// The lake of the Region that takes over [default: that of the pair's card]
    #[arg(long, value_name = "BUCKET")]
    lake: Option<String>,
    /// The profile of `aws configure` [variable: `AWS_PROFILE`]
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Another endpoint for every service of --to, such as that of an emulator [variable: `AWS_ENDPOINT_URL`]
    #[arg(long, value_name = "URL")]
    pub(super) endpoint: Option<String>,
    #[command(flatten)]
    across: Across,
}

/// How long is waited.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Waiting")]
pub(super) struct Waiting {
    /// Longest wait for what the Region that is left has committed, and again for the bytes it stands on, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    drain: u64,
    /// Longest wait for a commit in each shard of the Region that takes over, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    verify: u64,
}

impl Waiting {
    fn bounds(&self) -> Bounds {
        Bounds { drain: Duration::from_secs(self.drain), verify: Duration::from_secs(self.verify), ..Bounds::default() }
    }
}

/// What a move is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    environment: Environment,
    /// The Region that takes over
    #[arg(long, value_name = "REGION")]
    to: String,
    /// Give up a move to the other side that was begun and not finished
    #[arg(long)]
    abandon: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    both: Both,
}

/// The two Regions of an environment.
pub(super) struct Pair {
    pub(super) environment: String,
    pub(super) stream: String,
    pub(super) from: Side<Aws, Reached>,
    pub(super) to: Side<Aws, Reached>,
}

impl Pair {
    /// Finds both. One call is made, for the card, in the Region that takes over.
    ///
    /// # Errors
    /// No Region is named, or the card is not there and does not say what the options do not.
    pub(super) async fn find(environment: &str, to: &str, both: &Both, ui: &Ui) -> anyhow::Result<Self> {
        let place =
            Place { region: Some(to.to_owned()), endpoint: both.endpoint.clone(), profile: both.profile.clone() };
        let here = Access::find(&place, PATIENCE).await?;
        let names = |lake: String, card: Option<&failover::card::RegionCard>| Names {
            stores: settings(environment, lake, here.is_elsewhere),
            fanout: card.map_or_else(|| format!("millrace-{environment}-alert-fanout"), |card| card.fanout.clone()),
            // What an emulator is told goes where all of it goes.
            devices_endpoint: card.filter(|_| !here.is_elsewhere).map(|card| card.devices_endpoint.clone()),
        };
        let probe = Aws::from_config(&here.config, settings(environment, "none".to_owned(), here.is_elsewhere));
        let card = card::load(&probe).await.with_context(|| format!("cannot ask {to}"))?.map(|(card, _)| card);
        if card.is_none() {
            ui.warn("the pair has no card: devices are told no endpoint; `millrace dr sync` writes one while both Regions answer");
        }
        let from = both.from.clone().or_else(|| other_of(card.as_ref(), to));
        let from = from.ok_or_else(|| {
            Usage("say --from: there is no card of the pair that names the Region that is left".to_owned())
        })?;
        if from == to {
            return Err(Usage(format!("--from and --to are both `{to}`")).into());
        }
        let of = |region: &str| card.as_ref().and_then(|card| card.regions.get(region));
        let lake = both.lake.clone().or_else(|| Some(of(to)?.lake.clone()));
        let lake = lake.ok_or_else(|| Usage(format!("say --lake: no card of the pair names the lake of {to}")))?;
        // Nothing of the lake of the Region that is left is read.
        let lake_left = of(&from).map_or_else(|| "none".to_owned(), |card| card.lake.clone());
        let there = in_region(&here.config, &from, both.across.endpoint().as_deref());
        Ok(Self {
            environment: environment.to_owned(),
            stream: of(to).map_or_else(|| stream(environment), |card| card.stream.clone()),
            from: side(&there, &from, names(lake_left, of(&from))),
            to: side(&here.config, to, names(lake, of(to))),
        })
    }
}

fn other_of(card: Option<&PairCard>, to: &str) -> Option<String> {
    card?.regions.keys().find(|region| *region != to).cloned()
}

/// The stream of an environment, as its template names it.
pub(super) fn stream(environment: &str) -> String {
    format!("millrace-{environment}-telemetry")
}

/// The stores of an environment, as their template names them.
pub(super) fn settings(environment: &str, bucket: String, s3_path_style: bool) -> AwsSettings {
    AwsSettings {
        bucket,
        results_table: format!("millrace-{environment}-results"),
        checkpoints_table: format!("millrace-{environment}-checkpoints"),
        s3_path_style,
    }
}

/// Moves, or says what would be done.
///
/// # Errors
/// See [`failover::MoveError`]; nobody agrees; a Region cannot be asked.
pub(crate) fn run(args: &Args, purpose: Purpose, ui: &Ui) -> anyhow::Result<()> {
    let environment = &args.environment.environment;
    block_on(GOES_ON, async {
        let pair = Pair::find(environment, &args.to, &args.both, ui).await?;
        let mut mover = mover(&pair.from, &pair.to, &pair.stream, purpose, &args.waiting);
        mover.abandon = args.abandon;
        if args.dry_run {
            let planned = Box::pin(mover.plan()).await?;
            if planned.is_empty() {
                ui.note(format_args!("{} has the say already: nothing is to be done", args.to));
            }
            let mut rows = ui.rows(vec!["step", "would"])?;
            for one in &planned {
                rows.push(&[Cell::text(one.step.name()), Cell::text(&one.would)])?;
            }
            return Ok(rows.finish()?);
        }
        let question = format!(
            "the environment `{}` moves from {} to {}: scoring, alerts and devices. Do it?",
            pair.environment, pair.from.region, pair.to.region
        );
        if !Clerk::new(ui, args.yes).ask(&question, "--yes").map_err(anyhow::Error::msg)? {
            bail!("nothing was moved: it was not agreed to");
        }
        let record = moved(&mover, ui).await?;
        timeline::print(std::slice::from_ref(&record), ui)
    })
}

/// A move with the bounds that were asked for.
pub(super) fn mover<'p>(
    from: &'p Side<Aws, Reached>,
    to: &'p Side<Aws, Reached>,
    stream: &str,
    purpose: Purpose,
    waiting: &Waiting,
) -> Mover<'p, Aws, Reached> {
    let mut mover = Mover::new(from, to, stream, purpose, platform::clock::now);
    mover.bounds = waiting.bounds();
    mover
}

/// Moves, telling each step.
pub(super) async fn moved(mover: &Mover<'_, Aws, Reached>, ui: &Ui) -> anyhow::Result<Move> {
    let bar = ui.progress(None, "{spinner} {msg}");
    bar.enable_steady_tick(Duration::from_millis(100));
    // Many steps, each with its calls: too large for the stack of whoever waits.
    let telling = |step: Step, done: Option<&Done>| match done {
        None => bar.set_message(step.name()),
        Some(done) => bar.suspend(|| tell(done, ui)),
    };
    let ran = Box::pin(mover.run(telling)).await;
    bar.finish_and_clear();
    let ran = ran?;
    let to = &mover.to.region;
    let record = ran.record;
    if !ran.was_needed {
        if !ran.other_answered {
            let words = format!(
                "{to} has the say as far as it knows, and its scorer commits; {} does not answer: if it took over while {to} was cut \
                 off, {to} does not know of it yet. Ask again when the two hear each other",
                mover.from.region
            );
            return Err(Found { words, code: UNKNOWN }.into());
        }
        ui.note(format_args!("{to} has the say already, since {}, and its scorer commits", record.since));
    } else if let Some(ended) = record.ended {
        let seconds = ended.millis().saturating_sub(record.began.millis()) as f64 / 1_000.0;
        ui.note(format_args!("{to} has the say in epoch {}; the move took {seconds:.1} s", record.epoch));
    }
    Ok(record)
}

fn tell(done: &Done, ui: &Ui) {
    let seconds = done.ended.millis().saturating_sub(done.began.millis()) as f64 / 1_000.0;
    let words = format!("{:<9} {seconds:>6.1} s  {}", done.step.name(), done.evidence);
    match done.outcome {
        Outcome::Done => ui.note(words),
        Outcome::Warned => ui.warn(words),
    }
}

/// What is said to whoever stops a move.
pub(super) const GOES_ON: &str = "run the same command again, and it goes on after the last step that is done";

/// Runs to the end, or until the person has had enough.
pub(super) fn block_on<T>(on_stop: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            done = work => done,
            stopped = tokio::signal::ctrl_c() => {
                stopped.context("cannot wait for an interruption")?;
                bail!("interrupted: {on_stop}")
            }
        }
    })
}
