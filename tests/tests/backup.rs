//! An environment is backed up, lost with all its data, made anew and restored, by the commands that a person types: what was
//! known is known, and the new stream's first readings are scored with it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::primitives::Blob;
use e2e::{World, until};
use serde_json::Value;

const WITHIN: Duration = Duration::from_mins(2);
/// What the emulator needs, and no waiting for batches to fill.
const SETTINGS: [&str; 6] =
    ["-p", "pipeline:S3PathStyle=true", "-p", "alerts:S3PathStyle=true", "-p", "pipeline:BatchWindowSeconds=0"];
const DEVICES: [&str; 3] = ["pump-1", "pump-2", "press-1"];

/// The command, an environment in an account of its own, and a place for backups.
struct Desk {
    world: World,
    environment: String,
    place: String,
    /// Minute 0 of the readings, milliseconds since 1970: minute 90 is a while ago.
    begin_ms: i64,
    record: Vec<String>,
}

impl Desk {
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let cli = self.world.cli.clone().context("MILLRACE_TEST_CLI is not set; run `cargo xtask e2e`")?;
        let mut command = self.world.command(&cli);
        command.args(arguments).args(["--output", "json"]);
        Ok(command)
    }

    /// Data and words of a command that is to succeed; how long it took is noted.
    fn done(&mut self, arguments: &[&str]) -> Result<(Value, String)> {
        let begun = now();
        let output = self.command(arguments)?.output().context("the command does not run")?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "`millrace {}`: {words}", arguments.join(" "));
        let said = words.lines().last().unwrap_or_default();
        self.record.push(format!(
            "{:>6.1} s  millrace {}\n          {said}",
            begun.elapsed().as_secs_f64(),
            arguments.join(" ")
        ));
        let data = if output.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&output.stdout)? };
        Ok((data, words))
    }

    fn deploy(&mut self) -> Result<()> {
        let code = self.world.zip.parent().and_then(Path::parent).context("a zip lies in its function's folder")?;
        let (code, environment) = (code.display().to_string(), self.environment.clone());
        let arguments = ["deploy", "--environment", &environment, "--code", &code, "--yes"];
        self.done(&[&arguments[..], &SETTINGS].concat()).map(drop)
    }

    fn backup(&mut self, verb: &str, arguments: &[&str]) -> Result<(Value, String)> {
        let place = self.place.clone();
        self.done(&[&["backup", verb, "--at", &place], arguments].concat())
    }

    fn name(&self, rest: &str) -> String {
        format!("millrace-{}-{rest}", self.environment)
    }

    /// A reading of each device, a minute apart; those of `hot` at 95 °C.
    async fn send(&self, minutes: std::ops::Range<i64>, hot: &str) -> Result<Vec<(String, String)>> {
        let mut accepted = Vec::new();
        for minute in minutes {
            for (index, device) in DEVICES.iter().enumerate() {
                let ts = self.begin_ms + minute * 60_000 + index as i64;
                let value = if *device == hot { 95.0 } else { 55.0 + (minute * 7 % 13) as f64 / 10.0 };
                let topic = format!("tenants/acme/devices/{device}/telemetry");
                let payload = format!(r#"{{"topic":"{topic}","ts":{ts},"temperature":{value}}}"#);
                let put = self.world.kinesis.put_record().stream_name(self.name("telemetry")).partition_key(*device);
                let put = put.data(Blob::new(payload)).send().await.context("the stream refused a record")?;
                accepted.push((put.shard_id().to_owned(), put.sequence_number().to_owned()));
            }
        }
        Ok(accepted)
    }

    /// The checkpoints' items.
    async fn checkpoints(&self) -> Result<Vec<std::collections::HashMap<String, AttributeValue>>> {
        let scan = self.world.dynamodb.scan().table_name(self.name("checkpoints")).consistent_read(true).send().await;
        Ok(scan.context("the checkpoints cannot be read")?.items.unwrap_or_default())
    }

    /// Waits until each shard's checkpoint stands at or behind the last record that was put into it.
    async fn until_committed(&self, accepted: &[(String, String)]) -> Result<()> {
        let last: std::collections::BTreeMap<&String, &String> = accepted.iter().map(|(a, b)| (a, b)).collect();
        until("the readings are committed", WITHIN, || async {
            let items = self.checkpoints().await?;
            let text = |item: &std::collections::HashMap<String, AttributeValue>, name: &str| {
                item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
            };
            let reached = |shard: &str, sequence: &str| {
                items.iter().any(|item| {
                    text(item, "pk").ends_with(shard)
                        && text(item, "last_seq").trim_start_matches('0') >= sequence.trim_start_matches('0')
                })
            };
            Ok(last.iter().all(|(shard, sequence)| reached(shard, sequence)).then_some(()))
        })
        .await
    }

    /// Devices with an anomaly, in order, once for each.
    async fn found(&self) -> Result<Vec<String>> {
        let scan = self.world.dynamodb.scan().table_name(self.name("results")).consistent_read(true).send().await;
        let items = scan.context("the results cannot be read")?.items.unwrap_or_default();
        let is_anomaly = |item: &&std::collections::HashMap<String, AttributeValue>| {
            item.get("kind").and_then(|kind| kind.as_s().ok()).is_some_and(|kind| kind == "anomaly")
        };
        let device = |item: &std::collections::HashMap<String, AttributeValue>| {
            item.get("device").and_then(|device| device.as_s().ok()).cloned()
        };
        let mut found: Vec<String> = items.iter().filter(is_anomaly).filter_map(device).collect();
        found.sort();
        Ok(found)
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a person waits is what is noted")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn an_environment_that_was_lost_with_all_its_data_goes_on_from_its_backup() -> Result<()> {
    let (Some(world), Some(_)) = (World::enforcing(), World::python()) else { return Ok(()) };
    if world.cli.is_none() || world.alerts_zip.is_none() {
        return Ok(());
    }
    let environment = format!("b{}", std::process::id() % 1_000_000);
    let bucket = format!("backups-{}", world.account);
    world.s3.create_bucket().bucket(&bucket).send().await.context("no bucket for backups")?;
    #[expect(clippy::disallowed_methods, reason = "devices have clocks, and the pipeline compares them with arrival")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let begin_ms = i64::try_from(now.as_millis()).context("the clock stands beyond the calendar")? - 100 * 60_000;
    let place = format!("s3://{bucket}/millrace");
    let mut desk = Desk { world, place, environment, begin_ms, record: Vec::new() };
    let environment = desk.environment.clone();
    let of = ["--environment", environment.as_str()];

    desk.deploy()?;
    let accepted = desk.send(0..60, "").await?;
    desk.until_committed(&accepted).await?;
    let accepted = desk.send(60..66, "pump-1").await?;
    desk.until_committed(&accepted).await?;
    until("the heat is found", WITHIN, || async {
        Ok(desk.found().await?.contains(&"pump-1".to_owned()).then_some(()))
    })
    .await?;
    let known = desk.found().await?;

    let (_, words) = desk.backup("create", &of)?;
    // The emulator says that an export is complete, and has written nothing.
    ensure!(words.contains("warning: the export has written nothing, the tables are read item by item"), "{words}");
    let accepted = desk.send(66..70, "").await?;
    desk.until_committed(&accepted).await?;
    let (_, words) = desk.backup("create", &of)?;
    ensure!(words.contains("were copied now"), "{words}");
    let (listed, _) = desk.backup("list", &[])?;
    ensure!(
        listed.as_array().is_some_and(|rows| rows.len() == 2 && rows.iter().all(|row| row["whole"] == "yes")),
        "{listed}"
    );
    desk.backup("verify", &[])?;
    desk.backup("verify", &["--quick"])?;

    desk.done(&["destroy", "--environment", &environment, "--delete-data", &environment, "--yes"])?;
    desk.deploy()?;
    let behind = desk.command(&["backup", "verify", "--at", &desk.place, "--against", &environment])?.output()?;
    ensure!(!behind.status.success(), "an empty environment is not equal: {behind:?}");
    let (rehearsed, _) = desk.backup("restore", &[&of[..], &["--dry-run"]].concat())?;
    ensure!(rehearsed.as_array().is_some_and(|rows| !rows.is_empty()), "{rehearsed}");
    let (_, words) = desk.backup("restore", &of)?;
    ensure!(words.contains("goes on with"), "{words}");
    let (_, words) = desk.backup("verify", &["--against", &environment])?;
    ensure!(words.contains("equal: ") && !words.contains("moved on"), "{words}");
    assert_eq!(desk.found().await?, known);
    // Again, it changes nothing.
    let (_, words) = desk.backup("restore", &of)?;
    ensure!(words.contains("0 objects and rows were brought back"), "{words}");

    // The new stream is scored with what was known: the heat of another device is found at once, and that of the first, whose
    // incident the detectors remember, is none that is new.
    let accepted = desk.send(70..76, "press-1").await?;
    desk.until_committed(&accepted).await?;
    let found = until("the heat is found", WITHIN, || async {
        let found = desk.found().await?;
        Ok(found.contains(&"press-1".to_owned()).then_some(found))
    })
    .await?;
    assert_eq!(
        found.iter().filter(|device| *device == "pump-1").count(),
        known.iter().filter(|one| *one == "pump-1").count()
    );
    let refused = desk.command(&["backup", "restore", "--at", &desk.place, "--environment", &environment])?.output()?;
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && words.contains("has learned of"), "{words}");

    let (pruned, _) = desk.backup("prune", &["--keep", "1"])?;
    ensure!(pruned.as_array().is_some_and(|rows| rows.len() == 1), "{pruned}");
    desk.backup("verify", &[])?;
    if let Some(folder) = World::record() {
        std::fs::write(folder.join("backup.txt"), desk.record.join("\n") + "\n")
            .context("the record cannot be written")?;
    }
    Ok(())
}
