//! `lake verify`: what is wrong with the lake, and what is only left over.

use lake::verify::{Finding, Totals, verify};

use super::Folder;
use crate::output::Cell;
use crate::ui::Ui;

const HELP: &str = "\
From each shard's checkpoint back to its beginning, every object is read and proven by its hash, and every record counted once.
Then gold is held against that. Findings: missing, damaged, twice, differs are wrong, and end with exit code 1; an orphan was
written and never committed, costs space, and is passed over by every reader.

Example:
  millrace lake verify --output csv";

/// What `lake verify` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    folder: Folder,
}

/// Verifies.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let world = args.folder.look()?;
    let bar = ui.progress(None, "{bar:32} {pos} of {len} batches");
    let mut rows = ui.rows(vec!["finding", "what", "detail"])?;
    let (mut wrong, mut orphans, mut failed) = (0, 0, None);
    let tell = |finding: Finding| {
        *(if finding.kind.is_wrong() { &mut wrong } else { &mut orphans }) += 1;
        let row = [Cell::shown(&finding.kind), Cell::text(finding.what), Cell::text(finding.detail)];
        if let Err(error) = rows.push(&row) {
            failed.get_or_insert(error);
        }
    };
    let step = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let totals = verify(&world, tell, step).await?;
    bar.finish_and_clear();
    failed.map_or(Ok(()), Err)?;
    rows.finish()?;
    ui.note(words(&totals, orphans));
    anyhow::ensure!(wrong == 0, "{wrong} findings are wrong: what each asks for is beside it");
    Ok(())
}

fn words(totals: &Totals, orphans: u64) -> String {
    let Totals { batches, objects, records, silver_rows, readings_rows, hours } = totals;
    format!(
        "{batches} batches of {objects} objects: {records} records and {silver_rows} scored readings, each once; {readings_rows} \
         readings in gold of {hours} sealed hours; {orphans} orphans"
    )
}
