//! What is found, and how it stands beside the warm path's.

use anomaly_core::{Anomaly, AnomalyId, DetectorId, Explanation, Severity};
use batch_analyzer::handler::Outcome;
use platform::model::{AnomalyRecord, Transaction};
use platform::ports::CommitTransaction as _;
use platform::sim::SimWorld;
use telemetry::sequence::SequenceNumber;

use super::plant::{DEVICES, Form, MINUTES, analyze, at, break_down, faulty, key, place, quiet, report};

/// Device, minute of the onset, and severity of what is stored, in order.
fn stored(world: &SimWorld) -> Vec<(String, i64, Severity)> {
    let mut stored: Vec<_> = world
        .anomalies()
        .into_iter()
        .map(|record| {
            let minute = (record.anomaly.onset.millis() - at(0).millis()) / 60_000;
            (record.anomaly.device, minute, record.anomaly.severity)
        })
        .collect();
    stored.sort();
    stored
}

fn expected() -> Vec<(String, i64, Severity)> {
    vec![
        ("oven-1".to_owned(), 2_000, Severity::Info),
        ("pump-1".to_owned(), 1_000, Severity::Info),
        ("pump-2".to_owned(), MINUTES - 20, Severity::Critical),
    ]
}

#[tokio::test]
async fn every_fault_is_found_from_its_first_row_and_nothing_else() {
    for form in [Form::Csv, Form::JsonLines, Form::JoinedCsv, Form::JoinedJsonLines] {
        let world = SimWorld::new();
        place(&world, &faulty(), form);
        let report = report(&world).await;
        assert_eq!(stored(&world), expected(), "{form:?}");
        assert_eq!((report.rows, report.devices, report.alone, report.seen_twice), (3 * 3_000, 3, 3, 0));
        assert_eq!(report.refused.len(), 0, "{:?}", report.refused);
    }
}

#[tokio::test]
async fn a_quiet_plant_stays_quiet() {
    let world = SimWorld::new();
    place(&world, &quiet(), Form::Csv);
    assert_eq!(report(&world).await.alone, 0);
    assert_eq!(stored(&world), []);
}

#[tokio::test]
async fn a_finding_says_which_metric_was_off_and_by_how_much() {
    let world = SimWorld::new();
    place(&world, &faulty(), Form::Csv);
    report(&world).await;
    let pump = world.anomalies().into_iter().find(|record| record.anomaly.device == "pump-1").unwrap();
    let Anomaly { metrics, explanation, detector, .. } = pump.anomaly;
    assert_eq!((detector, metrics), (DetectorId::Model, vec!["temperature".to_owned(), "vibration".to_owned()]));
    let strongest = &explanation.contributions[0];
    assert_eq!((strongest.metric.as_str(), strongest.unit.as_deref()), ("temperature", Some("°C")));
    assert!(strongest.observed > 80.0 && (59.0..63.0).contains(&strongest.expected), "{strongest:?}");
    assert!(explanation.summary.contains("(30 rows over 29 min); temperature was"), "{}", explanation.summary);
    assert_eq!(pump.shard, "inference/acme/week-47");
}

#[tokio::test]
async fn what_the_profile_calls_one_type_has_its_own_line() {
    let world = SimWorld::new();
    let mut rows = quiet();
    // All scores of the oven are what would be a fault of a pump.
    for row in rows.iter_mut().filter(|row| row.device == "oven-1") {
        row.score += 4.0;
    }
    break_down(&mut rows, "pump-1", 1_000..1_030);
    place(&world, &rows, Form::Csv);
    let profile = "[assets.pump]\ndevices = [\"pump-*\"]\n";
    world.place_object(platform::model::Key::new("config/acme/profile.toml").unwrap(), profile);
    let report = report(&world).await;
    assert_eq!(stored(&world), [("pump-1".to_owned(), 1_000, Severity::Info)]);
    let lines: Vec<f64> = ["other", "pump"].map(|asset| report.assets[asset].line.unwrap()).to_vec();
    assert!((lines[0] - lines[1] - 4.0).abs() < 0.5, "{lines:?}");
}

#[tokio::test]
async fn a_job_that_is_done_is_not_done_again() {
    let world = SimWorld::new();
    place(&world, &faulty(), Form::Csv);
    let first = report(&world).await;
    let (objects, changes) = (world.objects(), world.changes().len());
    assert_eq!(analyze(&world).await.unwrap(), Outcome::Done(Box::new(first)));
    assert_eq!((world.objects(), world.changes().len()), (objects, changes));
    let text = String::from_utf8(world.object(&key("report.md")).unwrap()).unwrap();
    assert!(text.contains("3 findings of the model alone") && text.contains("| pump-2 |"), "{text}");
}

/// Something that the warm path has told.
fn warm(device: &str, minute: i64) -> AnomalyRecord {
    let (tenant, onset, detector) = ("acme".to_owned(), at(minute), DetectorId::Limit);
    AnomalyRecord {
        anomaly: Anomaly {
            id: AnomalyId::of(&tenant, device, &["temperature"], detector, onset),
            tenant,
            device: device.to_owned(),
            metrics: vec!["temperature".to_owned()],
            detector,
            onset,
            score: 1.5,
            severity: Severity::Warning,
            explanation: Explanation { score: 1.5, summary: "hot".to_owned(), contributions: Vec::new() },
        },
        detected_at: onset,
        seq: SequenceNumber::ZERO,
        shard: "local/plant/shardId-000000000000".to_owned(),
        profiles: "0000000000000000".to_owned(),
        expires_at: 2_000_000_000,
    }
}

#[tokio::test]
async fn what_the_warm_path_has_told_gets_a_second_witness_and_no_second_anomaly() {
    let world = SimWorld::new();
    place(&world, &faulty(), Form::Csv);
    // Of pump-1 a little before, of pump-2 a day before, and of no device that is meant.
    let told = [warm("pump-1", 990), warm("pump-2", MINUTES - 1_500), warm("press-1", 2_000)];
    for anomaly in &told {
        world.commit(&Transaction { anomalies: vec![anomaly], ..Transaction::default() }).await.unwrap();
    }
    let report = report(&world).await;
    assert_eq!((report.alone, report.seen_twice), (2, 1));
    let by_model: Vec<String> = world
        .anomalies()
        .into_iter()
        .filter(|record| record.anomaly.detector == DetectorId::Model)
        .map(|record| record.anomaly.device)
        .collect();
    assert!(!by_model.contains(&DEVICES[0].to_owned()), "{by_model:?}");
    let [witness] = world.entries().try_into().unwrap();
    assert_eq!((witness.key.pk.as_str(), witness.body["model"].as_str()), ("acme#pump-1", Some("pumps-7")));
    assert!(witness.key.sk.starts_with(&format!("M#{}#", told[0].anomaly.id)), "{}", witness.key);
}
