//! Another region takes over: it goes on where the first one stopped, once, and the first one notices.

use std::sync::Arc;
use std::time::Duration;

use anomaly_core::{DeviceStatus, Timestamp};
use kinesis_scorer::state::hash_key;
use kinesis_scorer::{Config, Invocation, Scorer};
use platform::metrics::{EmitMetrics, NoMetrics};
use platform::model::{Checkpoint, Epoch, Key, ShardId, ShardInfo};
use platform::sim::SimWorld;
use telemetry::kinesis::{RecordOut, Source, write_event};

use super::accounting::Kept;
use super::outcome::{Outcome, bytes_of};
use super::workload::{
    DEVICES, Record, SHARD, STREAM, SimScorer, at, block_on, config, deliver_all, message, mixed, resume, shard,
};

const HERE: &str = "eu-west-1";
const THERE: &str = "eu-north-1";
const LEFT: &str = "shardId-000000000001";
const RIGHT: &str = "shardId-000000000002";

fn in_region(region: &str, shard: &str) -> ShardId {
    ShardId { region: region.into(), stream: STREAM.into(), shard: shard.into() }
}

/// A process in a region that has the other one as its peer.
fn process(world: &SimWorld, region: &str) -> Arc<SimScorer> {
    Arc::new(Scorer::new(world.clone(), NoMetrics, in_pair(region)))
}

fn in_pair(region: &str) -> Config {
    let peer = if region == HERE { THERE } else { HERE };
    Config { peer_region: Some(peer.into()), snapshot_seconds: 86_400, ..config() }
}

/// Delivers records as one batch in a region, at the time of the last one; says how many were taken.
async fn deliver<M: EmitMetrics + Sync>(
    process: &Scorer<SimWorld, M>,
    region: &str,
    shard: &str,
    records: &[Record],
) -> usize {
    let source = Source { partition: "aws", region, account: "123456789012", stream: STREAM, shard };
    let mut event = Vec::new();
    let out = records.iter().map(|record| RecordOut {
        sequence: record.seq,
        partition_key: &record.key,
        data: &record.data,
        arrived: record.arrived,
    });
    write_event(out, &source, &mut event);
    let now = records.last().map_or(at(0), |record| record.arrived);
    let invocation = Invocation { now, remaining: &|| Duration::from_mins(1), request_id: "test" };
    resume(records, &process.handle(&event, &invocation).await.unwrap())
}

fn info(name: &str, parent: Option<&str>, hash_range: (u128, u128)) -> ShardInfo {
    ShardInfo { shard: name.into(), parent: parent.map(str::to_owned), adjacent_parent: None, hash_range }
}

/// Between the hash keys of the devices.
fn middle() -> u128 {
    let mut keys = DEVICES.map(hash_key);
    keys.sort_unstable();
    keys[DEVICES.len() / 2]
}

/// One shard with all keys.
fn world() -> SimWorld {
    let world = SimWorld::new();
    world.define_shards(STREAM, &[info(SHARD, None, (0, u128::MAX))]);
    world
}

/// The stream is moved to a region when this record arrives.
fn begin(world: &SimWorld, epoch: u64, active: &str, when: &Record) {
    world.place_epoch(STREAM, &Epoch { epoch, active: active.into(), is_fenced: false, since: when.arrived });
}

fn checkpoint(world: &SimWorld, region: &str) -> Checkpoint {
    world.checkpoint(&in_region(region, SHARD)).unwrap()
}

/// The state of a shard as a new process would restore it.
fn state(world: &SimWorld, region: &str, name: &str) -> Vec<u8> {
    let tenancy = kinesis_scorer::fold::Tenancy::new(None, "default");
    let (warm, _) =
        block_on(kinesis_scorer::restore::restore(&world.copy(), &in_region(region, name), &tenancy)).unwrap();
    bytes_of(&warm.state)
}

fn calls_of(world: &SimWorld, from: usize) -> Vec<&'static str> {
    world.calls()[from..].iter().map(|call| call.verb).collect()
}

