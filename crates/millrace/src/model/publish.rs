//! `model publish` and `model list`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use model_server::archive;
use model_server::artifact::{self, FILE_NAME, Published};
use platform::embedded::Local;
use platform::model::{ContentHash, Key};
use platform::ports::{PutError, PutIfAbsent as _};

use super::shelf::{CARD, PREFIX, Store, published};
use crate::options;
use crate::output::Cell;
use crate::ui::Ui;

/// Version of the form of `model.json`.
const VERSION: u32 = 1;
/// Digits of a hash that a table shows.
const DIGITS_SHOWN: usize = 12;

/// What `model publish` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The model goes to models/{tenant}/{model}/{version}/, with model.tar.gz, which is what SageMaker takes, and model.json beside it. A
version that is there is never changed: publishing the same again changes nothing but adds what is missing, other content needs
another version.

Examples:
  millrace model publish pumps.millrace")]
pub(crate) struct Args {
    /// The file that `millrace model train` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: Store,
}

/// What `model list` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace model list
  millrace model list --tenant acme --output json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    store: Store,
    /// Only those of this tenant
    #[arg(long, value_name = "NAME", value_parser = options::tenant)]
    tenant: Option<String>,
}

/// Publishes.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let shown = args.file.display();
    let bytes = fs::read(&args.file).with_context(|| format!("cannot read `{shown}`"))?;
    let card = artifact::card(&bytes).with_context(|| format!("`{shown}`"))?;
    let name = card.full_name();
    let folder = format!("{PREFIX}{}/{}/{}/", card.tenant, card.model, card.version);
    let sha256 = ContentHash::of(&bytes).as_str().to_owned();
    let published = Published { version: VERSION, sha256, bytes: bytes.len() as u64, card };
    let local = Local::open(&args.store.dir)?;
    let put = async |file: &str, body: &[u8], remedy: &str| {
        let key = Key::new(format!("{folder}{file}"))?;
        match local.put_if_absent(&key, body).await {
            Ok(_) => Ok(()),
            Err(PutError::Conflict(key)) => Err(anyhow!("`{key}` is there with other content: {remedy}")),
            Err(PutError::Store(error)) => Err(error.into()),
        }
    };
    let other_version = format!("train `{name}` with another --model-version");
    put(FILE_NAME, &bytes, &other_version).await?;
    let packed = archive::pack(&bytes)?;
    // As large as the archive, and not needed any more.
    drop(bytes);
    let remove = format!("it is no archive of the `{FILE_NAME}` beside it, remove it and publish again");
    put(archive::FILE_NAME, &packed, &remove).await?;
    // The card comes last: it says that the model is there. It does not name the archive: the card of a former release does not
    // either, and could not be changed when the archive is added.
    put(CARD, &serde_json::to_vec_pretty(&published)?, &other_version).await?;
    ui.note(format_args!("published as {name} at {folder}"));
    Ok(())
}

/// Lists.
pub(super) async fn list(args: &ListArgs, ui: &Ui) -> anyhow::Result<()> {
    let local = Local::open_read_only(&args.store.dir)?;
    let columns =
        ["tenant", "model", "version", "kind", "rows", "devices", "from", "until", "score_p99", "bytes", "sha256"];
    let mut rows = ui.rows(columns.to_vec())?;
    for Published { card, sha256, bytes, .. } in published(&local, args.tenant.as_deref()).await? {
        let sha256 = if ui.format() == crate::output::Format::Table {
            &sha256[..DIGITS_SHOWN.min(sha256.len())]
        } else {
            &sha256
        };
        rows.push(&[
            Cell::text(&*card.tenant),
            Cell::text(&*card.model),
            Cell::text(&*card.version),
            Cell::text(card.kind.as_str()),
            Cell::Number(card.rows as f64),
            Cell::Number(card.device_count as f64),
            Cell::shown(&card.first),
            Cell::shown(&card.last),
            card.scores.map_or(Cell::Nothing, |scores| Cell::Number(scores.p99)),
            Cell::Number(bytes as f64),
            Cell::text(sha256),
        ])?;
    }
    Ok(rows.finish()?)
}
