//! Profiles change at a batch boundary, a bad one changes nothing, and a replay scores with what was in force.

use platform::model::Key;
use platform::sim::{Fault, SimWorld, When};
use std::sync::Arc;

use super::outcome::Outcome;
use super::workload::{Record, SHARD, SimScorer, block_on, config, deliver_all, message, scorer, shard};
use kinesis_scorer::{Config, Scorer};
use platform::metrics::NoMetrics;

fn profile() -> Key {
    Key::new("config/acme/profile.toml").unwrap()
}

/// A process that looks for profiles at every batch and writes no snapshot but the first.
fn eager(world: &SimWorld) -> Arc<SimScorer> {
    let config = Config { profile_refresh_seconds: 1, snapshot_seconds: 86_400, ..config() };
    Arc::new(Scorer::new(world.clone(), NoMetrics, config))
}

fn warm(count: usize, from: usize) -> Vec<Record> {
    (from..from + count).map(|index| message(index, "pump-1", index as i64, 70.0, 2.0)).collect()
}

#[test]
fn a_new_limit_holds_from_the_next_batch_on() {
    let world = SimWorld::new();
    block_on(async {
        let process = eager(&world);
        deliver_all(&process, SHARD, &warm(10, 0), 10).await;
        assert!(world.anomalies().is_empty());
        world.place_object(profile(), "[metrics.temperature]\nhigh = 65\n");
        deliver_all(&process, SHARD, &warm(10, 10), 10).await;
    });
    let found = world.anomalies();
    assert_eq!(found.len(), 1);
    assert!(
        found[0].anomaly.explanation.summary.contains("upper limit of 65"),
        "{}",
        found[0].anomaly.explanation.summary
    );
    assert_ne!(found[0].profiles, "0000000000000000");
}

#[test]
fn a_bad_profile_never_replaces_a_good_one_not_even_in_a_new_process() {
    let world = SimWorld::new();
    world.place_object(profile(), "[metrics.temperature]\nhigh = 65\n");
    block_on(async {
        deliver_all(&eager(&world), SHARD, &warm(10, 0), 10).await;
        world.place_object(profile(), "[metrics.temperature]\nhigh = \"hot\"\n");
        // Fresh processes: the good profile is known only from what was committed.
        for from in [10, 20] {
            deliver_all(&eager(&world), SHARD, &warm(10, from), 10).await;
        }
    });
    let checkpoint = world.checkpoint(&shard(SHARD)).unwrap();
    let fingerprints: Vec<&str> = checkpoint.segments.iter().map(|segment| segment.profiles.as_str()).collect();
    assert_eq!(fingerprints.len(), 2);
    assert!(fingerprints.iter().all(|found| *found == world.anomalies()[0].profiles));
}

#[test]
fn a_replay_scores_with_the_profiles_that_were_in_force() {
    let records = warm(40, 0);
    let run = |cold: bool| {
        let world = SimWorld::new();
        block_on(async {
            let mut process = eager(&world);
            for (round, batch) in records.chunks(10).enumerate() {
                let limit = [90, 65, 60, 95][round];
                world.place_object(profile(), format!("[metrics.temperature]\nhigh = {limit}\n"));
                if cold {
                    process = eager(&world);
                }
                deliver_all(&process, SHARD, batch, 10).await;
            }
        });
        assert_eq!(world.checkpoint(&shard(SHARD)).unwrap().segments.len(), 3);
        (Outcome::of(&world), world.anomalies())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_profile_that_changes_while_it_is_read_and_changes_back_is_the_one_in_force() {
    let world = SimWorld::new();
    let (there, meanwhile) = ("[metrics.temperature]\nhigh = 65\n", "[metrics.temperature]\nhigh = 95\n");
    world.place_object(profile(), there);
    block_on(async {
        let process = eager(&world);
        world.on_call(When::verb("get object"), Fault::ParkBefore);
        let (looking, first) = (Arc::clone(&process), warm(10, 0));
        let stuck = tokio::spawn(async move { deliver_all(&looking, SHARD, &first, 10).await });
        world.parked().await;
        // It was listed with the tag of the one text, and would be read with the other.
        world.place_object(profile(), meanwhile);
        world.release();
        stuck.await.expect("it goes on");
        world.place_object(profile(), there);
        deliver_all(&process, SHARD, &warm(10, 10), 10).await;
    });
    let found = world.anomalies();
    assert_eq!(found.len(), 1, "70 is above 65 and below 95");
}

#[test]
fn profiles_are_looked_at_once_a_refresh_and_no_more() {
    let world = SimWorld::new();
    block_on(async {
        let process = scorer(&world);
        // Eleven minutes of one batch a minute, with a refresh of five: at the start, after five and after ten.
        deliver_all(&process, SHARD, &warm(12, 0), 1).await;
    });
    assert_eq!(world.calls().iter().filter(|call| call.verb == "list objects").count(), 3);
}

#[test]
fn a_new_process_scores_with_the_profile_that_has_not_changed() {
    let world = SimWorld::new();
    world.place_object(profile(), "[metrics.temperature]\nhigh = 65\n");
    block_on(async {
        let calm: Vec<Record> = (0..10).map(|index| message(index, "pump-1", index as i64, 60.0, 2.0)).collect();
        deliver_all(&eager(&world), SHARD, &calm, 10).await;
        assert!(world.anomalies().is_empty());
        deliver_all(&eager(&world), SHARD, &warm(10, 10), 10).await;
    });
    assert_eq!(world.anomalies().len(), 1, "70 is above 65");
}

#[test]
fn a_profile_that_is_too_large_to_read_is_its_tenants_bad_profile_and_nobody_elses() {
    let world = SimWorld::new();
    world.place_object(profile(), "[metrics.temperature]\nhigh = 65\n");
    let large = vec![b'#'; kinesis_scorer::profiles::PROFILE_BYTES_MAX + 1];
    world.place_object(Key::new("config/umbra/profile.toml").unwrap(), large);
    block_on(async {
        let process = eager(&world);
        let response = super::workload::deliver(&process, SHARD, &warm(10, 0)).await;
        assert!(response.batch_item_failures.is_empty(), "the batch is committed all the same");
    });
    assert_eq!(world.anomalies().len(), 1);
}
