//! Findings and states of devices, and a store with a profile.

use std::time::Duration;

use alert_fanout::config::Config;
use alert_fanout::fanout::{Done, Fanout, Outcome};
use anomaly_core::{Anomaly, AnomalyId, DetectorId, DeviceStatus, Explanation, Severity, Timestamp};
use platform::model::{AnomalyRecord, Change, Key, StateRecord, Transaction};
use platform::ports::{CommitTransaction as _, ListEntries as _, Order, ReadChanges as _};
use platform::sim::SimWorld;
use telemetry::sequence::SequenceNumber;

use super::receiver::Receiver;

pub(crate) const TENANT: &str = "acme";
const START_MS: i64 = 1_790_000_000_000;

/// Two channels; one of them hears of what is critical only.
pub(crate) const PROFILE: &str = r#"
[channels.ops]
type = "console"

[channels.chief]
type = "console"

[[alerts.routes]]
channels = ["ops"]

[[alerts.routes]]
channels = ["chief"]
severity_min = "critical"
"#;

pub(crate) type SimFanout = Fanout<SimWorld, Receiver>;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + seconds * 1_000).unwrap()
}

pub(crate) fn world() -> SimWorld {
    let world = SimWorld::new();
    world.place_object(Key::new(format!("config/{TENANT}/profile.toml")).unwrap(), PROFILE);
    world
}

pub(crate) fn fanout(world: &SimWorld, receiver: &Receiver) -> SimFanout {
    Fanout::new(world.clone(), receiver.clone(), Config::local("unused"))
}

/// A finding of a device.
pub(crate) fn finding(device: &str, seconds: i64, severity: Severity) -> AnomalyRecord {
    let (metrics, onset) = (["temperature"], at(seconds));
    let anomaly = Anomaly {
        id: AnomalyId::of(TENANT, device, &metrics, DetectorId::Limit, onset),
        tenant: TENANT.to_owned(),
        device: device.to_owned(),
        metrics: metrics.map(str::to_owned).to_vec(),
        detector: DetectorId::Limit,
        onset,
        score: 1.5,
        severity,
        explanation: Explanation {
            score: 1.5,
            summary: format!("temperature of {device} is above its upper limit"),
            contributions: Vec::new(),
        },
    };
    AnomalyRecord {
        anomaly,
        detected_at: onset,
        seq: sequence(seconds),
        shard: "local/plant/shardId-000000000000".to_owned(),
        profiles: "0000000000000000".to_owned(),
        expires_at: onset.millis() / 1_000 + 90 * 86_400,
    }
}

/// How a device becomes.
pub(crate) fn state(device: &str, seconds: i64, is_abnormal: bool) -> StateRecord {
    StateRecord {
        tenant: TENANT.to_owned(),
        device: device.to_owned(),
        status: if is_abnormal { DeviceStatus::Abnormal } else { DeviceStatus::Normal },
        since: at(seconds),
        score: if is_abnormal { 1.5 } else { 0.2 },
        seq: sequence(seconds),
        epoch: 0,
        expires_at: at(seconds).millis() / 1_000 + 90 * 86_400,
    }
}

fn sequence(seconds: i64) -> SequenceNumber {
    (seconds + 1).to_string().parse().unwrap()
}

/// Stores findings and states as the scorer does, and gives the changes that come of it.
pub(crate) async fn store(world: &SimWorld, anomalies: &[AnomalyRecord], states: &[StateRecord]) -> Vec<Change> {
    let before = changes(world).await.len();
    put(world, anomalies, states).await;
    changes(world).await.split_off(before)
}

/// Stores findings and states as the scorer does.
pub(crate) async fn put(world: &SimWorld, anomalies: &[AnomalyRecord], states: &[StateRecord]) {
    let transaction = Transaction {
        anomalies: anomalies.iter().collect(),
        states: states.iter().collect(),
        ..Transaction::default()
    };
    world.commit(&transaction).await.unwrap();
}

/// Every change so far.
pub(crate) async fn changes(world: &SimWorld) -> Vec<Change> {
    let all = world.read_changes(0, 1_000_000).await.unwrap();
    all.into_iter().map(|numbered| numbered.change).collect()
}

pub(crate) fn in_time() -> Duration {
    Duration::from_mins(5)
}

/// Takes a batch, all of which must be done.
pub(crate) async fn take(fanout: &SimFanout, changes: &[Change], now: Timestamp) -> Done {
    let Outcome { done, failed } = fanout.take(changes, now, &in_time).await.unwrap();
    assert!(failed.is_empty(), "{failed:?}");
    done
}

/// Ticks once a minute, as the schedule does, from one second up to another.
pub(crate) async fn tick_through(fanout: &SimFanout, from: i64, to: i64) {
    for seconds in (from..=to).step_by(60) {
        fanout.tick(at(seconds), &in_time).await.unwrap();
    }
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(work)
}

/// What a channel got of the one incident of `oven-1`.
pub(crate) async fn only(world: &SimWorld, receiver: &Receiver, channel: &str) -> Vec<&'static str> {
    let incidents = world.list_entries(&format!("{TENANT}#oven-1"), "I#", Order::OldestFirst, 10).await.unwrap();
    assert_eq!(incidents.len(), 1, "one incident");
    receiver.courses(channel).into_values().next().unwrap_or_default()
}
