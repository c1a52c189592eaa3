//! `backup create`: what there is, copied.

use backup::create::{Made, Source, create};
use backup::objects::Objects;
use backup::place::Trust;
use backup::sqlite::Database;
use platform::clock;
use platform::embedded::Local;

use super::place::{At, AtOptions, OfOptions, beside, lake, subject};
use super::{bar, show, size};
use crate::output::Cell;
use crate::ui::Ui;

const HELP: &str = "\
The tables are taken first, each as it is at one instant where DynamoDB exports them (point-in-time recovery is on, and --at is a
bucket), else item by item, which is said; the lake is copied then. A second backup at the same place copies what is new. What was
cut off is taken up by the same command.

Private keys of devices are in no backup: nobody but the device has them.

Examples:
  millrace backup create --dir millrace-data --at /mnt/backups
  millrace backup create --environment prod --at s3://plant-backups/millrace --at-region eu-central-1";

/// What `backup create` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    of: OfOptions,
    /// Read every object again, and write anew what is damaged at the place
    #[arg(long)]
    reread: bool,
    /// The account that the bucket of --at belongs to, if it is another than the environment's: DynamoDB exports there only if told
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    at_account: Option<String>,
    #[command(flatten)]
    at: AtOptions,
}

/// Makes it.
///
/// # Errors
/// What `backup::create` says.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let at = args.at.open().await?;
    let now = clock::now();
    let trust = if args.reread { Trust::Hash } else { Trust::Size };
    let bar = bar(ui);
    let watch = |step: backup::Step<'_>| show(&bar, &step);
    #[cfg(feature = "aws")]
    if let Some(environment) = &args.of.environment {
        let exports = match &at {
            At::Bucket(to) => Some(backup::aws::Exports { to: to.clone(), owner: args.at_account.clone() }),
            At::Folder(_) => None,
        };
        let live = super::aws::Live::open(environment, &args.at.aws, exports).await?;
        let documents = super::aws::documents(environment, &args.at.aws).await?;
        let source =
            Source { subject: live.subject(environment), lake: &live.lake, tables: &live.items, documents: &documents };
        let made = create(&source, &at, now, trust, &watch).await?;
        bar.finish_and_clear();
        return print(&made, &at, ui);
    }
    let dir = args.of.dir();
    // Whoever names a wrong folder wants to hear that.
    drop(Local::open_read_only(&dir)?);
    let source =
        Source { subject: subject(&dir), lake: &lake(&dir), tables: &Database::new(&dir), documents: &beside(&dir)? };
    let made = create(&source, &at, now, trust, &watch).await?;
    bar.finish_and_clear();
    print(&made, &at, ui)
}

/// The number of an account.
#[cfg(feature = "aws")]
fn account(text: &str) -> Result<String, String> {
    let is_number = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { Ok(text.to_owned()) } else { Err("the number of an account has 12 digits".to_owned()) }
}

fn print(made: &Made, at: &At, ui: &Ui) -> anyhow::Result<()> {
    let manifest = &made.sealed.manifest;
    if made.is_resumed {
        ui.note("an earlier run was taken up");
    }
    if let Some(active) = &made.active_elsewhere {
        ui.warn(format_args!(
            "{active} has the say over the stream, and this backup is of {}: it has of {active} what was replicated; make one \
             there, too",
            manifest.subject.region
        ));
    }
    for key in &manifest.missing {
        ui.warn(format_args!(
            "`{key}` is not in the lake any more, and a checkpoint stands on it: `millrace lake verify` tells more"
        ));
    }
    let mut rows = ui.rows(vec!["part", "how", "count", "bytes"])?;
    for table in &manifest.tables.tables {
        let bytes: u64 = table.parts.iter().map(|part| part.bytes).sum();
        rows.push(&[
            Cell::text(&table.name),
            Cell::text(manifest.tables.how.word()),
            Cell::Number(table.rows as f64),
            Cell::Number(bytes as f64),
        ])?;
    }
    for area in &manifest.lake {
        rows.push(&[
            Cell::text(&area.name),
            Cell::text("lake"),
            Cell::Number(area.objects as f64),
            Cell::Number(area.bytes as f64),
        ])?;
    }
    for document in &manifest.documents {
        rows.push(&[
            Cell::text(&document.name),
            Cell::text("configuration"),
            Cell::Number(1.0),
            Cell::Number(document.blob.bytes as f64),
        ])?;
    }
    rows.finish()?;
    let ((objects, bytes), (read, read_bytes)) = (manifest.lake_size(), made.read);
    ui.note(format_args!(
        "backup `{}` at {}: {objects} objects of {}, of which {read} of {} were copied now",
        manifest.id.as_str(),
        at.name(),
        size(bytes),
        size(read_bytes)
    ));
    Ok(())
}
