//! The templates of `infra/`, deployed on the emulator with the real zips.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use aws_sdk_s3::primitives::ByteStream;

use crate::wait::until;
use crate::world::World;

const DEPLOYED_WITHIN: Duration = Duration::from_mins(1);

/// What a test chooses; the rest are the template's defaults.
#[derive(Clone, Copy)]
pub struct Settings {
    /// Shards of the stream.
    pub shards: u32,
    /// Records in one invocation at most. The emulator takes what is there, so a small number makes many invocations.
    pub batch_records: u32,
}

/// What a test has deployed: one stack or several that belong together. They stay until the emulator ends.
pub struct Stack {
    world: World,
    /// In the order of their deployment.
    names: Vec<String>,
    environment: String,
    /// Of all of them: no two templates have an output of the same name that a test asks for here.
    outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Deploys storage and pipeline under a name that no other test uses, and waits until both are complete.
    ///
    /// # Errors
    /// The zip or a template cannot be read, a call fails, or a stack is rolled back; the message has the reasons.
    pub async fn deploy(world: &World, settings: Settings) -> Result<Self> {
        let environment = unique_environment()?;
        let storage = Self::create(world, "storage", &environment, Vec::new()).await?;
        let mut parameters = function(world, upload_code(world, &environment, &world.zip).await?);
        parameters.extend([
            ("ShardCount", settings.shards.to_string()),
            ("BatchRecords", settings.batch_records.to_string()),
            ("BatchWindowSeconds", "0".to_owned()),
        ]);
        parameters.extend(storage.passed_on(&["ResultsTableName", "CheckpointsTableName", "LakeBucketName"]));
        let pipeline = Self::create(world, "pipeline", &environment, parameters).await?;
        Ok(storage.with(pipeline))
    }

