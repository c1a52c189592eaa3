//! Split and merge: devices keep their state wherever they live next.

use std::collections::BTreeMap;

use kinesis_scorer::fold::Tenancy;
use kinesis_scorer::restore::restore;
use kinesis_scorer::state::{ShardState, hash_key};
use platform::model::{Key, ShardInfo};
use platform::sim::{Fault, SimWorld};

use super::outcome::bytes_of;
use super::workload::{
    DEVICES, Record, STREAM, block_on, deliver, deliver_all, message, mixed, raw, resume, scorer, shard,
};

const PARENT: &str = "shardId-000000000000";
const LEFT: &str = "shardId-000000000001";
const RIGHT: &str = "shardId-000000000002";
const MERGED: &str = "shardId-000000000003";
/// Between the hash keys of the workload's devices, so that both children get some.
fn middle() -> u128 {
    let mut keys = DEVICES.map(hash_key);
    keys.sort_unstable();
    keys[DEVICES.len() / 2]
}

fn info(name: &str, parents: &[&str], hash_range: (u128, u128)) -> ShardInfo {
    ShardInfo {
        shard: name.into(),
        parent: parents.first().map(|name| (*name).to_owned()),
        adjacent_parent: parents.get(1).map(|name| (*name).to_owned()),
        hash_range,
    }
}

fn topology() -> Vec<ShardInfo> {
    let all = (0, u128::MAX);
    vec![
        info(PARENT, &[], all),
        info(LEFT, &[PARENT], (0, middle())),
        info(RIGHT, &[PARENT], (middle() + 1, u128::MAX)),
        info(MERGED, &[LEFT, RIGHT], all),
    ]
}

/// Records to the shards that they would be put to: parent, then its children, then the shard the children merge into.
fn phases(records: &[Record]) -> Vec<(&'static str, Vec<Record>)> {
    let third = records.len() / 3;
    let of = |range: std::ops::Range<usize>, left: bool| {
        let lives = |record: &&Record| (hash_key(&record.key) <= middle()) == left;
        records[range].iter().filter(lives).cloned().collect::<Vec<_>>()
    };
    vec![
        (PARENT, records[..third].to_vec()),
        (LEFT, of(third..2 * third, true)),
        (RIGHT, of(third..2 * third, false)),
        (MERGED, records[2 * third..].to_vec()),
    ]
}

fn state(world: &SimWorld, name: &str) -> ShardState {
    let (warm, _) = block_on(restore(world, &shard(name), &Tenancy::new(None, "default"))).unwrap();
    warm.state
}

async fn survive(world: &SimWorld, name: &str, records: &[Record]) {
    let mut process = scorer(world);
    let mut next = 0;
    for _ in 0..100 {
        if next >= records.len() {
            return;
        }
        let batch = &records[next..(next + 20).min(records.len())];
        tokio::select! {
            biased;
            response = deliver(&process, name, batch) => next += resume(batch, &response),
            () = world.crashed() => process = scorer(world),
        }
    }
    panic!("stuck at record {next} of {name}");
}

#[test]
fn after_split_and_merge_every_device_is_where_an_undivided_shard_would_be() {
    let records = mixed(150, 3);
    let whole = SimWorld::new();
    block_on(deliver_all(&scorer(&whole), PARENT, &records, 40));

    let divided = SimWorld::new();
    divided.define_shards(STREAM, &topology());
    for (name, records) in phases(&records) {
        assert!(!records.is_empty(), "{name} has nothing to do");
        block_on(deliver_all(&scorer(&divided), name, &records, 20));
    }
    assert_eq!(bytes_of(&state(&divided, MERGED)), bytes_of(&state(&whole, PARENT)));
    let ids = |world: &SimWorld| -> BTreeMap<String, String> {
        let pair =
            |r: &platform::model::AnomalyRecord| (r.anomaly.id.to_string(), r.anomaly.explanation.summary.clone());
        world.anomalies().iter().map(pair).collect()
    };
    assert_eq!(ids(&divided), ids(&whole));
    assert!(!ids(&whole).is_empty());
}

#[test]
fn a_crash_at_any_call_while_children_adopt_their_parent_changes_nothing() {
    let records = mixed(150, 5);
    let run = |fault: Option<(usize, Fault)>| {
        let world = SimWorld::new();
        world.define_shards(STREAM, &topology());
        if let Some((index, fault)) = fault {
            world.on_call(index, fault);
        }
        for (name, records) in phases(&records) {
            block_on(survive(&world, name, &records));
        }
        world
    };
    let calm = run(None);
    let expected = (bytes_of(&state(&calm.copy(), MERGED)), calm.anomalies(), calm.states());
    for index in 0..calm.calls().len() {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::UnavailableButLands] {
            let world = run(Some((index, fault)));
            world.clear_faults();
            let found = (bytes_of(&state(&world.copy(), MERGED)), world.anomalies(), world.states());
            assert_eq!(found, expected, "{fault:?} at call {index}");
        }
    }
}

