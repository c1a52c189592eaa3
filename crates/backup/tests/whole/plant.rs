//! A folder in which the real scorer has committed what a plant sent.

use std::path::Path;
use std::time::Duration;

use anomaly_core::Timestamp;
use backup::create::{Made, Source, create};
use backup::folder::Folder;
use backup::manifest::{Subject, choose};
use backup::objects::Objects;
use backup::place::Trust;
use backup::sqlite::Database;
use backup::verify::{Finding, Totals, verify};
use backup::{BackupError, Step};
use kinesis_scorer::{Config, Invocation, Scorer};
use platform::embedded::Local;
use platform::embedded::stream::REGION;
use platform::metrics::NoMetrics;
use platform::model::{ShardId, ShardInfo};
use telemetry::kinesis::{RecordOut, Source as Arn, write_event};

pub(crate) const T0: i64 = 1_790_000_000_000;
pub(crate) const STREAM: &str = "plant";
pub(crate) const SHARD: &str = "shardId-000000000000";
const DEVICES: [&str; 4] = ["pump-1", "pump-2", "press-1", "fan-1"];
/// Records of a batch.
const BATCH: usize = 20;

pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(T0 + minute * 60_000).unwrap()
}

pub(crate) fn shard() -> ShardId {
    ShardId { region: REGION.into(), stream: STREAM.into(), shard: SHARD.into() }
}

pub(crate) fn shards() -> Vec<ShardInfo> {
    vec![ShardInfo { shard: SHARD.into(), parent: None, adjacent_parent: None, hash_range: (0, u128::MAX) }]
}

/// Has the scorer take records `from..to`, numbered from `first` on. Each hour another device is hot.
pub(crate) async fn send(world: &Local, from: usize, to: usize, first: usize) {
    let scorer = Scorer::new(world.clone(), NoMetrics, Config::local("unused"));
    let all: Vec<usize> = (from..to).collect();
    for batch in all.chunks(BATCH) {
        let payloads: Vec<(String, String)> = batch
            .iter()
            .map(|index| {
                let device = DEVICES[index % DEVICES.len()];
                let is_hot = *index >= 60 && (index / 60) % DEVICES.len() == index % DEVICES.len();
                let heat = if is_hot { 95.0 } else { 55.0 };
                let value = heat + (index * 7 % 13) as f64 / 10.0;
                let ts = T0 + *index as i64 * 60_000;
                let topic = format!("tenants/acme/devices/{device}/telemetry");
                (device.to_owned(), format!(r#"{{"topic":"{topic}","ts":{ts},"temperature":{value}}}"#))
            })
            .collect();
        let records = batch.iter().zip(&payloads).map(|(index, (device, payload))| RecordOut {
            sequence: (index - from + first).to_string().parse().unwrap(),
            partition_key: device,
            data: payload.as_bytes(),
            arrived: at(*index as i64),
        });
        let source = Arn { partition: "aws", region: REGION, account: "123456789012", stream: STREAM, shard: SHARD };
        let mut event = Vec::new();
        write_event(records, &source, &mut event);
        let now = at(*batch.last().unwrap() as i64);
        let invocation = Invocation { now, remaining: &|| Duration::from_mins(1), request_id: "test" };
        let response = scorer.handle(&event, &invocation).await.unwrap();
        assert_eq!(response, telemetry::kinesis::BatchResponse::success());
    }
}

/// A folder with the plant's first `count` records.
pub(crate) async fn plant(dir: &Path, count: usize) {
    let world = Local::open(dir).unwrap();
    world.define_shards(STREAM, &shards()).await.unwrap();
    send(&world, 0, count, 1).await;
}

pub(crate) fn quiet(_: Step<'_>) {}

pub(crate) fn subject() -> Subject {
    Subject { environment: "plant".into(), region: REGION.into(), stream: None }
}

/// A backup of a folder, begun at a minute.
pub(crate) async fn back_up(dir: &Path, place: &(impl Objects + Sync), minute: i64) -> Result<Made, BackupError> {
    back_up_as(subject(), dir, place, minute, Trust::Size).await
}

pub(crate) async fn back_up_as(
    subject: Subject,
    dir: &Path,
    place: &(impl Objects + Sync),
    minute: i64,
    trust: Trust,
) -> Result<Made, BackupError> {
    let (lake, tables) = (Folder::new(dir.join("lake")), Database::new(dir));
    let documents = [("stacks".to_owned(), serde_json::json!([{"stack": "storage"}]))];
    let source = Source { subject, lake: &lake, tables: &tables, documents: &documents };
    create(&source, place, at(minute), trust, &quiet).await
}

/// What is wrong with the newest backup of a place.
pub(crate) async fn wrong(place: &(impl Objects + Sync)) -> Result<(Vec<Finding>, Totals), BackupError> {
    let sealed = choose(place, None, None).await?;
    let mut found = Vec::new();
    let totals = verify(place, &sealed, false, |finding| found.push(finding), &quiet).await?;
    Ok((found, totals))
}
