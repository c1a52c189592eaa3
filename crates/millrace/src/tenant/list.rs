//! `tenant list`: who is in an environment.

use deployment::aws::Aws as Stacks;
use deployment::cloud::Cloud as _;
use deployment::plan::tenants_prefix;
use tenancy::names::Tenant;
use tenancy::onboard::recorded;
use tenancy::revoke::devices;

use super::desk::connect;
use crate::deploy::{Environment, Where, block_on};
use crate::output::Cell;
use crate::ui::Ui;

/// What `list` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    environment: Environment,
    #[command(flatten)]
    place: Where,
}

/// Lists them.
///
/// # Errors
/// AWS cannot be asked, or standard output cannot be written.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let environment = &args.environment.environment;
    let prefix = tenants_prefix(environment);
    let found = block_on(async {
        let (stacks, aws) = (Stacks::connect(&args.place.place()).await?, connect(&args.place).await?);
        let mut found = Vec::new();
        for name in stacks.stacks(&prefix).await? {
            let Some(stack) = stacks.stack(&name).await? else { continue };
            let tenant = Tenant::new(environment, name.trim_start_matches(&prefix))?;
            let count = devices(&aws, &tenant).await?.iter().filter(|name| **name != tenant.verify_device()).count();
            let record = match stack.parameters.get("LakeBucketName") {
                Some(bucket) => recorded(&aws, &tenant, bucket).await.unwrap_or_else(|error| {
                    ui.warn(format_args!("tenant `{}`: {error}", tenant.name));
                    None
                }),
                None => None,
            };
            let validation = record.and_then(|record| record.validation);
            found.push((tenant.name, stack.status, count, validation));
        }
        Ok(found)
    })?;
    if found.is_empty() {
        ui.note(format_args!("the environment `{environment}` has no tenant"));
    }
    let mut rows = ui.rows(vec!["tenant", "stack", "devices", "verified", "result"])?;
    for (tenant, status, count, validation) in &found {
        let result = validation.as_ref().map(|found| if found.is_good() { "ok" } else { "failed" });
        rows.push(&[
            Cell::text(tenant),
            Cell::text(status),
            Cell::shown(count),
            Cell::perhaps(validation.as_ref().map(|found| found.at.as_str())),
            Cell::perhaps(result),
        ])?;
    }
    Ok(rows.finish()?)
}
