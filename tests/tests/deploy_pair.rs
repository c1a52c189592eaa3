//! Two Regions by command: with one word for both, and a step at a time; a second run changes nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ReplicationStatus;
use e2e::{Carried, IMAGES, Playing, Side, Twins, World, push_images};
use serde_json::Value;

const QUIET: Duration = Duration::from_secs(20);
const PLAYING: Playing = Playing { policies: false, brokers: false };

/// The parameters of a stack.
fn parameters(world: &World, stack: &str) -> Result<String> {
    let form = [("StackName".to_owned(), stack.to_owned())];
    world.query("cloudformation", "2010-05-15", "DescribeStacks", &form)
}

fn has(description: &str, name: &str, value: &str) -> bool {
    let pair = format!("<ParameterKey>{name}</ParameterKey><ParameterValue>{value}</ParameterValue>");
    description.split_whitespace().collect::<String>().contains(&pair)
}

/// Each Region knows the other, and what is written in one lake is in the other.
async fn is_a_pair(twins: &Twins) -> Result<()> {
    for side in Side::BOTH {
        let world = twins.world(side);
        let storage = parameters(world, &twins.named("storage"))?;
        let lake_there = twins.lake(side.across());
        let standing = if side == Side::Primary { "primary" } else { "dr" };
        for (name, value) in [("Standing", standing), ("ReplicaBucketName", &lake_there)] {
            ensure!(has(&storage, name, value), "{}: {name} is not {value}: {storage}", side.region());
        }
        let dr = parameters(world, &twins.named("dr"))?;
        let there = world.peer_endpoint.as_deref().context("no endpoint of the other Region")?;
        for (name, value) in [("PeerLakeBucketName", lake_there.as_str()), ("PeerEndpointUrl", there)] {
            ensure!(has(&dr, name, value), "{}: {name} is not {value}: {dr}", side.region());
        }
        // The fan-out of each Region listens to the table that is there.
        let alerts = parameters(world, &twins.named("alerts"))?;
        let table = world.dynamodb.describe_table().table_name(twins.named("results")).send().await?.table;
        let stream = table.and_then(|table| table.latest_stream_arn).context("no stream")?;
        ensure!(stream.contains(side.region()) && has(&alerts, "ResultsStreamArn", &stream), "{alerts}");
        let put = world.s3.put_object().bucket(twins.lake(side)).key(format!("config/{standing}/profile.toml"));
        put.send().await.context("put an object")?;
    }
    twins.link().until_quiet(QUIET).await?;
    for (side, key) in [(Side::Primary, "config/dr/profile.toml"), (Side::Other, "config/primary/profile.toml")] {
        let copy = twins.world(side).s3.head_object().bucket(twins.lake(side)).key(key).send().await;
        let copy = copy.with_context(|| format!("no copy in {}", side.region()))?;
        ensure!(copy.replication_status() == Some(&ReplicationStatus::Replica), "{copy:?}");
    }
    Ok(())
}

#[tokio::test]
async fn both_regions_are_deployed_by_one_command_and_the_second_time_nothing_changes() -> Result<()> {
    let Some(twins) = Twins::empty("deploy-both", PLAYING).await? else { return Ok(()) };
    let dry = twins.deploy_with(Side::Primary, &["--both", "--dry-run"])?;
    ensure!(dry.contains("eu-west-1: what would be done there shows when us-east-1 is deployed"), "{dry}");
    let first = twins.deploy_with(Side::Primary, &["--both", "--tenant", "acme"])?;
    ensure!(first.contains("us-east-1: primary of a pair with eu-west-1"), "{first}");
    is_a_pair(&twins).await?;
    // From either Region, and whether or not the other one is named again.
    for side in Side::BOTH {
        let again = twins.deploy_with(side, &["--both"])?;
        ensure!(again.contains("0 stacks are created, 0 updated, 16 need nothing"), "{again}");
        let path = format!("/2015-03-31/functions/{}/configuration?Qualifier=live", twins.named("kinesis-scorer"));
        let scorer: serde_json::Value =
            serde_json::from_str(&twins.world(side).rest("lambda", "GET", &path, &[], "")?)?;
        ensure!(scorer["Environment"]["Variables"]["MILLRACE_PEER_REGION"] == side.across().region(), "{scorer}");
    }
    for side in [Side::Other, Side::Primary] {
        let gone = twins.millrace(side, &["destroy"], &["--yes", "--delete-data", twins.environment()])?;
        ensure!(gone.status.success(), "{gone:?}");
        ensure!(parameters(twins.world(side), &twins.named("dr")).is_err(), "dr stays in {}", side.region());
    }
    Ok(())
}

#[tokio::test]
async fn a_step_at_a_time_each_run_says_which_is_the_next() -> Result<()> {
    let Some(twins) = Twins::empty("deploy-steps", PLAYING).await? else { return Ok(()) };
    let early = twins.deploy_with(Side::Other, &["--standing", "dr"]).unwrap_err().to_string();
    ensure!(early.contains("there is no replica of the results table in eu-west-1 yet"), "{early}");
    let first = twins.deploy_with(Side::Primary, &[])?;
    ensure!(first.contains("next: `millrace deploy --region eu-west-1 --peer us-east-1`"), "{first}");
    twins.link().until_quiet(QUIET).await?;
    let second = twins.deploy_with(Side::Other, &[])?;
    ensure!(second.contains("eu-west-1: dr of a pair with us-east-1") && second.contains("next: "), "{second}");
    let third = twins.deploy_with(Side::Primary, &[])?;
    ensure!(!third.contains("next: "), "{third}");
    is_a_pair(&twins).await?;
    let refused = twins.deploy_with(Side::Primary, &["--standing", "dr"]).unwrap_err().to_string();
    ensure!(refused.contains("tables cannot change hands by a deployment"), "{refused}");
    Ok(())
}

