//! `dr sync`: what the other Region lacks and nobody replicates, brought over; and the pair's card written.

use std::collections::{BTreeMap, BTreeSet};

use account::Place;
use deployment::aws::Aws as Stacks;
use deployment::cloud::Cloud as _;
use deployment::deploy::{DeployError, Summary};
use deployment::follow::{Behind, look};
use deployment::plan::{stack_name, tenants_prefix};
use deployment::template::STORAGE;
use failover::card::{PairCard, RegionCard, save};
use failover::setup::begin;
use platform::aws::{Aws as Stores, AwsSettings};
use platform::clock;
use tenancy::aws::Aws;
use tenancy::names::Tenant;
use tenancy::registry::Registry as _;
use tenancy::sync::{Mode, Step, sync};

use super::regions::{Pair, Region, Regions};
use crate::deploy::{Clerk, block_on};
use crate::output::Cell;
use crate::ui::{Found, Ui};

const EXIT_CODES: &str = "\
Models, the configurations of their endpoints, policies and rules go over with the stacks they are in: analytics, models and those
of the tenants are deployed in the other Region with the template, the code and the parameters that they have in this one. Things,
certificates and what hangs on what go over by themselves; a certificate that is revoked in either Region is never made active.
Nothing is deleted. The pair's card, which a fail-over reads, is written to the results table; and where neither Region ever had
the say alone, the primary gets it: until then both tell people.

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
    /// Replace resources of stacks without asking, such as a model by that of another artifact
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
    /// The role CloudFormation acts with [default: that of the stack millrace-deployment in the other Region]
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
}

/// Something that was done, would be, or is left.
struct Row {
    kind: &'static str,
    subject: String,
    step: String,
    is_left: bool,
}

impl From<Step> for Row {
    fn from(step: Step) -> Self {
        let (kind, subject) = (step.kind(), step.subject().to_owned());
        Self { kind, subject, is_left: step.is_left(), step: step.to_string() }
    }
}

impl From<&Behind> for Row {
    fn from(behind: &Behind) -> Self {
        let step = behind.to_string();
        Self { kind: "stack", subject: behind.stack.clone(), is_left: behind.is_left(), step }
    }
}

/// Brings over, and lists what was done.
///
/// # Errors
/// The Regions cannot be found, or a service refuses; what was done stays, and the same command does the rest.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let mut rows: Vec<Row> = Vec::new();
    let done = block_on(bring_over(args, ui, &mut rows));
    // What was done before something failed is told, too.
    list(&rows, ui)?;
    let pair = done?;
    let left: Vec<String> =
        rows.iter().filter(|row| row.is_left).map(|row| format!("{} {}", row.subject, row.step)).collect();
    let would = if args.dry_run { "would be" } else { "were" };
    let count = rows.len() - left.len();
    ui.note(format_args!("{} to {}: {count} changes {would} made", pair.here.name, pair.there.name));
    if left.is_empty() {
        return Ok(());
    }
    Err(Found { words: format!("left to be done: {}", left.join("; ")), code: LEFT }.into())
}

async fn bring_over(args: &Args, ui: &Ui, rows: &mut Vec<Row>) -> anyhow::Result<Pair> {
    let pair = args.regions.find().await?;
    let place = args.regions.across.place(&args.regions.place, &pair.there.name);
    // The stacks first: policies are in them, without which a certificate lets nobody in. One that cannot be made, such as a model
    // whose image is not there, holds up neither devices nor the card.
    let stacks = stacks(args, ui, &pair, &place, rows).await?;
    let from = Aws::connect(&args.regions.place.place()).await?;
    let to = Aws::connect(&place).await?;
    let environment = &args.regions.environment.environment;
    let mode = if args.dry_run { Mode::Dry { policies: &stacks.policies } } else { Mode::Do };
    let bar = ui.progress(None, "{spinner} {pos} brought over ({elapsed})");
    let tenants = sync(&from, &to, environment, mode, |step| {
        bar.inc(1);
        rows.push(step.into());
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
    if args.dry_run {
        return Ok(pair);
    }
    let stores = stores(args, &pair);
    if save(&stores, &card).await? {
        ui.note("the pair's card was written");
    }
    let first = primary(args, &pair).await?;
    let (active, begun) = begin(&stores, &args.regions.named("telemetry"), &first, clock::now()).await?;
    if begun {
        ui.note(format_args!("{active} has the say in the first epoch of the pair"));
    }
    // Last: a fail-over needs the card, and no model.
    stacks.done?;
    Ok(pair)
}

/// What became of the stacks.
struct Brought {
    done: Result<Summary, DeployError>,
    /// Policies of devices that would be there after a dry run.
    policies: BTreeSet<String>,
}

/// Brings the stacks over.
async fn stacks(args: &Args, ui: &Ui, pair: &Pair, place: &Place, rows: &mut Vec<Row>) -> anyhow::Result<Brought> {
    let from = Stacks::connect(&args.regions.place.place()).await?;
    let to = Stacks::connect(place).await?;
    let environment = &args.regions.environment.environment;
    let following = look([(&from, &pair.here.name), (&to, &pair.there.name)], environment).await?;
    let mut brought = Brought { done: Ok(Summary::default()), policies: BTreeSet::new() };
    if args.dry_run {
        let prefix = tenants_prefix(environment);
        let would_be = following.behind.iter().filter(|behind| !behind.is_left());
        let tenants = would_be.filter_map(|behind| Tenant::new(environment, behind.stack.strip_prefix(&prefix)?).ok());
        brought.policies = tenants.map(|tenant| tenant.device_policy()).collect();
    } else {
        brought.done = following.bring(&from, &to, args.role_arn.as_deref(), &mut Clerk::new(ui, args.yes)).await;
    }
    // Of those that were to be made and were not, the error tells; the next run looks again.
    let is_told = |behind: &&Behind| brought.done.is_ok() || behind.is_left();
    rows.extend(following.behind.iter().filter(is_told).map(Row::from));
    Ok(brought)
}

fn list(rows: &[Row], ui: &Ui) -> anyhow::Result<()> {
    let mut table = ui.rows(vec!["what", "which", "step"])?;
    for row in rows {
        table.push(&[Cell::text(row.kind), Cell::text(&row.subject), Cell::text(&row.step)])?;
    }
    Ok(table.finish()?)
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
