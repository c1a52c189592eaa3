//! Whether the other Region is ready: on a deployed pair each kind of fault is found within one check of the deployed function, named, and
//! never taken for another; a pair without faults is never accused.
//!
//! The table of it is printed and left in `target/e2e/dr-check.md`.

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use e2e::{
    Carried, Change, IMAGES, Identity, Pair, Playing, Side, Twins, World, change, holder_of_statement, push_images,
    until,
};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(40);
/// How long clean checks are made.
const CLEAN_FOR: Duration = Duration::from_secs(20);
const TENANT: &str = "acme";
/// From when on something is late, or missing; and how long a check waits for its canaries, which is in between.
const LIMITS: [&str; 6] = ["-p", "dr:LateSeconds=2", "-p", "dr:MissingSeconds=8", "-p", "dr:WatchSeconds=4"];

/// A published model, and what `CloudFormation` makes of it.
const MODEL: &str = "models/acme/heat/1";
const ARCHIVE: &str = "models/acme/heat/1/model.tar.gz";

/// The function of the primary, asked for some kinds; all where none is named. Its report.
async fn checked(twins: &Twins, kinds: &[&str]) -> Result<Value> {
    let world = twins.world(Side::Primary);
    let path = format!("/2015-03-31/functions/{}/invocations?Qualifier=live", twins.named("replication-checker"));
    let answer = world.rest("lambda", "POST", &path, &[], &json!({ "only": kinds }).to_string())?;
    let answer: Value = serde_json::from_str(&answer).with_context(|| format!("no JSON: {answer}"))?;
    ensure!(answer["errorType"].is_null(), "the function failed: {answer}");
    let key = "reports/replication/us-east-1-asked/latest.json";
    let report = world.s3.get_object().bucket(twins.lake(Side::Primary)).key(key).send().await.context("no report")?;
    Ok(serde_json::from_slice(&report.body.collect().await?.to_vec())?)
}

/// The checks of a kind that are not ok: verdict and evidence.
fn faults(report: &Value, kind: &str) -> Vec<(String, String)> {
    let checks = report["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let wrong = checks.iter().filter(|check| check["kind"] == kind && check["verdict"] != "ok");
    wrong.map(|check| (text(&check["verdict"]), text(&check["evidence"]))).collect()
}

/// A line of the table for each fault.
struct Table(String);

impl Table {
    fn new() -> Self {
        Self("| fault | kind | verdict | evidence |\n|---|---|---|---|\n".to_owned())
    }

    fn note(&mut self, fault: &str, kind: &str, (verdict, evidence): &(String, String)) {
        let evidence = evidence.replace('|', "\\|");
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "| {fault} | {kind} | {verdict} | {evidence} |");
    }

    #[expect(clippy::print_stdout, reason = "a person is to read it")]
    fn keep(&self, name: &str, words: &str) -> Result<()> {
        let record = World::record().context("MILLRACE_TEST_RECORD is not set")?;
        let text = format!("{words}\n\n{}", self.0);
        println!("{text}");
        std::fs::write(record.join(name), text).context("cannot leave the table")
    }
}

/// Looks until the kind is found to be so; what is younger than the limits is under way before. The evidence has the name.
async fn found(twins: &Twins, kind: &str, verdict: &str, name: &str) -> Result<(String, String)> {
    until(&format!("{kind} is {verdict}"), WITHIN, || async {
        let report = checked(twins, &[kind]).await?;
        let found = faults(&report, kind);
        Ok(found.into_iter().find(|(said, evidence)| said == verdict && evidence.contains(name)))
    })
    .await
}

#[expect(clippy::disallowed_methods, reason = "the folder of a day is of the day on which the test runs")]
fn today() -> Result<String> {
    Ok(DateTime::from(SystemTime::now()).fmt(DateTimeFormat::DateTime)?.chars().take(10).collect())
}

async fn put(twins: &Twins, side: Side, key: &str, body: String) -> Result<()> {
    let put = twins.world(side).s3.put_object().bucket(twins.lake(side)).key(key);
    put.body(ByteStream::from(body.into_bytes())).send().await.with_context(|| format!("cannot store {key}"))?;
    Ok(())
}

