//! A stream that was made anew, after a restore: its shards go on with what the former ones knew, though its numbers begin below.

use kinesis_scorer::chain;
use kinesis_scorer::fold::Tenancy;
use kinesis_scorer::restore::restore;
use kinesis_scorer::state::{ShardState, hash_key};
use kinesis_scorer::succeed::{Succession, Successor, end_of, living, succeed};
use platform::model::{Checkpoint, CheckpointChange, HashRange, ShardId, ShardInfo, Transaction};
use platform::ports::CommitTransaction as _;
use platform::sim::SimWorld;
use telemetry::sequence::SequenceNumber;

use super::outcome::bytes_of;
use super::workload::{DEVICES, Record, SHARD, STREAM, at, block_on, deliver_all, message, mixed, scorer, shard};

fn tenancy() -> Tenancy {
    Tenancy::new(None, "default")
}

/// The lake of a world, and nothing of its tables.
fn lake_of(world: &SimWorld) -> SimWorld {
    let restored = SimWorld::new();
    for (key, body) in world.objects() {
        restored.place_object(key, body);
    }
    restored
}

fn info(name: &str, parent: Option<&str>, hash_range: (u128, u128)) -> ShardInfo {
    ShardInfo { shard: name.into(), parent: parent.map(str::to_owned), adjacent_parent: None, hash_range }
}

fn put(world: &SimWorld, shard: &ShardId, next: &Checkpoint, expected: Option<u64>) {
    let change = CheckpointChange { shard, next, expected };
    let transaction = Transaction { checkpoint: Some(change), ..Transaction::default() };
    block_on(world.commit(&transaction)).unwrap();
}

/// What a shard of the new stream begins with, put into its checkpoint.
fn succeeded(world: &SimWorld, former: &[(ShardId, Checkpoint)], name: &str, range: HashRange) -> Succession {
    let shard = shard(name);
    let namesake = former.iter().find(|(known, _)| *known == shard).map(|(_, checkpoint)| checkpoint);
    let live = world.checkpoint(&shard);
    let expected = live.as_ref().map(|live| live.version);
    let successor = Successor { shard: shard.clone(), range, live, epoch: 0 };
    let done = block_on(succeed(world, &living(former.to_vec()), namesake, &successor, &tenancy())).unwrap();
    put(world, &shard, &done.next, expected);
    done
}

/// The same records as a stream that has just been made numbers them.
fn anew(records: &[Record]) -> Vec<Record> {
    let number = |index: usize| (index + 1).to_string().parse().unwrap();
    records.iter().enumerate().map(|(index, record)| Record { seq: number(index), ..record.clone() }).collect()
}

fn state_of(world: &SimWorld, name: &str) -> ShardState {
    block_on(restore(&world.copy(), &shard(name), &tenancy())).unwrap().0.state
}

#[test]
fn the_first_records_of_the_new_stream_are_scored_with_the_former_ones_state_and_none_is_dropped() {
    let records = mixed(240, 7);
    let whole = SimWorld::new();
    block_on(deliver_all(&scorer(&whole), SHARD, &records, 30));
    let former = SimWorld::new();
    block_on(deliver_all(&scorer(&former), SHARD, &records[..120], 30));
    let checkpoint = former.checkpoint(&shard(SHARD)).unwrap();
    let rest = anew(&records[120..]);
    assert!(rest.last().unwrap().seq < checkpoint.last_seq, "the new numbers lie below the old ones");

    let world = lake_of(&former);
    let all = [(shard(SHARD), checkpoint.clone())];
    let done = succeeded(&world, &all, SHARD, HashRange::ALL);
    assert_eq!((done.next.last_seq, done.newer), (SequenceNumber::ZERO, 0));
    assert!(done.devices >= DEVICES.len(), "{}", done.devices);
    block_on(deliver_all(&scorer(&world), SHARD, &rest, 30));

    assert_eq!(bytes_of(&state_of(&world, SHARD)), bytes_of(&state_of(&whole, SHARD)));
    let of = |world: &SimWorld| -> Vec<_> { world.anomalies().into_iter().map(|one| one.anomaly.id).collect() };
    let later: Vec<_> = of(&whole).into_iter().filter(|id| !of(&former).contains(id)).collect();
    let mut found = of(&world);
    found.retain(|id| !of(&former).contains(id));
    assert_eq!(found, later, "what an undisturbed stream finds");
    assert!(!later.is_empty());

    // Readers of the lake find the batches of both streams.
    let keys: Vec<_> = world.objects().into_keys().collect();
    let (batches, end) = chain::walk(&keys, &shard(SHARD), &world.checkpoint(&shard(SHARD)).unwrap());
    assert_eq!((batches.len(), end), (8, chain::End::Beginning));
}

