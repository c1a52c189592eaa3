//! Records to store.

use anomaly_core::{
    Anomaly, AnomalyId, Contribution, DetectorId, DeviceStatus, Explanation, Outcome, Severity, Timestamp,
};
use platform::model::{
    AnomalyRecord, Checkpoint, CheckpointChange, ContentHash, DayPlace, Due, Entry, EntryChange, EntryKey, HashRange,
    Key, ObjectRef, Segment, ShardId, SnapshotRef, StateRecord,
};
use telemetry::sequence::SequenceNumber;

/// Expires long after every test.
const EXPIRES_AT: i64 = 4_102_444_800;

pub(crate) fn at(seconds: i64) -> Timestamp {
    // 2023-11-14T00:00:00Z and later.
    Timestamp::from_millis(1_699_920_000_000 + seconds * 1000).unwrap()
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub(crate) fn seq(number: u32) -> SequenceNumber {
    format!("4959033827149025660855969253836157109592157598913651{number:04}").parse().unwrap()
}

pub(crate) fn shard(name: &str) -> ShardId {
    ShardId { region: "eu-west-1".to_owned(), stream: "plant".to_owned(), shard: name.to_owned() }
}

pub(crate) fn checkpoint(version: u64) -> Checkpoint {
    let object = |name: &str| ObjectRef { key: key(name), sha256: ContentHash::of(name.as_bytes()) };
    Checkpoint {
        version,
        last_seq: seq(version as u32),
        stream_time: at(version as i64),
        batch: format!("{version:012x}"),
        snapshot: Some(SnapshotRef { object: object("state/eu-west-1/plant/s.snapshot"), at: at(0) }),
        segments: vec![
            Segment {
                object: object("bronze/1"),
                last_seq: seq(1),
                readings: 7_700,
                profiles: "0".repeat(16),
                opinions: Some(object("silver/1")),
            },
            Segment {
                object: object("bronze/2"),
                last_seq: seq(2),
                readings: 0,
                profiles: "0123456789abcdef".into(),
                opinions: None,
            },
        ],
        epoch: version / 2,
        hash_range: (version > 1).then_some(HashRange { first: 1 << 126, last: u128::MAX }),
    }
}

pub(crate) fn change<'a>(shard: &'a ShardId, next: &'a Checkpoint, expected: Option<u64>) -> CheckpointChange<'a> {
    CheckpointChange { shard, next, expected }
}

pub(crate) fn anomaly(tenant: &str, device: &str, seconds: i64) -> AnomalyRecord {
    let onset = at(seconds);
    let contribution = Contribution {
        metric: "temperature".to_owned(),
        unit: Some("°C".to_owned()),
        observed: 97.25,
        expected: 61.0,
        spread: 0.1 + 0.2,
        detector: DetectorId::Level,
        strength: 2.5,
        tail: 1e-9,
        outcome: Outcome::Scored,
        sentence: "temperature 97.25 °C is 12 standard deviations above its usual 61 °C".to_owned(),
    };
    let anomaly = Anomaly {
        id: AnomalyId::of(tenant, device, &["temperature"], DetectorId::Level, onset),
        tenant: tenant.to_owned(),
        device: device.to_owned(),
        metrics: vec!["temperature".to_owned()],
        detector: DetectorId::Level,
        onset,
        score: 2.5,
        severity: Severity::Critical,
        explanation: Explanation {
            score: 2.5,
            summary: contribution.sentence.clone(),
            contributions: vec![contribution.clone(), Contribution { unit: None, ..contribution }],
        },
    };
    AnomalyRecord {
        anomaly,
        detected_at: at(seconds + 1),
        seq: seq(1),
        shard: "eu-west-1/plant/shardId-000000000000".to_owned(),
        profiles: "0123456789abcdef".to_owned(),
        expires_at: EXPIRES_AT,
    }
}

pub(crate) fn state(tenant: &str, device: &str, number: u32) -> StateRecord {
    StateRecord {
        tenant: tenant.to_owned(),
        device: device.to_owned(),
        status: DeviceStatus::Abnormal,
        since: at(i64::from(number)),
        score: 0.1 + f64::from(number),
        seq: seq(number),
        epoch: 0,
        expires_at: EXPIRES_AT,
    }
}

/// An incident of pump-1, in no index.
pub(crate) fn entry(sk: &str, version: u64) -> Entry {
    let body = serde_json::json!({ "version": version, "said": sk });
    Entry { key: EntryKey::new("acme#pump-1", sk), version, due: None, day: None, expires_at: Some(EXPIRES_AT), body }
}

pub(crate) fn due(entry: Entry, queue: &str, seconds: i64) -> Entry {
    Entry { due: Some(Due { queue: queue.to_owned(), at: at(seconds) }), ..entry }
}

pub(crate) fn on_day(entry: Entry, day: &str, seconds: i64) -> Entry {
    Entry { day: Some(DayPlace { day: day.to_owned(), at: at(seconds) }), ..entry }
}

/// On condition of the version before.
pub(crate) fn next(entry: &Entry) -> EntryChange<'_> {
    EntryChange { entry, expected: entry.version.checked_sub(1).filter(|version| *version > 0) }
}
