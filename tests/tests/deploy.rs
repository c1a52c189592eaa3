//! An environment by command, on the emulator, through the real binary: deployed, deployed again, looked at, taken down.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use e2e::{Plant, Settings, Stack, World, bronze, change, checkpoints, until};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_mins(2);
/// What the emulator needs.
const PATH_STYLE: [&str; 4] = ["-p", "pipeline:S3PathStyle=true", "-p", "alerts:S3PathStyle=true"];

/// The command, the folder of the zips, and an environment in an account that no other test uses: what environments share is made
/// by each test.
struct Desk<'w> {
    world: &'w World,
    cli: &'w Path,
    code: &'w Path,
    environment: String,
    region: &'static str,
}

impl<'w> Desk<'w> {
    /// `None` where the run has not built what a person at a desk has.
    fn new(world: &'w World) -> Result<Option<Self>> {
        static DESKS: AtomicU8 = AtomicU8::new(0);
        let (Some(cli), Some(_)) = (&world.cli, &world.alerts_zip) else { return Ok(None) };
        let code = world.zip.parent().and_then(Path::parent).context("a zip lies in its function's folder")?;
        let letter = char::from(b'd' + DESKS.fetch_add(1, Ordering::Relaxed));
        let environment = format!("{letter}{}", std::process::id() % 1_000_000);
        Ok(Some(Self { world, cli, code, environment, region: "us-east-1" }))
    }

    fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.cli);
        command.args([verb, "--endpoint", &self.world.endpoint, "--region", self.region, "--output", "json"]);
        if verb != "doctor" {
            command.args(["--environment", &self.environment]);
        }
        if verb != "destroy" {
            command.arg("--code").arg(self.code);
        }
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", self.world.account.as_str()),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ] {
            command.env(name, value);
        }
        command.args(arguments);
        command
    }

    fn run(&self, verb: &str, arguments: &[&str]) -> Result<Output> {
        self.command(verb, arguments).output().context("the command does not run")
    }

    /// Kills it, as a power cut would, when it says this.
    fn killed_at(&self, words: &str, verb: &str, arguments: &[&str]) -> Result<()> {
        let mut child = self.command(verb, arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut said = Vec::new();
        for line in BufReader::new(child.stderr.take().context("no standard error")?).lines() {
            said.push(line?);
            if said.last().is_some_and(|line| line.contains(words)) {
                child.kill().context("it cannot be killed")?;
                child.wait()?;
                return Ok(());
            }
        }
        bail!("it ended with {} and never said `{words}`: {}", child.wait()?, said.join("\n"))
    }

    /// An output of a stack, by its template's name.
    fn output(&self, template: &str, name: &str) -> Result<String> {
        let listed = self.data("status", &["--outputs"])?;
        let stack = format!("millrace-{}-{template}", self.environment);
        let mut rows = listed.as_array().context("no rows")?.iter();
        let row = rows.find(|row| row["stack"] == stack.as_str() && row["output"] == name);
        row.and_then(|row| row["value"].as_str()).map(str::to_owned).with_context(|| format!("{stack} has no {name}"))
    }

    /// What it says on standard error when it succeeds.
    fn words(&self, verb: &str, arguments: &[&str]) -> Result<String> {
        let output = self.run(verb, arguments)?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "`millrace {verb} {}`: {words}", arguments.join(" "));
        Ok(words)
    }

    /// What it says on standard output when it succeeds.
    fn data(&self, verb: &str, arguments: &[&str]) -> Result<Value> {
        let output = self.run(verb, arguments)?;
        ensure!(output.status.success(), "`millrace {verb}`: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON: {output:?}"))
    }

    /// `status`, of the environment's own stacks and its tenants': name without the environment, state, code.
    fn status(&self) -> Result<Vec<(String, Value, Value)>> {
        let listed = self.data("status", &[])?;
        let prefix = format!("millrace-{}-", self.environment);
        let rows = listed.as_array().context("no rows")?.iter();
        Ok(rows
            .filter_map(|row| {
                let own = row["stack"].as_str()?.strip_prefix(&prefix)?;
                Some((own.to_owned(), row["status"].clone(), row["code"].clone()))
            })
            .collect())
    }
}

