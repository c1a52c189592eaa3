//! `dr sync`: what the other Region lacks and nobody replicates, brought over; and the pair's card written.

use std::collections::BTreeMap;

use deployment::aws::Aws as Stacks;
use deployment::cloud::Cloud as _;
use deployment::plan::stack_name;
use deployment::template::{MODELS, STORAGE};
use failover::card::{PairCard, RegionCard, save};
use failover::setup::begin;
use platform::aws::{Aws as Stores, AwsSettings};
use platform::clock;
use tenancy::aws::Aws;
use tenancy::registry::Registry as _;
use tenancy::sync::{Step, sync};

use super::regions::{Pair, Region, Regions};
use crate::deploy::block_on;
use crate::output::Cell;
use crate::ui::{Found, Ui};

const EXIT_CODES: &str = "\
Things, certificates and what hangs on what go from this Region to the other; nothing is deleted, and a certificate that is
revoked in either Region is never made active. The pair's card, which a fail-over reads, is written to the results table; and
where neither Region ever had the say alone, the primary gets it: until then both tell people.

Exit codes: 0 the other Region has everything, 5 something is left that this command does not do, and is named.";
/// What a [`Found`] of this command says, as `dr check` has it for what is not the same.
const LEFT: u8 = 5;

/// What `dr sync` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    regions: Regions,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Brings over, and lists what was done.
///
/// # Errors
/// The Regions cannot be found, or a service refuses; what was done stays, and the same command does the rest.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let mut steps: Vec<Step> = Vec::new();
    let done = block_on(async {
        let pair = args.regions.find().await?;
        let from = Aws::connect(&args.regions.place.place()).await?;
        let to = Aws::connect(&args.regions.across.place(&args.regions.place, &pair.there.name)).await?;
        let environment = &args.regions.environment.environment;
        let bar = ui.progress(None, "{spinner} {pos} brought over ({elapsed})");
        let tenants = sync(&from, &to, environment, args.dry_run, |step| {
            bar.inc(1);
            steps.push(step);
        })
        .await;
        bar.finish_and_clear();
        let card = PairCard {
            environment: environment.clone(),
            written: clock::now(),
            regions: BTreeMap::from([
                (pair.here.name.clone(), card(args, &pair.here, &from).await?),
                (pair.there.name.clone(), card(args, &pair.there, &to).await?),
            ]),
            tenants: tenants?,
        };
        let stores = stores(args, &pair);
        let is_new = !args.dry_run && save(&stores, &card).await?;
        if !args.dry_run {
            let first = primary(args, &pair).await?;
            let (active, begun) = begin(&stores, &args.regions.named("telemetry"), &first, clock::now()).await?;
            if begun {
                ui.note(format_args!("{active} has the say in the first epoch of the pair"));
            }
        }
        let models = models(args, &pair).await?;
        Ok((pair, is_new, models))
    });
    // What was done before something failed is told, too.
    list(&steps, ui)?;
    let (pair, is_new, models) = done?;
    if is_new {
        ui.note("the pair's card was written");
    }
    let mut left: Vec<String> =
        steps.iter().filter(|step| step.is_left()).map(|step| format!("{} {step}", step.subject())).collect();
    left.extend(models);
    let would = if args.dry_run { "would be" } else { "were" };
    let count = steps.iter().filter(|step| !step.is_left()).count();
    ui.note(format_args!("{} to {}: {count} changes {would} made", pair.here.name, pair.there.name));
    if left.is_empty() {
        return Ok(());
    }
    Err(Found { words: format!("left to be done: {}", left.join("; ")), code: LEFT }.into())
}

fn list(steps: &[Step], ui: &Ui) -> anyhow::Result<()> {
    let mut rows = ui.rows(vec!["what", "which", "step"])?;
    for step in steps {
        rows.push(&[Cell::text(step.kind()), Cell::text(step.subject()), Cell::shown(step)])?;
    }
    Ok(rows.finish()?)
}

async fn card(args: &Args, region: &Region, aws: &Aws) -> anyhow::Result<RegionCard> {
    Ok(RegionCard {
        lake: region.lake.clone(),
        stream: args.regions.named("telemetry"),
        devices_endpoint: aws.endpoint().await?,
        fanout: args.regions.named("alert-fanout"),
    })
}

fn stores(args: &Args, pair: &Pair) -> Stores {
    let settings = AwsSettings {
        bucket: pair.here.lake.clone(),
        results_table: args.regions.named("results"),
        checkpoints_table: args.regions.named("checkpoints"),
        s3_path_style: pair.path_style,
    };
    Stores::from_config(&pair.here.config, settings)
}

/// The Region whose stack made the tables.
async fn primary(args: &Args, pair: &Pair) -> anyhow::Result<String> {
    let here = Stacks::connect(&args.regions.place.place()).await?;
    let storage = here.stack(&stack_name(&STORAGE, &args.regions.environment.environment)).await?;
    let is_dr = storage.is_some_and(|stack| stack.parameters.get("Standing").is_some_and(|standing| standing == "dr"));
    Ok(if is_dr { pair.there.name.clone() } else { pair.here.name.clone() })
}

/// Models are their stack's business: what is to be said of it.
async fn models(args: &Args, pair: &Pair) -> anyhow::Result<Option<String>> {
    let name = stack_name(&MODELS, &args.regions.environment.environment);
    let here = Stacks::connect(&args.regions.place.place()).await?;
    let there = Stacks::connect(&args.regions.across.place(&args.regions.place, &pair.there.name)).await?;
    let is_missing = here.stack(&name).await?.is_some() && there.stack(&name).await?.is_none();
    let region = &pair.there.name;
    Ok(is_missing.then(|| {
        format!(
            "{name} is not in {region}: run `millrace deploy --region {region} --with models` with the same ModelData"
        )
    }))
}
