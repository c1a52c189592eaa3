//! The whole way, through the commands that a person types: from an empty account to a message about a bad reading of a device
//! of a tenant, and back to an account that holds nothing but the data.
//!
//! Policies are enforced, the device is a stranger's program (`mosquitto_pub`) with the files that `tenant add` wrote, and
//! what was typed and printed is left in `journey.txt` of the run's record.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use e2e::{Subscriber, Transcript, World, broker_authority, inventory, until};
use serde_json::Value;

const WITHIN: Duration = Duration::from_mins(2);
const DEVICE: &str = "pump-1";
const TENANT: &str = "acme";
/// A device of which there is history and nothing in the stream.
const NEWCOMER: &str = "press-9";
/// Above the built-in limit of 80 °C.
const HOT: &str = r#"{"temperature":95}"#;

/// The person's terminal: the commands, a folder of her own, and an environment that no other test uses.
struct Terminal {
    world: World,
    cli: PathBuf,
    mosquitto_pub: PathBuf,
    folder: PathBuf,
    environment: String,
    transcript: Transcript,
}

impl Terminal {
    fn new(world: World, cli: PathBuf, mosquitto_pub: PathBuf) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("millrace-journey-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(folder.join("ca.pem"), broker_authority(&world)?).context("cannot write the authority")?;
        let code = Self::code_of(&world)?.display().to_string();
        let transcript = Transcript::new("journey.txt", vec![(code, "target/lambda".to_owned())]);
        let environment = format!("j{}", std::process::id() % 1_000_000);
        Ok(Self { world, cli, mosquitto_pub, folder, environment, transcript })
    }

    /// Where the functions' zips lie.
    fn code_of(world: &World) -> Result<PathBuf> {
        let folder = world.zip.parent().and_then(Path::parent).context("a zip lies in its function's folder")?;
        Ok(folder.to_owned())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = self.world.command(program);
        command.current_dir(&self.folder);
        command
    }

    fn millrace(&mut self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(&self.cli);
        command.args(arguments);
        self.transcript.run(&mut command)
    }