fn model(sha256: &str) -> String {
    json!({ "sha256": sha256, "bytes": 4 }).to_string()
}

/// What an environment has in the course of time: devices here, brought over by `dr sync`; readings, a profile, a model.
async fn lived_in(twins: &Twins) -> Result<Vec<Identity>> {
    let world = twins.world(Side::Primary);
    let policy = format!("millrace-{}-{TENANT}-device", twins.environment());
    let mut identities = Vec::new();
    for device in ["pump-7", "press-3"] {
        let attributes = json!({ "tenant": TENANT, "env": twins.environment(), "project": "millrace" });
        let thing = json!({ "attributePayload": { "attributes": attributes } }).to_string();
        world.rest("iot", "POST", &format!("/things/{device}"), &[], &thing)?;
        let identity = Identity::new(world, &policy)?;
        identity.attach(world, device)?;
        identities.push(identity);
    }
    let dry = twins.millrace(Side::Primary, &["dr", "sync"], &["--dry-run", "--output", "json"])?;
    let did = twins.millrace(Side::Primary, &["dr", "sync"], &["--output", "json"])?;
    let again = twins.millrace(Side::Primary, &["dr", "sync"], &["--output", "json"])?;
    for output in [&dry, &did, &again] {
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    ensure!(dry.stdout == did.stdout, "what would be done is not what was done: {dry:?} {did:?}");
    let steps: Value = serde_json::from_slice(&did.stdout)?;
    // Two things, and for each a certificate, its policy, its thing, its status.
    ensure!(steps.as_array().is_some_and(|steps| steps.len() == 2 + 2 * 4), "{steps}");
    ensure!(String::from_utf8_lossy(&again.stdout).trim() == "[]", "{again:?}");

    let day = today()?;
    for number in 0..3 {
        put(twins, Side::Primary, &format!("bronze/dt={day}/us-east-1/{number}.zst"), "x".to_owned()).await?;
    }
    put(twins, Side::Other, &format!("quarantine/dt={day}/eu-west-1/0.zst"), "x".to_owned()).await?;
    put(twins, Side::Primary, &format!("config/{TENANT}/profile.toml"), "version = 1".to_owned()).await?;
    put(twins, Side::Primary, &format!("{MODEL}/model.millrace"), "abcd".to_owned()).await?;
    put(twins, Side::Primary, ARCHIVE, "archive".to_owned()).await?;
    put(twins, Side::Primary, &format!("{MODEL}/model.json"), model("aa")).await?;
    twins.link().until_quiet(WITHIN).await?;
    Ok(identities)
}

/// Serves the published model in both Regions. The digest of another release, whose image is in both, too.
fn serving(twins: &Twins) -> Result<String> {
    let releases = ["1", "2"];
    let [digest, next] = push_images(twins.world(Side::Primary), releases)?;
    ensure!(push_images(twins.world(Side::Other), releases)? == [digest.clone(), next.clone()]);
    let given = [
        "S3PathStyle=true".to_owned(),
        "EndpointInstance=ml.c7i.large".to_owned(),
        format!("ModelRepository={IMAGES}"),
        format!("ModelDigest={digest}"),
        format!("ModelData={ARCHIVE}"),
    ];
    let given = given.map(|value| format!("models:{value}"));
    let given = given.iter().flat_map(|value| ["-p", value.as_str()]);
    let arguments: Vec<&str> = ["--both", "--with", "models"].into_iter().chain(given).collect();
    twins.deploy_with(Side::Primary, &arguments)?;
    Ok(next)
}

/// Of models and of what serves them there is one each, and they are equal.
fn have_one_each(checks: &Value, named: &str) -> Result<()> {
    for kind in ["model", "endpoint-config"] {
        let seen = checks.as_array().into_iter().flatten().find(|check| check[named] == kind);
        let seen = seen.with_context(|| format!("{kind} was not looked at: {checks}"))?;
        let evidence = seen["evidence"].as_str().context("no evidence")?;
        ensure!(evidence.starts_with("1 on both sides and equal"), "{seen}");
    }
    Ok(())
}

/// How many checks fit, none of which may find anything.
async fn clean_checks(twins: &Twins) -> Result<u32> {
    // The other function checks once, for it is looked for, too.
    let tick = include_str!("../../events/replication-tick.json");
    for side in Side::BOTH {
        let name = twins.named("replication-checker");
        let path = format!("/2015-03-31/functions/{name}/invocations?Qualifier=live");
        twins.world(side).rest("lambda", "POST", &path, &[], tick)?;
    }
    let clean = Cell::new(0_u32);
    let checking = async {
        loop {
            let report = checked(twins, &[]).await?;
            ensure!(report["verdict"] == "ok", "a clean pair is accused in check {}: {report}", clean.get());
            have_one_each(&report["checks"], "kind")?;
            clean.set(clean.get() + 1);
        }
    };
    match tokio::time::timeout(CLEAN_FOR, checking).await {
        Ok(accused) => accused,
        Err(_) => Ok(clean.get()),
    }
}

#[tokio::test]
async fn every_fault_is_found_and_named_and_a_clean_pair_is_never_accused() -> Result<()> {
    let playing = Playing { policies: false, brokers: false };
    let Some(twins) = Twins::deploy("dr-check", playing, TENANT, &LIMITS).await? else { return Ok(()) };
    let identities = lived_in(&twins).await?;
    let next_digest = serving(&twins)?;
    let (link, other) = (twins.link(), twins.world(Side::Other));
    let mut table = Table::new();

    let clean = clean_checks(&twins).await?;
    let by_hand = twins.millrace(Side::Primary, &["dr", "check"], &["--output", "json"])?;
    ensure!(by_hand.status.code() == Some(0), "{by_hand:?}");
    have_one_each(&serde_json::from_slice(&by_hand.stdout)?, "check")?;

    // Late: nothing goes over for longer than two seconds.
    for (carried, kind) in [
        (Carried::Lake, "lake-canary"),
        (Carried::Results, "results-canary"),
        (Carried::Checkpoints, "checkpoints-canary"),
    ] {
        link.pause(Side::Primary, carried);
        let report = checked(&twins, &[kind]).await?;
        let [fault] = &faults(&report, kind)[..] else { anyhow::bail!("{kind}: {report}") };
        ensure!(fault.0 == "late", "{report}");
        table.note("held back for 4 s", kind, fault);
        link.resume(Side::Primary, carried);
    }
    link.until_quiet(WITHIN).await?;
    // The next check learns how late they were, and the one after it has forgiven them.
    let canaries = ["lake-canary", "results-canary", "checkpoints-canary"];
    checked(&twins, &canaries).await?;
    let report = checked(&twins, &canaries).await?;
    ensure!(report["verdict"] == "ok", "what came late is accused afterwards: {report}");

    // Missing: an object that is lost on the way.
    let lost = format!("bronze/dt={}/us-east-1/lost.zst", today()?);
    link.lose(
        Side::Primary,
        Carried::Lake,
        |change| matches!(change, Change::Object { key, .. } if key.ends_with("/lost.zst")),
    );
    put(&twins, Side::Primary, &lost, "x".to_owned()).await?;
    let fault = found(&twins, "lake-listing", "missing", &lost).await?;
    table.note("an object lost on the way", "lake-listing", &fault);
    let fault = found(&twins, "lake-status", "missing", &lost).await?;
    table.note("an object lost on the way", "lake-status", &fault);
    link.lose_nothing(Side::Primary, Carried::Lake);
    twins.world(Side::Primary).s3.delete_object().bucket(twins.lake(Side::Primary)).key(&lost).send().await?;

    // Drifted: another model under the same name, in one lake; what would copy it is held back.
    link.pause(Side::Other, Carried::Lake);
    put(&twins, Side::Other, &format!("{MODEL}/model.json"), model("bb")).await?;
    let fault = found(&twins, "artifact", "drifted", MODEL).await?;
    table.note("another model of the same name", "artifact", &fault);
    link.resume(Side::Other, Carried::Lake);
    link.until_quiet(WITHIN).await?;

    certificates(&twins, &identities[0].id, &mut table).await?;
    served(&twins, &next_digest, &mut table).await?;

    // A policy that lets everybody in.
    let policy = format!("millrace-{}-{TENANT}-device", twins.environment());
    let wide =
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }] });
    let wide = json!({ "policyDocument": wide.to_string() }).to_string();
    other.rest("iot", "POST", &format!("/policies/{policy}/version?setAsDefault=true"), &[], &wide)?;
    let fault = found(&twins, "policy", "drifted", &policy).await?;
    table.note("a wider policy there", "policy", &fault);

    // A rule that is gone.
    let rules: Value = serde_json::from_str(&other.rest("iot", "GET", "/rules", &[], "")?)?;
    let rule = rules["rules"][0]["ruleName"].as_str().context("no rule")?.to_owned();
    other.rest("iot", "DELETE", &format!("/rules/{rule}"), &[], "")?;
    let fault = found(&twins, "rule", "missing", &rule).await?;
    table.note("a rule deleted there", "rule", &fault);

    // A stream that is gone.
    other.kinesis.delete_stream().stream_name(twins.named("telemetry")).send().await.context("delete the stream")?;
    let fault = found(&twins, "stream", "missing", "").await?;
    table.note("a stream deleted there", "stream", &fault);

    // Last, for a canary that never arrives is told for a hundred checks.
    link.lose(Side::Primary, Carried::Results, |change| matches!(change, Change::Item { .. }));
    let fault = found(&twins, "results-canary", "missing", "").await?;
    table.note("an item lost on the way", "results-canary", &fault);

    // The whole pair at once: the other Region does not answer.
    twins.pair().kill(Side::Other)?;
    let report = checked(&twins, &["stream"]).await?;
    let [fault] = &faults(&report, "stream")[..] else { anyhow::bail!("{report}") };
    ensure!(fault.0 == "unknown", "{report}");
    table.note("the other Region is gone", "stream", fault);
    ensure!(link.troubles().is_empty(), "{:?}", link.troubles());
    let words = format!(
        "{clean} checks of a clean pair by the deployed function in 20 s: no false alarm. One fault at a time:"
    );
    table.keep("dr-check.md", &words)
}

