//! `backup restore`: a backup brought back, and compared.

use anyhow::Context as _;
use backup::manifest::choose;
use backup::place::Id;
use backup::restore::{self, Means, Restored, Went};

use super::place::{AtOptions, LEDGER, OfOptions, id, lake};
use super::verified::{against_dir, moved_on, print};
use super::{bar, show};
use crate::output::Cell;
use crate::ui::Ui;

const HELP: &str = "\
Into a folder, or into an environment that `millrace deploy` has made, before its tenants' devices are let in. What is there and
not as in the backup is named, and nothing is done, unless --overwrite. The same command goes on where it was cut off. Afterwards
everything is compared.

What `millrace backfill` has taught a shard that has no record yet gives way to what the backup knows of the same devices. Devices
that the backup does not know are named; after --overwrite the same backfill teaches them again.

An environment has a new stream, perhaps in another Region: its shards begin with the devices of the former ones, and its first
record is scored with what was known of them.

Examples:
  millrace backup restore --at /mnt/backups --dir millrace-data
  millrace backup restore --at s3://plant-backups/millrace --environment prod --dry-run";

/// What `backup restore` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The backup [default: the newest]
    #[arg(value_name = "BACKUP", value_parser = id)]
    backup: Option<Id>,
    #[command(flatten)]
    of: OfOptions,
    /// The environment, or folder's name, that the backup is of [default: that of --environment; the only one of the place]
    #[arg(long, value_name = "NAME")]
    from_environment: Option<String>,
    /// Replace what is there and not as in the backup
    #[arg(long)]
    overwrite: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    at: AtOptions,
}

/// Restores and compares.
///
/// # Errors
/// What `backup::restore` says; or what is there afterwards is not equal.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let at = args.at.open().await?;
    let sealed = choose(&at, args.backup.as_ref(), args.from_environment.as_deref().or(args.of.environment())).await?;
    let manifest = &sealed.manifest;
    let means = Means { overwrite: args.overwrite, is_rehearsal: args.dry_run };
    ui.note(format_args!("backup `{}` of {}", manifest.id.as_str(), manifest.begun));
    for key in &manifest.missing {
        ui.warn(format_args!(
            "`{key}` was not in the lake any more when the backup was made, and a checkpoint stands on it: its shard cannot go on from \
             this backup, use an earlier one (`millrace backup list`)"
        ));
    }
    let bar = bar(ui);
    let watch = |step: backup::Step<'_>| show(&bar, &step);
    #[cfg(feature = "aws")]
    if let Some(environment) = &args.of.environment {
        let live = super::aws::Live::open(environment, &args.at.aws, None).await?;
        let restored = restore::environment(&at, manifest, &live.target(), means, &watch).await?;
        bar.finish_and_clear();
        told(&restored, args.dry_run, ui)?;
        if args.dry_run {
            return Ok(());
        }
        return print(&super::verified::against(&at, &sealed, &live, false, ui).await?, ui);
    }
    let dir = args.of.dir();
    let restored = restore::folder(&at, manifest, &dir, &lake(&dir), means, &watch).await?;
    bar.finish_and_clear();
    told(&restored, args.dry_run, ui)?;
    if args.dry_run {
        return Ok(());
    }
    for document in manifest.documents.iter().filter(|document| document.name == LEDGER) {
        let path = dir.join(LEDGER);
        let text = backup::place::read(&at, &document.blob).await?;
        std::fs::write(&path, text).with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    print(&against_dir(&at, &sealed, &dir, false, ui).await?, ui)
}

/// What was found and done; in a rehearsal as data, for there is no comparison.
fn told(restored: &Restored, is_rehearsal: bool, ui: &Ui) -> anyhow::Result<()> {
    let count = |of: fn(&backup::compare::Part) -> u64| restored.before.iter().map(of).sum::<u64>();
    let (missing, equal, differs) = (count(|one| one.missing), count(|one| one.equal), count(|one| one.differs));
    let verb = if is_rehearsal { "would be" } else { "were" };
    ui.note(format_args!(
        "{missing} objects and rows {verb} brought back, {equal} were there, {differs} {verb} replaced"
    ));
    for Went { shard, devices, newer, replaced } in &restored.shards {
        let own = if *newer > 0 { format!(", beside {newer} that it has learned itself") } else { String::new() };
        let former = match replaced {
            0 => String::new(),
            _ => format!(", in the place of {replaced} that it was taught before its first record"),
        };
        ui.note(format_args!("{shard} goes on with {devices} devices{own}{former}"));
    }
    if !is_rehearsal {
        return Ok(());
    }
    moved_on(&restored.before, ui);
    let mut rows = ui.rows(vec!["part", "brought_back", "there", "replaced", "such_as"])?;
    for part in &restored.before {
        rows.push(&[
            Cell::text(&part.name),
            Cell::Number(part.missing as f64),
            Cell::Number(part.equal as f64),
            Cell::Number(part.differs as f64),
            Cell::perhaps(part.names.first()),
        ])?;
    }
    Ok(rows.finish()?)
}
