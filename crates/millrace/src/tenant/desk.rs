//! What every command has at hand: the services, the tenant, and what its stacks say.

use account::Place;
use anyhow::{Context as _, bail};
use deployment::aws::Aws as Stacks;
use deployment::cloud::{Cloud as _, Stack};
use deployment::plan::{stack_name, tenants_prefix};
use deployment::template::{DEPLOYMENT, PIPELINE, STORAGE};
use tenancy::aws::Aws;
use tenancy::names::Tenant;
use tenancy::record::Facts;

use super::Of;
use crate::deploy::Where;

/// The services and whose matter it is.
pub(super) struct Desk {
    pub(super) stacks: Stacks,
    pub(super) aws: Aws,
    pub(super) tenant: Tenant,
}

impl Desk {
    /// Opens it.
    ///
    /// # Errors
    /// No Region is set.
    pub(super) async fn open(of: &Of) -> anyhow::Result<Self> {
        let tenant = Tenant::new(&of.environment.environment, &of.name)?;
        let stacks = Stacks::connect(&of.place.place()).await?;
        Ok(Self { stacks, aws: connect(&of.place).await?, tenant })
    }

    /// The stack that is the tenant's.
    pub(super) fn stack(&self) -> String {
        format!("{}{}", tenants_prefix(&self.tenant.environment), self.tenant.name)
    }

    /// What the stacks say, or `None` where the tenant has none.
    ///
    /// # Errors
    /// AWS cannot be asked, or a stack is not as `millrace deploy` makes it.
    pub(super) async fn find_facts(&self) -> anyhow::Result<Option<Facts>> {
        let environment = &self.tenant.environment;
        let Some(own) = self.stacks.stack(&self.stack()).await? else { return Ok(None) };
        if own.outputs.is_empty() {
            return Ok(None);
        }
        let pipeline = self.stacks.stack(&stack_name(&PIPELINE, environment)).await?.unwrap_or_default();
        let storage = self.stacks.stack(&stack_name(&STORAGE, environment)).await?.unwrap_or_default();
        let output = |name: &str| {
            let words = || format!("`{}` has no output {name}: run `millrace deploy` first", self.stack());
            own.outputs.get(name).cloned().with_context(words)
        };
        let own_parameter = |name: &str| {
            let words = || format!("`{}` has no parameter {name}: run `millrace deploy` first", self.stack());
            own.parameters.get(name).cloned().with_context(words)
        };
        let filled = |stack: &Stack, name: &str| stack.parameters.get(name).filter(|text| !text.is_empty()).cloned();
        Ok(Some(Facts {
            region: self.aws.region().to_owned(),
            stack: self.stack(),
            stack_id: own.id.clone(),
            rule: output("TelemetryRuleName")?,
            sensor_rule: own.outputs.get("SensorRuleName").cloned(),
            device_policy: output("DevicePolicyName")?,
            people_topic: output("TopicArn")?,
            reader_policy: output("ReaderPolicyArn")?,
            rule_failures: output("RuleFailuresUrl")?,
            asset_model: own.outputs.get("AssetModelId").cloned(),
            stream: own_parameter("StreamName")?,
            results_table: own_parameter("ResultsTableName")?,
            lake: own_parameter("LakeBucketName")?,
            checkpoints_table: storage.outputs.get("CheckpointsTableName").cloned().unwrap_or_default(),
            scorer_log: pipeline.outputs.get("ScorerLogName").cloned().unwrap_or_default(),
            peer: filled(&pipeline, "PeerRegion"),
            peer_lake: filled(&storage, "ReplicaBucketName"),
            result_days: filled(&pipeline, "ResultDays").and_then(|days| days.parse().ok()),
        }))
    }

    /// What the stacks say.
    ///
    /// # Errors
    /// The tenant has no stack; or see [`Self::find_facts`].
    pub(super) async fn facts(&self) -> anyhow::Result<Facts> {
        match self.find_facts().await? {
            Some(facts) => Ok(facts),
            None => bail!(
                "the environment `{}` has no tenant `{1}`: `millrace tenant list` shows them, `millrace tenant add {1}` brings \
                 one on",
                self.tenant.environment,
                self.tenant.name
            ),
        }
    }

    /// The role that CloudFormation deploys with, or `None` where the caller does.
    ///
    /// # Errors
    /// AWS cannot be asked.
    pub(super) async fn role(&self) -> anyhow::Result<Option<String>> {
        let stack = self.stacks.stack(&stack_name(&DEPLOYMENT, &self.tenant.environment)).await?;
        Ok(stack.and_then(|stack| stack.outputs.get("DeploymentRoleArn").cloned()))
    }
}

/// The services.
///
/// # Errors
/// No Region is set.
pub(super) async fn connect(place: &Where) -> anyhow::Result<Aws> {
    let place = place.place();
    let place = Place { region: place.region, endpoint: place.endpoint, profile: place.profile };
    Ok(Aws::connect(&place).await?)
}

/// Now.
pub(super) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The beginning of a certificate's id, by which people tell them apart.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