#[tokio::test]
async fn an_environment_is_made_left_alone_and_taken_down_by_command() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let Some(desk) = Desk::new(&world)? else { return Ok(()) };
    let environment = desk.environment.clone();
    let settings = ["--tenant", "acme", "-p", "pipeline:S3PathStyle=true", "-p", "alerts:S3PathStyle=true"];

    let found = desk.data("doctor", &[])?;
    let credentials = found.as_array().and_then(|rows| rows.iter().find(|row| row["check"] == "credentials"));
    assert_eq!(credentials.context("no word of credentials")?["health"], "ok");

    // A mistake anywhere is found before anything is made.
    let refused = desk.run("deploy", &["-p", "observability:SilentPeriods=0"])?;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    desk.words("deploy", &["--dry-run"])?;
    assert!(desk.status()?.iter().all(|(_, status, _)| status == "absent"));

    let first = desk.words("deploy", &settings)?;
    assert!(first.contains("+ ResultsTable (AWS::DynamoDB::GlobalTable)"), "{first}");
    let second = desk.words("deploy", &settings)?;
    assert!(second.contains("0 stacks are created, 0 updated, 7 need nothing"), "{second}");
    assert!(!second.contains("uploading"), "{second}");

    let complete = |name: &str, code: Value| (name.to_owned(), json!("CREATE_COMPLETE"), code);
    let deployed = [
        complete("storage", Value::Null),
        complete("pipeline", json!("as here")),
        complete("alerts", json!("as here")),
        ("analytics".to_owned(), json!("absent"), Value::Null),
        ("models".to_owned(), json!("absent"), Value::Null),
        complete("observability", Value::Null),
        ("dr".to_owned(), json!("absent"), Value::Null),
        complete("tenant-acme", Value::Null),
    ];
    assert_eq!(desk.status()?, deployed);
    let outputs = desk.data("status", &["--outputs"])?;
    let lake = outputs.as_array().and_then(|rows| rows.iter().find(|row| row["output"] == "LakeBucketName"));
    let lake = lake.and_then(|row| row["value"].as_str()).context("no lake")?.to_owned();
    world.s3.head_bucket().bucket(&lake).send().await.context("the lake is not there")?;

    // What a stack was not told keeps its value; what it was told changes it, and the tenant that is there is kept up to date.
    // A change is published as a version, which needs nobody's consent; what runs is the alias; the former version stays.
    let scorer = desk.output("pipeline", "ScorerName")?;
    let version = |qualifier: &str| -> Result<Value> {
        let path = format!("/2015-03-31/functions/{scorer}/configuration?Qualifier={qualifier}");
        Ok(serde_json::from_str(&world.rest("lambda", "GET", &path, &[], "")?)?)
    };
    assert_eq!(
        (version("live")?["Version"].clone(), desk.output("pipeline", "ScorerVersion")?),
        (json!("1"), "1".to_owned())
    );
    let third = desk.words("deploy", &["-p", "pipeline:MemoryMegabytes=640"])?;
    assert!(third.contains("0 stacks are created, 1 updated, 6 need nothing"), "{third}");
    assert_eq!((version("live")?["Version"].clone(), version("live")?["MemorySize"].clone()), (json!("2"), json!(640)));
    assert_eq!(version("1")?["MemorySize"], 512, "the former version is not there to go back to");
    let mapping = format!("/2015-03-31/event-source-mappings/{}", desk.output("pipeline", "MappingId")?);
    let mapping: Value = serde_json::from_str(&world.rest("lambda", "GET", &mapping, &[], "")?)?;
    assert!(mapping["FunctionArn"].as_str().is_some_and(|arn| arn.ends_with(":live")), "{mapping}");

    // What is asked for once is there from then on; it has the lake tell of its objects.
    // The emulator takes a bucket that tells of its objects for one that may be another, so that consent is needed.
    let fourth = desk.words("deploy", &["--with", "models", "-p", "models:S3PathStyle=true", "--yes"])?;
    assert!(fourth.contains("1 stacks are created, 1 updated, 6 need nothing"), "{fourth}");
    let fifth = desk.words("deploy", &[])?;
    assert!(fifth.contains("0 stacks are created, 0 updated, 8 need nothing"), "{fifth}");
    assert!(desk.status()?.contains(&complete("models", json!("as here"))));

    let unasked = desk.run("destroy", &[])?;
    assert!(!unasked.status.success(), "nobody was asked: {unasked:?}");
    let kept = desk.data("destroy", &["--yes"])?;
    let kept: Vec<&str> = kept.as_array().context("no rows")?.iter().filter_map(|row| row["kept"].as_str()).collect();
    assert!(kept.contains(&lake.as_str()), "{kept:?}");
    assert!(kept.contains(&format!("millrace-{environment}-results").as_str()), "{kept:?}");
    world.s3.head_bucket().bucket(&lake).send().await.context("the lake was not kept")?;
    assert!(desk.status()?.iter().all(|(_, status, _)| status == "absent"));
    Ok(())
}

#[tokio::test]
async fn a_deployment_that_is_killed_anywhere_is_finished_by_the_same_command() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let Some(desk) = Desk::new(&world)? else { return Ok(()) };
    for moment in [
        "storage: to be created",
        "+ Lake (AWS::S3::Bucket)",
        "storage: CREATE_COMPLETE",
        "pipeline: uploading",
        "pipeline: to be created",
        "alerts: to be created",
        "observability: CREATE_COMPLETE",
    ] {
        desk.killed_at(moment, "deploy", &PATH_STYLE)?;
    }
    desk.words("deploy", &PATH_STYLE)?;
    let nothing = desk.words("deploy", &PATH_STYLE)?;
    assert!(nothing.contains("0 stacks are created, 0 updated, 6 need nothing"), "{nothing}");
    // An update, too.
    let settings = ["-p", "pipeline:LogLevel=debug"];
    desk.killed_at("pipeline: to be updated", "deploy", &settings)?;
    desk.words("deploy", &settings)?;
    let nothing = desk.words("deploy", &settings)?;
    assert!(nothing.contains("0 stacks are created, 0 updated, 6 need nothing"), "{nothing}");

    everything_goes_where_that_is_said(&desk).await
}