    /// Deploys the alerts of a pipeline. `claim_seconds` is how long a message waits whose sender was lost.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn deploy_alerts(pipeline: &Self, claim_seconds: u32) -> Result<Self> {
        let (world, environment) = (&pipeline.world, &pipeline.environment);
        let zip = world.alerts_zip.as_ref().context("MILLRACE_TEST_ALERTS_ZIP is not set; run `cargo xtask e2e`")?;
        let mut parameters = function(world, upload_code(world, environment, zip).await?);
        parameters.extend([
            ("ClaimSeconds", claim_seconds.to_string()),
            ("AllowPrivate", "true".to_owned()),
            ("Secrets", "environment".to_owned()),
        ]);
        parameters.extend([("PulseSeconds", "60".to_owned())]);
        let of_both = ["ResultsTableName", "ResultsStreamArn", "CheckpointsTableName", "LakeBucketName", "StreamName"];
        parameters.extend(pipeline.passed_on(&of_both));
        Self::create(world, "alerts", environment, parameters).await
    }

    /// Deploys a storage that tells of new objects, and the function that reads results of batch inference.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn deploy_models(world: &World) -> Result<Self> {
        let environment = unique_environment()?;
        let events = vec![("ObjectEvents", "true".to_owned())];
        let storage = Self::create(world, "storage", &environment, events).await?;
        let models = Self::deploy_models_of(&storage).await?;
        Ok(storage.with(models))
    }

    /// Deploys the function that reads results of batch inference over a storage. Its outputs are among those that are returned.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn deploy_models_of(storage: &Self) -> Result<Self> {
        let (world, environment) = (&storage.world, &storage.environment);
        let zips = world.zip.parent().and_then(Path::parent).context("a zip lies in its function's folder")?;
        let zip = zips.join("batch-analyzer/bootstrap.zip");
        let mut parameters = function(world, upload_code(world, environment, &zip).await?);
        let of_storage = ["ResultsTableName", "CheckpointsTableName", "LakeBucketName"];
        parameters.extend(storage.passed_on(&of_storage));
        let models = Self::create(world, "models", environment, parameters).await?;
        let known = of_storage.map(|name| (name.to_owned(), storage.output(name).to_owned()));
        Ok(Self { outputs: known.into_iter().chain(models.outputs).collect(), ..models })
    }

    /// Deploys a storage, and its lake as tables with their saved queries.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn deploy_analytics(world: &World) -> Result<Self> {
        let environment = unique_environment()?;
        let storage = Self::create(world, "storage", &environment, Vec::new()).await?;
        let parameters = storage.passed_on(&["LakeBucketName"]);
        let analytics = Self::create(world, "analytics", &environment, parameters).await?;
        Ok(storage.with(analytics))
    }

    /// Deploys alarms and dashboard of a pipeline and its alerts.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn deploy_observability(pipeline: &Self, alerts: &Self) -> Result<Self> {
        let of_both = ["ResultsTableName", "CheckpointsTableName", "LakeBucketName", "StreamName", "ScorerName"];
        let mut parameters = pipeline.passed_on(&of_both);
        parameters.extend(alerts.passed_on(&["FanoutName"]));
        parameters.push(("ScorerFailureQueueName", pipeline.output("FailureQueueName").to_owned()));
        parameters.push(("FanoutFailureQueueName", alerts.output("FailureQueueName").to_owned()));
        Self::create(&pipeline.world, "observability", &pipeline.environment, parameters).await
    }

    /// Deploys what a tenant's devices and people need of a pipeline, with all that is optional and played here.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn deploy_tenant(pipeline: &Self, observability: &Self, tenant: &str) -> Result<Self> {
        let mut parameters = pipeline.passed_on(&["StreamName", "ResultsTableName", "LakeBucketName"]);
        parameters.extend(observability.passed_on(&["AlarmTopicArn"]));
        parameters.extend([("Tenant", tenant.to_owned()), ("SensorTopics", "true".to_owned())]);
        Self::create(&pipeline.world, "tenant", &pipeline.environment, parameters).await
    }

    /// Deploys one of several tenants of a pipeline, with nobody to hear alarms.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn deploy_one_tenant(pipeline: &Self, tenant: &str) -> Result<Self> {
        let mut parameters = pipeline.passed_on(&["StreamName", "ResultsTableName", "LakeBucketName"]);
        parameters.push(("Tenant", tenant.to_owned()));
        let name = format!("tenant-{tenant}");
        Self::create_as(&pipeline.world, &name, "tenant", &pipeline.environment, parameters).await
    }

    async fn create(world: &World, template: &str, environment: &str, parameters: Vec<(&str, String)>) -> Result<Self> {
        Self::create_as(world, template, template, environment, parameters).await
    }

    async fn create_as(
        world: &World,
        name: &str,
        template: &str,
        environment: &str,
        mut parameters: Vec<(&str, String)>,
    ) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../infra/{template}.yaml"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = format!("millrace-{environment}-{name}");
        let stack = Self {
            world: world.clone(),
            names: vec![name.clone()],
            environment: environment.to_owned(),
            outputs: BTreeMap::new(),
        };
        parameters.push(("Environment", environment.to_owned()));
        let mut form = vec![
            ("TemplateBody".to_owned(), text),
            // The template names no IAM resource, so it asks for no more than this.
            ("Capabilities.member.1".to_owned(), "CAPABILITY_IAM".to_owned()),
        ];
        for (index, (key, value)) in parameters.into_iter().enumerate() {
            form.push((format!("Parameters.member.{}.ParameterKey", index + 1), key.to_owned()));
            form.push((format!("Parameters.member.{}.ParameterValue", index + 1), value));
        }
        stack.cloudformation(&name, "CreateStack", &form)?;
        let description = stack.settled(&name).await?;
        if status(&description) != Some("CREATE_COMPLETE") {
            let events = stack.cloudformation(&name, "DescribeStackEvents", &[])?;
            let reasons = every(&events, "ResourceStatusReason").collect::<Vec<_>>().join("; ");
            bail!("stack {name} is {}: {reasons}", status(&description).unwrap_or("without a status"));
        }
        let outputs = every(&description, "OutputKey")
            .map(str::to_owned)
            .zip(every(&description, "OutputValue").map(str::to_owned))
            .collect();
        Ok(Self { outputs, ..stack })
    }

    /// This, and what was deployed after it.
    fn with(mut self, later: Self) -> Self {
        self.names.extend(later.names);
        self.outputs.extend(later.outputs);
        self
    }

    /// Outputs as the parameters of these names of another template.
    fn passed_on<'name>(&self, names: &[&'name str]) -> Vec<(&'name str, String)> {
        names.iter().map(|name| (*name, self.output(name).to_owned())).collect()
    }

    /// An output of a template.
    ///
    /// # Panics
    /// No template has such an output.
    #[must_use]
    pub fn output(&self, key: &str) -> &str {
        self.outputs.get(key).unwrap_or_else(|| panic!("{:?} have no output {key}: {:?}", self.names, self.outputs))
    }

    /// The world it is deployed in.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Deletes what was deployed, the last first, and waits until that is done.
    ///
    /// # Errors
    /// A call fails.
    pub async fn delete(&self) -> Result<()> {
        for name in self.names.iter().rev() {
            self.cloudformation(name, "DeleteStack", &[])?;
            until("the stack is deleted", DEPLOYED_WITHIN, || async {
                // A deleted stack is no longer found by its name.
                Ok(match self.cloudformation(name, "DescribeStacks", &[]) {
                    Ok(description) => (status(&description) == Some("DELETE_COMPLETE")).then_some(()),
                    Err(_) => Some(()),
                })
            })
            .await?;
        }
        Ok(())
    }

    /// Waits for the end of what CloudFormation is doing, and returns the stack's description.
    async fn settled(&self, name: &str) -> Result<String> {
        until("the stack is deployed", DEPLOYED_WITHIN, || async {
            let description = self.cloudformation(name, "DescribeStacks", &[])?;
            let busy = status(&description).is_some_and(|status| status.ends_with("_IN_PROGRESS"));
            Ok((!busy).then_some(description))
        })
        .await
    }

    /// One call of CloudFormation, on this stack. The answer is XML.
    fn cloudformation(&self, name: &str, action: &str, form: &[(String, String)]) -> Result<String> {
        let of_this = [("StackName".to_owned(), name.to_owned())];
        self.world.query("cloudformation", "2010-05-15", action, of_this.iter().chain(form))
    }
}

