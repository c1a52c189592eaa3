//! Our event source mapping over the emulator's Kinesis: shards that split, answers that name failed records, the real zip.
//!
//! The emulator's own mapping does none of this: it takes every answer for a success and knows no retries.

#![expect(clippy::unwrap_used, reason = "a lock in a test is never poisoned by anything but a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_kinesis::primitives::Blob;
use e2e::{Line, Plant, Settings, Stack, World, bronze, checkpoints, quarantine, until};
use event_source::destination::FailureRecord;
use event_source::rules::{Rules, StartingPosition};
use event_source::source::{KinesisSettings, Source, open_kinesis};
use event_source::target::{Bootstrap, BootstrapSettings, Handler, Logs, Target};
use event_source::{Invoked, Observer, RunSettings};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_mins(2);

/// A stream of its own for a test.
async fn stream(world: &World, name: &str) -> Result<String> {
    let name = format!("{name}-{}", std::process::id());
    world.kinesis.create_stream().stream_name(&name).shard_count(1).send().await.context("create the stream")?;
    Ok(name)
}

async fn put(world: &World, stream: &str, key: &str, data: &[u8]) -> Result<()> {
    let put = world.kinesis.put_record().stream_name(stream).partition_key(key).data(Blob::new(data));
    put.send().await.context("put a record")?;
    Ok(())
}

async fn open(world: &World, stream: &str, until_caught_up: bool) -> Result<Source> {
    let settings = KinesisSettings {
        stream: stream.to_owned(),
        endpoint_url: Some(world.endpoint.clone()),
        position: StartingPosition::TrimHorizon,
        until_caught_up,
    };
    Ok(open_kinesis(settings).await?)
}

/// Counts what is given up.
#[derive(Default)]
struct Given(Vec<Value>);

impl Observer for Given {
    fn invoked(&mut self, _: &Invoked<'_>) {}

    fn discarded(&mut self, record: &FailureRecord) {
        self.0.push(serde_json::to_value(record).unwrap_or_default());
    }
}

/// A function that fails each seventh record the first time it comes, and notes what it has done.
#[derive(Clone, Default)]
struct Flaky {
    failed: Arc<Mutex<BTreeSet<String>>>,
    done: Arc<Mutex<Vec<(String, u32)>>>,
    shards: Arc<Mutex<BTreeSet<String>>>,
}

impl Flaky {
    fn handle(&self, event: &[u8]) -> Result<Value> {
        let event: Value = serde_json::from_slice(event)?;
        for record in event["Records"].as_array().context("an event has records")? {
            let field = |name: &str| record["kinesis"][name].as_str().unwrap_or_default().to_owned();
            let data = base64_simd::STANDARD.decode_to_vec(field("data"))?;
            let number: u32 = String::from_utf8(data)?.parse()?;
            let sequence = field("sequenceNumber");
            if number.is_multiple_of(7) && self.failed.lock().unwrap().insert(sequence.clone()) {
                return Ok(json!({"batchItemFailures": [{"itemIdentifier": sequence}]}));
            }
            self.done.lock().unwrap().push((field("partitionKey"), number));
            let id = record["eventID"].as_str().unwrap_or_default();
            self.shards.lock().unwrap().insert(id.split(':').next().unwrap_or_default().to_owned());
        }
        Ok(json!({"batchItemFailures": []}))
    }

    fn target(&self) -> Target {
        let this = self.clone();
        let handler: Handler = Arc::new(move |call| {
            let answer = this.handle(&call.event).map_err(|error| error.to_string());
            Box::pin(std::future::ready(answer.map(|answer| answer.to_string().into_bytes())))
        });
        Target::Handler(handler)
    }

    async fn until_done(&self, count: usize) -> Result<()> {
        until(&format!("{count} records are done"), WITHIN, || async {
            Ok((self.done.lock().unwrap().len() >= count).then_some(()))
        })
        .await
    }
}

#[tokio::test]
async fn every_record_arrives_once_in_order_of_its_key_through_a_split_and_partial_failures() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    let name = stream(&world, "esm-split").await?;
    let key = |number: u32| format!("pump-{}", number % 5);
    let function = Flaky::default();
    let stop = Arc::new(tokio::sync::Notify::new());
    let source = open(&world, &name, false).await?;