/// What is served in the other Region is another image, and then goes, a step at a time.
async fn served(twins: &Twins, next_digest: &str, table: &mut Table) -> Result<()> {
    let other = twins.world(Side::Other);
    change(other, &twins.named("models"), &[("ModelDigest", next_digest)]).await?;
    for kind in ["model", "endpoint-config"] {
        let fault = found(twins, kind, "drifted", ARCHIVE).await?;
        // Before the place where the digests begin to differ, all is equal and not shown.
        ensure!(fault.1.contains(&next_digest["sha256:".len()..][..8]), "{kind} does not show the image: {fault:?}");
        table.note("another image there", kind, &fault);
    }
    let mended = twins.millrace(Side::Primary, &["dr", "sync"], &["--yes"])?;
    ensure!(mended.status.success(), "{mended:?}");
    let report = checked(twins, &["model", "endpoint-config"]).await?;
    ensure!(report["verdict"] == "ok", "dr sync has not mended it: {report}");
    let sagemaker = other.sagemaker();
    let configs = sagemaker.list_endpoint_configs().send().await.context("list what serves")?;
    let config = configs.endpoint_configs().first().and_then(|config| config.endpoint_config_name());
    let config = config.context("nothing serves")?;
    sagemaker.delete_endpoint_config().endpoint_config_name(config).send().await.context("delete what serves")?;
    let fault = found(twins, "endpoint-config", "missing", ARCHIVE).await?;
    table.note("an endpoint configuration deleted there", "endpoint-config", &fault);
    let models = sagemaker.list_models().send().await.context("list the models")?;
    let model = models.models().first().and_then(|model| model.model_name()).context("no model")?;
    sagemaker.delete_model().model_name(model).send().await.context("delete the model")?;
    let fault = found(twins, "model", "missing", ARCHIVE).await?;
    table.note("a model deleted there", "model", &fault);
    Ok(())
}

