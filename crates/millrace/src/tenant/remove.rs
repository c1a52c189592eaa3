//! `tenant remove`: exported first, then taken away; what stays is said, and for how long.

use std::path::PathBuf;

use deployment::cloud::Cloud as _;
use deployment::destroy::destroy;
use tenancy::remove::{delete_objects, export};
use tenancy::revoke::{devices, sweep, take_off};

use super::Of;
use super::desk::{Desk, now, short};
use crate::deploy::{Clerk, block_on};
use crate::output::Cell;
use crate::ui::{Ui, Usage};

/// What `remove` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Of,
    /// Folder for what is exported before anything goes: DIR/TENANT/results.ndjson, profile.toml, onboarding.json, lake.txt
    #[arg(long, value_name = "DIR")]
    export: PathBuf,
    /// Delete the tenant's profile, record and failed messages as well; the tenant's name, typed once more
    #[arg(long, value_name = "NAME")]
    delete_data: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
}

/// Removes a tenant.
///
/// # Errors
/// There is no such tenant, the export cannot be written, nobody agrees, or AWS refuses.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let name = &args.of.name;
    if let Some(typed) = args.delete_data.as_ref().filter(|typed| *typed != name) {
        let words = format!("--delete-data has to name the tenant whose data goes, `{name}`, and not `{typed}`");
        return Err(Usage(words).into());
    }
    let with_data = args.delete_data.is_some();
    let stays = block_on(async {
        let desk = Desk::open(&args.of).await?;
        let tenant = &desk.tenant;
        let things = devices(&desk.aws, tenant).await?;
        let Some(facts) = desk.find_facts().await? else {
            // The stack goes last: whoever comes back to what is left of it finds no data to export any more.
            if desk.stacks.stack(&desk.stack()).await?.is_none() && things.is_empty() {
                ui.note(format_args!("the environment `{}` has no tenant `{name}`", tenant.environment));
                return Ok(Vec::new());
            }
            let mut clerk = Clerk::new(ui, args.yes);
            let question =
                format!("what is left of tenant `{name}` is deleted: {} devices and its stack. Do it?", things.len());
            if args.dry_run || !clerk.ask(&question, "--yes").map_err(anyhow::Error::msg)? {
                anyhow::bail!("nothing was deleted");
            }
            for device in &things {
                take_off(&desk.aws, tenant, device).await?;
            }
            destroy(&desk.stacks, &[desk.stack()], with_data, &mut clerk).await?;
            return Ok(Vec::new());
        };
        let list = if things.is_empty() { "no devices".to_owned() } else { things.join(", ") };
        if args.dry_run {
            ui.note(format_args!(
                "would be exported to {}, then deleted: {list}, `{}`",
                args.export.display(),
                facts.stack
            ));
            return Ok(Vec::new());
        }
        let today = now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let kept = export(&desk.aws, tenant, &facts, &things, today, &args.export).await?;
        ui.note(format_args!(
            "exported to {}: {} items of the results, {} objects of its own",
            kept.dir.display(),
            kept.items,
            kept.objects
        ));
        let question = format!(
            "tenant `{name}` is taken off: {list} with their certificates, and the stack `{}`. Do it?",
            facts.stack
        );
        let mut clerk = Clerk::new(ui, args.yes);
        if !clerk.ask(&question, "--yes").map_err(anyhow::Error::msg)? {
            anyhow::bail!("nothing was deleted: it was not agreed to");
        }
        for device in &things {
            let gone = take_off(&desk.aws, tenant, device).await?;
            ui.note(format_args!("device {device}: the thing and {} certificates are deleted", gone.len()));
        }
        for id in sweep(&desk.aws, tenant).await? {
            ui.note(format_args!("certificate {}, which was revoked, is deleted", short(&id)));
        }
        if with_data {
            let objects = delete_objects(&desk.aws, tenant, &facts).await?;
            ui.note(format_args!("{objects} objects of its own are deleted in the lake"));
        }
        let left = destroy(&desk.stacks, std::slice::from_ref(&facts.stack), with_data, &mut clerk).await?;
        let days = facts.result_days.map_or_else(|| "ResultDays".to_owned(), |days| format!("{days} days"));
        let mut stays: Vec<(String, String, String)> =
            left.into_iter().map(|kept| (kept.physical, kept.kind, "until it is deleted".to_owned())).collect();
        let results = format!("{}, keys {}#…", facts.results_table, tenant.name);
        stays.push((
            results,
            "results".to_owned(),
            format!("{days} after each was found; open incidents until closed"),
        ));
        let config = format!("s3://{}/config/{}/", facts.lake, tenant.name);
        let until =
            if with_data { "old versions for 30 days" } else { "until it is deleted, or removed with --delete-data" };
        stays.push((config, "profile and record".to_owned(), until.to_owned()));
        let layers = format!("s3://{}/bronze/, silver/, gold/, quarantine/", facts.lake);
        let shared = "as the lake's lifecycle says: its objects hold many tenants".to_owned();
        stays.push((layers, "readings".to_owned(), shared));
        stays.push((
            facts.stream.clone(),
            "records in the stream".to_owned(),
            "as long as it keeps records".to_owned(),
        ));
        Ok(stays)
    })?;
    let mut rows = ui.rows(vec!["stays", "type", "how long"])?;
    for (what, kind, until) in &stays {
        rows.push(&[Cell::text(what), Cell::text(kind), Cell::text(until)])?;
    }
    Ok(rows.finish()?)
}