#[test]
fn after_fail_over_and_back_the_devices_are_as_if_nothing_had_happened() {
    let records = mixed(180, 31);
    let whole = world();
    block_on(deliver_all(&super::workload::scorer(&whole), SHARD, &records, 30));

    let world = world();
    let (here, there) = (process(&world, HERE), process(&world, THERE));
    let mut number = 0;
    for (thirty, records) in records.chunks(30).enumerate() {
        let (region, process) = if (thirty / 2) % 2 == 0 { (HERE, &here) } else { (THERE, &there) };
        if thirty % 2 == 0 {
            number += 1;
            begin(&world, number, region, &records[0]);
        }
        assert_eq!(block_on(deliver(process, region, SHARD, records)), records.len());
        let stored = checkpoint(&world, region);
        assert_eq!((stored.epoch, stored.segments.len()), (number, thirty % 2), "a snapshot begins the epoch");
    }
    assert_eq!(number, 3);
    assert_eq!(state(&world, HERE, SHARD), state(&whole, HERE, SHARD));
    let findings = |world: &SimWorld| -> Vec<_> { world.anomalies().into_iter().map(|found| found.anomaly).collect() };
    assert_eq!(findings(&world), findings(&whole));
    assert!(findings(&whole).len() > 3);
}

#[test]
fn without_an_epoch_nothing_is_adopted() {
    let records = mixed(60, 33);
    let world = world();
    block_on(async {
        deliver(&process(&world, HERE), HERE, SHARD, &records[..30]).await;
        deliver(&process(&world, THERE), THERE, SHARD, &records[30..]).await;
    });
    let alone = self::world();
    block_on(deliver_all(&super::workload::scorer(&alone), SHARD, &records[30..], 30));
    assert_eq!(state(&world, THERE, SHARD), state(&alone, HERE, SHARD));
    assert_eq!(checkpoint(&world, THERE).epoch, 0);
}

#[test]
fn a_warm_batch_makes_three_calls_with_another_region_too() {
    let records = mixed(60, 35);
    let world = world();
    begin(&world, 1, HERE, &records[0]);
    let process = process(&world, HERE);
    block_on(async {
        deliver(&process, HERE, SHARD, &records[..2]).await;
        let from = world.calls().len();
        deliver(&process, HERE, SHARD, &records[2..3]).await;
        assert_eq!(calls_of(&world, from), ["put object", "put object", "commit"]);
    });
}

#[test]
fn one_region_alone_reads_no_epoch_and_lists_no_checkpoints() {
    let records = mixed(60, 37);
    let world = world();
    begin(&world, 4, THERE, &records[0]);
    block_on(deliver_all(&super::workload::scorer(&world), SHARD, &records, 20));
    let calls = calls_of(&world, 0);
    assert!(!calls.contains(&"load epoch") && !calls.contains(&"list checkpoints"));
    let stored = world.checkpoint(&shard(SHARD)).unwrap();
    assert_eq!((stored.epoch, stored.hash_range), (0, None));
}

#[test]
fn a_region_that_was_deposed_notices_at_its_commit_and_goes_on_with_its_own_states() {
    let records = mixed(60, 39);
    let world = world();
    begin(&world, 1, HERE, &records[0]);
    let here = process(&world, HERE);
    block_on(async {
        deliver(&here, HERE, SHARD, &records[..20]).await;
        begin(&world, 2, THERE, &records[20]);
        deliver(&process(&world, THERE), THERE, SHARD, &records[20..40]).await;
        let from = world.calls().len();
        deliver(&here, HERE, SHARD, &records[40..]).await;
        let calls = calls_of(&world, from);
        assert_eq!(calls.iter().filter(|call| **call == "commit").count(), 2, "{calls:?}");
        assert!(calls.contains(&"load epoch") && !calls.contains(&"list checkpoints"), "{calls:?}");
    });
    assert_eq!(checkpoint(&world, HERE).epoch, 1, "its states are of the epoch in which it had the say");
    let alone = self::world();
    let own = [&records[..20], &records[40..]].concat();
    block_on(deliver_all(&super::workload::scorer(&alone), SHARD, &own, 20));
    assert_eq!(state(&world, HERE, SHARD), state(&alone, HERE, SHARD));
}

#[test]
fn a_shard_adopts_the_devices_that_live_in_it_and_no_other() {
    let records = mixed(120, 41);
    let world = world();
    block_on(deliver(&process(&world, HERE), HERE, SHARD, &records[..60]));
    // The other region's stream has two shards.
    world.define_shards(STREAM, &[info(LEFT, None, (0, middle())), info(RIGHT, None, (middle() + 1, u128::MAX))]);
    begin(&world, 1, THERE, &records[60]);
    let lives_left = |record: &&Record| hash_key(&record.key) <= middle();
    let (left, right): (Vec<Record>, Vec<Record>) =
        records[60..].iter().cloned().partition(|record| lives_left(&record));
    block_on(async {
        let there = process(&world, THERE);
        deliver(&there, THERE, LEFT, &left).await;
        deliver(&there, THERE, RIGHT, &right).await;
    });
    let whole = self::world();
    block_on(deliver_all(&super::workload::scorer(&whole), SHARD, &records, 60));
    let tenancy = kinesis_scorer::fold::Tenancy::new(None, "default");
    let (mut both, _) =
        block_on(kinesis_scorer::restore::restore(&world.copy(), &in_region(THERE, LEFT), &tenancy)).unwrap();
    let left_devices = both.state.engine.len();
    let (other, _) =
        block_on(kinesis_scorer::restore::restore(&world.copy(), &in_region(THERE, RIGHT), &tenancy)).unwrap();
    let right_devices = other.state.engine.len();
    both.state.absorb(other.state);
    assert_eq!(left_devices + right_devices, both.state.engine.len(), "no device lives in both");
    assert_eq!(bytes_of(&both.state), state(&whole, HERE, SHARD));
}

