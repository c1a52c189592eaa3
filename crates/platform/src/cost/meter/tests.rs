use anomaly_core::Timestamp;
use serde_json::json;

use super::*;
use crate::cost::{Architecture, Prices, Rate};
use crate::model::{AnomalyRecord, CheckpointChange, CheckpointGuard, Entry, EntryChange, StateRecord};
use crate::ports::{ChangeEntries as _, FindDue as _, ListEntries as _, LoadEntry as _, Order};
use crate::sim::SimWorld;

fn shard() -> ShardId {
    ShardId { region: "r".to_owned(), stream: "s".to_owned(), shard: "h".to_owned() }
}

/// `kib`: about how large.
fn checkpoint(version: u64, kib: usize) -> Checkpoint {
    serde_json::from_value(json!({
        "version": version, "last_seq": version.to_string(), "stream_time": 1_790_000_000_000_i64,
        "batch": "x".repeat((kib * 1024).saturating_sub(200)), "snapshot": null, "segments": []
    }))
    .unwrap()
}

fn anomaly() -> AnomalyRecord {
    serde_json::from_value(json!({
        "id": "0", "tenant": "t", "device": "d", "metrics": [], "detector": "limit", "onset": 1_700_000_000_000_i64,
        "score": 1.0, "severity": "info",
        "explanation": { "score": 1.0, "summary": "x".repeat(1024), "contributions": [] },
        "detected_at": 1_700_000_000_000_i64, "seq": "1", "shard": "", "profiles": "", "expires_at": 0
    }))
    .unwrap()
}

fn state() -> StateRecord {
    serde_json::from_value(json!({
        "tenant": "t", "device": "d", "status": "normal", "since": 1_700_000_000_000_i64, "score": 1.0, "seq": "1",
        "expires_at": 0
    }))
    .unwrap()
}

fn world() -> (Metered<SimWorld>, Arc<Meter>) {
    let meter = Arc::new(Meter::default());
    (Metered::new(SimWorld::new(), Arc::clone(&meter)), meter)
}

async fn commit(world: &Metered<SimWorld>, next: &Checkpoint, expected: Option<u64>) -> Result<(), CommitError> {
    let change = CheckpointChange { shard: &shard(), next, expected };
    world.commit(&Transaction { checkpoint: Some(change), ..Transaction::default() }).await
}

#[tokio::test]
async fn an_object_is_a_put_and_one_that_is_there_is_also_read() {
    let (world, meter) = world();
    let key = Key::new("bronze/x").unwrap();
    world.put_if_absent(&key, b"1234").await.unwrap();
    assert_eq!(meter.take(), Usage { s3_puts: 1, s3_bytes_put: 4, ..Usage::default() });
    world.put_if_absent(&key, b"1234").await.unwrap();
    world.put_if_absent(&key, b"other").await.unwrap_err();
    assert_eq!(meter.take(), Usage { s3_puts: 2, s3_gets: 2, s3_bytes_put: 9, ..Usage::default() });
    world.get_object(&key, 100).await.unwrap();
    assert_eq!(meter.take(), Usage { s3_gets: 1, s3_bytes_got: 4, ..Usage::default() });
    world.list_objects("bronze/", 100).await.unwrap();
    world.list_shards("s").await.unwrap();
    assert_eq!(meter.take(), Usage { s3_lists: 1, kinesis_calls: 1, ..Usage::default() });
    assert_eq!(meter.take(), Usage::default(), "what was taken is not there any more");
}

#[tokio::test]
async fn a_transaction_pays_twice_for_each_item_and_once_for_the_index() {
    let (world, meter) = world();
    let (next, anomaly, state) = (checkpoint(1, 1), anomaly(), state());
    let change = CheckpointChange { shard: &shard(), next: &next, expected: None };
    let transaction = Transaction {
        checkpoint: Some(change),
        anomalies: vec![&anomaly],
        states: vec![&state],
        ..Transaction::default()
    };
    world.commit(&transaction).await.unwrap();
    let used = meter.take();
    assert_eq!((used.dynamodb_calls, used.dynamodb_write_units, used.dynamodb_index_write_units), (1, 2 + 4 + 2, 2));
}

#[tokio::test]
async fn replacing_a_checkpoint_pays_for_the_larger_of_both() {
    let (world, meter) = world();
    commit(&world, &checkpoint(1, 9), None).await.unwrap();
    assert_eq!(meter.take().dynamodb_write_units, 2 * 9);
    commit(&world, &checkpoint(2, 1), Some(1)).await.unwrap();
    assert_eq!(meter.take().dynamodb_write_units, 2 * 9, "the old one is larger");
    commit(&world, &checkpoint(3, 1), Some(2)).await.unwrap();
    assert_eq!(meter.take().dynamodb_write_units, 2);
}

