//! `backup list`: what lies at a place.

use backup::manifest::{ids, load};
use backup::objects::Objects as _;

use super::place::AtOptions;
use crate::output::Cell;
use crate::ui::Ui;

/// What `backup list` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    at: AtOptions,
}

/// Lists.
///
/// # Errors
/// The place cannot be read. A manifest that is damaged is shown as that.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let at = args.at.open().await?;
    let columns = vec!["backup", "begun", "environment", "region", "tables", "rows", "objects", "bytes", "whole"];
    let mut rows = ui.rows(columns)?;
    let all = ids(&at).await?;
    if all.is_empty() {
        ui.note(format_args!("{} has no backups", at.name()));
    }
    for id in all {
        let nothing = |whole: String| {
            let mut cells = vec![Cell::text(id.as_str().to_owned())];
            cells.extend((0..7).map(|_| Cell::Nothing));
            cells.push(Cell::text(whole));
            cells
        };
        let cells = match load(&at, &id).await {
            Ok(Some(sealed)) => {
                let manifest = sealed.manifest;
                let ((count, _), (objects, bytes)) = (manifest.tables.size(), manifest.lake_size());
                let whole = if manifest.missing.is_empty() { "yes" } else { "what the lake had" };
                vec![
                    Cell::text(id.as_str().to_owned()),
                    Cell::shown(&manifest.begun),
                    Cell::text(manifest.subject.environment),
                    Cell::text(manifest.subject.region),
                    Cell::text(manifest.tables.how.word()),
                    Cell::Number(count as f64),
                    Cell::Number(objects as f64),
                    Cell::Number(bytes as f64),
                    Cell::text(whole),
                ]
            }
            Ok(None) => nothing("no: run the same `backup create` again".to_owned()),
            Err(backup::BackupError::Store(error)) => return Err(error.into()),
            Err(error) => nothing(error.to_string()),
        };
        rows.push(&cells)?;
    }
    Ok(rows.finish()?)
}
