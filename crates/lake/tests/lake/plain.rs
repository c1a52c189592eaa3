//! What SQL is held against: the rows of the committed objects, read by silver's own reader, and sums over them.

use std::collections::BTreeMap;
use std::fs;

use anomaly_core::Outcome;
use kinesis_scorer::chain::committed;
use lake::place::place;
use platform::embedded::Local;
use platform::model::{Key, ShardId};
use platform::ports::{ListObjects as _, LoadCheckpoint as _};
use telemetry::silver::SilverReader;

use crate::plant::Folder;

/// A reading, as far as sums need it.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// Partition of the lake, as `2026-01-05T10`.
    pub(crate) arrived_in: String,
    /// Whose it is, and the hour of measurement, in milliseconds.
    pub(crate) of: (String, String, String, i64),
    pub(crate) value: f64,
    pub(crate) score: f32,
    pub(crate) alert: f32,
    pub(crate) counts: bool,
}

/// All readings that are committed.
pub(crate) async fn readings(folder: &Folder, world: &Local) -> Vec<Reading> {
    let keys: Vec<Key> = world.list_objects("silver/", 100_000).await.unwrap().into_iter().map(|one| one.key).collect();
    let bronze: Vec<Key> =
        world.list_objects("bronze/", 100_000).await.unwrap().into_iter().map(|one| one.key).collect();
    let mut found = Vec::new();
    for shard in ["shardId-000000000000", "shardId-000000000001"] {
        let shard = ShardId { region: "local".into(), stream: "demo".into(), shard: shard.into() };
        let checkpoint = world.load_checkpoint(&shard).await.unwrap().unwrap();
        let (objects, whole) = committed(keys.iter().chain(&bronze), &shard, &checkpoint);
        assert!(whole);
        for key in objects.into_iter().filter(|key| key.as_str().starts_with("silver/")) {
            let arrived_in = place(key).unwrap().hour.to_string();
            let reader = SilverReader::new(fs::read(folder.lake().join(key.as_str())).unwrap(), 64 << 20).unwrap();
            found.extend(reader.rows().map(|row| Reading {
                arrived_in: arrived_in.clone(),
                of: (
                    row.tenant.to_owned(),
                    row.device.to_owned(),
                    row.metric.to_owned(),
                    row.at.millis().div_euclid(3_600_000) * 3_600_000,
                ),
                value: row.value,
                score: row.score,
                alert: row.alert,
                counts: matches!(row.outcome, Outcome::Scored | Outcome::Warming | Outcome::Late),
            }));
        }
    }
    found
}

/// A row of the rollup.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) values: Vec<f64>,
    pub(crate) left_out: u64,
    pub(crate) score_max: f32,
    pub(crate) abnormal: u64,
    pub(crate) anomalies: u64,
}

impl Sums {
    pub(crate) fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }

    pub(crate) fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.values.iter().map(|value| (value - mean) * (value - mean)).sum();
        (squares / self.values.len() as f64).sqrt()
    }
}

/// The rollup by tenant, device, metric and hour of measurement.
pub(crate) fn sums<'r>(readings: impl Iterator<Item = &'r Reading>) -> BTreeMap<(String, String, String, i64), Sums> {
    let mut all: BTreeMap<_, Sums> = BTreeMap::new();
    for reading in readings {
        let sums = all.entry(reading.of.clone()).or_default();
        if reading.counts {
            sums.values.push(reading.value);
            sums.abnormal += u64::from(reading.score >= 1.0);
        } else {
            sums.left_out += 1;
        }
        sums.score_max = sums.score_max.max(reading.score);
        sums.anomalies += u64::from(reading.alert > 0.0 && reading.score >= 1.0);
    }
    all
}