#[test]
fn what_was_not_replicated_is_waited_for_and_then_left_out() {
    let records = mixed(120, 43);
    let (start, later) = (&records[60..61], &records[61..]);
    let world = world();
    let here = process(&world, HERE);
    block_on(async {
        for records in records[..60].chunks(12) {
            deliver(&here, HERE, SHARD, records).await;
        }
    });
    let segments = checkpoint(&world, HERE).segments;
    assert!(segments.len() >= 2, "{}", segments.len());
    // Half of the patience is over when the first record comes.
    let since = Timestamp::from_millis(records[60].arrived.millis() - 30_000).unwrap();
    world.place_epoch(STREAM, &Epoch { epoch: 1, active: THERE.into(), is_fenced: false, since });
    let missing: &Key = &segments[1].object.key;
    let bytes = world.object(missing).unwrap();
    world.remove_object(missing);
    // In time: the batch comes again, until the piece is there.
    let waiting = world.copy();
    assert_eq!(block_on(deliver(&process(&waiting, THERE), THERE, SHARD, start)), 0);
    assert_eq!(waiting.checkpoint(&in_region(THERE, SHARD)), None);
    waiting.place_object(missing.clone(), bytes);
    assert_eq!(block_on(deliver(&process(&waiting, THERE), THERE, SHARD, start)), 1);
    let whole = self::world();
    block_on(deliver_all(&super::workload::scorer(&whole), SHARD, &records[..61], 12));
    assert_eq!(state(&waiting, THERE, SHARD), state(&whole, HERE, SHARD));
    // Too late: what is whole is adopted, up to the piece.
    assert_eq!(block_on(deliver(&process(&world, THERE), THERE, SHARD, later)), later.len());
    let part = self::world();
    let through = records.iter().position(|record| record.seq == segments[0].last_seq).unwrap();
    block_on(async {
        let alone = super::workload::scorer(&part);
        deliver_all(&alone, SHARD, &records[..=through], 12).await;
        deliver_all(&alone, SHARD, later, 60).await;
    });
    assert_eq!(state(&world, THERE, SHARD), state(&part, HERE, SHARD));
}

#[test]
fn every_call_of_an_adoption_is_counted() {
    let records = mixed(120, 67);
    let world = world();
    world.place_object(Key::new("config/default/profile.toml").unwrap(), "[metrics.temperature]\nhigh = 75\n");
    // A first process of its region each time: one that has nothing of its own, one that goes back to what it had, one whose
    // shard is new, one that finds its shard as it left it.
    let (below, above) = ((0, middle() - 1), (middle(), u128::MAX));
    let children = [info(SHARD, None, (0, u128::MAX)), info(LEFT, Some(SHARD), below), info(RIGHT, Some(SHARD), above)];
    let left: Vec<Record> = records[80..].iter().filter(|record| hash_key(&record.key) < middle()).cloned().collect();
    let steps = [
        (1, HERE, SHARD, records[..30].to_vec()),
        (2, THERE, SHARD, records[30..60].to_vec()),
        (3, HERE, SHARD, records[60..70].to_vec()),
        (3, HERE, SHARD, records[70..80].to_vec()),
        (3, HERE, LEFT, left[..left.len() / 2].to_vec()),
        (4, THERE, LEFT, left[left.len() / 2..].to_vec()),
        (5, THERE, SHARD, records[80..].to_vec()),
    ];
    for (epoch, region, shard, batch) in steps {
        begin(&world, epoch, region, &batch[0]);
        if shard != SHARD {
            world.define_shards(STREAM, &children);
        }
        let (kept, before) = (Kept::default(), world.calls().len());
        let process = Scorer::new(world.clone(), kept.clone(), in_pair(region));
        assert_eq!(block_on(deliver(&process, region, shard, &batch)), batch.len(), "epoch {epoch}");
        let made = (world.calls().len() - before) as u64;
        assert_eq!(kept.0.lock().unwrap()[0].calls, made, "epoch {epoch}: {:?}", calls_of(&world, before));
    }
}