    /// What it printed; it is to succeed.
    fn done(&mut self, arguments: &[&str]) -> Result<String> {
        let output = self.millrace(arguments)?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "`millrace {}`: {words}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// As [`Self::done`], on the environment.
    fn of_environment(&mut self, arguments: &[&str]) -> Result<String> {
        let environment = self.environment.clone();
        self.done(&[arguments, &["--environment", &environment, "--output", "csv"]].concat())
    }

    /// Publishes as the device with the certificate of this folder. Whether the broker took it.
    fn publish(&mut self, certificate: &str, payload: &str) -> Result<bool> {
        let broker = self.world.broker.clone().context("there is no broker")?;
        let (host, port) = broker.split_once(':').context("a broker has a port")?;
        let topic = format!("tenants/{TENANT}/devices/{DEVICE}/telemetry");
        let mut command = self.command(&self.mosquitto_pub);
        command.args(["-h", host, "-p", port, "--cafile", "ca.pem"]);
        command.args([
            "--cert",
            &format!("{certificate}/certificate.pem"),
            "--key",
            &format!("{certificate}/private.key"),
        ]);
        command.args(["-i", DEVICE, "-q", "1", "-t", &topic, "-m", payload]);
        Ok(self.transcript.run(&mut command)?.status.success())
    }

    /// An output of the environment's stacks.
    fn output(&mut self, name: &str) -> Result<String> {
        let environment = self.environment.clone();
        let listed = self.done(&["status", "--environment", &environment, "--outputs", "--output", "json"])?;
        let listed: Value = serde_json::from_str(&listed).context("outputs are told in JSON")?;
        let row = listed.as_array().and_then(|rows| rows.iter().find(|row| row["output"] == name));
        row.and_then(|row| row["value"].as_str()).map(str::to_owned).with_context(|| format!("no output {name}"))
    }
}

/// A day of a healthy machine, a reading a minute, which ended an hour ago.
fn history() -> Result<String> {
    #[expect(clippy::disallowed_methods, reason = "history is what was before now")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?.as_secs();
    let mut text = String::from("timestamp,device,metric,value\n");
    for minute in (60..60 + 24 * 60_u32).rev() {
        let ripple = f64::from(minute * 7 % 11) / 10.0;
        writeln!(text, "{},{NEWCOMER},temperature,{:.2}", now - u64::from(minute) * 60_u64, 57.0 + ripple)?;
    }
    Ok(text)
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What is left in the folder for temporary files is nobody's loss.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn from_an_empty_account_to_a_message_and_back() -> Result<()> {
    let (Some(world), Some(mosquitto_pub)) = (World::enforcing(), World::mosquitto_pub()) else { return Ok(()) };
    let cli = world.cli.clone().context("MILLRACE_TEST_CLI is not set; run `cargo xtask e2e`")?;
    let before = inventory(&world).await?;
    let mut terminal = Terminal::new(world.clone(), cli, mosquitto_pub)?;

    let code = Terminal::code_of(&world)?.display().to_string();
    terminal.transcript.say("an environment");
    let settings =
        ["-p", "pipeline:S3PathStyle=true", "-p", "alerts:S3PathStyle=true", "-p", "pipeline:BatchWindowSeconds=0"];
    terminal.of_environment(&[&["deploy", "--code", &code, "--yes"], &settings[..]].concat())?;

    terminal.transcript.say("a tenant, proven");
    terminal.of_environment(&["tenant", "add", TENANT, "--device", DEVICE, "--yes"])?;
    let record = std::fs::read_to_string(terminal.folder.join(format!("certificates/{TENANT}/onboarding.json")))?;
    let record: Value = serde_json::from_str(&record).context("the record is JSON")?;
    let people = record["people_topic"].as_str().context("the record names the people's topic")?;
    let subscriber = Subscriber::new(&world, people, &format!("people-{}", terminal.environment))?;
    let broker = world.broker.clone().context("there is no broker")?;
    let proof = ["--broker", &broker, "--ca", "ca.pem"];
    terminal.of_environment(&[&["tenant", "verify", TENANT], &proof[..]].concat())?;

    terminal.transcript.say("what a machine did before its stream began");
    std::fs::write(terminal.folder.join("history.csv"), history()?).context("cannot write the history")?;
    let learned = terminal.of_environment(&["backfill", "history.csv", "--tenant", TENANT])?;
    ensure!(learned.contains(NEWCOMER) && learned.contains(",new"), "{learned}");
    let again = terminal.of_environment(&["backfill", "history.csv", "--tenant", TENANT])?;
    ensure!(again.contains(NEWCOMER) && again.contains("known, stays as it is"), "{again}");

    terminal.transcript.say("a bad reading, and who hears of it");
    let own = format!("certificates/{TENANT}/{DEVICE}");
    ensure!(terminal.publish(&own, HOT)?, "the device cannot publish");
    let results = terminal.output("ResultsTableName")?;
    let listed = until("the anomaly is listed", WITHIN, || {
        let listed =
            terminal.done(&["anomalies", "list", "--results-table", &results, "--tenant", TENANT, "--output", "csv"]);
        async { listed.map(|listed| listed.contains(DEVICE).then_some(listed)) }
    })
    .await?;
    let id = listed.trim().rsplit(',').next().context("a row ends in the id")?.to_owned();
    let shown = terminal.done(&["anomalies", "show", &id[..8], "--results-table", &results, "--tenant", TENANT])?;
    ensure!(shown.contains("95"), "{shown}");
    let told = until("the people are told", WITHIN, || {
        let told = subscriber.take();
        async { Ok(told?.into_iter().next()) }
    })
    .await?;
    terminal
        .transcript
        .say(&format!("told, and nothing before it, as a proof alarms nobody: {}\n{}", told.subject, told.body));
    assert_eq!(
        (&told.attributes["tenant"]["Value"], &told.attributes["device"]["Value"]),
        (&TENANT.into(), &DEVICE.into())
    );

    terminal.transcript.say("another certificate");
    terminal.of_environment(&["tenant", "rotate", TENANT, "--device", DEVICE])?;
    ensure!(terminal.publish(&own, HOT)?, "the old certificate holds until the new one is proven");
    ensure!(terminal.publish(&format!("{own}/next"), HOT)?, "the new certificate holds as well");
    let old = terminal.folder.join("old");
    std::fs::create_dir(&old)?;
    for file in ["certificate.pem", "private.key"] {
        std::fs::copy(terminal.folder.join(&own).join(file), old.join(file))?;
    }
    terminal.of_environment(&[&["tenant", "rotate", TENANT, "--device", DEVICE, "--finish"], &proof[..]].concat())?;
    ensure!(!terminal.publish("old", HOT)?, "the old certificate still connects");
    ensure!(terminal.publish(&own, HOT)?, "the new certificate is in the old one's place");
    terminal.of_environment(&["tenant", "revoke", TENANT, "--device", DEVICE, "--yes"])?;
    ensure!(!terminal.publish(&own, HOT)?, "a revoked certificate still connects");

    terminal.transcript.say("and back");
    subscriber.remove()?;
    let mut kept = terminal.of_environment(&["tenant", "remove", TENANT, "--export", "export", "--yes"])?;
    kept += &terminal.of_environment(&["destroy", "--yes", "--shared"])?;
    let left: Vec<String> = inventory(&world).await?.difference(&before).cloned().collect();
    terminal.transcript.say(&format!("left in the account:\n{}", left.join("\n")));
    let is_told = |one: &String| one.rsplit([' ', '/']).next().is_some_and(|name| kept.contains(name));
    let forgotten: Vec<&String> = left.iter().filter(|one| !is_told(one)).collect();
    assert!(forgotten.is_empty(), "left behind, and nobody said so: {forgotten:#?}\nkept:\n{kept}");
    let kinds: BTreeSet<&str> = left.iter().filter_map(|one| one.split(' ').next()).collect();
    assert_eq!(kinds, BTreeSet::from(["bucket", "queue", "table"]), "data, and nothing else: {left:#?}");
    Ok(())
}
