//! `deploy`, `status`, `destroy`, `doctor`: an environment in AWS, by CloudFormation.
//!
//! What is done is the matter of the crate `deployment`; here are the options, the words, and the person who is asked.

mod attend;
mod destroy;
mod doctor;
mod pair;
mod status;

use std::path::PathBuf;

use account::Place;
use anyhow::Context as _;
use deployment::aws::Aws;
use deployment::cloud::Cloud as _;
use deployment::deploy::{Settings, Summary};
use deployment::pair::{Peer, Standing};
use deployment::plan::{OPTIONAL, Request, Setting, TEMPLATES, plan, stack_name, tenants_prefix};
use deployment::template::STORAGE;

use crate::ui::{Ui, Usage};
pub(crate) use attend::Clerk;
pub(crate) use pair::Across;

pub(crate) use destroy::Args as DestroyArgs;
pub(crate) use doctor::Args as DoctorArgs;
pub(crate) use status::Args as StatusArgs;
pub(crate) use {destroy::run as run_destroy, doctor::run as run_doctor, status::run as run_status};

const EXAMPLES: &str = "\
Examples:
  millrace deploy --environment prod --dry-run             what would be done
  millrace deploy --environment prod --tenant acme         the whole environment, and a tenant
  millrace deploy --environment prod --region eu-west-1 --peer eu-central-1 --both    two Regions
  millrace deploy --environment prod --parameter pipeline:ShardCount=4 --parameter observability:AlarmEmail=duty@example.com

A parameter that is not given keeps the value that the stack has. Twice changes nothing, and after an interruption the same
command goes on. Stacks, in this order: artifacts, deployment, storage, pipeline, alerts, observability, dr, tenant.";

/// Where AWS is. Credentials come from the environment, a profile or single sign-on, as with the AWS CLI.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "AWS")]
pub(crate) struct Where {
    /// The Region [variable: `AWS_REGION`, or the profile's]
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// The profile of `aws configure` [variable: `AWS_PROFILE`]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Another endpoint for every service, such as that of an emulator [variable: `AWS_ENDPOINT_URL`]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

impl Where {
    pub(crate) fn place(&self) -> Place {
        Place { region: self.region.clone(), endpoint: self.endpoint.clone(), profile: self.profile.clone() }
    }
}

/// Which environment.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Environment {
    /// Name of the environment, part of every name in it
    #[arg(long, short, value_name = "NAME", default_value = "dev", value_parser = environment)]
    pub(crate) environment: String,
}

fn environment(text: &str) -> Result<String, String> {
    let parameters = deployment::template::STORAGE.parameters();
    let objection =
        parameters.iter().find(|parameter| parameter.name == "Environment").and_then(|it| it.objection(text));
    objection.map_or_else(|| Ok(text.to_owned()), Err)
}

/// What `deploy` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    environment: Environment,
    /// The other Region of a pair: tables and lake are replicated, and each stands in for the other. One that is known stays it
    #[arg(long, value_name = "REGION")]
    peer: Option<String>,
    /// Deploy the other Region as well, in the order that a pair needs, with the same tenants and parameters
    #[arg(long, requires = "peer")]
    both: bool,
    /// What this Region is: primary makes the tables of both, dr has replicas [default: primary, unless the other one is]
    #[arg(long, value_name = "WHICH", requires = "peer")]
    standing: Option<Standing>,
    #[command(flatten)]
    across: Across,
    /// A tenant whose devices are let in; more than once for more
    #[arg(long = "tenant", value_name = "NAME")]
    tenants: Vec<String>,
    /// A stack of the cold path: analytics (the lake's tables in Athena) or models (batch inference); more than once for both.
    /// One that is there is kept up to date without
    #[arg(long = "with", value_name = "STACK", value_parser = deployment::plan::OPTIONAL)]
    with: Vec<String>,
    /// Value of a parameter, STACK:NAME=VALUE; more than once for more
    #[arg(long = "parameter", short, value_name = "SETTING")]
    parameters: Vec<Setting>,
    /// The role CloudFormation acts with [default: that of the stack millrace-deployment, which is made if need be]
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// Folder of the zips that `cargo xtask package` builds
    #[arg(long, value_name = "DIR", default_value = "target/lambda")]
    code: PathBuf,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Replace and delete resources without asking
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
    #[command(flatten)]
    place: Where,
}

/// Deploys.
///
/// # Errors
/// The request has mistakes, a zip is missing, AWS refuses, an operation fails, or a person does not agree.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let mut request = Request {
        environment: args.environment.environment.clone(),
        peer: args.peer.as_deref().map(Peer::unseen),
        tenants: args.tenants.clone(),
        with: args.with.clone(),
        settings: args.parameters.clone(),
        role: args.role_arn.clone(),
    };
    // Who sets a parameter of a stack wants it.
    for name in OPTIONAL {
        if !request.with.iter().any(|with| with == name) && request.settings.iter().any(|it| it.stack == name) {
            request.with.push(name.to_owned());
        }
    }
    if args.peer.is_some() {
        plan(&request).map_err(|error| Usage(error.to_string()))?;
    }
    let mut clerk = Clerk::new(ui, args.yes);
    let summary = block_on(async {
        let aws = Aws::connect(&args.place.place()).await?;
        let storage = aws.stack(&stack_name(&STORAGE, &request.environment)).await?;
        // What is one of a pair stays it.
        let known = storage.and_then(|stack| stack.parameters.get("PeerRegion").cloned());
        match args.peer.clone().or(known).filter(|region| !region.is_empty()) {
            Some(peer) => pair::deploy(&aws, &peer, &request, args, ui, &mut clerk).await,
            None => one(&aws, &request, args, &mut clerk).await,
        }
    })?;
    let done = if args.dry_run { "would be" } else { "are" };
    ui.note(format_args!(
        "environment `{}`: {} stacks {done} created, {} updated, {} need nothing",
        request.environment, summary.created, summary.updated, summary.unchanged
    ));
    Ok(())
}

/// Deploys one Region, with what is there already.
async fn one(aws: &Aws, request: &Request, args: &Args, clerk: &mut Clerk<'_>) -> anyhow::Result<Summary> {
    let mut request = request.clone();
    // Tenants that are there already are kept up to date with the rest.
    let prefix = tenants_prefix(&request.environment);
    for name in aws.stacks(&prefix).await? {
        let tenant = name.trim_start_matches(&prefix).to_owned();
        if !request.tenants.contains(&tenant) {
            request.tenants.push(tenant);
        }
    }
    // So is what was asked for before.
    for template in TEMPLATES.iter().filter(|template| OPTIONAL.contains(&template.name)) {
        let is_there = aws.stack(&stack_name(template, &request.environment)).await?.is_some();
        if is_there && !request.with.iter().any(|with| with == template.name) {
            request.with.push(template.name.to_owned());
        }
    }
    let stacks = plan(&request).map_err(|error| Usage(error.to_string()))?;
    let settings = Settings { role: args.role_arn.clone(), is_dry: args.dry_run, only: None };
    Ok(deployment::deploy::deploy(aws, &stacks, &args.code, &settings, clerk).await?)
}

/// Runs to the end, or until the person has had enough: what CloudFormation has begun goes on without us.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            done = work => done,
            stopped = tokio::signal::ctrl_c() => {
                stopped.context("cannot wait for an interruption")?;
                anyhow::bail!("interrupted: what CloudFormation has begun goes on; the same command waits for it and does the rest")
            }
        }
    })
}