/// Publishes a model in the primary and deploys it, and a second tenant, there alone.
async fn deploy_in_one(twins: &Twins, version: u32, digest: &str) -> Result<()> {
    let data = format!("models/acme/heat/{version}/model.tar.gz");
    let put = twins.world(Side::Primary).s3.put_object().bucket(twins.lake(Side::Primary)).key(&data);
    put.body(ByteStream::from_static(b"archive")).send().await.context("cannot store the archive")?;
    let (repository, digest) = (format!("models:ModelRepository={IMAGES}"), format!("models:ModelDigest={digest}"));
    let data = format!("models:ModelData={data}");
    let model = ["-p", &repository, "-p", &digest, "-p", &data];
    let rest = ["-p", "models:EndpointInstance=ml.c7i.large", "-p", "models:S3PathStyle=true", "--tenant", "bolt"];
    twins.deploy_with(Side::Primary, &[&model[..], &rest].concat()).map(drop)
}

/// What `dr sync` has for rows, and how it ends.
fn synced(twins: &Twins, more: &[&str]) -> Result<(Vec<[String; 3]>, Option<i32>)> {
    let done = twins.millrace(Side::Primary, &["dr", "sync"], &[&["--output", "json"], more].concat())?;
    let rows: Vec<Value> = serde_json::from_slice(&done.stdout).with_context(|| format!("{done:?}"))?;
    let cell = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    Ok((rows.iter().map(|row| ["what", "which", "step"].map(|name| cell(row, name))).collect(), done.status.code()))
}

/// Names of what SageMaker has.
fn listed(world: &World, what: &str) -> Result<usize> {
    let target = format!("SageMaker.List{what}");
    let answer = world.rest("sagemaker", "POST", "/", &[("X-Amz-Target", &target)], "{}")?;
    let answer: Value = serde_json::from_str(&answer)?;
    Ok(answer[what].as_array().context("no list")?.len())
}

#[tokio::test]
async fn models_and_tenants_that_one_region_alone_has_are_brought_over() -> Result<()> {
    let Some(twins) = Twins::deploy("sync-stacks", PLAYING, "acme", &[]).await? else { return Ok(()) };
    let (models, tenant) = (twins.named("models"), twins.named("tenant-bolt"));
    // The archive is not there yet: the model waits for it, the rest does not.
    let releases = ["1", "2"];
    let [digest, next] = push_images(twins.world(Side::Primary), releases)?;
    twins.link().pause(Side::Primary, Carried::Lake);
    deploy_in_one(&twins, 1, &digest).await?;
    let (would, code) = synced(&twins, &["--dry-run"])?;
    ensure!(parameters(twins.world(Side::Other), &tenant).is_err(), "a dry run made {tenant}");
    let (did, _) = synced(&twins, &[])?;
    ensure!(would == did && code == Some(5), "{would:?} {did:?}");
    let [waits, made] = &did[..] else { anyhow::bail!("{did:?}") };
    ensure!(waits[1] == models && waits[2].contains("model.tar.gz, which has not arrived"), "{did:?}");
    ensure!(*made == ["stack".to_owned(), tenant.clone(), "made".to_owned()], "{did:?}");

    twins.link().resume(Side::Primary, Carried::Lake);
    twins.link().until_quiet(QUIET).await?;
    // Nor is its image.
    let refused = twins.millrace(Side::Primary, &["dr", "sync"], &["--output", "json"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(1) && said.contains("is not in ECR of this Region"), "{said}");
    push_images(twins.world(Side::Other), releases)?;
    let (did, code) = synced(&twins, &[])?;
    ensure!(did == [["stack".to_owned(), models.clone(), "made".to_owned()]] && code == Some(0), "{did:?}");
    ensure!(synced(&twins, &[])? == (Vec::new(), Some(0)), "the second time something is done");
    // What would be charged by the hour rests.
    for (what, counts) in [("Models", [1, 1]), ("EndpointConfigs", [1, 1]), ("Endpoints", [1, 0])] {
        let found = [listed(twins.world(Side::Primary), what)?, listed(twins.world(Side::Other), what)?];
        ensure!(found == counts, "{what}: {found:?}");
    }

    // Another model takes the place of the first, which has to be agreed to.
    deploy_in_one(&twins, 2, &next).await?;
    twins.link().until_quiet(QUIET).await?;
    let refused = twins.millrace(Side::Primary, &["dr", "sync"], &["--output", "json"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(1) && said.contains("Say --yes"), "{said}");
    let (did, code) = synced(&twins, &["--yes"])?;
    let step = "as in the source: ModelDigest, ModelData".to_owned();
    ensure!(did == [["stack".to_owned(), models.clone(), step]] && code == Some(0), "{did:?}");
    let only =
        ["--only", "artifact", "--only", "model", "--only", "endpoint-config", "--only", "policy", "--only", "rule"];
    let checked = twins.millrace(Side::Primary, &["dr", "check"], &[&only[..], &["--output", "json"]].concat())?;
    ensure!(checked.status.code() == Some(0), "{checked:?}");
    let there = parameters(twins.world(Side::Other), &models)?;
    ensure!(has(&there, "Standby", "true") && has(&there, "ModelData", "models/acme/heat/2/model.tar.gz"), "{there}");
    Ok(())
}
