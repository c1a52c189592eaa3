//! An environment in AWS: what its stacks say of stores, stream and tenants.

use std::time::Duration;

use account::Access;
use anyhow::Context as _;
use deployment::aws::Aws as Stacks;
use deployment::cloud::{Cloud as _, Stack};
use deployment::plan::stack_name;
use deployment::template::{PIPELINE, STORAGE};
use kinesis_scorer::fold::Tenancy;
use platform::aws::{Aws, AwsSettings};
use platform::clock;
use platform::ports::ListShards as _;

use super::place::Place;
use crate::deploy::Where;

/// How long one try of a call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the environment is.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "On AWS, in place of a folder")]
pub(crate) struct Options {
    /// The environment, as of `millrace deploy`
    #[arg(long, short, value_name = "NAME", conflicts_with_all = ["dir", "shards"])]
    environment: Option<String>,
    #[command(flatten)]
    place: Where,
}

impl Options {
    /// The environment's stores, if one is named.
    ///
    /// # Errors
    /// AWS cannot be asked, or the environment has no pipeline.
    pub(super) async fn open(&self, stream: Option<&str>) -> anyhow::Result<Option<Place<Aws>>> {
        match &self.environment {
            Some(environment) => find(environment, &self.place, stream).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The stores of an environment.
///
/// # Errors
/// AWS cannot be asked, or the environment has no pipeline.
pub(crate) async fn find(environment: &str, place: &Where, stream: Option<&str>) -> anyhow::Result<Place<Aws>> {
    let place = place.place();
    let stacks = Stacks::connect(&place).await?;
    let storage = stacks.stack(&stack_name(&STORAGE, environment)).await?.unwrap_or_default();
    let pipeline = stacks.stack(&stack_name(&PIPELINE, environment)).await?.unwrap_or_default();
    let output = |stack: &Stack, name: &str| {
        let words = || format!("the environment `{environment}` has no {name}: `millrace status` shows what there is");
        stack.outputs.get(name).cloned().with_context(words)
    };
    let settings = |is_elsewhere| -> anyhow::Result<AwsSettings> {
        Ok(AwsSettings {
            bucket: output(&storage, "LakeBucketName")?,
            results_table: output(&storage, "ResultsTableName")?,
            checkpoints_table: output(&storage, "CheckpointsTableName")?,
            s3_path_style: is_elsewhere,
        })
    };
    let Access { config, region, is_elsewhere } = Access::find(&place, PATIENCE).await?;
    let world = Aws::from_config(&config, settings(is_elsewhere)?);
    let stream = stream.map_or_else(|| output(&pipeline, "StreamName"), |name| Ok(name.to_owned()))?;
    let shards = world.list_shards(&stream).await?;
    let parameter = |name: &str| pipeline.parameters.get(name).filter(|text| !text.is_empty());
    let default = parameter("DefaultTenant").map_or("default", String::as_str);
    let tenancy = Tenancy::new(parameter("Tenant").map(String::as_str), default);
    Ok(Place { world, region, stream, shards, tenancy, now: Some(clock::now()) })
}