    let puts = async {
        for number in 0..100 {
            put(&world, &name, &key(number), number.to_string().as_bytes()).await?;
        }
        // The emulator drops the parents of a split with what they hold, so they are read first.
        function.until_done(100).await?;
        let split = world.kinesis.split_shard().stream_name(&name).shard_to_split("shardId-000000000000");
        split.new_starting_hash_key((u128::MAX / 2 + 1).to_string()).send().await.context("split the shard")?;
        for number in 100..200 {
            put(&world, &name, &key(number), number.to_string().as_bytes()).await?;
        }
        let done = function.until_done(200).await;
        stop.notify_one();
        done
    };
    let rules = Rules { batch_size: 20, report_batch_item_failures: true, retries: 3, ..Rules::default() };
    let checked = rules.check()?;
    let mut given = Given::default();
    let run =
        event_source::run(source, &checked, function.target(), RunSettings::default(), &mut given, stop.notified());
    let (ended, put) = tokio::join!(run, puts);
    put?;

    ensure!(ended.problem.is_none(), "{ended:?}");
    assert!(given.0.is_empty(), "{:?}", given.0);
    assert!(ended.report.partial_failures >= 29, "each seventh record failed once: {:?}", ended.report);
    let mut by_key: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (key, number) in function.done.lock().unwrap().iter() {
        by_key.entry(key.clone()).or_default().push(*number);
    }
    for (key, numbers) in &by_key {
        let device: u32 = key.trim_start_matches("pump-").parse()?;
        let expected: Vec<u32> = (0..200).filter(|number| number % 5 == device).collect();
        assert_eq!(*numbers, expected, "{key}");
    }
    assert_eq!(by_key.len(), 5);
    assert_eq!(function.shards.lock().unwrap().len(), 3, "a parent and two children");
    Ok(())
}

/// Lines by sequence number; what is there twice is there twice alike.
fn once(lines: Vec<Line>) -> BTreeMap<String, Vec<u8>> {
    let mut unique = BTreeMap::new();
    for line in lines {
        if let Some(before) = unique.insert(line.sequence, line.payload.clone()) {
            assert_eq!(before, line.payload);
        }
    }
    unique
}

#[tokio::test]
async fn the_real_zip_keeps_every_record_once_although_a_third_of_the_events_come_twice() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    // Its own stream stays empty; its tables and its lake are what the child process writes to.
    let stack = Stack::deploy(&world, Settings { shards: 1, batch_records: 100 }).await?;
    let name = stream(&world, "esm-zip").await?;
    let plant = Plant::new()?;
    for record in plant.records() {
        put(&world, &name, &record.partition_key, &record.payload).await?;
    }
    let variables = [
        ("MILLRACE_BUCKET", stack.output("LakeBucketName")),
        ("MILLRACE_RESULTS_TABLE", stack.output("ResultsTableName")),
        ("MILLRACE_CHECKPOINTS_TABLE", stack.output("CheckpointsTableName")),
        ("MILLRACE_S3_PATH_STYLE", "true"),
        ("AWS_ENDPOINT_URL", &world.endpoint),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let settings = BootstrapSettings {
        function: Some("kinesis-scorer".to_owned()),
        variables: variables.map(|(name, value)| (name.into(), value.into())).into(),
        concurrency: 1,
        logs: Logs::File(Path::new(env!("CARGO_TARGET_TMPDIR")).join("esm-function.log")),
    };
    let zip: &Path = &world.zip;
    let target = Target::Bootstrap(Arc::new(Bootstrap::new(zip, settings)?));
    let rules = Rules {
        batch_size: 20,
        report_batch_item_failures: true,
        bisect: true,
        retries: 5,
        timeout: Duration::from_mins(2),
        duplicate_rate: 0.34,
        ..Rules::default()
    };
    let (source, checked, mut given) = (open(&world, &name, true).await?, rules.check()?, Given::default());
    let run = event_source::run(source, &checked, target, RunSettings::default(), &mut given, std::future::pending());
    let ended = tokio::time::timeout(WITHIN, run).await.context("the run does not end")?;

    ensure!(ended.problem.is_none() && ended.report.is_whole(), "{ended:?} {:?}", given.0);
    assert!(ended.report.duplicates > 0, "{:?}", ended.report);
    assert_eq!((ended.report.cold_starts, ended.report.crashes), (1, 0));
    assert!(ended.report.memory_bytes_max.is_some() && ended.report.init_max.is_some());
    let kept = once(bronze(&stack).await?);
    let mut sent: Vec<Vec<u8>> = plant.records().iter().map(|record| record.payload.clone()).collect();
    let mut stored: Vec<Vec<u8>> = kept.values().cloned().collect();
    sent.sort();
    stored.sort();
    assert_eq!(stored, sent);
    let poison = plant.records().iter().filter(|record| record.poison.is_some()).count();
    assert_eq!(once(quarantine(&stack).await?).len(), poison);
    let last = kept.keys().max().cloned();
    assert_eq!(checkpoints(&stack).await?.into_values().max(), last);
    Ok(())
}
