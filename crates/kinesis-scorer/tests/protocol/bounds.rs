//! Bounds: calls a batch, items a transaction, time of an invocation; and names that are taken.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use platform::model::{Key, TRANSACTION_ITEMS_MAX};
use platform::sim::{CallOutcome, SimWorld};

use super::outcome::{Outcome, assert_unbroken};
use super::workload::{
    Record, SHARD, block_on, deliver, deliver_all, deliver_within, message, mixed, raw, resume, scorer, shard,
};

fn calm(count: usize) -> Vec<Record> {
    (0..count).map(|index| message(index, "pump-1", index as i64 / 20, 55.0, 2.0)).collect()
}

#[test]
fn a_warm_batch_takes_three_calls_and_four_when_a_snapshot_is_due() {
    let records = calm(400);
    let world = SimWorld::new();
    block_on(async {
        let process = scorer(&world);
        deliver_all(&process, SHARD, &records[..50], 50).await;
        let mut most = Vec::new();
        for batch in records[50..].chunks(50) {
            let before = world.calls().len();
            deliver_all(&process, SHARD, batch, 50).await;
            most.push(world.calls().len() - before);
        }
        assert!(most.iter().all(|calls| *calls <= 4), "{most:?}");
        assert!(most.contains(&3) && most.contains(&4), "{most:?}");
    });
}

#[test]
fn more_findings_than_a_transaction_holds_are_committed_in_chunks_and_each_once() {
    let records: Vec<Record> =
        (0..260).map(|index| message(index, &format!("oven-{index}"), index as i64, 95.0, 2.0)).collect();
    let world = SimWorld::new();
    block_on(deliver_all(&scorer(&world), SHARD, &records, 260));
    assert_eq!(world.anomalies().len(), 260);
    assert_eq!(world.states().len(), 260);
    for commit in world.commits() {
        let items = usize::from(commit.checkpoint.is_some()) + commit.anomalies.len() + commit.states.len();
        assert!(items <= TRANSACTION_ITEMS_MAX);
    }
    assert_unbroken(&world, SHARD);
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}

#[test]
fn chunks_of_a_batch_that_never_committed_are_left_out_of_the_next() {
    let records: Vec<Record> =
        (0..150).map(|index| message(index, &format!("oven-{index}"), index as i64, 95.0, 2.0)).collect();
    for nth in 0..5 {
        let world = SimWorld::new();
        world.on_call(platform::sim::When::nth("commit", nth), platform::sim::Fault::CrashAfter);
        block_on(async {
            let process = scorer(&world);
            tokio::select! {
                biased;
                _ = deliver(&process, SHARD, &records) => {}
                () = world.crashed() => {}
            }
            deliver_all(&scorer(&world), SHARD, &records, 70).await;
        });
        assert_unbroken(&world, SHARD);
        assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
    }
}

#[test]
fn when_time_runs_out_the_prefix_is_committed_and_the_rest_comes_again() {
    let records = mixed(400, 2);
    let world = SimWorld::new();
    block_on(async {
        let process = scorer(&world);
        let asked = AtomicU32::new(0);
        let remaining = || {
            let left = if asked.fetch_add(1, Ordering::Relaxed) < 3 { 60 } else { 1 };
            Duration::from_secs(left)
        };
        let response = deliver_within(&process, SHARD, &records, &remaining).await;
        let open = resume(&records, &response);
        assert!(open > 0 && open < records.len(), "{open}");
        assert_eq!(world.checkpoint(&shard(SHARD)).unwrap().last_seq, records[open - 1].seq);
        deliver_all(&process, SHARD, &records[open..], 100).await;
    });
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}

#[test]
fn without_any_time_left_nothing_is_done_and_everything_comes_again() {
    let records = mixed(20, 2);
    let world = SimWorld::new();
    block_on(async {
        let response = deliver_within(&scorer(&world), SHARD, &records, &|| Duration::ZERO).await;
        assert_eq!(resume(&records, &response), 0);
    });
    assert!(world.commits().is_empty());
}

