//! `backup verify`: whether a backup is whole, and what of it is live.

use std::path::PathBuf;

use backup::compare::{self, Part};
use backup::manifest::{Sealed, choose};
use backup::place::Id;
use backup::sqlite;
use backup::tables::How;
use backup::verify::{Finding, verify};
use platform::embedded::Local;

use super::place::{At, AtOptions, id, lake};
use super::{bar, show, size};
use crate::output::Cell;
use crate::ui::{Ui, Usage};

const HELP: &str = "\
Every byte is read back and proven by its hash, from the manifest's own down; each checkpoint's snapshot and segments are looked up.
--quick looks at sizes alone. With --against or --against-dir the backup is compared with what is live instead: a restored
environment is equal.

Exit codes: 0 whole, or equal; 1 something is missing, damaged or different, or could not be read; 2 the command line was wrong.

Examples:
  millrace backup verify --at /mnt/backups
  millrace backup verify --at s3://plant-backups/millrace --against prod";

/// What `backup verify` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The backup [default: the newest]
    #[arg(value_name = "BACKUP", value_parser = id)]
    backup: Option<Id>,
    /// The environment, or folder's name, that the backup is of [default: that of --against; the only one of the place]
    #[arg(long, value_name = "NAME")]
    from_environment: Option<String>,
    /// Look at sizes alone
    #[arg(long)]
    quick: bool,
    /// An environment to compare with
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "NAME", conflicts_with = "against_dir")]
    against: Option<String>,
    /// A folder to compare with
    #[arg(long, value_name = "DIR")]
    against_dir: Option<PathBuf>,
    #[command(flatten)]
    at: AtOptions,
}

impl Args {
    /// Whose backup is meant.
    fn environment(&self) -> Option<&str> {
        #[cfg(feature = "aws")]
        let against = self.against.as_deref();
        #[cfg(not(feature = "aws"))]
        let against = None;
        self.from_environment.as_deref().or(against)
    }
}

/// Verifies.
///
/// # Errors
/// Something is wrong or different, after all of it was told.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let at = args.at.open().await?;
    let sealed = choose(&at, args.backup.as_ref(), args.environment()).await?;
    #[cfg(feature = "aws")]
    if let Some(environment) = &args.against {
        let live = super::aws::Live::open(environment, &args.at.aws, None).await?;
        return print(&against(&at, &sealed, &live, args.quick, ui).await?, ui);
    }
    if let Some(dir) = &args.against_dir {
        return print(&against_dir(&at, &sealed, dir, args.quick, ui).await?, ui);
    }
    whole(args, &at, &sealed, ui).await
}

async fn whole(args: &Args, at: &At, sealed: &Sealed, ui: &Ui) -> anyhow::Result<()> {
    let bar = bar(ui);
    let mut rows = ui.rows(vec!["finding", "what", "detail"])?;
    let (mut wrong, mut failed) = (0_u64, None);
    let tell = |finding: Finding| {
        wrong += 1;
        let row = [Cell::shown(&finding.kind), Cell::text(finding.what), Cell::text(finding.detail)];
        if let Err(error) = rows.push(&row) {
            failed.get_or_insert(error);
        }
    };
    let totals = verify(at, sealed, args.quick, tell, &|step| show(&bar, &step)).await?;
    bar.finish_and_clear();
    failed.map_or(Ok(()), Err)?;
    rows.finish()?;
    ui.note(format_args!(
        "backup `{}`: {} objects of {}, {} rows, {} anomalies; {} shards can go on from it",
        sealed.manifest.id.as_str(),
        totals.objects,
        size(totals.bytes),
        totals.rows,
        totals.anomalies,
        totals.shards
    ));
    anyhow::ensure!(
        wrong == 0,
        "{wrong} findings: use another backup, or make a new one with `millrace backup create --reread`, which writes anew what is \
         damaged"
    );
    Ok(())
}

/// The backup beside a folder.
pub(super) async fn against_dir(
    at: &At,
    sealed: &Sealed,
    dir: &std::path::Path,
    is_quick: bool,
    ui: &Ui,
) -> anyhow::Result<Vec<Part>> {
    let manifest = &sealed.manifest;
    if manifest.tables.how != How::Database {
        return Err(Usage(format!("the backup is {}: --against names one", manifest.tables.how.kind())).into());
    }
    let bar = bar(ui);
    let watch = |step: backup::Step<'_>| show(&bar, &step);
    // Whoever names a wrong folder wants to hear that, and not that all is missing.
    drop(Local::open_read_only(dir)?);
    let mut parts = compare::lake(at, manifest, &lake(dir), is_quick, &watch).await?;
    let database = sqlite::assemble(at, &manifest.tables).await?;
    for one in sqlite::compare(&sqlite::path(database.path()), &sqlite::path(dir))? {
        let (equal, missing, newer) = (one.equal, one.missing, one.more);
        parts.push(Part { equal, missing, newer, ..Part::new(one.table) });
    }
    bar.finish_and_clear();
    Ok(parts)
}

/// The backup beside an environment.
#[cfg(feature = "aws")]
pub(super) async fn against(
    at: &At,
    sealed: &Sealed,
    live: &super::aws::Live,
    is_quick: bool,
    ui: &Ui,
) -> anyhow::Result<Vec<Part>> {
    let manifest = &sealed.manifest;
    if manifest.tables.how == How::Database {
        return Err(Usage(format!("the backup is {}: --against-dir names a folder", manifest.tables.how.kind())).into());
    }
    let bar = bar(ui);
    let watch = |step: backup::Step<'_>| show(&bar, &step);
    let mut parts = compare::lake(at, manifest, &live.lake, is_quick, &watch).await?;
    parts.extend(compare::items(at, manifest, &live.target(), &watch).await?);
    bar.finish_and_clear();
    Ok(parts)
}

/// Says what goes on beside the backup, and is no difference.
pub(super) fn moved_on(parts: &[Part], ui: &Ui) {
    let count: u64 = parts.iter().map(|one| one.moved_on).sum();
    if count > 0 {
        ui.note(format_args!(
            "{count} checkpoints have moved on since the backup, of the other Region or of shards that the stream has closed: they \
             stay as they are, and that is no difference"
        ));
    }
}

/// How the parts compare.
///
/// # Errors
/// One is not equal.
pub(super) fn print(parts: &[Part], ui: &Ui) -> anyhow::Result<()> {
    let mut rows = ui.rows(vec!["part", "equal", "missing", "differs", "newer", "moved_on", "such_as"])?;
    for part in parts {
        rows.push(&[
            Cell::text(&part.name),
            Cell::Number(part.equal as f64),
            Cell::Number(part.missing as f64),
            Cell::Number(part.differs as f64),
            Cell::Number(part.newer as f64),
            Cell::Number(part.moved_on as f64),
            Cell::perhaps(part.names.first()),
        ])?;
    }
    rows.finish()?;
    let count = |of: fn(&Part) -> u64| parts.iter().map(of).sum::<u64>();
    let (missing, differs, newer) = (count(|one| one.missing), count(|one| one.differs), count(|one| one.newer));
    moved_on(parts, ui);
    anyhow::ensure!(
        parts.iter().all(Part::is_equal),
        "not equal: {missing} are missing in what is live, {differs} differ, {newer} are newer than the backup"
    );
    ui.note(format_args!("equal: {} objects and rows", count(|one| one.equal)));
    Ok(())
}