/// What every template with a function is told of it.
fn function(world: &World, code_key: String) -> Vec<(&'static str, String)> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    vec![
        ("CodeKey", code_key),
        ("CodeBucket", code_bucket(world)),
        ("Architecture", architecture.to_owned()),
        ("S3PathStyle", "true".to_owned()),
    ]
}

/// Buckets of all accounts share one space of names.
fn code_bucket(world: &World) -> String {
    format!("millrace-code-{}", world.account)
}

/// At most 11 characters, as the template's pattern has it; unlike that of any other test on the same emulator.
fn unique_environment() -> Result<String> {
    static DEPLOYED: AtomicU8 = AtomicU8::new(0);
    let letter = char::from(
        b'a'.checked_add(DEPLOYED.fetch_add(1, Ordering::Relaxed))
            .filter(u8::is_ascii_lowercase)
            .ok_or_else(|| anyhow!("one test process deploys at most 26 stacks"))?,
    );
    Ok(format!("t{}{letter}", std::process::id()))
}

async fn upload_code(world: &World, environment: &str, zip: &Path) -> Result<String> {
    // Creating one's own bucket again is no error in us-east-1.
    world.s3.create_bucket().bucket(code_bucket(world)).send().await.context("cannot create the bucket for code")?;
    let function = zip.parent().and_then(Path::file_name).context("a zip lies in its function's folder")?;
    let key = format!("{environment}/{}.zip", function.display());
    let body = ByteStream::from_path(zip).await.with_context(|| format!("cannot read the zip {}", zip.display()))?;
    world
        .s3
        .put_object()
        .bucket(code_bucket(world))
        .key(&key)
        .body(body)
        .send()
        .await
        .context("cannot upload the zip")?;
    Ok(key)
}

fn status(description: &str) -> Option<&str> {
    every(description, "StackStatus").next()
}

/// The text of every `<tag>…</tag>`, in order. Enough for answers whose elements of that name hold only text.
pub(crate) fn every<'xml>(xml: &'xml str, tag: &str) -> impl Iterator<Item = &'xml str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (text, after) = after.split_once(&close)?;
        rest = after;
        Some(text)
    })
}