/// The environment's name typed once more: its data goes, with every version of every object.
async fn everything_goes_where_that_is_said(desk: &Desk<'_>) -> Result<()> {
    let World { s3, dynamodb, .. } = desk.world;
    let (lake, results) = (desk.output("storage", "LakeBucketName")?, desk.output("storage", "ResultsTableName")?);
    for body in ["one", "two"] {
        for key in ["bronze/kept", "bronze/marked"] {
            s3.put_object().bucket(&lake).key(key).body(ByteStream::from_static(body.as_bytes())).send().await?;
        }
    }
    s3.delete_object().bucket(&lake).key("bronze/marked").send().await?;
    let put = dynamodb.put_item().table_name(&results).item("pk", AttributeValue::S("acme#pump-7".to_owned()));
    put.item("sk", AttributeValue::S("S".to_owned())).send().await.context("put an item")?;
    let mistyped = desk.run("destroy", &["--yes", "--delete-data", "another"])?;
    assert_eq!(mistyped.status.code(), Some(2), "{mistyped:?}");
    s3.head_bucket().bucket(&lake).send().await.context("the lake is gone")?;

    let output = desk.run("destroy", &["--yes", "--delete-data", &desk.environment])?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words}");
    // Two versions of each, and the mark.
    assert!(words.contains(&format!("5 versions deleted in {lake}")) && words.contains("nothing is kept"), "{words}");
    assert!(s3.head_bucket().bucket(&lake).send().await.is_err(), "the lake is still there");
    assert!(dynamodb.describe_table().table_name(&results).send().await.is_err(), "the table is still there");
    Ok(())
}

#[tokio::test]
async fn what_exists_under_a_name_that_is_needed_is_shown_and_adopted_with_what_is_in_it() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let Some(desk) = Desk::new(&world)? else { return Ok(()) };
    let sqs = |action: &str, name: &str, value: String, more: &[(String, String)]| {
        world.query("sqs", "2012-11-05", action, [(name.to_owned(), value)].iter().chain(more))
    };
    let name = format!("millrace-{}-kinesis-scorer-failures", desk.environment);
    sqs("CreateQueue", "QueueName", name.clone(), &[])?;
    let url = format!("{}/{}/{name}", world.endpoint, world.account);
    sqs("SendMessage", "QueueUrl", url.clone(), &[("MessageBody".to_owned(), "of a former life".to_owned())])?;

    let unasked = desk.run("deploy", &PATH_STYLE)?;
    let words = String::from_utf8_lossy(&unasked.stderr).into_owned();
    assert!(!unasked.status.success() && words.contains("= FailureQueue (AWS::SQS::Queue)"), "{words}");
    let adopted = desk.words("deploy", &[&PATH_STYLE[..], &["--yes"]].concat())?;
    assert!(adopted.contains("IMPORT_COMPLETE") && adopted.contains("+ Scorer (AWS::Lambda::Function)"), "{adopted}");
    let nothing = desk.words("deploy", &PATH_STYLE)?;
    assert!(nothing.contains("0 stacks are created, 0 updated, 6 need nothing"), "{nothing}");
    let kept = sqs("ReceiveMessage", "QueueUrl", url, &[("VisibilityTimeout".to_owned(), "0".to_owned())])?;
    assert!(kept.contains("of a former life"), "{kept}");
    let resource = desk.output("pipeline", "FailureQueueName")?;
    assert_eq!(resource, name);
    desk.data("destroy", &["--yes", "--delete-data", &desk.environment]).map(drop)
}

#[tokio::test]
async fn an_update_interrupts_nothing_that_is_under_way() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    let stack = Stack::deploy(&world, Settings { shards: 1, batch_records: 20 }).await?;
    let plant = Plant::new()?;
    let (before, after) = plant.records().split_at(plant.records().len() / 2);
    let environment = stack.output("ScorerName").trim_start_matches("millrace-").trim_end_matches("-kinesis-scorer");
    let pipeline = format!("millrace-{environment}-pipeline");
    let mut accepted = Plant::send(&stack, before).await?;
    // While batches are on their way, another version takes over, and once more.
    for revision in ["second", "third"] {
        change(&world, &pipeline, &[("Revision", revision), ("SnapshotSeconds", "60")]).await?;
    }
    accepted.extend(Plant::send(&stack, after).await?);
    let last = accepted.last().context("nothing was sent")?;
    until("everything is committed", WITHIN, || async {
        Ok((checkpoints(&stack).await?.get(&last.shard) == Some(&last.sequence)).then_some(()))
    })
    .await?;
    let mut kept: Vec<String> = bronze(&stack).await?.into_iter().map(|line| line.sequence).collect();
    kept.sort_unstable();
    kept.dedup();
    assert_eq!(kept.len(), accepted.len(), "each record is kept");
    Ok(())
}
