//! `status`: what there is of an environment, and whether it is what would be deployed from here.

use std::path::PathBuf;

use deployment::aws::Aws;
use deployment::cloud::{Cloud as _, Stack};
use deployment::code;
use deployment::plan::{FUNCTIONS, TEMPLATES, stack_name, tenants_prefix};
use deployment::readiness::remark;

use super::{Environment, Where, block_on};
use crate::output::Cell;
use crate::ui::Ui;

/// What `status` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    environment: Environment,
    /// List the outputs of the stacks, one a row
    #[arg(long)]
    outputs: bool,
    /// Folder of the zips that the deployed code is compared with
    #[arg(long, value_name = "DIR", default_value = "target/lambda")]
    code: PathBuf,
    #[command(flatten)]
    place: Where,
}

/// Lists the stacks.
///
/// # Errors
/// AWS cannot be asked, or standard output cannot be written.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let environment = &args.environment.environment;
    let stacks = block_on(async {
        let aws = Aws::connect(&args.place.place()).await?;
        let mut stacks = Vec::new();
        for template in TEMPLATES.iter().filter(|template| template.name != "tenant") {
            let name = stack_name(template, environment);
            let stack = aws.stack(&name).await?;
            stacks.push((name, template.name, stack));
        }
        for name in aws.stacks(&tenants_prefix(environment)).await? {
            let stack = aws.stack(&name).await?;
            stacks.push((name, "tenant", stack));
        }
        Ok(stacks)
    })?;
    if args.outputs {
        let mut rows = ui.rows(vec!["stack", "output", "value"])?;
        for (name, _, stack) in &stacks {
            for (output, value) in stack.iter().flat_map(|stack| &stack.outputs) {
                rows.push(&[Cell::text(name), Cell::text(output), Cell::text(value)])?;
            }
        }
        return Ok(rows.finish()?);
    }
    let mut rows = ui.rows(vec!["stack", "status", "changed", "code", "remark"])?;
    for (name, template, stack) in &stacks {
        let status = stack.as_ref().map_or("absent", |stack| &stack.status);
        let changed = stack.as_ref().and_then(|stack| stack.changed.as_deref());
        let code = stack.as_ref().and_then(|stack| drift(template, stack, args));
        let remark = remark(status).filter(|_| stack.is_some());
        let cells =
            [Cell::text(name), Cell::text(status), Cell::perhaps(changed), Cell::perhaps(code), Cell::perhaps(remark)];
        rows.push(&cells)?;
    }
    Ok(rows.finish()?)
}

/// Whether the stack's code is the zip on this machine; nothing for a stack without code.
fn drift(template: &str, stack: &Stack, args: &Args) -> Option<&'static str> {
    let (_, function) = FUNCTIONS.iter().find(|(of, _)| *of == template)?;
    let deployed = stack.parameters.get("CodeKey")?;
    Some(match code::find(&args.code, function) {
        Ok(zip) if zip.key == *deployed => "as here",
        Ok(_) => "not as here",
        Err(_) => "no zip here",
    })
}
