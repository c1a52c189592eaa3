//! The cold path from end to end: three weeks of a plant through the packaged scorer into the emulator's lake; a model that learns
//! the first two from it, serves, and scores the third; the results put beside it, which wake the packaged analyzer.
//!
//! What was found is judged against the plant's truth, beside the warm path and both together. The floors say that nothing is
//! broken, not how good it is: the figures are in `cold-path.txt` of the run's record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Desk, Running, Stack, World, raised, recorded, report, until};
use evaluation::{Grace, Incidents, Span, Spans, match_alerts};
use serde_json::Value;

const WITHIN: Duration = Duration::from_mins(3);
const DAY_MS: i64 = 86_400_000;
const DEVICES: i64 = 10;
/// The week that is judged: from the midnight on which the third begins.
const JUDGED: std::ops::Range<i64> = 1_768_780_800_000..1_768_780_800_000 + 7 * DAY_MS;
const JOB: &str = "demo/week-3";
/// As `millrace model evaluate` judges.
const GRACE: Grace = Grace { found_ms: 30 * 60_000, echo_ms: 2 * 3_600_000 };
const PROFILE: &str = "[assets.pump]\ndevices = [\"pump-*\"]\n[assets.press]\ndevices = [\"press-*\"]\n\
    [assets.compressor]\ndevices = [\"compressor-*\"]\n";
const PLANT: &[&str] = &[
    "simulate",
    "--devices",
    "10",
    "--days",
    "21",
    "--cadence",
    "300",
    "--fault-free-days",
    "14",
    "--faults-per-week",
    "2",
    "--stops-per-week",
    "1",
    "--out",
    "plant.ndjson",
    "--truth",
    "truth.json",
];

/// By device: instants of alerts, in milliseconds.
type Alerts = BTreeMap<String, Vec<i64>>;

/// The plant's records through the packaged scorer, into the lake and the tables of the stack.
async fn score(desk: &Desk, stack: &Stack) -> Result<()> {
    // A shard without a checkpoint is looked up for its parents: the stream has to be there, though its records come from a file.
    let kinesis = &stack.world().kinesis;
    kinesis.create_stream().stream_name("records").shard_count(1).send().await.context("create the stream")?;
    desk.run(PLANT)?;
    let payloads = fs::read_to_string(desk.path("plant.ndjson"))?;
    fs::write(desk.path("records.ndjson"), recorded(&payloads, |_| false)?)?;
    let zip = stack.world().zip.display().to_string();
    let settings = [
        ("MILLRACE_BUCKET", stack.output("LakeBucketName")),
        ("MILLRACE_RESULTS_TABLE", stack.output("ResultsTableName")),
        ("MILLRACE_CHECKPOINTS_TABLE", stack.output("CheckpointsTableName")),
        ("MILLRACE_S3_PATH_STYLE", "true"),
    ];
    let mut arguments: Vec<String> = ["esm", "records.ndjson", "--batch-size", "500", "--timeout", "2m", "--quiet"]
        .into_iter()
        .chain(["--report-batch-item-failures", "--retries", "3", "--bootstrap", &zip])
        .map(str::to_owned)
        .collect();
    for (name, value) in settings {
        arguments.extend(["--env".to_owned(), format!("{name}={value}")]);
    }
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED"] {
        arguments.extend(["--env".to_owned(), name.to_owned()]);
    }
    desk.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).map(drop)
}

/// Folders of bronze, a date each.
fn days(days: std::ops::Range<u32>) -> Vec<String> {
    days.map(|day| format!("data/lake/bronze/dt=2026-01-{day:02}")).collect()
}

/// A server of a published model, and its address.
fn serve(desk: &Desk, model: &str) -> Result<(Running, String)> {
    let mut command = desk.command(&["model", "serve", model, "--dir", "data", "--port", "0"]);
    let mut running = Running(command.stderr(Stdio::piped()).spawn().context("cannot start the server")?);
    let mut line = String::new();
    BufReader::new(running.0.stderr.take().context("it is piped")?).read_line(&mut line)?;
    let url = line.trim().rsplit(" at ").next().unwrap_or_default().to_owned();
    ensure!(url.starts_with("http://127.0.0.1:"), "the server says: {line}");
    Ok((running, url))
}

/// What lies below a prefix of the lake: names and contents.
async fn contents(desk: &Desk, stack: &Stack, prefix: &str) -> Result<Vec<Vec<u8>>> {
    let folder = format!("read/{prefix}");
    desk.download(stack, prefix, "read").await?;
    let mut found = Vec::new();
    let mut folders = vec![desk.path(&folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(fs::read(path)?) }
        }
    }
    Ok(found)
}

/// What was wrong in the week, by device.
fn faults(desk: &Desk) -> Result<BTreeMap<String, Vec<(i64, i64)>>> {
    let truth: Value = serde_json::from_str(&fs::read_to_string(desk.path("truth.json"))?)?;
    let mut faults: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    for fault in truth["faults"].as_array().context("the truth has faults")? {
        let instant = |name: &str| fault[name].as_i64().context("a fault has a time");
        let (begin, end) = (instant("start_ms")?, instant("end_ms")?);
        if begin < JUDGED.end && end >= JUDGED.start {
            let device = fault["device_name"].as_str().context("a fault has a device")?;
            faults.entry(device.to_owned()).or_default().push((begin, end));
        }
    }
    Ok(faults)
}

