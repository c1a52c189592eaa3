//! `dr drill`: a failover and the way back, on an environment that is well, so that both are known to work and how long they take.

use std::time::Duration;

use anyhow::bail;
use failover::Purpose;
use platform::ports::LoadEpoch as _;

use super::moving::{Both, Pair, Waiting, block_on, moved, mover};
use super::timeline;
use crate::deploy::{Clerk, Environment};
use crate::output::Cell;
use crate::ui::Ui;

const HELP: &str = "\
The environment really moves, and devices with it; both Regions have to answer. Look with `millrace dr check` first. If the way
back stops, the environment stays where it is, which is no harm: run `millrace dr failback` when it is mended.
Exit codes: 0 there and back; 1 not back.";

/// What `drill` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    environment: Environment,
    /// The Region to move to, and back from
    #[arg(long, value_name = "REGION")]
    to: String,
    /// How long to stay there, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    stay: u64,
    /// Show what would be done on the way there, and do nothing
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

/// Moves there and back.
///
/// # Errors
/// A Region does not answer, the environment is there already, nobody agrees, or a move stops.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let on_stop = format!(
        "the environment may be in {} now; `millrace dr moves` says where, `millrace dr failback` is the way back",
        args.to
    );
    block_on(&on_stop, async {
        let Pair { environment, stream, from: home, to: away } =
            Pair::find(&args.environment.environment, &args.to, &args.both, ui).await?;
        let there = mover(&home, &away, &stream, Purpose::Failover, &args.waiting);
        let back = mover(&away, &home, &stream, Purpose::Failback, &args.waiting);
        // What a drill is for is to be known before it begins.
        home.stores.load_epoch(&stream).await?;
        if away.stores.load_epoch(&stream).await?.is_some_and(|epoch| epoch.active == args.to && !epoch.is_fenced) {
            bail!("{} has the say already: `millrace dr failback --to {}` is the way back", args.to, home.region);
        }
        if args.dry_run {
            let mut rows = ui.rows(vec!["step", "would"])?;
            for one in Box::pin(there.plan()).await? {
                rows.push(&[Cell::text(one.step.name()), Cell::text(&one.would)])?;
            }
            return Ok(rows.finish()?);
        }
        let question = format!(
            "the environment `{environment}` moves from {} to {}, stays for {} s, and moves back. Do it?",
            home.region, away.region, args.stay
        );
        if !Clerk::new(ui, args.yes).ask(&question, "--yes").map_err(anyhow::Error::msg)? {
            bail!("nothing was moved: it was not agreed to");
        }
        let went = moved(&there, ui).await?;
        ui.note(format_args!("{} s in {}", args.stay, away.region));
        tokio::time::sleep(Duration::from_secs(args.stay)).await;
        let came = moved(&back, ui).await?;
        timeline::print(&[went, came], ui)
    })
}
