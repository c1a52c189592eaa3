//! `model publish` and `model list`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
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
The model goes to models/{tenant}/{model}/{version}/ with model.json beside it. A version that is there is never changed: publishing
the same again changes nothing, other content needs another version.

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
    // The card comes last: it says that the model is there.
    let beside = serde_json::to_vec_pretty(&published)?;
    for (file, body) in [(FILE_NAME, &bytes), (CARD, &beside)] {
        match local.put_if_absent(&Key::new(format!("{folder}{file}"))?, body).await {
            Ok(_) => {}
            Err(PutError::Conflict(key)) => {
                bail!("`{key}` is there with other content: train `{name}` with another --model-version");
            }
            Err(PutError::Store(error)) => return Err(error.into()),
        }
    }
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