#[tokio::test]
async fn what_is_loaded_is_known_to_the_commit_after_it_and_to_its_guard() {
    let (one, _) = world();
    commit(&one, &checkpoint(1, 9), None).await.unwrap();
    let meter = Arc::new(Meter::default());
    let other = Metered::new(one.inner().clone(), Arc::clone(&meter));
    other.load_checkpoint(&shard()).await.unwrap();
    assert_eq!(meter.take().dynamodb_read_units, 3);
    let (state, guarded) = (state(), shard());
    let guard = CheckpointGuard { shard: &guarded, expected: Some(1) };
    let chunk = Transaction { guard: Some(guard), states: vec![&state], ..Transaction::default() };
    other.commit(&chunk).await.unwrap();
    assert_eq!(meter.take().dynamodb_write_units, 2 * (9 + 1));
    commit(&other, &checkpoint(2, 1), Some(1)).await.unwrap();
    assert_eq!(meter.take().dynamodb_write_units, 2 * 9);
}

#[tokio::test]
async fn a_refused_commit_is_paid_and_leaves_the_size_as_it_was() {
    let (world, meter) = world();
    commit(&world, &checkpoint(1, 3), None).await.unwrap();
    assert_eq!(meter.take().dynamodb_write_units, 2 * 3);
    commit(&world, &checkpoint(2, 5), Some(7)).await.unwrap_err();
    assert_eq!(meter.take().dynamodb_write_units, 2 * 5);
    commit(&world, &checkpoint(2, 1), Some(1)).await.unwrap();
    assert_eq!(meter.take().dynamodb_write_units, 2 * 3);
}

#[test]
fn an_invocation_is_charged_by_memory_and_begun_milliseconds() {
    let prices = Prices::built_in().unwrap();
    let rate = Rate { prices, architecture: Architecture::Arm64, memory_mb: 512, metric_calls: 1 };
    let used = rate.invocation(Usage::default(), 2_000);
    assert!((used.lambda_gb_seconds - 1.0).abs() < 1e-12);
    assert_eq!((used.lambda_requests, used.metric_calls), (1, 1));
    assert!(rate.invocation(Usage::default(), 0).lambda_gb_seconds > 0.0);
    let expected = 0.2 + 13.3334 + 10.0 + 2_000.0 * 0.5e-3;
    assert!((rate.microdollars(&used) - expected).abs() < 1e-6, "{}", rate.microdollars(&used));
}

/// `kib`: about how large; `due`: second of the hour, 0 for none.
fn entry(sk: &str, version: u64, kib: usize, due: i64) -> Entry {
    let at = 1_700_000_000_000_i64 + due * 1000;
    let due = (due > 0).then(|| json!({ "queue": "due#0", "at": at }));
    serde_json::from_value(json!({
        "key": { "pk": "t#d", "sk": sk }, "version": version, "due": due,
        "body": "x".repeat((kib * 1024).saturating_sub(200)),
    }))
    .unwrap()
}

async fn change(world: &Metered<SimWorld>, entries: &[Entry]) {
    let expected = |version: u64| (version > 1).then_some(version - 1);
    let changes: Vec<_> =
        entries.iter().map(|entry| EntryChange { entry, expected: expected(entry.version) }).collect();
    world.change_entries(&changes).await.unwrap();
}

#[tokio::test]
async fn one_entry_pays_once_and_several_pay_twice() {
    let (world, meter) = world();
    change(&world, &[entry("a", 1, 3, 0)]).await;
    assert_eq!(meter.take(), Usage { dynamodb_calls: 1, dynamodb_write_units: 3, ..Usage::default() });
    change(&world, &[entry("a", 2, 1, 0), entry("b", 1, 2, 0)]).await;
    let used = meter.take();
    assert_eq!((used.dynamodb_calls, used.dynamodb_write_units), (1, 2 * (3 + 2)), "the old one is larger");
}

#[tokio::test]
async fn an_index_is_paid_for_by_where_the_entry_was_and_is() {
    let (world, meter) = world();
    let mut versions = 1..;
    for (due, units, what) in [
        (0, 0, "it is in no index"),
        (5, 2, "it is put in"),
        (5, 2, "it stays where it is"),
        (9, 4, "it is taken out and put in"),
        (0, 2, "it is taken out"),
    ] {
        change(&world, &[entry("a", versions.next().unwrap(), 2, due)]).await;
        assert_eq!(meter.take().dynamodb_index_write_units, units, "{what}");
    }
}

#[tokio::test]
async fn a_question_to_an_index_pays_half() {
    let (world, meter) = world();
    change(&world, &[entry("a", 1, 9, 5), entry("b", 1, 9, 6)]).await;
    let _ = meter.take();
    world.load_entry(&entry("a", 1, 9, 5).key).await.unwrap();
    assert_eq!(meter.take().dynamodb_read_units, 3);
    world.list_entries("t#d", "", Order::OldestFirst, 9).await.unwrap();
    assert_eq!(meter.take().dynamodb_read_units, 5);
    let until = Timestamp::MAX;
    assert_eq!(world.find_due("due#0", until, 9).await.unwrap().len(), 2);
    assert_eq!(meter.take(), Usage { dynamodb_calls: 1, dynamodb_read_units: 3, ..Usage::default() });
}
