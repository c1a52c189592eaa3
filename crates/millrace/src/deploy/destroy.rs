//! `destroy`: the stacks of an environment deleted, the last first.

use deployment::aws::Aws;
use deployment::destroy::{destroy, standing};

use super::attend::Clerk;
use super::{Environment, Where, block_on};
use crate::output::Cell;
use crate::ui::{Ui, Usage};

/// What `destroy` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    environment: Environment,
    /// Delete the tables, the lake and the failure queues as well; the environment's name, typed once more
    #[arg(long, value_name = "NAME")]
    delete_data: Option<String>,
    /// Also delete the bucket for code and the role, which all environments of the Region share
    #[arg(long)]
    shared: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    place: Where,
}

/// Takes the environment down, and lists what is kept.
///
/// # Errors
/// Nobody agrees, AWS refuses, or a deletion fails.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let environment = &args.environment.environment;
    if let Some(typed) = args.delete_data.as_ref().filter(|typed| *typed != environment) {
        let words =
            format!("--delete-data has to name the environment whose data goes, `{environment}`, and not `{typed}`");
        return Err(Usage(words).into());
    }
    let with_data = args.delete_data.is_some();
    let mut clerk = Clerk::new(ui, args.yes);
    let kept = block_on(async {
        let aws = Aws::connect(&args.place.place()).await?;
        let names = standing(&aws, environment, args.shared).await?;
        if names.is_empty() {
            ui.note(format_args!("there is no stack of the environment `{environment}`"));
            return Ok(Vec::new());
        }
        let data = if with_data { "with all data, for good" } else { "keeping tables, lake and failure queues" };
        let question =
            format!("{} are deleted, {data}. Records still in the stream are lost. Do it?", names.join(", "));
        if !clerk.ask(&question, "--yes").map_err(anyhow::Error::msg)? {
            anyhow::bail!("nothing was deleted: it was not agreed to");
        }
        Ok(destroy(&aws, &names, with_data, &mut clerk).await?)
    })?;
    if kept.is_empty() {
        ui.note("nothing is kept");
    }
    let mut rows = ui.rows(vec!["kept", "type", "stack"])?;
    for one in &kept {
        rows.push(&[Cell::text(&one.physical), Cell::text(&one.kind), Cell::text(&one.stack)])?;
    }
    Ok(rows.finish()?)
}
