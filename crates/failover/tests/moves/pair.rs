//! Two Regions in memory with replication between them, a scorer that commits what arrives, and devices that hear.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anomaly_core::{Anomaly, AnomalyId, DetectorId, Explanation, Severity, Timestamp};
use failover::{Bounds, Mover, Purpose, Reach, Side};
use platform::model::{
    AnomalyRecord, Checkpoint, CheckpointChange, ContentHash, HashRange, Key, ObjectRef, Segment, ShardId, ShardInfo,
    Transaction,
};
use platform::ports::{
    CommitError, CommitTransaction as _, ListFolders as _, LoadCheckpoint as _, LoadEpoch as _, PutError,
    PutIfAbsent as _, StoreError,
};
use platform::sim::SimWorld;
use telemetry::sequence::SequenceNumber;

pub(crate) const HERE: &str = "us-east-1";
pub(crate) const THERE: &str = "eu-west-1";
pub(crate) const STREAM: &str = "millrace-dev-telemetry";
pub(crate) const TENANT: &str = "acme";
const BEGAN_MS: i64 = 1_790_000_000_000;
/// How often replication carries what was written.
const CARRIED_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(BEGAN_MS).unwrap()
}

/// What stands beside the stores of a Region.
#[derive(Clone)]
pub(crate) struct Hand {
    region: &'static str,
    world: SimWorld,
    heard: Arc<Mutex<Heard>>,
}

/// What was asked of it.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Heard {
    /// The message that the broker keeps, by topic.
    pub(crate) kept: BTreeMap<String, Vec<u8>>,
    pub(crate) ticks: usize,
    pub(crate) pulses: usize,
    /// Whether nothing takes records off the stream.
    pub(crate) mapping_is_off: bool,
}

impl Hand {
    pub(crate) fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call that the world's script can fail or crash, before the effect and after it.
    async fn moment(&self) -> Result<(), StoreError> {
        self.world.list_folders("moment/", 1).await.map(drop)
    }

    /// What the scorer does with a record: it commits in the epoch that it knows. What fails comes again with the next record.
    pub(crate) async fn commit(&self, shard: &str) -> Result<(), CommitError> {
        let id = shard_id(self.region, shard);
        let epoch = self.world.load_epoch(STREAM).await?;
        let epoch = epoch.filter(|epoch| epoch.active == self.region).map(|epoch| epoch.epoch);
        let there = self.world.load_checkpoint(&id).await?;
        let number = there.as_ref().map_or(1, |there| there.version + 1);
        let body = format!("{}/{shard}/{number}", self.region).into_bytes();
        let key = Key::new(format!("bronze/{}/{shard}/{number}.zst", self.region)).unwrap();
        if let Err(PutError::Store(error)) = self.world.put_if_absent(&key, &body).await {
            return Err(error.into());
        }
        let segment = Segment {
            object: ObjectRef { key, sha256: ContentHash::of(&body) },
            last_seq: seq(number),
            readings: 100,
            profiles: "0".repeat(16),
            opinions: None,
        };
        let mut next = there.clone().unwrap_or_else(|| Checkpoint {
            version: 0,
            last_seq: seq(0),
            stream_time: now(),
            batch: String::new(),
            snapshot: None,
            segments: Vec::new(),
            epoch: 0,
            hash_range: Some(range(shard)),
        });
        next.version = number;
        next.last_seq = seq(number);
        next.segments.push(segment);
        next.epoch = epoch.unwrap_or(next.epoch);
        let change = CheckpointChange { shard: &id, next: &next, expected: there.map(|there| there.version) };
        self.world.commit(&Transaction { checkpoint: Some(change), ..Transaction::default() }).await
    }
}

impl Reach for Hand {
    async fn pulse(&self, _: &str, shard: &ShardInfo) -> Result<(), StoreError> {
        self.moment().await?;
        self.heard().pulses += 1;
        if !self.heard().mapping_is_off {
            // Apart from the caller, as a function is: it goes on when the caller is lost.
            let (hand, shard) = (self.clone(), shard.shard.clone());
            tokio::spawn(async move { hand.commit(&shard).await.ok() });
        }
        self.moment().await
    }

    async fn publish_retained(&self, topic: &str, payload: &[u8]) -> Result<(), StoreError> {
        self.moment().await?;
        self.heard().kept.insert(topic.to_owned(), payload.to_vec());
        self.moment().await
    }

    async fn tick_alerts(&self) -> Result<(), StoreError> {
        self.moment().await?;
        self.heard().ticks += 1;
        self.moment().await
    }
}

