//! Makes the lake: a plant's morning through the in-process stream into the scorer, orphans beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anomaly_core::Timestamp;
use kinesis_scorer::{Config, Invocation, Scorer};
use lake::engine::Means;
use lake::run::{Marker, Product};
use lake::seal::Window;
use lake::{Engine, LakeWorld, rollup, seal};
use platform::clock;
use platform::embedded::Local;
use platform::embedded::stream::{Mapping, MappingSettings, Stream, StreamHandle, run};
use platform::metrics::{BatchMetrics, EmitMetrics};
use platform::model::Key;
use platform::ports::{ListObjects as _, PutIfAbsent as _, Stored};
use simulator::{Emission, PayloadFormat, Plant, PlantConfig};
use telemetry::silver::{SilverReader, SilverRow, SilverWriter};
use tempfile::TempDir;

const STREAM: &str = "demo";
const TENANT: &str = "demo";
const HOUR_MS: i64 = 3_600_000;
/// What orphans say of every reading.
pub(crate) const ORPHAN_SCORE: f32 = 64.0;
/// How long the plant runs.
pub(crate) const HOURS: i64 = 4;

struct Silent;

impl EmitMetrics for Silent {
    async fn emit(&self, _: &BatchMetrics, _: &str, _: Timestamp) {}
}

/// A folder with a plant's data.
pub(crate) struct Folder {
    pub(crate) dir: TempDir,
}

impl Folder {
    /// Runs the plant. Each batch is small, so that each hour has many objects.
    pub(crate) async fn new() -> Self {
        Self::of(HOURS).await
    }

    /// Of so many hours.
    pub(crate) async fn of(hours: i64) -> Self {
        let dir = TempDir::new().unwrap();
        let world = Local::open(dir.path()).unwrap();
        let plant = Plant::new(PlantConfig {
            devices: 5,
            duration_ms: hours * HOUR_MS,
            quiet_ms: 0,
            fault_rate: 20.0,
            poison_per_million: 30_000,
            ..PlantConfig::default()
        })
        .unwrap();
        let mut settings = Config::local(&dir.path().to_string_lossy());
        TENANT.clone_into(&mut settings.default_tenant);
        let scorer = Arc::new(Scorer::new(world.clone(), Silent, settings));
        let stream = StreamHandle::new(Stream::new(STREAM, 2, 32 << 20));
        world.define_shards(STREAM, &stream.shards()).await.unwrap();
        put(plant, &stream).await;
        let mut mapping = Mapping::new(MappingSettings {
            batch_size: 40,
            report_batch_item_failures: true,
            ..MappingSettings::default()
        })
        .unwrap();
        let handler = |event: Vec<u8>| {
            let scorer = Arc::clone(&scorer);
            async move {
                let remaining = || Duration::from_hours(1);
                let invocation = Invocation { now: clock::now(), remaining: &remaining, request_id: "test" };
                let response = scorer.handle(&event, &invocation).await.map_err(|error| error.to_string())?;
                serde_json::to_vec(&response).map_err(|error| error.to_string())
            }
        };
        run(&stream, &mut mapping, clock::now, handler, drop).await;
        scorer.shut_down().await;
        let made = Self { dir };
        made.strew(&world).await;
        made
    }

    /// Orphans: the records of committed batches, scored otherwise by a process whose memory was out of date.
    async fn strew(&self, world: &Local) {
        let silver = world.list_objects("silver/", 10_000).await.unwrap();
        for key in silver.iter().map(|one| &one.key).step_by(3).take(8) {
            let reader = SilverReader::new(fs::read(self.lake().join(key.as_str())).unwrap(), 64 << 20).unwrap();
            let mut writer = SilverWriter::new();
            reader.rows().for_each(|row| writer.push(&SilverRow { score: ORPHAN_SCORE, ..row }));
            let (rest, _id) = key.as_str().rsplit_once('-').unwrap();
            let orphan = Key::new(format!("{rest}-dddddddddddd.parquet")).unwrap();
            assert_eq!(world.put_if_absent(&orphan, &writer.finish().unwrap()).await.unwrap(), Stored::New);
        }
    }

    /// A copy, to be changed.
    pub(crate) fn copy(&self) -> Self {
        let dir = TempDir::new().unwrap();
        copy(self.dir.path(), dir.path());
        Self { dir }
    }

    pub(crate) fn lake(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    pub(crate) fn open(&self) -> Local {
        Local::open(self.dir.path()).unwrap()
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::open(&self.lake(), Means { memory_bytes: 256 << 20, threads: 1 }).unwrap()
    }

    /// Names and contents of all objects of gold.
    pub(crate) fn gold(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        files(&self.lake().join("gold"), &mut found);
        found.sort();
        found
    }
}

async fn put(mut plant: Plant, stream: &StreamHandle) {
    let (mut emission, mut payload) = (Emission::default(), Vec::new());
    while plant.next_into(&mut emission) {
        emission.payload(PayloadFormat::Topic, TENANT, &mut payload);
        let arrived = Timestamp::from_millis(emission.at_ms + 250).unwrap();
        stream.put(&emission.device_name, &payload, arrived).await.unwrap();
    }
    stream.end();
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let name = path.to_string_lossy().split_once("/lake/").unwrap().1.to_owned();
            found.push((name, fs::read(&path).unwrap()));
        }
    }
}

/// Does all that is to be done; returns the markers that were made.
pub(crate) async fn roll<W: LakeWorld>(
    world: &W,
    engine: &Engine,
    window: &Window,
) -> Result<Vec<Marker>, lake::LakeError> {
    let plan = rollup::plan(world, window, &Product::ALL).await?;
    for sealable in &plan.sealable {
        seal::seal(world, sealable).await?;
    }
    let mut made = Vec::new();
    for task in &plan.tasks {
        made.push(task.perform(world, engine).await?.0);
    }
    Ok(made)
}
