//! An environment in AWS: its stores, its stream, and what is told of its configuration.

use std::time::Duration;

use account::Access;
use backup::aws::{Bucket, Exports, Tables};
use backup::manifest::{StreamFacts, Subject};
use backup::restore::Target;
use deployment::aws::Aws as Stacks;
use deployment::cloud::Cloud as _;
use deployment::destroy::standing;
use deployment::plan::tenants_prefix;
use kinesis_scorer::fold::Tenancy;
use platform::aws::in_region;
use platform::clock;
use platform::model::ShardInfo;
use serde_json::{Value, json};
use tenancy::issue::held;
use tenancy::names::Tenant;
use tenancy::registry::Registry as _;

use crate::backfill::aws::find;
use crate::deploy::Where;

/// How long one try of a call may take: an object of a gigabyte over a slow line.
const PATIENCE: Duration = Duration::from_mins(10);

/// A place in S3.
pub(super) async fn bucket(place: &Where, region: Option<&str>, name: &str, prefix: &str) -> anyhow::Result<Bucket> {
    let Access { config, is_elsewhere, .. } = Access::find(&place.place(), PATIENCE).await?;
    let config = region.map_or_else(|| config.clone(), |region| in_region(&config, region, None));
    Ok(Bucket::new(client(&config, is_elsewhere), name, prefix))
}

fn client(config: impl Into<aws_sdk_s3::config::Builder>, is_elsewhere: bool) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(config.into().force_path_style(is_elsewhere).build())
}

/// An environment that is there.
pub(super) struct Live {
    pub(super) lake: Bucket,
    pub(super) items: Tables,
    region: String,
    stream: String,
    shards: Vec<ShardInfo>,
    tenancy: Tenancy,
}

impl Live {
    /// Finds it. `exports` is where DynamoDB can export its tables to.
    ///
    /// # Errors
    /// AWS cannot be asked, or the environment has no storage or no pipeline.
    pub(super) async fn open(environment: &str, place: &Where, exports: Option<Exports>) -> anyhow::Result<Self> {
        let found = find(environment, place, None).await?;
        let settings = found.world.settings();
        let Access { config, is_elsewhere, .. } = Access::find(&place.place(), PATIENCE).await?;
        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        Ok(Self {
            lake: Bucket::new(client(&config, is_elsewhere), &settings.bucket, ""),
            items: Tables::new(dynamodb, &settings.results_table, &settings.checkpoints_table, exports),
            region: found.region,
            stream: found.stream,
            shards: found.shards,
            tenancy: found.tenancy,
        })
    }

    /// What a backup of it is of.
    pub(super) fn subject(&self, environment: &str) -> Subject {
        let shards = self.shards.iter().map(|info| (info.shard.clone(), info.hash_range.into())).collect();
        let stream = Some(StreamFacts { name: self.stream.clone(), shards });
        Subject { environment: environment.to_owned(), region: self.region.clone(), stream }
    }

    /// Where a backup is brought back.
    pub(super) fn target(&self) -> Target<'_, Bucket, Tables> {
        Target {
            lake: &self.lake,
            items: &self.items,
            region: self.region.clone(),
            stream: self.stream.clone(),
            shards: self.shards.clone(),
            tenancy: self.tenancy.clone(),
            now: clock::now(),
        }
    }
}

/// What a person needs to make the environment again: the stacks' parameters and outputs, and of each tenant its things, the
/// public parts of their certificates, and the policy that they have.
///
/// # Errors
/// AWS cannot be asked.
pub(super) async fn documents(environment: &str, place: &Where) -> anyhow::Result<Vec<(String, Value)>> {
    let stacks = Stacks::connect(&place.place()).await?;
    let names = standing(&stacks, environment, false).await?;
    let mut documents = Vec::new();
    let mut told = Vec::new();
    for name in &names {
        let Some(stack) = stacks.stack(name).await? else { continue };
        told.push(json!({
            "stack": name, "status": stack.status, "parameters": stack.parameters, "outputs": stack.outputs,
        }));
    }
    documents.push(("stacks".to_owned(), Value::Array(told)));
    let registry = tenancy::aws::Aws::connect(&place.place()).await?;
    let prefix = tenants_prefix(environment);
    for name in names.iter().filter_map(|name| name.strip_prefix(&prefix)) {
        let tenant = Tenant::new(environment, name)?;
        let devices = devices(&registry, &tenant).await?;
        let policy = registry.policy_document(&tenant.device_policy()).await?;
        let policy = policy.map(|text| serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text)));
        let document = json!({ "tenant": name, "device_policy": policy, "devices": devices });
        documents.push((format!("tenant {name}"), document));
    }
    Ok(documents)
}

async fn devices(registry: &tenancy::aws::Aws, tenant: &Tenant) -> anyhow::Result<Vec<Value>> {
    let mut devices = Vec::new();
    let attributes = tenant.attributes();
    let Some((attribute, value)) = attributes.get_key_value("tenant") else { return Ok(devices) };
    for name in registry.things(attribute, value).await? {
        let Some(thing) = registry.thing(&name).await? else { continue };
        // Two environments may have a tenant of one name.
        if attributes.iter().any(|(attribute, value)| thing.attributes.get(attribute) != Some(value)) {
            continue;
        }
        let mut certificates = Vec::new();
        for certificate in held(registry, &name).await? {
            certificates.push(json!({
                "id": certificate.id, "arn": certificate.arn, "status": certificate.status, "pem": certificate.pem,
                "expires": certificate.expires,
            }));
        }
        devices.push(json!({
            "thing": name, "arn": thing.arn, "attributes": thing.attributes, "certificates": certificates,
        }));
    }
    Ok(devices)
}