pub(crate) fn seq(number: u64) -> SequenceNumber {
    number.to_string().parse().unwrap()
}

fn shard_id(region: &str, shard: &str) -> ShardId {
    ShardId { region: region.to_owned(), stream: STREAM.to_owned(), shard: shard.to_owned() }
}

fn range(shard: &str) -> HashRange {
    let half = u128::MAX / 2;
    if shard.ends_with('0') {
        HashRange { first: 0, last: half }
    } else {
        HashRange { first: half + 1, last: u128::MAX }
    }
}

pub(crate) struct Pair {
    pub(crate) here: Side<SimWorld, Hand>,
    pub(crate) there: Side<SimWorld, Hand>,
}

impl Pair {
    /// Two Regions of which the first has scored a while, and all of it has arrived in the other.
    pub(crate) async fn at_work() -> Self {
        let pair = Self { here: side(HERE), there: side(THERE) };
        for _ in 0..3 {
            for shard in ["shardId-000000000000", "shardId-000000000001"] {
                pair.here.reach.commit(shard).await.unwrap();
            }
        }
        pair.here.stores.place_object(Key::new(format!("config/{TENANT}/profile.toml")).unwrap(), "");
        pair.there.stores.place_object(Key::new(format!("config/{TENANT}/profile.toml")).unwrap(), "");
        pair.carry();
        pair
    }

    /// An object does not arrive in the second Region.
    pub(crate) fn lose(&self, key: &str) {
        self.there.stores.remove_object(&Key::new(key).unwrap());
    }

    /// Replication carries what was written on either side.
    pub(crate) fn carry(&self) {
        for (from, to) in [(&self.here, &self.there), (&self.there, &self.here)] {
            for written in from.stores.written() {
                to.stores.receive(written);
            }
        }
    }

    /// Something happens while replication goes on.
    pub(crate) async fn replicated<T>(&self, happens: impl Future<Output = T>) -> T {
        let carrying = async {
            loop {
                self.carry();
                tokio::time::sleep(CARRIED_EVERY).await;
            }
        };
        tokio::select! {
            biased;
            out = happens => out,
            () = carrying => unreachable!("replication does not end"),
        }
    }

    /// To the second Region.
    pub(crate) fn failover(&self) -> Mover<'_, SimWorld, Hand> {
        mover(&self.here, &self.there, Purpose::Failover)
    }

    /// Back to the first.
    pub(crate) fn failback(&self) -> Mover<'_, SimWorld, Hand> {
        mover(&self.there, &self.here, Purpose::Failback)
    }
}

pub(crate) fn mover<'p>(
    from: &'p Side<SimWorld, Hand>,
    to: &'p Side<SimWorld, Hand>,
    purpose: Purpose,
) -> Mover<'p, SimWorld, Hand> {
    let mut mover = Mover::new(from, to, STREAM, purpose, now);
    mover.bounds = bounds();
    mover
}

/// As a person has them, but for the last: nothing here takes longer than a moment.
fn bounds() -> Bounds {
    Bounds { verify: Duration::from_secs(5), ..Bounds::default() }
}

fn side(region: &'static str) -> Side<SimWorld, Hand> {
    let world = SimWorld::replicated();
    let info = |shard: &str| ShardInfo {
        shard: shard.to_owned(),
        parent: None,
        adjacent_parent: None,
        hash_range: (range(shard).first, range(shard).last),
    };
    world.define_shards(STREAM, &[info("shardId-000000000000"), info("shardId-000000000001")]);
    let reach = Hand { region, world: world.clone(), heard: Arc::default() };
    Side { region: region.to_owned(), stores: world, reach }
}

/// A finding, some hours before now.
pub(crate) fn finding(device: &str, hours: i64) -> AnomalyRecord {
    let onset = Timestamp::from_millis(BEGAN_MS - hours * 3_600_000).unwrap();
    let metrics = ["temperature"];
    let anomaly = Anomaly {
        id: AnomalyId::of(TENANT, device, &metrics, DetectorId::Limit, onset),
        tenant: TENANT.to_owned(),
        device: device.to_owned(),
        metrics: metrics.map(str::to_owned).to_vec(),
        detector: DetectorId::Limit,
        onset,
        score: 1.5,
        severity: Severity::Warning,
        explanation: Explanation { score: 1.5, summary: "too warm".to_owned(), contributions: Vec::new() },
    };
    let (shard, profiles) = (format!("{HERE}/{STREAM}/shardId-000000000000"), "0".repeat(16));
    AnomalyRecord { anomaly, detected_at: onset, seq: seq(1), shard, profiles, expires_at: i64::MAX }
}
