//! What a batch says of itself, what it takes, and where exactly its bounds are: found wanting by a run of mutations.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anomaly_core::Timestamp;
use kinesis_scorer::commit::{self, Committed, Items, READINGS_MAX, SEGMENTS_MAX, snapshot_is_due};
use kinesis_scorer::fold::{Discard, Fold, RawRecord, Tenancy};
use kinesis_scorer::state::ShardState;
use kinesis_scorer::{Invocation, Scorer};
use platform::metrics::{BatchMetrics, EmitMetrics};
use platform::model::{
    Checkpoint, CheckpointChange, ContentHash, Key, ObjectRef, Segment, SnapshotRef, StateRecord, TRANSACTION_ITEMS_MAX,
};
use platform::sim::{Fault, SimWorld, When};

use super::outcome::Outcome;
use super::workload::{
    Record, SHARD, at, block_on, config, deliver, deliver_all, deliver_within, event, message, mixed, resume, scorer,
    sequence, shard,
};

/// Keeps what batches report.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(pub(crate) Arc<Mutex<Vec<BatchMetrics>>>);

impl EmitMetrics for Kept {
    async fn emit(&self, metrics: &BatchMetrics, _: &str, _: Timestamp) {
        self.0.lock().unwrap().push(*metrics);
    }
}

fn hot(count: usize) -> Vec<Record> {
    (0..count).map(|index| message(index, &format!("oven-{index}"), index as i64, 95.0, 2.0)).collect()
}

#[test]
fn a_batch_reports_its_readings_and_every_call_that_it_took() {
    let kept = Kept::default();
    let world = SimWorld::new();
    let mut process = Scorer::new(world.clone(), kept.clone(), config());
    // Cold, warm, with a snapshot, with more findings than one transaction holds, with a commit that is asked twice, and by a
    // process that has to restore what the others left.
    let records: Vec<Record> = [hot(150), mixed(120, 1)].concat();
    let records: Vec<Record> =
        records.into_iter().enumerate().map(|(index, record)| Record { seq: sequence(index), ..record }).collect();
    let mut calls = Vec::new();
    block_on(async {
        for (nth, batch) in
            [&records[..150], &records[150..190], &records[190..230], &records[230..]].into_iter().enumerate()
        {
            if nth == 2 {
                world.on_call(When::verb("commit"), Fault::Throttle);
            }
            if nth == 3 {
                process = Scorer::new(world.clone(), kept.clone(), config());
            }
            let before = world.calls().len();
            let response = deliver(&process, SHARD, batch).await;
            assert_eq!(resume(batch, &response), batch.len());
            calls.push((world.calls().len() - before) as u64);
        }
    });
    let kept = kept.0.lock().unwrap();
    assert_eq!(kept.iter().map(|metrics| metrics.calls).collect::<Vec<_>>(), calls);
    assert_eq!(kept[0].readings, 300);
    assert_eq!(kept[0].anomalies, 150);
    assert!(kept.iter().all(|metrics| metrics.conflicts == 0));
    assert!(kept.iter().skip(1).any(|metrics| metrics.quarantined > 0 && metrics.unscored > 0));
}