#[test]
fn an_older_epoch_never_wins_over_a_newer_one() {
    // The stream is given to the other region and taken back before that has done anything.
    let records = mixed(90, 45);
    let world = world();
    let (here, there) = (process(&world, HERE), process(&world, THERE));
    block_on(async {
        begin(&world, 1, HERE, &records[0]);
        deliver(&there, THERE, SHARD, &records[..2]).await;
        deliver(&here, HERE, SHARD, &records[..60]).await;
        begin(&world, 2, THERE, &records[60]);
        begin(&world, 3, HERE, &records[60]);
        deliver(&here, HERE, SHARD, &records[60..]).await;
    });
    let whole = self::world();
    block_on(deliver_all(&super::workload::scorer(&whole), SHARD, &records, 90));
    assert_eq!(state(&world, HERE, SHARD), state(&whole, HERE, SHARD));
    assert_eq!(checkpoint(&world, HERE).epoch, 3);
}

#[test]
fn what_was_adopted_and_never_committed_is_left_to_the_next_process() {
    let records = mixed(90, 47);
    let world = world();
    let (here, there) = (process(&world, HERE), process(&world, THERE));
    block_on(async {
        begin(&world, 1, THERE, &records[0]);
        deliver(&there, THERE, SHARD, &records[..20]).await;
        begin(&world, 2, HERE, &records[20]);
        deliver(&here, HERE, SHARD, &records[20..60]).await;
        begin(&world, 3, THERE, &records[60]);
        let before = checkpoint(&world, THERE);
        // Nothing in it is new, so that nothing is committed; a new process knows of the epoch.
        let there = process(&world, THERE);
        deliver(&there, THERE, SHARD, &records[..20]).await;
        there.shut_down().await;
        assert_eq!(checkpoint(&world, THERE), before);
        deliver(&process(&world, THERE), THERE, SHARD, &records[60..]).await;
    });
    let whole = self::world();
    block_on(deliver_all(&super::workload::scorer(&whole), SHARD, &records, 90));
    assert_eq!(state(&world, THERE, SHARD), state(&whole, HERE, SHARD));
}

#[test]
fn a_process_that_ends_leaves_the_checkpoint_to_the_region_that_may_be_adopting_it() {
    let records = mixed(40, 61);
    let world = world();
    block_on(async {
        begin(&world, 1, HERE, &records[0]);
        let here = process(&world, HERE);
        deliver(&here, HERE, SHARD, &records[..20]).await;
        deliver(&here, HERE, SHARD, &records[20..]).await;
        let before = checkpoint(&world, HERE);
        assert!(!before.segments.is_empty(), "one region alone would write a snapshot");
        here.shut_down().await;
        assert_eq!(checkpoint(&world, HERE), before);
    });
}

#[test]
fn an_anomaly_that_both_regions_find_is_one() {
    let records = mixed(160, 49);
    let world = world();
    block_on(async {
        for records in records.chunks(40) {
            for region in [HERE, THERE] {
                assert_eq!(deliver(&process(&world, region), region, SHARD, records).await, records.len());
            }
        }
    });
    let whole = self::world();
    block_on(deliver_all(&super::workload::scorer(&whole), SHARD, &records, 40));
    let ids = |world: &SimWorld| -> Vec<String> {
        world.anomalies().into_iter().map(|found| found.anomaly.id.to_string()).collect()
    };
    assert_eq!(ids(&world), ids(&whole));
    assert!(!ids(&whole).is_empty());
    assert_eq!(Outcome::of(&whole), Outcome::fault_free(&records));
}

#[test]
fn a_device_that_publishes_to_both_regions_misses_nothing_of_what_was_not_replicated() {
    let records = mixed(160, 69);
    let world = world();
    begin(&world, 1, HERE, &records[0]);
    let (here, there) = (process(&world, HERE), process(&world, THERE));
    block_on(async {
        for records in records[..60].chunks(20) {
            deliver(&here, HERE, SHARD, records).await;
            deliver(&there, THERE, SHARD, records).await;
        }
        // The first region is lost, and what it had taken of these.
        deliver(&there, THERE, SHARD, &records[60..120]).await;
        begin(&world, 2, THERE, &records[120]);
        deliver(&there, THERE, SHARD, &records[120..]).await;
    });
    let whole = self::world();
    block_on(deliver_all(&super::workload::scorer(&whole), SHARD, &records, 20));
    assert_eq!(state(&world, THERE, SHARD), state(&whole, HERE, SHARD));
    let findings = |world: &SimWorld| -> Vec<_> { world.anomalies().into_iter().map(|found| found.anomaly).collect() };
    assert_eq!(findings(&world), findings(&whole));
    assert_eq!(checkpoint(&world, THERE).epoch, 2);
}

