//! History into the scorer's memory: what a new tenant gains by it, and that nothing else changes.
#![expect(clippy::unwrap_used, reason = "a helper of a test ends the test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anomaly_core::{
    DeviceName, DeviceStatus, Finite, MetricName, Observation, Quality, Reading, TenantName, Timestamp,
};
use kinesis_scorer::backfill::{BackfillError, Learned, Put};
use kinesis_scorer::fold::Tenancy;
use kinesis_scorer::restore::restore;
use kinesis_scorer::{Config, Invocation, Scorer};
use platform::clock;
use platform::embedded::Local;
use platform::embedded::stream::{Mapping, MappingSettings, Stream, StreamHandle, run};
use platform::metrics::NoMetrics;
use platform::model::ShardId;
use platform::ports::{ListShards as _, LoadCheckpoint as _};
use tempfile::TempDir;

/// Midnight of 2026-01-05.
const BEGIN_MS: i64 = 1_767_571_200_000;
const STEP_MS: i64 = 300_000;
const DAY_STEPS: i64 = 288;
/// When the stream begins: after a fortnight.
const STREAM_STEP: i64 = 14 * DAY_STEPS;
/// An hour later one device begins to run hot, far below any limit.
const FAULT_STEP: i64 = STREAM_STEP + 12;
const FAULTY: &str = "pump-2";
const DEVICES: [&str; 3] = ["pump-1", FAULTY, "pump-3"];

/// Temperature and vibration of a machine that follows the day.
fn values(device: usize, step: i64) -> (f64, f64) {
    let day = (step as f64 / DAY_STEPS as f64 * std::f64::consts::TAU).sin();
    let noise = |salt: i64| {
        let mixed = (step * 31 + device as i64 * 7 + salt).wrapping_mul(6_364_136_223_846_793_005) >> 33;
        mixed.rem_euclid(1_000) as f64 / 1_000.0 - 0.5
    };
    let heat = if DEVICES[device] == FAULTY && step >= FAULT_STEP { 9.0 } else { 0.0 };
    (45.0 + 2.0 * day + noise(1) + heat, 1.2 + 0.05 * day + 0.05 * noise(2))
}

fn at(step: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN_MS + step * STEP_MS).unwrap()
}

/// CSV of the steps, as historians export it.
fn history(steps: std::ops::Range<i64>) -> String {
    let mut text = String::from("timestamp,device,metric,value\n");
    for step in steps {
        for (index, device) in DEVICES.iter().enumerate() {
            let (temperature, vibration) = values(index, step);
            let at = at(step);
            writeln!(text, "{at},{device},temperature,{temperature:.3}\n{at},{device},vibration,{vibration:.4}")
                .unwrap();
        }
    }
    text
}

