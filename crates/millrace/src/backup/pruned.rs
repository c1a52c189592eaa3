//! `backup prune`: old backups removed.

use std::num::NonZeroU32;

use backup::prune::prune;

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
    #[command(flatten)]
    at: AtOptions,
}

/// Removes.
///
/// # Errors
/// The place cannot be read or written; a list of a backup that stays is damaged.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let at = args.at.open().await?;
    let bar = bar(ui);
    let pruned = prune(&at, args.keep.get() as usize, args.dry_run, &|step| show(&bar, &step)).await?;
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
