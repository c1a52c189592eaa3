//! From a reading to a message, on the emulator: the pipeline, its table's stream, the fan-out, a topic and who listens to it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_sdk_s3::primitives::ByteStream;
use e2e::{Plant, Settings, Stack, Subscriber, Told, World, bronze, checkpoints, kill, quarantine, until};
use serde_json::{Value, json};

const TOLD_WITHIN: Duration = Duration::from_mins(2);

async fn put_profile(stack: &Stack, tenant: &str, profile: String) -> Result<()> {
    let key = format!("config/{tenant}/profile.toml");
    let put = stack.world().s3.put_object().bucket(stack.output("LakeBucketName")).key(key);
    put.body(ByteStream::from(profile.into_bytes())).send().await.context("cannot store the profile")?;
    Ok(())
}

/// Lets the schedule tick, as the rule's event would.
fn tick(alerts: &Stack) -> Result<String> {
    let address =
        format!("{}/2015-03-31/functions/{}/invocations", alerts.world().endpoint, alerts.output("FanoutName"));
    let event = include_str!("../../events/alerts-tick.json");
    let mut answer = ureq::post(&address).send(event).context("the tick was not answered")?;
    Ok(answer.body_mut().read_to_string()?)
}

fn count(told: &[Told]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for one in told {
        let field = |name: &str| one.attributes[name]["Value"].as_str().unwrap_or_default().to_owned();
        *counts.entry((field("device"), field("state"))).or_insert(0) += 1;
    }
    counts
}

#[tokio::test]
async fn an_anomaly_reaches_who_has_subscribed_and_does_so_once() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    let pipeline = Stack::deploy(&world, Settings { shards: 1, batch_records: 10_000 }).await?;
    let alerts = Stack::deploy_alerts(&pipeline, 120).await?;
    let topic = alerts.output("TopicArn");
    let subscriber = Subscriber::new(&world, topic, &format!("heard-{}", std::process::id()))?;
    for tenant in ["acme", "default"] {
        let profile =
            format!("[channels.ops]\ntype = \"sns\"\ntopic = \"{topic}\"\n\n[[alerts.routes]]\nchannels = [\"ops\"]\n");
        put_profile(&pipeline, tenant, profile).await?;
    }
    #[expect(clippy::disallowed_methods, reason = "how long somebody waits for a message is measured here")]
    let began = Instant::now();
    Plant::send(&pipeline, Plant::new()?.records()).await?;
    let sent = began.elapsed();

    let mut told = Vec::new();
    let devices: Vec<&str> =
        Plant::hot_devices().iter().filter_map(|device| device.split_once('#').map(|(_, name)| name)).collect();
    until("both hot devices are told", TOLD_WITHIN, || {
        let heard = subscriber.take();
        let result = heard.map(|heard| {
            told.extend(heard);
            let counts = count(&told);
            let all = devices.iter().all(|device| counts.contains_key(&((*device).to_owned(), "opened".to_owned())));
            all.then_some(())
        });
        async { result }
    })
    .await?;
    println!("records were in the stream after {sent:?}, both messages in the queue after {:?}", began.elapsed());
    // A tick and the rest of the stream tell nothing anew.
    tick(&alerts)?;
    told.extend(subscriber.take()?);
    for ((device, state), count) in count(&told) {
        assert_eq!(count, 1, "{device} {state}");
        assert!(devices.contains(&device.as_str()), "{device} is fine, but {state} was told");
    }
    let press = told.iter().find(|told| told.attributes["device"]["Value"] == "press-7").context("press-7 was told")?;
    assert_eq!(press.attributes["tenant"]["Value"], "acme");
    assert!(press.subject.contains("press-7"), "{}", press.subject);
    assert!(press.body.to_string().contains("95"), "{}", press.body);

    somebody_takes_care(&pipeline)?;
    a_quiet_shard_gets_a_pulse(&pipeline, &alerts).await
}

/// `millrace alerts VERB …` over the tables of the stack. The answer is JSON; of a verb that changes something there is none.
fn alerts_of(pipeline: &Stack, cli: &Path, arguments: &[&str]) -> Result<Value> {
    let mut command = Command::new(cli);
    command.arg("alerts").args(arguments).args(["--tenant", "acme", "--output", "json", "--quiet"]);
    for (option, output) in [
        ("--bucket", "LakeBucketName"),
        ("--results-table", "ResultsTableName"),
        ("--checkpoints-table", "CheckpointsTableName"),
    ] {
        command.args([option, pipeline.output(output)]);
    }
    let answer =
        command.args(["--endpoint", &pipeline.world().endpoint]).output().context("the command does not run")?;
    let words = String::from_utf8_lossy(&answer.stderr);
    ensure!(answer.status.success(), "`millrace alerts {}`: {words}", arguments.join(" "));
    if answer.stdout.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&answer.stdout).with_context(|| format!("no JSON: {answer:?}"))
}