#[test]
fn a_checkpoint_that_stays_as_it_is_drops_every_record_of_the_new_stream() {
    let records = mixed(60, 7);
    let former = SimWorld::new();
    block_on(deliver_all(&scorer(&former), SHARD, &records[..30], 30));
    let checkpoint = former.checkpoint(&shard(SHARD)).unwrap();
    let world = lake_of(&former);
    put(&world, &shard(SHARD), &checkpoint, None);
    block_on(deliver_all(&scorer(&world), SHARD, &anew(&records[30..]), 30));
    assert_eq!(world.checkpoint(&shard(SHARD)).unwrap(), checkpoint, "why there is such a thing as a succession");
}

#[test]
fn a_stream_of_other_shards_has_each_device_where_it_lives_now() {
    let records = mixed(120, 11);
    let former = SimWorld::new();
    block_on(deliver_all(&scorer(&former), SHARD, &records, 30));
    let all = [(shard(SHARD), former.checkpoint(&shard(SHARD)).unwrap())];
    let world = lake_of(&former);
    let mut keys = DEVICES.map(hash_key);
    keys.sort_unstable();
    let middle = keys[DEVICES.len() / 2];
    let left = succeeded(&world, &all, SHARD, HashRange { first: 0, last: middle });
    let right = succeeded(&world, &all, "shardId-000000000001", HashRange { first: middle + 1, last: u128::MAX });
    let devices = state_of(&former, SHARD).engine.len();
    assert_eq!(left.devices + right.devices, devices);
    assert!(left.devices > 0 && right.devices > 0);
    assert_eq!(right.next.batch, chain::BEGINNING, "a shard of that name had no batches");
    let mut both = state_of(&world, SHARD);
    both.absorb(state_of(&world, "shardId-000000000001"));
    assert_eq!(both.engine.len(), devices);
}

#[test]
fn again_it_is_the_same_and_what_the_shard_has_learned_since_stays() {
    let records = mixed(90, 3);
    let former = SimWorld::new();
    block_on(deliver_all(&scorer(&former), SHARD, &records[..60], 30));
    let all = [(shard(SHARD), former.checkpoint(&shard(SHARD)).unwrap())];
    let world = lake_of(&former);
    let first = succeeded(&world, &all, SHARD, HashRange::ALL);
    let live = world.checkpoint(&shard(SHARD));
    let successor = Successor { shard: shard(SHARD), range: HashRange::ALL, live, epoch: 0 };
    let again = block_on(succeed(&world, &all, Some(&all[0].1), &successor, &tenancy())).unwrap();
    assert_eq!(again, first);

    block_on(deliver_all(&scorer(&world), SHARD, &anew(&records[60..]), 30));
    let live = world.checkpoint(&shard(SHARD)).unwrap();
    let successor = Successor { live: Some(live.clone()), ..successor };
    let late = block_on(succeed(&world, &all, Some(&all[0].1), &successor, &tenancy())).unwrap();
    assert_eq!((late.next.last_seq, late.devices), (live.last_seq, 0), "every device is newer");
    assert!(late.newer > 0);
}

#[test]
fn pulses_that_came_before_the_restore_are_passed_over() {
    let former = SimWorld::new();
    block_on(deliver_all(&scorer(&former), SHARD, &mixed(60, 3), 30));
    let all = [(shard(SHARD), former.checkpoint(&shard(SHARD)).unwrap())];
    let world = lake_of(&former);
    let pulse = Record {
        seq: "5".parse().unwrap(),
        key: "millrace-pulse".into(),
        data: telemetry::payload::PULSE.as_bytes().to_vec(),
        arrived: at(90 * 60_000),
    };
    block_on(deliver_all(&scorer(&world), SHARD, &[pulse], 1));
    let done = succeeded(&world, &all, SHARD, HashRange::ALL);
    assert_eq!((done.next.last_seq, done.newer), (SequenceNumber::ZERO, 0));
    assert_eq!(done.next.batch, all[0].1.batch);
}

#[test]
fn a_later_shard_of_a_former_ones_name_begins_with_its_parents() {
    const CHILD: &str = "shardId-000000000001";
    let records = mixed(90, 5);
    let former = SimWorld::new();
    block_on(deliver_all(&scorer(&former), SHARD, &records[..60], 30));
    let checkpoint = former.checkpoint(&shard(SHARD)).unwrap();
    let world = lake_of(&former);
    let devices = succeeded(&world, &[(shard(SHARD), checkpoint.clone())], SHARD, HashRange::ALL).devices;
    // The former stream had a shard of the child's name.
    let end = end_of(&Checkpoint { batch: "0123456789ab".into(), ..checkpoint });
    put(&world, &shard(CHILD), &end, None);
    world.define_shards(STREAM, &[info(SHARD, None, (0, u128::MAX)), info(CHILD, Some(SHARD), (0, u128::MAX))]);
    assert_eq!(state_of(&world, CHILD).engine.len(), devices);
    block_on(deliver_all(&scorer(&world), CHILD, &anew(&[message(0, "pump-1", 61, 55.0, 2.0)]), 1));
    let committed = world.checkpoint(&shard(CHILD)).unwrap();
    assert!(committed.version > end.version && committed.snapshot.is_some());
    assert_eq!(state_of(&world, CHILD).engine.len(), devices);
}
