//! An environment by command, on the emulator, through the real binary: deployed, deployed again, looked at, taken down.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use e2e::World;
use serde_json::{Value, json};

/// The command, the folder of the zips, and an environment that no other test uses.
struct Desk<'w> {
    world: &'w World,
    cli: &'w Path,
    code: &'w Path,
    environment: String,
}

impl Desk<'_> {
    fn run(&self, verb: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(self.cli);
        command.args([verb, "--endpoint", &self.world.endpoint, "--region", "us-east-1", "--output", "json"]);
        if verb != "doctor" {
            command.args(["--environment", &self.environment]);
        }
        if verb != "destroy" {
            command.arg("--code").arg(self.code);
        }
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ] {
            command.env(name, value);
        }
        command.args(arguments).output().context("the command does not run")
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
    let Some(world) = World::find() else { return Ok(()) };
    let (Some(cli), Some(_)) = (&world.cli, &world.alerts_zip) else { return Ok(()) };
    let code = world.zip.parent().and_then(Path::parent).context("a zip lies in its function's folder")?;
    let environment = format!("d{}", std::process::id() % 1_000_000);
    let desk = Desk { world: &world, cli, code, environment: environment.clone() };
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
        complete("observability", Value::Null),
        complete("tenant-acme", Value::Null),
    ];
    assert_eq!(desk.status()?, deployed);
    let outputs = desk.data("status", &["--outputs"])?;
    let lake = outputs.as_array().and_then(|rows| rows.iter().find(|row| row["output"] == "LakeBucketName"));
    let lake = lake.and_then(|row| row["value"].as_str()).context("no lake")?.to_owned();
    world.s3.head_bucket().bucket(&lake).send().await.context("the lake is not there")?;

    // What a stack was not told keeps its value; what it was told changes it, and the tenant that is there is kept up to date.
    let third = desk.words("deploy", &["-p", "pipeline:BatchWindowSeconds=1", "--yes"])?;
    assert!(third.contains("0 stacks are created, 1 updated, 6 need nothing"), "{third}");

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