fn payload(index: usize, step: i64) -> String {
    let (temperature, vibration) = values(index, step);
    let (device, ts) = (DEVICES[index], at(step).millis());
    format!(r#"{{"device_id":"{device}","ts":{ts},"temperature":{temperature:.3},"vibration":{vibration:.4}}}"#)
}

struct Room(TempDir);

impl Room {
    /// With a fortnight's history, and six hours of a stream's records.
    fn new() -> Self {
        let room = Self(TempDir::new().unwrap());
        std::fs::write(room.path("history.csv"), history(0..STREAM_STEP)).unwrap();
        let mut records = String::new();
        for step in STREAM_STEP..STREAM_STEP + 72 {
            for (index, device) in DEVICES.iter().enumerate() {
                let arrival = (at(step).millis() + 250) as f64 / 1_000.0;
                let data = payload(index, step);
                writeln!(records, r#"{{"partition_key":"{device}","data":{data},"arrival":{arrival}}}"#).unwrap();
            }
        }
        std::fs::write(room.path("records.ndjson"), records).unwrap();
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.output(arguments);
        assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    /// Backfills; returns what became of each device.
    #[track_caller]
    fn backfill(&self, more: &[&str]) -> BTreeMap<String, String> {
        let arguments = ["backfill", "history.csv", "--stream", "telemetry", "--dir", "data", "--output", "csv"];
        let said = self.run(&[&arguments[..], more].concat());
        let mut reader = csv::Reader::from_reader(said.as_bytes());
        let rows = reader.deserialize::<BTreeMap<String, String>>().map(Result::unwrap);
        rows.map(|row| (row["device"].clone(), row["became"].clone())).collect()
    }

    /// The stream through the scorer; returns the devices of which something was told.
    #[track_caller]
    fn stream(&self) -> Vec<String> {
        let stream = ["esm", "records.ndjson", "--in-process", "--dir", "data", "--stream-name", "telemetry"];
        self.run(&[&stream[..], &["--shards", "2", "--report-batch-item-failures", "--quiet"]].concat());
        let listed = self.run(&["anomalies", "list", "--dir", "data", "--output", "csv"]);
        let mut reader = csv::Reader::from_reader(listed.as_bytes());
        let rows = reader.deserialize::<BTreeMap<String, String>>().map(Result::unwrap);
        rows.map(|row| row["device"].clone()).collect()
    }

    /// All objects of the lake.
    fn lake(&self) -> BTreeMap<String, Vec<u8>> {
        let (mut found, mut folders) = (BTreeMap::new(), vec![self.path("data/lake")]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.path("data/lake")).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        found
    }
}

#[test]
fn a_fault_in_the_first_hours_is_found_after_history_and_not_without() {
    let cold = Room::new();
    assert_eq!(cold.stream(), [""; 0], "what has seen an hour cannot tell");
    let warm = Room::new();
    let became = warm.backfill(&["--shards", "2"]);
    assert_eq!(became.values().collect::<Vec<_>>(), ["new"; 3]);
    assert!(warm.lake().keys().all(|key| key.starts_with("state/")), "no reading goes into the lake");
    assert_eq!(warm.run(&["anomalies", "list", "--dir", "data", "--output", "csv"]).lines().count(), 1);
    let told = warm.stream();
    assert!(!told.is_empty() && told.iter().all(|device| device == FAULTY), "{told:?}");
}

#[test]
fn a_second_time_changes_nothing_and_so_does_a_rehearsal() {
    let room = Room::new();
    room.backfill(&["--shards", "2"]);
    let before = room.lake();
    let rehearsed = room.backfill(&["--dry-run"]);
    assert!(rehearsed.values().all(|became| became.starts_with("known")), "{rehearsed:?}");
    assert_eq!(room.backfill(&[]), rehearsed);
    assert_eq!(room.lake(), before);
    // What has no history yet is put beside.
    std::fs::write(room.path("history.csv"), history(0..STREAM_STEP).replace("pump-3", "pump-4")).unwrap();
    let rehearsed = room.backfill(&["--dry-run"]);
    assert_eq!(rehearsed["pump-4"], "would be new");
    assert_eq!(room.lake(), before);
    let became = room.backfill(&[]);
    assert_eq!((became["pump-1"].as_str(), became["pump-4"].as_str()), ("known, stays as it is", "new"));
}

#[test]
fn what_a_killed_run_left_is_gone_on_with() {
    let (done, killed) = (Room::new(), Room::new());
    done.backfill(&["--shards", "2"]);
    // The stream is known and one snapshot of two is written; nothing is committed.
    killed.run(&["backfill", "history.csv", "--stream", "other", "--dir", "data", "--shards", "1"]);
    let (key, bytes) = done.lake().into_iter().find(|(key, _)| key.starts_with("state/local/telemetry/")).unwrap();
    let object = killed.path("data/lake").join(&key);
    std::fs::create_dir_all(object.parent().unwrap()).unwrap();
    std::fs::write(object, bytes).unwrap();
    killed.backfill(&["--shards", "2"]);
    let of_stream = |room: &Room| {
        let lake = room.lake().into_iter();
        lake.filter(|(key, _)| key.starts_with("state/local/telemetry/")).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(of_stream(&killed), of_stream(&done));
    assert_eq!(killed.stream(), done.stream());
}

#[test]
fn nobody_is_told_of_devices_whose_history_ended_long_before_the_stream_began() {
    let room = Room::new();
    std::fs::write(room.path("history.csv"), history(0..STREAM_STEP - 4 * DAY_STEPS)).unwrap();
    let begins = at(STREAM_STEP).to_string();
    room.backfill(&["--shards", "2", "--begins", &begins]);
    let told = room.stream();
    assert!(told.iter().all(|device| device == FAULTY), "{told:?}");
}

#[test]
fn what_cannot_be_is_said_with_what_to_do() {
    let room = Room::new();
    let base = ["backfill", "history.csv", "--stream", "telemetry", "--dir", "data"];
    room.backfill(&["--shards", "2", "--until", "2026-01-12"]);
    for (more, parts) in [
        (&["--shards", "2"][..], &["has 2 shards already", "--shards"][..]),
        (&["--stream", "none"], &["knows no stream `none`", "--shards N"]),
        (&["--until", "2026-01-01"], &["no row of tenant `demo`"]),
        (&["--dir", "elsewhere"], &["elsewhere"]),
    ] {
        let names: Vec<&str> = more.iter().copied().filter(|text| text.starts_with("--")).collect();
        let kept = base.chunks(2).filter(|pair| !names.contains(&pair[0])).flatten().copied();
        let arguments: Vec<&str> = kept.chain(more.iter().copied()).collect();
        let output = room.output(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
    }
}

/// A fortnight of one device, learned.
async fn learned(world: &Local, device: usize, name: &str) -> Learned {
    let shards = world.list_shards("telemetry").await.unwrap();
    let mut learned = Learned::new(world, "telemetry", shards, at(0), false).await.unwrap();
    for step in 0..STREAM_STEP {
        let (temperature, vibration) = values(device, step);
        let reading = |name, value| Reading {
            metric: MetricName::new(name).unwrap(),
            value: Finite::try_from(value).unwrap(),
            quality: Quality::Good,
        };
        let readings = [reading("temperature", temperature), reading("vibration", vibration)];
        let (tenant, device) = (TenantName::new("demo").unwrap(), DeviceName::new(name).unwrap());
        learned.take(&Observation { tenant, device, at: at(step), arrived: at(step), readings: &readings }).unwrap();
    }
    learned
}

fn tenancy() -> Tenancy {
    Tenancy::new(None, "demo")
}

async fn put(world: &Local, device: usize, name: &str) -> Result<Vec<Put>, BackfillError> {
    learned(world, device, name).await.put(world, "local", &tenancy(), at(STREAM_STEP), false).await
}

/// A scorer over the folder, and a stream of one shard with an hour of the first device.
async fn scorer(dir: &Path) -> (Arc<Scorer<Local, NoMetrics>>, StreamHandle) {
    let world = Local::open(dir).unwrap();
    let stream = StreamHandle::new(Stream::new("telemetry", 1, 1 << 20));
    world.define_shards("telemetry", &stream.shards()).await.unwrap();
    for step in STREAM_STEP..STREAM_STEP + 12 {
        stream.put(DEVICES[0], payload(0, step).as_bytes(), at(step)).await.unwrap();
    }
    stream.end();
    let mut settings = Config::local(&dir.to_string_lossy());
    "demo".clone_into(&mut settings.default_tenant);
    (Arc::new(Scorer::new(world, NoMetrics, settings)), stream)
}

#[tokio::test]
async fn a_scorer_that_remembers_otherwise_finds_that_it_has_moved_and_goes_on_with_both() {
    let dir = TempDir::new().unwrap();
    let (scorer, stream) = scorer(dir.path()).await;
    let settings = MappingSettings { batch_size: 4, report_batch_item_failures: true, ..MappingSettings::default() };
    let (mut mapping, calls) = (Mapping::new(settings).unwrap(), Arc::new(AtomicUsize::new(0)));
    let handler = |event: Vec<u8>| {
        let (scorer, calls) = (Arc::clone(&scorer), Arc::clone(&calls));
        async move {
            // Between two batches of a warm process.
            if calls.fetch_add(1, Ordering::Relaxed) == 1 {
                let done = put(scorer.world(), 2, DEVICES[2]).await.map_err(|error| error.to_string())?;
                assert_eq!((done[0].added.len(), done[0].version), (1, Some(2)));
            }
            let remaining = || Duration::from_hours(1);
            let invocation = Invocation { now: clock::now(), remaining: &remaining, request_id: "test" };
            let response = scorer.handle(&event, &invocation).await.map_err(|error| error.to_string())?;
            serde_json::to_vec(&response).map_err(|error| error.to_string())
        }
    };
    run(&stream, &mut mapping, clock::now, handler, drop).await;
    let world = scorer.world();
    let shard = ShardId { region: "local".into(), stream: "telemetry".into(), shard: stream.shards()[0].shard.clone() };
    let checkpoint = world.load_checkpoint(&shard).await.unwrap().unwrap();
    assert_eq!(checkpoint.version, 4, "three batches, and what was put between the first and the second");
    let (warm, _) = restore(world, &shard, &tenancy()).await.unwrap();
    let status = |name| {
        let (tenant, device) = (TenantName::new("demo").unwrap(), DeviceName::new(name).unwrap());
        warm.state.engine.device(tenant, device).map(anomaly_core::Device::status)
    };
    assert_eq!(status(DEVICES[0]), Some(DeviceStatus::Warming), "it has sent for an hour");
    let backfilled = status(DEVICES[2]).unwrap();
    assert_ne!(backfilled, DeviceStatus::Warming, "it has history");

    // A device that the shard knows stays as it is; what the stream has not brought is not learned before it.
    let again = put(world, 0, DEVICES[0]).await.unwrap();
    assert_eq!((again[0].known.len(), again[0].version), (1, None));
    assert_eq!(world.load_checkpoint(&shard).await.unwrap().unwrap(), checkpoint);
}

#[tokio::test]
async fn history_beyond_what_the_stream_has_brought_is_refused() {
    let dir = TempDir::new().unwrap();
    let (scorer, stream) = scorer(dir.path()).await;
    let world = scorer.world();
    let fresh = learned(world, 2, DEVICES[2]).await;
    let refused = fresh.put(world, "local", &tenancy(), at(STREAM_STEP - 2), false).await;
    assert!(matches!(refused, Err(BackfillError::Newer { .. })), "{refused:?}");
    let shard = ShardId { region: "local".into(), stream: "telemetry".into(), shard: stream.shards()[0].shard.clone() };
    assert_eq!(world.load_checkpoint(&shard).await.unwrap(), None, "nothing was done");
}
