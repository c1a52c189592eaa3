//! `anomalies` and `explain ID`: what a store holds, looked at from outside.

use anomaly_core::{Anomaly, AnomalyId, Contribution, DetectorId, Explanation, Outcome, Severity, Timestamp};
use platform::embedded::Local;
use platform::model::{AnomalyRecord, Key, Transaction};
use platform::ports::{CommitTransaction as _, PutIfAbsent as _};
use telemetry::sequence::SequenceNumber;

use crate::run::{Folder, Run, millrace};

const T0: i64 = 1_767_571_200_000;

fn contribution(metric: &str, observed: f64, strength: f64) -> Contribution {
    Contribution {
        metric: metric.to_owned(),
        unit: None,
        observed,
        expected: 50.0,
        spread: 2.0,
        detector: DetectorId::Level,
        strength,
        tail: 1e-9,
        outcome: Outcome::Scored,
        sentence: format!("{metric} was {observed}"),
    }
}

fn record(tenant: &str, device: &str, hours: i64) -> AnomalyRecord {
    let onset = Timestamp::from_millis(T0 + hours * 3_600_000).unwrap();
    AnomalyRecord {
        anomaly: Anomaly {
            id: AnomalyId::of(tenant, device, &["temperature"], DetectorId::Level, onset),
            tenant: tenant.to_owned(),
            device: device.to_owned(),
            metrics: vec!["temperature".to_owned()],
            detector: DetectorId::Level,
            onset,
            score: 1.5,
            severity: Severity::Warning,
            explanation: Explanation {
                score: 1.5,
                summary: format!("temperature of {device} was 71"),
                contributions: vec![contribution("temperature", 71.0, 1.5), contribution("rpm", 51.0, 0.25)],
            },
        },
        detected_at: onset,
        seq: SequenceNumber::ZERO,
        shard: "local/demo/shardId-000000000000".to_owned(),
        profiles: "0000000000000000".to_owned(),
        expires_at: 4_000_000_000,
    }
}

/// A store with three anomalies of two devices of one tenant, and one of another tenant.
fn store() -> (Folder, Vec<AnomalyRecord>) {
    let folder = Folder::new();
    let records = vec![
        record("demo", "pump-1", 0),
        record("demo", "pump-1", 30),
        record("demo", "pump-2", 31),
        record("acme", "fan-1", 32),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let local = Local::open(folder.path("store")).unwrap();
    let transaction = Transaction { anomalies: records.iter().collect(), ..Transaction::default() };
    runtime.block_on(local.commit(&transaction)).unwrap();
    // What arrived lies in the lake under its day.
    for day in ["2026-01-05", "2026-01-06"] {
        let key = Key::new(format!("bronze/dt={day}/hour=00/local/demo/shard/0-1.ndjson.zst")).unwrap();
        runtime.block_on(local.put_if_absent(&key, b"raw")).unwrap();
    }
    (folder, records)
}

fn ask(folder: &Folder, args: &[&str]) -> Run {
    millrace(&[args, &["--dir", &folder.arg("store")]].concat())
}

#[test]
fn the_list_has_the_newest_first_and_can_be_narrowed() {
    let (folder, _) = store();
    let devices =
        |args: &[&str]| ask(&folder, &[&["anomalies", "list", "--output", "csv"], args].concat()).ok().column("device");
    assert_eq!(devices(&[]), ["pump-2", "pump-1", "pump-1"]);
    assert_eq!(devices(&["--tenant", "acme"]), ["fan-1"]);
    assert_eq!(devices(&["--device", "pump-1"]), ["pump-1", "pump-1"]);
    assert_eq!(devices(&["--day", "2026-01-06"]), ["pump-2", "pump-1"]);
    assert_eq!(devices(&["--day", "2026-01-06", "--tenant", "acme"]), ["fan-1"]);
    assert!(devices(&["--device", "crane"]).is_empty());
    let cut = ask(&folder, &["anomalies", "list", "--output", "csv", "--limit", "1"]).ok();
    assert_eq!(cut.column("device"), ["pump-2"]);
    assert!(cut.err.contains("--limit"));
}

#[test]
fn one_is_shown_by_the_beginning_of_its_id() {
    let (folder, records) = store();
    let id = records[1].anomaly.id.as_str();
    let table = ask(&folder, &["anomalies", "show", &id[..8], "--output", "table"]).ok();
    assert!(table.out.contains(id) && table.out.contains("temperature of pump-1 was 71"), "{}", table.out);
    let json = ask(&folder, &["anomalies", "show", id, "--output", "json"]).ok();
    assert_eq!(serde_json::from_str::<AnomalyRecord>(&json.out).unwrap(), records[1]);
}

#[test]
fn an_id_that_nobody_has_is_a_failure_that_says_where_ids_are() {
    let (folder, records) = store();
    ask(&folder, &["anomalies", "show", "ffffffffffff"]).fails(1, &["ffffffffffff", "anomalies list"]);
    // Of another tenant.
    let id = records[3].anomaly.id.as_str();
    ask(&folder, &["anomalies", "show", id]).fails(1, &[id, "tenant `demo`"]);
    ask(&folder, &["anomalies", "show", id, "--tenant", "acme"]).ok();
}

#[test]
fn an_explanation_has_every_metric() {
    let (folder, records) = store();
    let run = ask(&folder, &["explain", records[2].anomaly.id.as_str(), "--output", "csv"]).ok();
    assert_eq!(run.column("metric"), ["temperature", "rpm"]);
    assert_eq!(run.numbers("to_the_line"), [-0.5, 0.75]);
    let table = ask(&folder, &["explain", records[2].anomaly.id.as_str(), "--output", "table"]).ok();
    assert!(table.out.contains("temperature of pump-2 was 71"), "{}", table.out);
}

#[test]
fn the_lake_of_a_demo_replays_to_the_very_anomalies_that_were_stored() {
    let folder = Folder::new();
    let dir = folder.arg("store");
    millrace(&["demo", "--devices", "3", "--days", "3", "--quiet", "--dir", &dir]).ok();
    let listed = ask(&folder, &["anomalies", "list", "--output", "csv", "--limit", "100000"]).ok();
    let mut stored: Vec<_> = listed.column("device").into_iter().zip(listed.column("score")).collect();
    assert!(!stored.is_empty());
    let replayed = millrace(&["replay", "--output", "csv", &format!("{dir}/lake")]).ok();
    let rows = replayed.column("device").into_iter().zip(replayed.column("alert"));
    let mut alerted: Vec<_> = rows.filter(|(_, alert)| alert != "0").collect();
    stored.sort();
    alerted.sort();
    assert_eq!(stored, alerted);
}
