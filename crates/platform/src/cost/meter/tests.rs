use serde_json::json;

use super::*;
use crate::cost::{Architecture, Prices, Rate};
use crate::model::{AnomalyRecord, CheckpointChange, CheckpointGuard, StateRecord};
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