/// The certificate of a device goes in the other Region, a step at a time.
async fn certificates(twins: &Twins, gone: &str, table: &mut Table) -> Result<()> {
    // A certificate that is gone; `dr sync` brings it back.
    let other = twins.world(Side::Other);
    let thing = "pump-7";
    let principal = [("x-amzn-principal", arn(other, &format!("cert/{gone}")))];
    let principal: Vec<(&str, &str)> = principal.iter().map(|(name, value)| (*name, value.as_str())).collect();
    other.rest("iot", "DELETE", &format!("/things/{thing}/principals"), &principal, "")?;
    let fault = found(twins, "attachment", "drifted", thing).await?;
    table.note("a certificate taken off its thing", "attachment", &fault);
    other.rest("iot", "PUT", &format!("/certificates/{gone}?newStatus=INACTIVE"), &[], "")?;
    let fault = found(twins, "certificate", "drifted", gone).await?;
    table.note("a certificate not active there", "certificate", &fault);
    other.rest("iot", "DELETE", &format!("/certificates/{gone}?forceDelete=true"), &[], "")?;
    let fault = found(twins, "certificate", "missing", gone).await?;
    table.note("a certificate deleted there", "certificate", &fault);
    let by_hand = twins.millrace(Side::Primary, &["dr", "check"], &["--only", "certificate", "--output", "json"])?;
    ensure!(by_hand.status.code() == Some(6), "{by_hand:?}");
    let mended = twins.millrace(Side::Primary, &["dr", "sync"], &[])?;
    ensure!(mended.status.success(), "{mended:?}");
    let report = checked(twins, &["thing", "certificate", "attachment"]).await?;
    ensure!(report["verdict"] == "ok", "dr sync has not mended it: {report}");
    Ok(())
}