#[test]
fn a_commit_of_somebody_else_is_counted_once() {
    let records = mixed(80, 3);
    let (world, kept) = (SimWorld::new(), Kept::default());
    let stale = Scorer::new(world.clone(), kept.clone(), config());
    block_on(async {
        deliver(&stale, SHARD, &records[..20]).await;
        deliver_all(&scorer(&world), SHARD, &records[20..50], 30).await;
        deliver(&stale, SHARD, &records[20..]).await;
    });
    let kept = kept.0.lock().unwrap();
    assert_eq!(kept.iter().map(|metrics| metrics.conflicts).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}

#[test]
fn a_reserve_longer_than_the_time_there_is_leaves_half_of_it() {
    let records = mixed(40, 4);
    let world = SimWorld::new();
    // The reserve is ten seconds; eight are left, and stay left.
    let response = block_on(deliver_within(&scorer(&world), SHARD, &records, &|| Duration::from_secs(8)));
    assert_eq!(resume(&records, &response), records.len());
}

fn state(device: &str) -> StateRecord {
    StateRecord {
        tenant: "acme".into(),
        device: device.into(),
        status: anomaly_core::DeviceStatus::Normal,
        since: at(0),
        score: 0.0,
        seq: sequence(1),
        epoch: 0,
        expires_at: 2_000_000_000,
    }
}

fn checkpoint(segments: usize, readings_each: u32, snapshot_at: Option<Timestamp>) -> Checkpoint {
    let object = || ObjectRef { key: Key::new("state/x").unwrap(), sha256: ContentHash::of(b"x") };
    let segment = |_| Segment {
        object: object(),
        last_seq: sequence(1),
        readings: readings_each,
        profiles: "0".repeat(16),
        opinions: None,
    };
    Checkpoint {
        version: 1,
        last_seq: sequence(1),
        stream_time: at(0),
        batch: "b".into(),
        snapshot: snapshot_at.map(|at| SnapshotRef { object: object(), at }),
        segments: (0..segments).map(segment).collect(),
        epoch: 0,
        hash_range: None,
    }
}

#[test]
fn as_many_items_as_a_transaction_holds_take_one_and_one_more_takes_two() {
    let next = checkpoint(0, 0, None);
    for (states, transactions) in
        [(0, 1), (TRANSACTION_ITEMS_MAX - 1, 1), (TRANSACTION_ITEMS_MAX, 2), (2 * (TRANSACTION_ITEMS_MAX - 1) + 1, 3)]
    {
        let world = SimWorld::new();
        let states: Vec<StateRecord> = (0..states).map(|index| state(&format!("d{index}"))).collect();
        let shard = shard(SHARD);
        let change = CheckpointChange { shard: &shard, next: &next, expected: None };
        let (committed, calls) =
            block_on(commit::commit(&world, change, None, &Items { states: &states, ..Items::default() })).unwrap();
        assert_eq!((committed, calls), (Committed::Done, transactions), "{} states", states.len());
        assert_eq!(world.states().len(), states.len());
    }
}

#[test]
fn a_store_that_gives_no_answer_is_asked_four_times() {
    let next = checkpoint(0, 0, None);
    let world = SimWorld::new();
    world.on_every_call(When::verb("commit"), Fault::Unavailable);
    let shard = shard(SHARD);
    let change = CheckpointChange { shard: &shard, next: &next, expected: None };
    let (error, waited) = block_on(async {
        let began = tokio::time::Instant::now();
        (commit::commit(&world, change, None, &Items::default()).await.unwrap_err(), began.elapsed())
    });
    assert!(error.is_transient(), "{error}");
    assert_eq!(world.calls().iter().filter(|call| call.verb == "commit").count(), 4);
    // 50, 100 and 200 ms: each pause is twice the one before.
    assert!((350..360).contains(&waited.as_millis()), "{waited:?}");
}

#[test]
fn an_answer_that_was_lost_is_settled_by_one_more_call() {
    let next = checkpoint(0, 0, None);
    let world = SimWorld::new();
    world.on_call(When::verb("commit"), Fault::UnavailableButLands);
    let shard = shard(SHARD);
    let change = CheckpointChange { shard: &shard, next: &next, expected: None };
    let (committed, calls) = block_on(commit::commit(&world, change, None, &Items::default())).unwrap();
    assert_eq!((committed, calls), (Committed::Done, 3));
    assert_eq!(world.calls().len(), 3);
}

#[test]
fn a_snapshot_is_due_at_its_bounds_and_not_before() {
    const EVERY_SECONDS: u32 = 300;
    let due = |checkpoint: &Checkpoint, readings, ms| {
        snapshot_is_due(Some(checkpoint), readings, at(ms).millis(), EVERY_SECONDS)
    };
    assert!(snapshot_is_due(None, 0, at(0).millis(), EVERY_SECONDS));
    assert!(due(&checkpoint(0, 0, None), 0, 0));
    let recent = |segments, readings| checkpoint(segments, readings, Some(at(0)));
    assert!(!due(&recent(SEGMENTS_MAX - 1, 1), 1, 0));
    assert!(due(&recent(SEGMENTS_MAX, 1), 1, 0));
    let some = u32::try_from(READINGS_MAX / 10).unwrap();
    assert!(!due(&recent(9, some), u64::from(some), 0));
    assert!(due(&recent(9, some), u64::from(some) + 1, 0));
    assert!(!due(&recent(1, 1), 1, 299_999));
    assert!(due(&recent(1, 1), 1, 300_000));
}

#[test]
fn a_replay_counts_the_readings_that_it_takes() {
    let (mut state, mut fold, mut counted) = (ShardState::default(), Fold::default(), Discard::default());
    for record in hot(5) {
        let raw =
            RawRecord { seq: record.seq, arrived: record.arrived, partition_key: &record.key, data: Ok(&record.data) };
        fold.take(&mut state, &raw, &anomaly_core::ProfileSet::default(), &Tenancy::new(None, "default"), &mut counted);
    }
    assert_eq!(counted.readings, 10);
}

#[test]
fn each_batch_reports_itself_alone_and_how_late_and_how_long_it_was() {
    let (kept, world) = (Kept::default(), SimWorld::new());
    let process = Scorer::new(world.clone(), kept.clone(), config());
    let calm = |from: usize| (from..from + 5).map(move |index| message(index, "pump-1", index as i64, 60.0, 2.0));
    // The last of the second batch is older than what came before it, and is not scored.
    let late = message(14, "pump-1", 2, 60.0, 2.0);
    let batches = [hot(5), calm(5).chain(calm(10).take(4)).chain([Record { arrived: at(900_000), ..late }]).collect()];
    block_on(async {
        for batch in &batches {
            let asked = std::sync::atomic::AtomicU64::new(0);
            // A second passes between two looks at the clock.
            let remaining =
                || Duration::from_secs(60 - asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed).min(50));
            let now = Timestamp::from_millis(batch.last().unwrap().arrived.millis() + 7_000).unwrap();
            let invocation = Invocation { now, remaining: &remaining, request_id: "test" };
            process.handle(&event(SHARD, batch), &invocation).await.unwrap();
        }
    });
    let kept = kept.0.lock().unwrap();
    let of = |metrics: &BatchMetrics| (metrics.readings, metrics.anomalies, metrics.unscored, metrics.lag_ms);
    assert_eq!(of(&kept[0]), (10, 5, 0, 7_000));
    assert_eq!(of(&kept[1]), (20, 0, 2, 7_000));
    assert!(kept.iter().all(|metrics| metrics.elapsed_ms >= 1_000), "{kept:?}");
    // The store may forget a finding ninety days after its record has arrived.
    for anomaly in world.anomalies() {
        assert_eq!(anomaly.expires_at, anomaly.detected_at.millis() / 1_000 + 90 * 86_400);
    }
}

#[test]
fn a_process_keeps_sixteen_shards_warm_and_the_one_unused_longest_goes_first() {
    let world = SimWorld::new();
    let process = scorer(&world);
    let name = |shard: usize| format!("shardId-{shard:012}");
    block_on(async {
        for shard in 0..17 {
            deliver(&process, &name(shard), &hot(1)).await;
        }
        for (shard, is_warm) in [(1, true), (16, true), (0, false)] {
            let before = world.calls().len();
            deliver(&process, &name(shard), &[message(1, "oven-0", 1, 60.0, 2.0)]).await;
            let loads = world.calls()[before..].iter().filter(|call| call.verb == "load checkpoint").count();
            assert_eq!(loads == 0, is_warm, "shard {shard}");
        }
    });
}
