//! `backup prune`: old backups removed.

use std::num::NonZeroU32;

use backup::prune::{Means, prune};
use platform::clock;

use super::place::AtOptions;
use super::{bar, show, size};
use crate::output::Cell;
use crate::ui::Ui;

/// What `backup prune` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whole backups of each environment that stay, the newest
    #[arg(long, value_name = "N")]
    keep: NonZeroU32,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove even while a backup is not whole that was written to in the last 24 hours
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    at: AtOptions,
}

/// Removes.
///
/// # Errors
/// The place cannot be read or written; a backup is being made; a manifest or a list of a backup that stays is damaged.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let at = args.at.open().await?;
    let bar = bar(ui);
    let means = Means { keep: args.keep.get() as usize, is_rehearsal: args.dry_run, force: args.force };
    let pruned = prune(&at, means, clock::now(), &|step| show(&bar, &step)).await?;
    bar.finish_and_clear();
    let verb = if args.dry_run { "would be removed" } else { "removed" };
    let mut rows = ui.rows(vec!["backup", "became"])?;
    for id in &pruned.backups {
        rows.push(&[Cell::text(id.as_str()), Cell::text(verb)])?;
    }
    rows.finish()?;
    ui.note(format_args!(
        "{} backups and {} objects of {} {verb}",
        pruned.backups.len(),
        pruned.objects,
        size(pruned.bytes)
    ));
    Ok(())
}