#[test]
fn a_few_readings_that_went_astray_do_not_make_a_state_the_newer_one() {
    let records = mixed(160, 71);
    let world = world();
    begin(&world, 1, HERE, &records[0]);
    let (here, there) = (process(&world, HERE), process(&world, THERE));
    block_on(async {
        deliver(&here, HERE, SHARD, &records[..110]).await;
        deliver(&there, THERE, SHARD, &records[110..120]).await;
        begin(&world, 2, THERE, &records[120]);
        deliver(&there, THERE, SHARD, &records[120..]).await;
    });
    let known = self::world();
    let taken = [&records[..110], &records[120..]].concat();
    block_on(deliver_all(&super::workload::scorer(&known), SHARD, &taken, 40));
    assert_eq!(state(&world, THERE, SHARD), state(&known, HERE, SHARD));
}

#[test]
fn more_findings_than_a_transaction_holds_go_in_chunks_that_a_newer_epoch_refuses() {
    let storm: Vec<Record> =
        (0..260).map(|index| message(index, &format!("oven-{index}"), index as i64, 95.0, 2.0)).collect();
    let world = world();
    begin(&world, 1, HERE, &storm[0]);
    let here = process(&world, HERE);
    block_on(async {
        assert_eq!(deliver(&here, HERE, SHARD, &storm[..130]).await, 130);
        begin(&world, 2, THERE, &storm[130]);
        let from = world.commits().len();
        assert_eq!(deliver(&here, HERE, SHARD, &storm[130..]).await, 130);
        assert!(world.commits_from(from).iter().all(|commit| commit.epoch == Some(2)), "none of the stale try");
    });
    assert_eq!((world.anomalies().len(), world.states().len()), (260, 260));
    assert!(world.states().iter().all(|state| state.epoch == 1), "it goes on under its old epoch");
}

#[test]
fn a_device_state_is_of_the_epoch_of_the_states_that_it_comes_from() {
    let one = |index, value| message(index, "oven-1", index as i64, value, 2.0);
    let world = world();
    let (here, there) = (process(&world, HERE), process(&world, THERE));
    let stored = || world.states().first().map(|state| (state.epoch, state.status, state.seq.trimmed().to_owned()));
    block_on(async {
        deliver(&here, HERE, SHARD, &[one(0, 95.0)]).await;
        assert_eq!(stored(), Some((0, DeviceStatus::Abnormal, one(0, 0.0).seq.trimmed().to_owned())));
        begin(&world, 1, HERE, &one(1, 60.0));
        let calm: Vec<Record> = (1..40).map(|index| one(index, 60.0)).collect();
        deliver(&here, HERE, SHARD, &calm).await;
        let (epoch, status, _) = stored().unwrap();
        assert_eq!((epoch, status), (1, DeviceStatus::Warming), "it has calmed down");
        // The other region's stream counts its records apart: this number is lower than all of before.
        let low = Record { seq: "1".parse().unwrap(), ..one(40, 95.0) };
        begin(&world, 2, THERE, &low);
        deliver(&there, THERE, SHARD, &[low]).await;
        assert_eq!(stored(), Some((2, DeviceStatus::Abnormal, "1".to_owned())));
    });
}

#[test]
fn what_another_region_committed_before_it_had_a_peer_is_adopted_too() {
    let records = mixed(120, 53);
    let world = world();
    block_on(async {
        // Its checkpoints do not say which hash keys they hold.
        deliver_all(&super::workload::scorer(&world), SHARD, &records[..60], 20).await;
        assert_eq!(checkpoint(&world, HERE).hash_range, None);
        begin(&world, 1, THERE, &records[60]);
        assert_eq!(deliver(&process(&world, THERE), THERE, SHARD, &records[60..]).await, 60);
    });
    let whole = self::world();
    block_on(deliver_all(&super::workload::scorer(&whole), SHARD, &records, 60));
    assert_eq!(state(&world, THERE, SHARD), state(&whole, HERE, SHARD));
}

#[test]
fn a_setting_that_names_the_own_region_is_refused() {
    let records = mixed(4, 51);
    let world = world();
    let config = Config { peer_region: Some(HERE.into()), ..config() };
    let own = Scorer::new(world.clone(), NoMetrics, config);
    assert_eq!(block_on(deliver(&own, HERE, SHARD, &records)), 0);
    assert_eq!(world.checkpoint(&in_region(HERE, SHARD)), None);
}
