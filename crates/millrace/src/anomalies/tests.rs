//! An id or its beginning leads to one anomaly, or to an error that says which there are.

use anomaly_core::{Anomaly, AnomalyId, DetectorId, Explanation, Severity, Timestamp};
use platform::embedded::Local;
use platform::model::Transaction;
use platform::ports::CommitTransaction as _;
use telemetry::sequence::SequenceNumber;
use tempfile::TempDir;

use super::*;

/// An anomaly whose id is just that, and whose device is named after it.
fn anomaly(tenant: &str, id: &str) -> AnomalyRecord {
    let onset = Timestamp::from_millis(1_767_571_200_000).unwrap();
    let id: AnomalyId = serde_json::from_value(id.into()).unwrap();
    AnomalyRecord {
        anomaly: Anomaly {
            tenant: tenant.to_owned(),
            device: format!("pump-{id}"),
            id,
            metrics: vec!["temperature".to_owned()],
            detector: DetectorId::Level,
            onset,
            score: 1.5,
            severity: Severity::Warning,
            explanation: Explanation { score: 1.5, summary: String::new(), contributions: Vec::new() },
        },
        detected_at: onset,
        seq: SequenceNumber::ZERO,
        shard: "local/demo/shardId-000000000000".to_owned(),
        profiles: "0".repeat(16),
        expires_at: 4_000_000_000,
    }
}

/// Asks a store that has nothing but these anomalies, not even a lake.
fn ask(anomalies: &[AnomalyRecord], tenant: &str, id: &str) -> Result<String, String> {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    let transaction = Transaction { anomalies: anomalies.iter().collect(), ..Transaction::default() };
    wait(local.commit(&transaction)).unwrap().unwrap();
    let store = Store {
        dir: Some(dir.path().to_owned()),
        tenant: tenant.to_owned(),
        #[cfg(feature = "aws")]
        aws: table::Options::default(),
    };
    by_id(&store, id).map(|record| record.anomaly.id.to_string()).map_err(|error| error.to_string())
}

fn check_says(anomalies: &[AnomalyRecord], tenant: &str, id: &str, parts: &[&str]) {
    let error = ask(anomalies, tenant, id).unwrap_err();
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn a_beginning_that_one_has_leads_to_it() {
    let stored = [anomaly("demo", "abcd00"), anomaly("demo", "abcd11"), anomaly("demo", "abce00")];
    assert_eq!(ask(&stored, "demo", "abcd0").unwrap(), "abcd00");
    assert_eq!(ask(&stored, "demo", "abcd11").unwrap(), "abcd11");
    assert_eq!(ask(&stored, "demo", "abce").unwrap(), "abce00");
}

#[test]
fn a_beginning_that_several_have_is_an_error_that_names_them() {
    let stored = [anomaly("demo", "abcd00"), anomaly("demo", "abcd11"), anomaly("demo", "abce00")];
    check_says(
        &stored,
        "demo",
        "abcd",
        &["2 anomalies", "`abcd`", "more digits", "abcd00 (pump-abcd00 at 2026-", "abcd11"],
    );
    assert!(!ask(&stored, "demo", "abcd").unwrap_err().contains("abce00"));
    let many: Vec<_> = (10..40).map(|n| anomaly("demo", &format!("abcd{n}"))).collect();
    check_says(&many, "demo", "abcd", &["30 anomalies", "abcd10", "abcd14 ", "…"]);
    assert!(!ask(&many, "demo", "abcd").unwrap_err().contains("abcd15"));
}

#[test]
fn a_beginning_that_none_has_is_an_error_that_says_where_ids_are() {
    check_says(&[anomaly("demo", "abcd00")], "demo", "abce", &["no anomaly", "`abce`", "anomalies list"]);
}

#[test]
fn an_anomaly_of_another_tenant_is_not_shown_but_its_tenant_is_named() {
    let stored = [anomaly("demo", "abcd00"), anomaly("acme", "abcd11")];
    assert_eq!(ask(&stored, "demo", "abcd").unwrap(), "abcd00");
    check_says(&stored, "demo", "abcd1", &["tenant `demo`", "add `--tenant acme`"]);
}