#[test]
fn a_name_that_an_orphan_has_taken_gets_a_suffix_and_the_orphan_stays() {
    let records = mixed(20, 4);
    let dry = SimWorld::new();
    block_on(deliver_all(&scorer(&dry), SHARD, &records, 20));
    let taken: Vec<Key> = dry.objects().into_keys().collect();
    assert!(taken.len() >= 4);

    let world = SimWorld::new();
    for key in &taken {
        world.place_object(key.clone(), b"an orphan".to_vec());
    }
    block_on(deliver_all(&scorer(&world), SHARD, &records, 20));
    let objects = world.objects();
    for key in &taken {
        assert_eq!(objects[key], b"an orphan");
        world.remove_object(key);
    }
    assert_eq!(world.objects().len(), taken.len());
    let bronze = &world.checkpoint(&shard(SHARD)).unwrap().snapshot.unwrap().object.key;
    assert!(bronze.as_str().contains(".v1-"), "{bronze}");
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}

#[test]
fn a_batch_of_poison_alone_is_committed_and_found_in_quarantine() {
    let records: Vec<Record> = (0..5).map(|index| raw(index, "k", index as i64, b"\xff\xfe\xfd")).collect();
    let world = SimWorld::new();
    block_on(deliver_all(&scorer(&world), SHARD, &records, 5));
    assert_eq!(Outcome::of(&world).found(), (0, 5));
    assert!(world.calls().iter().all(|call| call.outcome == CallOutcome::Done));
}

#[test]
fn an_empty_event_is_a_success() {
    let world = SimWorld::new();
    let response = block_on(deliver(&scorer(&world), SHARD, &[]));
    assert!(response.batch_item_failures.is_empty() && world.calls().is_empty());
}

#[test]
fn a_device_that_finds_the_same_twice_at_one_instant_stops_nobody() {
    // A breach, calm, a clock that is set back, and the same breach again, at the same instant or another.
    let found = |again: i64| {
        let at = |index: usize, minute: i64, temperature: f64| {
            let mut record = message(index, "oven", minute, temperature, 2.0);
            record.arrived = super::workload::at(6_000_000 + index as i64 * 60_000);
            record
        };
        let mut records = vec![at(0, 50, 95.0)];
        records.extend((1..20).map(|index| at(index, 50 + index as i64, 50.0)));
        records.extend((20..52).map(|index| at(index, index as i64 - 20, 50.0)));
        records.push(at(52, again, 95.0));
        let world = SimWorld::new();
        block_on(deliver_all(&scorer(&world), SHARD, &records, records.len()));
        world.anomalies().len()
    };
    assert_eq!(found(50), 1);
    assert_eq!(found(49), 2, "the clock that was set back is believed");
}

#[test]
fn records_out_of_order_and_twice_in_one_batch_are_taken_once_and_in_order() {
    let records = mixed(60, 21);
    let mut shuffled = records.clone();
    shuffled.reverse();
    shuffled.extend(records[10..20].to_vec());
    let world = SimWorld::new();
    let response = block_on(deliver(&scorer(&world), SHARD, &shuffled));
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}

#[test]
fn stale_memory_with_more_findings_than_a_transaction_holds_commits_none_of_them() {
    let records: Vec<Record> =
        (0..260).map(|index| message(index, &format!("oven-{index}"), index as i64, 95.0, 2.0)).collect();
    let world = SimWorld::new();
    block_on(async {
        let (old, new) = (scorer(&world), scorer(&world));
        deliver_all(&old, SHARD, &records[..20], 20).await;
        deliver_all(&new, SHARD, &records[20..40], 20).await;
        deliver_all(&old, SHARD, &records[40..], 220).await;
    });
    assert_unbroken(&world, SHARD);
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}