fn judge(faults: &BTreeMap<String, Vec<(i64, i64)>>, alerts: &Alerts) -> Result<Incidents> {
    let mut judged = Incidents { observed_ms: DEVICES * 7 * DAY_MS, ..Incidents::default() };
    for device in faults.keys().chain(alerts.keys()).collect::<BTreeSet<_>>() {
        let spans = faults.get(device).into_iter().flatten().map(|(begin, end)| Span::new(*begin, *end));
        let spans = Spans::new(spans.collect::<Result<_, _>>()?);
        let mut instants = alerts.get(device).cloned().unwrap_or_default();
        instants.sort_unstable();
        judged.absorb(&Incidents::of(&match_alerts(&spans, &instants, GRACE), 0));
    }
    Ok(judged)
}

fn line(who: &str, judged: &Incidents) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    format!(
        "{who:<10} {:>6} {:>5} {:>6} {:>9} {:>12}\n",
        judged.spans,
        judged.found(),
        number(judged.recall()),
        number(judged.precision()),
        judged.false_alerts
    )
}

#[tokio::test]
async fn what_weeks_have_taught_is_told_of_the_next_beside_the_warm_path() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let Some(desk) = Desk::new(&world)? else { return Ok(()) };
    let stack = Stack::deploy_models(&world).await?;
    fs::write(desk.path("profile.toml"), PROFILE)?;
    fs::create_dir_all(desk.path("config/demo"))?;
    fs::copy(desk.path("profile.toml"), desk.path("config/demo/profile.toml"))?;
    desk.upload("config", &stack, "config/").await?;
    score(&desk, &stack).await?;

    // The lake as a person has it who copies it to a machine; a model learns from its first fortnight.
    let copied = desk.download(&stack, "bronze/", "data/lake").await?;
    let history = days(5..19);
    let learned: Vec<&str> = history.iter().map(String::as_str).collect();
    let train = ["model", "train", "--kind", "forest", "--name", "plant", "--trees", "50", "--profile", "profile.toml"];
    desk.run(&[&train[..], &["--out", "plant.millrace", "--output", "csv"], &learned].concat())?;
    desk.run(&["model", "publish", "plant.millrace", "--dir", "data"])?;
    desk.upload("data/lake/models", &stack, "models/").await?;

    let (server, url) = serve(&desk, "plant")?;
    let week = days(19..26);
    let week: Vec<&str> = week.iter().map(String::as_str).collect();
    let batch = ["model", "batch", "plant", "--endpoint", &url, "--job", JOB, "--dir", "data", "--from", "2026-01-19"];
    desk.run(&[&batch[..], &["--until", "2026-01-26"], &week].concat())?;
    drop(server);
    // What batch transform leaves, in its order: the last result wakes the analyzer.
    let job = format!("inference/{JOB}");
    fs::create_dir_all(desk.path("job"))?;
    fs::copy(desk.path(&format!("data/lake/{job}/job.json")), desk.path("job/job.json"))?;
    desk.upload("job", &stack, &format!("{job}/")).await?;
    for folder in ["input/", "output/"] {
        desk.upload(&format!("data/lake/{job}/{folder}"), &stack, &format!("{job}/{folder}")).await?;
    }
    let report = until("the job has its report", WITHIN, || report(&stack, JOB)).await?;

    let faults = faults(&desk)?;
    let (mut model, mut warm) = (Alerts::new(), Alerts::new());
    let mut findings = 0;
    for packed in contents(&desk, &stack, "gold/model_findings/").await? {
        for line in String::from_utf8(zstd::decode_all(&*packed)?)?.lines() {
            let finding: Value = serde_json::from_str(line)?;
            let device = finding["device"].as_str().context("a finding has a device")?;
            let onset = finding["onset"].as_i64().context("a finding has an onset")?;
            model.entry(device.to_owned()).or_default().push(onset);
            findings += 1;
        }
    }
    let mut of_model = 0;
    for one in raised(&stack).await? {
        let device = one.device.strip_prefix("demo#").context("a device of the plant")?;
        if one.detector == "model" {
            of_model += 1;
        } else if JUDGED.contains(&one.detected_ms) {
            warm.entry(device.to_owned()).or_default().push(one.detected_ms);
        }
    }
    let mut both = model.clone();
    for (device, instants) in &warm {
        both.entry(device.clone()).or_default().extend(instants);
    }
    let (of_warm, of_both, by_model) = (judge(&faults, &warm)?, judge(&faults, &both)?, judge(&faults, &model)?);
    let mut figures = String::from("who        faults found recall precision false alerts\n");
    for (who, judged) in [("model", &by_model), ("warm path", &of_warm), ("both", &of_both)] {
        figures.push_str(&line(who, judged));
    }
    let _ = writeln!(
        figures,
        "{copied} objects of bronze; {} rows of the week, {findings} findings, {of_model} told by the model alone",
        report["rows"]
    );
    println!("{figures}{report:#}");
    if let Some(folder) = World::record() {
        fs::write(folder.join("cold-path.txt"), &figures).context("cannot write the record")?;
    }

    assert!(report["rows"].as_u64().is_some_and(|rows| rows > 19_000), "{report}");
    assert_eq!(report["alone"].as_u64(), Some(of_model), "what the report counts is what the table has");
    assert!(of_warm.recall() > Some(0.4) && by_model.recall() > Some(0.2), "{figures}");
    assert!(of_both.found() >= of_warm.found(), "who is told more finds no less");
    assert!(!contents(&desk, &stack, "gold/model_scores/").await?.is_empty());
    Ok(())
}
