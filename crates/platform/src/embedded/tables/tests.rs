//! Finding anomalies without knowing their device or day.

use anomaly_core::{Anomaly, AnomalyId, DetectorId, Explanation, Severity, Timestamp};
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::embedded::{Local, schema};
use crate::ports::CommitTransaction as _;

const T0: i64 = 1_767_571_200_000;

fn anomaly(tenant: &str, device: &str, hours: i64) -> AnomalyRecord {
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
            explanation: Explanation { score: 1.5, summary: String::new(), contributions: Vec::new() },
        },
        detected_at: onset,
        seq: telemetry::sequence::SequenceNumber::ZERO,
        shard: "local/plant/shardId-000000000000".to_owned(),
        profiles: "0".repeat(16),
        expires_at: 4_000_000_000,
    }
}

async fn store(anomalies: &[&AnomalyRecord]) -> (TempDir, Local) {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    for some in anomalies.chunks(TRANSACTION_ITEMS_MAX) {
        local.commit(&Transaction { anomalies: some.to_vec(), ..Transaction::default() }).await.unwrap();
    }
    (dir, local)
}

#[tokio::test]
async fn the_newest_come_first_over_all_devices_and_days() {
    let [old, new, newest] = [("pump-1", 0), ("pump-2", 70), ("pump-1", 300)].map(|(d, h)| anomaly("acme", d, h));
    let other = anomaly("acme2", "pump-1", 100);
    let (_dir, local) = store(&[&new, &old, &other, &newest]).await;
    let recent = |tenant, count_max| local.recent_anomalies(tenant, count_max);
    assert_eq!(recent(Some("acme"), 10).await.unwrap(), [newest.clone(), new.clone(), old.clone()]);
    assert_eq!(recent(Some("acme"), 2).await.unwrap(), [newest.clone(), new.clone()]);
    assert_eq!(recent(Some("ac"), 10).await.unwrap(), []);
    assert_eq!(recent(None, usize::MAX).await.unwrap(), [newest, other, new, old]);
}

#[tokio::test]
async fn an_id_is_found_by_its_beginning() {
    let anomalies: Vec<_> = (0..200).map(|hours| anomaly("acme", "pump-1", hours)).collect();
    let (_dir, local) = store(&anomalies.iter().collect::<Vec<_>>()).await;
    for sought in &anomalies {
        let id = sought.anomaly.id.as_str();
        assert_eq!(local.anomalies_by_id(id, 2).await.unwrap(), std::slice::from_ref(sought));
        let mut alike: Vec<_> =
            anomalies.iter().filter(|other| other.anomaly.id.as_str().starts_with(&id[..1])).collect();
        alike.sort_by(|a, b| a.anomaly.id.cmp(&b.anomaly.id));
        let found = local.anomalies_by_id(&id[..1], 200).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), alike);
        assert_eq!(local.anomalies_by_id(&id[..1], 1).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn no_sign_stands_for_others_in_the_beginning_of_an_id() {
    let one = anomaly("acme", "pump-1", 0);
    let (_dir, local) = store(&[&one]).await;
    let id = one.anomaly.id.as_str();
    for beginning in ["%", "_", "*", "?", "g", "'", &format!("{}%", &id[..4]), &format!("{}_", &id[..31])] {
        assert_eq!(local.anomalies_by_id(beginning, 10).await.unwrap(), [], "{beginning}");
    }
    assert_eq!(local.anomalies_by_id("", 10).await.unwrap(), [one]);
}

#[test]
fn every_question_is_answered_in_the_order_of_an_index() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::create(&mut connection).unwrap();
    for (sql, index) in [
        (OF_DEVICE, "PRIMARY KEY"),
        (OF_DAY, "anomalies_by_day"),
        (OF_TENANT, "anomalies_by_tenant"),
        (OF_ALL, "anomalies_by_onset"),
        (OF_IDS, "anomalies_by_id"),
    ] {
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan: rusqlite::Result<Vec<String>> = explain.raw_query().mapped(|row| row.get("detail")).collect();
        let plan = plan.unwrap().join("; ");
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
}

proptest! {
    #[test]
    fn what_lies_in_the_range_of_a_beginning_is_what_begins_so(id in "[09af]{8}", beginning in "[09af]{0,3}") {
        let connection = Connection::open_in_memory().unwrap();
        let in_range: bool =
            connection.query_row("SELECT ?1 >= ?2 AND ?1 < ?2 || 'g'", [&id, &beginning], |row| row.get(0)).unwrap();
        prop_assert_eq!(in_range, id.starts_with(&beginning));
    }
}