#[test]
fn a_child_whose_parent_never_had_a_record_looks_further_back() {
    let records = mixed(60, 9);
    let world = SimWorld::new();
    world.define_shards(STREAM, &topology());
    block_on(deliver_all(&scorer(&world), PARENT, &records[..40], 40));
    block_on(deliver_all(&scorer(&world), MERGED, &records[40..], 20));
    let whole = SimWorld::new();
    block_on(deliver_all(&scorer(&whole), PARENT, &records, 60));
    assert_eq!(bytes_of(&state(&world, MERGED)), bytes_of(&state(&whole, PARENT)));
}

/// A record of a Sparkplug node under a partition key of its own.
fn sparkplug(index: usize, key: &str, name: Option<&str>, alias: u8, value: f64) -> Record {
    let payload = super::workload::sparkplug(name, alias, value, index as i64);
    let data = base64_simd::STANDARD.encode_to_string(payload);
    let kind = if name.is_some() { "NBIRTH" } else { "NDATA" };
    let json = format!(r#"{{"topic":"tenants/acme/spBv1.0/hall/{kind}/node","data":"{data}"}}"#);
    raw(index, key, index as i64, json.as_bytes())
}

#[test]
fn what_a_node_announced_last_holds_after_a_split_and_a_merge() {
    // The node lives on the right; the left child must not bring the old meaning of its alias back.
    let key = DEVICES.iter().find(|device| hash_key(device) > middle()).unwrap();
    let records = [
        sparkplug(0, key, Some("speed"), 7, 1_400.0),
        sparkplug(1, key, Some("torque"), 7, 90.0),
        sparkplug(2, key, None, 7, 91.0),
    ];
    let left = DEVICES.iter().find(|device| hash_key(device) <= middle()).unwrap();
    let world = SimWorld::new();
    world.define_shards(STREAM, &topology());
    block_on(async {
        let process = scorer(&world);
        deliver_all(&process, PARENT, &records[..1], 1).await;
        deliver_all(&process, LEFT, &[message(1, left, 1, 50.0, 1.0)], 1).await;
        deliver_all(&process, RIGHT, &records[1..2], 1).await;
        deliver_all(&process, MERGED, &records[2..], 1).await;
    });
    let silver = super::outcome::Outcome::of_shard(&world, MERGED).silver_text();
    assert!(silver.contains("torque") && !silver.contains("speed"), "{silver}");
}

#[test]
fn a_child_falls_back_on_the_profiles_of_its_parent() {
    let profile = Key::new("config/acme/profile.toml").unwrap();
    let world = SimWorld::new();
    world.define_shards(STREAM, &topology());
    let records = mixed(150, 19);
    block_on(async {
        world.place_object(profile.clone(), "[metrics.temperature]\nhigh = 65\n");
        deliver_all(&scorer(&world), PARENT, &records[..50], 50).await;
        world.place_object(profile, "this is no profile");
        for (name, records) in &phases(&records)[1..3] {
            deliver_all(&scorer(&world), name, records, 50).await;
        }
    });
    let fingerprints: Vec<String> = world.anomalies().into_iter().map(|found| found.profiles).collect();
    assert!(fingerprints.len() > 3 && fingerprints.iter().all(|found| *found == fingerprints[0]), "{fingerprints:?}");
    assert_ne!(fingerprints[0], "0000000000000000");
}

#[test]
fn a_sibling_s_fresh_state_wins_over_a_grandparent_s_old_one() {
    let records = mixed(150, 17);
    let world = SimWorld::new();
    world.define_shards(STREAM, &topology());
    let right = |record: &&Record| hash_key(&record.key) > middle();
    // The left child never has a record; the right one goes on for a while.
    let whole: Vec<Record> =
        records.iter().enumerate().filter(|(i, r)| *i < 50 || *i >= 100 || right(r)).map(|(_, r)| r.clone()).collect();
    block_on(deliver_all(&scorer(&world), PARENT, &records[..50], 50));
    let fresh: Vec<Record> = records[50..100].iter().filter(right).cloned().collect();
    block_on(deliver_all(&scorer(&world), RIGHT, &fresh, 50));
    block_on(deliver_all(&scorer(&world), MERGED, &records[100..], 50));
    let undivided = SimWorld::new();
    block_on(deliver_all(&scorer(&undivided), PARENT, &whole, 150));
    assert_eq!(bytes_of(&state(&world, MERGED)), bytes_of(&state(&undivided, PARENT)));
}

#[test]
fn every_call_that_a_child_takes_to_begin_is_counted() {
    use super::accounting::Kept;
    let records = mixed(60, 71);
    let world = SimWorld::new();
    world.define_shards(STREAM, &topology());
    let left: Vec<Record> = records[40..].iter().filter(|record| hash_key(&record.key) <= middle()).cloned().collect();
    block_on(async {
        deliver_all(&scorer(&world), PARENT, &records[..40], 8).await;
        let (kept, before) = (Kept::default(), world.calls().len());
        let process = kinesis_scorer::Scorer::new(world.clone(), kept.clone(), super::workload::config());
        deliver(&process, LEFT, &left).await;
        assert_eq!(kept.0.lock().unwrap()[0].calls, (world.calls().len() - before) as u64);
    });
}