fn arn(world: &World, resource: &str) -> String {
    format!("arn:aws:iot:{}:{}:{resource}", world.region, world.account)
}

#[tokio::test]
async fn what_may_not_be_looked_at_is_unknown_and_never_ok() -> Result<()> {
    let Some(pair) = Pair::start("dr-denied", Playing { policies: true, brokers: false }).await? else { return Ok(()) };
    let world = pair.world(Side::Primary).clone();
    let Some(cli) = world.cli.clone() else { return Ok(()) };
    let all =
        json!({ "Effect": "Allow", "NotAction": ["iot:*", "kinesis:*", "lambda:*", "sagemaker:*"], "Resource": "*" });
    let mut table = Table::new();
    for (who, statement, is_seen) in
        [("may-not", all, false), ("may", json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }), true)]
    {
        let desk = holder_of_statement(&world, who, &statement)?;
        for kind in ["stream", "model", "endpoint-config", "thing", "policy", "certificate", "rule", "function"] {
            let mut command = desk.command(&cli);
            command.args(["dr", "check", "--peer", Side::Other.region(), "--environment", "denied"]);
            command.args(["--watch", "0", "--output", "json", "--only", kind]);
            let output = command.output().context("the command does not run")?;
            let rows: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
            let rows = rows.as_array().context("no rows")?;
            let is_unknown = !rows.is_empty() && rows.iter().all(|row| row["verdict"] == "unknown");
            ensure!(is_unknown != is_seen, "{who} {kind}: {rows:?}");
            ensure!((output.status.code() == Some(4)) != is_seen, "{who} {kind}: {output:?}");
            if let Some(row) = rows.first().filter(|_| !is_seen) {
                let evidence = row["evidence"].as_str().unwrap_or_default().to_owned();
                table.note("no permission", kind, &("unknown".to_owned(), evidence));
            }
        }
    }
    table.keep("dr-check-denied.md", "Who may not look:")
}