/// What a person at the desk does: looks, says that she takes care, and is named where others look.
fn somebody_takes_care(pipeline: &Stack) -> Result<()> {
    let Some(cli) = &pipeline.world().cli else { return Ok(()) };
    let listed = alerts_of(pipeline, cli, &["list", "--open"])?;
    let id = listed[0]["id"].as_str().context("no open incident is listed")?.to_owned();
    assert_eq!((&listed[0]["device"], &listed[1]), (&json!("press-7"), &Value::Null), "{listed}");
    alerts_of(pipeline, cli, &["ack", &id, "--by", "Ada"])?;
    assert_eq!(alerts_of(pipeline, cli, &["list"])?[0]["acknowledged_by"], "Ada");
    let shown = alerts_of(pipeline, cli, &["show", &id[..8]])?;
    assert!(shown.to_string().contains("press-7"), "{shown}");
    Ok(())
}

/// Nothing arrives any more: a tick puts a record that carries only its time, and the scorer commits it.
async fn a_quiet_shard_gets_a_pulse(pipeline: &Stack, alerts: &Stack) -> Result<()> {
    let (before, refused) = (checkpoints(pipeline).await?, quarantine(pipeline).await?.len());
    until("the scorer has taken a pulse", TOLD_WITHIN, || {
        let ticked = tick(alerts);
        let before = &before;
        async move {
            ticked?;
            Ok((checkpoints(pipeline).await? != *before).then_some(()))
        }
    })
    .await?;
    assert_eq!(quarantine(pipeline).await?.len(), refused, "a pulse is no poison");
    let lines = bronze(pipeline).await?;
    assert!(lines.iter().any(|line| line.partition_key == "millrace-pulse"), "a pulse is kept as every record is");
    Ok(())
}

/// A receiver of webhooks that lets the first one wait for ever, and takes the others.
fn slow_receiver() -> Result<(String, Receiver<String>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let address = format!("http://{}/hook", listener.local_addr()?);
    let (sender, received) = channel();
    std::thread::spawn(move || {
        let mut kept: Vec<TcpStream> = Vec::new();
        for (nth, connection) in listener.incoming().enumerate() {
            let Ok(mut connection) = connection else { return };
            let Some(body) = request(&mut connection) else { continue };
            if sender.send(body).is_err() {
                return;
            }
            if nth == 0 {
                kept.push(connection);
            } else {
                let _ = connection.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            }
        }
    });
    Ok((address, received))
}

/// Head and body of a request with a length.
fn request(connection: &mut TcpStream) -> Option<String> {
    connection.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

#[tokio::test]
async fn a_message_whose_sender_was_killed_is_sent_all_the_same_under_the_same_key() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    let pipeline = Stack::deploy(&world, Settings { shards: 1, batch_records: 10_000 }).await?;
    let alerts = Stack::deploy_alerts(&pipeline, 3).await?;
    let (address, received) = slow_receiver()?;
    let profile = format!(
        "[channels.hook]\ntype = \"webhook\"\nurl = \"{address}\"\nallow_private = true\n\n\
         [[alerts.routes]]\nchannels = [\"hook\"]\ndevices = [\"press-7\"]\n"
    );
    put_profile(&pipeline, "acme", profile).await?;
    Plant::send(&pipeline, Plant::new()?.records()).await?;

    let first = received.recv_timeout(TOLD_WITHIN).context("nothing was sent")?;
    // It has claimed the message, has sent it, and waits for the answer.
    assert!(kill(alerts.output("FanoutName"))? > 0, "nobody was sending");
    let second = until("it is sent again", TOLD_WITHIN, || {
        let ticked = tick(&alerts);
        let next = received.try_recv().ok();
        async move { ticked.map(|_| next) }
    })
    .await?;
    let id = |request: &str| {
        let body = request.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default().to_owned();
        serde_json::from_str::<serde_json::Value>(&body).ok().and_then(|event| event["id"].as_str().map(str::to_owned))
    };
    assert!(id(&first).is_some(), "{first}");
    assert_eq!(id(&first), id(&second), "whoever drops what it has already sees one message");
    Ok(())
}
