//! `alerts tick`: what time alone brings, done once.

use std::time::Duration;

use alert_fanout::fanout::Done;
use alert_fanout::place;
use platform::clock::Stopwatch;
use platform::ports::AlertWorld;

use super::desk::{Desk, StoreOptions};
use super::find::LOOKED_AT_MAX;
use crate::output::Cell;
use crate::ui::Ui;

/// How long it may send; what is left is for the next one.
const TIME: Duration = Duration::from_mins(5);

/// What `alerts tick` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It looks after every tenant of the store. Run it every minute where incidents are stored on one machine:

  * * * * *  millrace alerts tick --dir /var/lib/millrace --quiet

Examples:
  millrace alerts tick
  millrace alerts tick --dry-run")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) store: StoreOptions,
    /// List what is due, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Does it.
pub(super) async fn run<W: AlertWorld>(args: &Args, desk: Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    if args.dry_run {
        return list(&desk, ui).await;
    }
    let (now, watch) = (desk.now, Stopwatch::start());
    let remaining = move || TIME.saturating_sub(watch.elapsed());
    let done = desk.into_fanout().tick(now, &remaining).await?;
    let Done { commits, sent, unsent, held, .. } = done;
    let mut rows = ui.rows(vec!["changes", "sent", "unsent", "held"])?;
    rows.push(&[commits, sent, unsent, held].map(|count| Cell::Number(count as f64)))?;
    rows.finish()?;
    if unsent > 0 {
        ui.note("some messages were not taken over: `millrace alerts list --failed` says why");
    }
    Ok(())
}

async fn list<W: AlertWorld>(desk: &Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    let mut rows = ui.rows(vec!["due", "of", "what"])?;
    for queue in place::queues() {
        for entry in desk.world.find_due(&queue, desk.now, LOOKED_AT_MAX).await? {
            let at = entry.due.as_ref().map_or(Cell::Nothing, |due| Cell::shown(&due.at));
            rows.push(&[at, Cell::text(&entry.key.pk), Cell::text(&entry.key.sk)])?;
        }
    }
    Ok(rows.finish()?)
}
