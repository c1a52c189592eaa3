//! Snapshots: written in time, read back whole, refused when they are not.

use platform::sim::{Fault, SimWorld, When};
use serde_json::Value;

use super::accounting::Kept;
use super::opinions::{deliver_cut, process, settled};
use super::outcome::{Outcome, bytes_of};
use super::workload::{SHARD, block_on, deliver, deliver_all, mixed, resume, scorer, sequence, shard};
use kinesis_scorer::commit::SEGMENTS_MAX;
use kinesis_scorer::state::{STATE_VERSION, STATE_VERSION_WITH_EPISODES, ShardState};

#[test]
fn replay_never_grows_past_its_bound() {
    let records = mixed(2 * SEGMENTS_MAX + 20, 6);
    let mut records_in_one_minute = records.clone();
    for record in &mut records_in_one_minute {
        record.arrived = records[0].arrived;
    }
    let world = SimWorld::new();
    block_on(async {
        let process = scorer(&world);
        for record in records_in_one_minute.chunks(1) {
            deliver_all(&process, SHARD, record, 1).await;
            let checkpoint = world.checkpoint(&shard(SHARD)).unwrap();
            assert!(checkpoint.snapshot.is_some() && checkpoint.segments.len() <= SEGMENTS_MAX);
        }
    });
}

#[test]
fn a_process_that_is_told_to_end_leaves_a_snapshot_and_nothing_to_replay() {
    let records = mixed(60, 8);
    let world = SimWorld::new();
    block_on(async {
        let process = scorer(&world);
        // Two minutes apart at most, so that no snapshot is due but the first.
        deliver_all(&process, SHARD, &records[..10], 5).await;
        let before = world.checkpoint(&shard(SHARD)).unwrap();
        assert!(!before.segments.is_empty());
        process.shut_down().await;
        let after = world.checkpoint(&shard(SHARD)).unwrap();
        assert!(after.segments.is_empty());
        // Every commit is counted, so that who remembers the one before finds out.
        assert_eq!(after.version, before.version + 1);
        deliver_all(&scorer(&world), SHARD, &records[10..], 25).await;
    });
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}

#[test]
fn a_snapshot_that_was_changed_or_is_gone_stops_the_shard_and_loses_nothing() {
    let records = mixed(60, 12);
    for damage in ["flip", "remove"] {
        let world = SimWorld::new();
        block_on(async {
            deliver_all(&scorer(&world), SHARD, &records[..30], 10).await;
            let snapshot = world.checkpoint(&shard(SHARD)).unwrap().snapshot.unwrap().object.key;
            let good = world.objects()[&snapshot].clone();
            if damage == "flip" {
                let mut bad = good.clone();
                let middle = bad.len() / 2;
                bad[middle] ^= 1;
                world.place_object(snapshot.clone(), bad);
            } else {
                world.remove_object(&snapshot);
            }
            let process = scorer(&world);
            let response = deliver(&process, SHARD, &records[30..]).await;
            assert_eq!(resume(&records[30..], &response), 0, "{damage}");
            world.place_object(snapshot, good);
            deliver_all(&process, SHARD, &records[30..], 10).await;
        });
        assert_eq!(Outcome::of(&world), Outcome::fault_free(&records), "{damage}");
    }
}

#[test]
fn a_store_that_hides_a_segment_for_a_while_costs_time_only() {
    let records = mixed(60, 14);
    let world = SimWorld::new();
    block_on(async {
        deliver_all(&scorer(&world), SHARD, &records[..20], 5).await;
        world.on_call(When::verb("get object"), Fault::Unavailable);
        deliver_all(&scorer(&world), SHARD, &records[20..], 10).await;
    });
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}

/// A snapshot of every version that was ever released must stay readable. A new version adds its file and its line; it
/// never changes an old one. `tests/golden/README.md` says how they are made.
#[test]
fn every_released_snapshot_is_still_readable() {
    let plain = SimWorld::new();
    block_on(deliver_all(&scorer(&plain), SHARD, &mixed(120, 42), 120));
    check_released("shard-state-v1.snap", 1, &plain);
    check_released("shard-state-v3.snap", STATE_VERSION, &plain);
    let asking = SimWorld::new();
    settled(&asking);
    block_on(deliver_cut(&mixed(120, 42), &[], || process(&asking, &Kept::default(), super::opinions::asking())));
    check_released("shard-state-v2.snap", 2, &asking);
    check_released("shard-state-v4.snap", STATE_VERSION_WITH_EPISODES, &asking);
}

fn check_released(name: &str, version: u16, world: &SimWorld) {
    let path = &format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let snapshot = world.checkpoint(&shard(SHARD)).unwrap().snapshot.unwrap().object.key;
    let current = world.objects()[&snapshot].clone();
    if !std::path::Path::new(path).exists() {
        std::fs::write(path, &current).unwrap();
        panic!("{path} was missing and is written now: look at it, commit it, run again");
    }
    let stored = std::fs::read(path).unwrap();
    telemetry::snapshot::header(&stored, version).expect("it is of that version");
    let (header, state) = ShardState::from_snapshot(&stored).expect("every version stays readable");
    assert_eq!(header.last_seq, Some(sequence(119)));
    let (_, expected) = ShardState::from_snapshot(&current).unwrap();
    assert_eq!(state.opinions.is_empty(), [1, STATE_VERSION].contains(&version));
    if [STATE_VERSION, STATE_VERSION_WITH_EPISODES].contains(&version) {
        let is_same = bytes_of(&state) == bytes_of(&expected);
        assert!(is_same, "the fold of the same records must stay the same within a version");
    } else {
        let current = serde_json::to_string(&expected).unwrap();
        assert!(current.contains("\"late\":[1"), "a metric is in a run of late readings");
        let is_same = but_for_late_runs(&state) == but_for_late_runs(&expected);
        assert!(is_same, "a run of late readings begins anew, and nothing else is another than it was");
    }
}

fn but_for_late_runs(state: &ShardState) -> Value {
    fn without(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("late");
                fields.values_mut().for_each(without);
            }
            Value::Array(values) => values.iter_mut().for_each(without),
            _ => {}
        }
    }
    let mut value = serde_json::to_value((state, &state.opinions)).unwrap();
    without(&mut value);
    value
}
