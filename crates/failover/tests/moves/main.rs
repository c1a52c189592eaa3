//! Moves between two Regions in memory: what each step does, what is told of what it could not do, and that a move that was
//! stopped anywhere comes to the same end.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod back;
mod pair;
mod stopped;

use anomaly_core::Timestamp;
use failover::pieces::{self, Seen};
use failover::{MoveError, Outcome, Purpose, Step};
use pair::{HERE, Pair, STREAM, TENANT, THERE, mover};
use platform::model::{ContentHash, Key, ObjectRef, ShardId, SnapshotRef};
use platform::ports::ListCheckpoints as _;
use platform::sim::{Fault, When};

#[tokio::test(start_paused = true)]
async fn a_region_that_answers_is_left_without_a_warning() {
    let pair = Pair::at_work().await;
    let ran = pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
    assert!(ran.was_needed);
    let warned: Vec<_> = ran.record.steps.iter().filter(|done| done.outcome == Outcome::Warned).collect();
    assert_eq!(warned, Vec::<&failover::Done>::new());
    let steps: Vec<Step> = ran.record.steps.iter().map(|done| done.step).collect();
    assert_eq!(steps, Step::of(Purpose::Failover).collect::<Vec<_>>());
    for side in [&pair.here, &pair.there] {
        assert_eq!(side.stores.epoch(STREAM).unwrap().active, THERE, "{}", side.region);
        assert_eq!(
            alert_fanout::active::who_has_say(&side.stores, None).await.unwrap().region.as_deref(),
            Some(THERE),
            "{}",
            side.region
        );
        let told = side.reach.heard().kept.get(&format!("tenants/{TENANT}/region")).cloned().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((told["region"].as_str(), told["epoch"].as_u64()), (Some(THERE), Some(2)), "{}", side.region);
        // What is committed is of `now`; a reading may have been ten seconds on its way.
        assert_eq!(told["resend_from"].as_i64(), Some(pair::now().millis() - 10_000), "{}", side.region);
    }
    let [left, taken] = [&pair.here, &pair.there].map(|side| side.reach.heard().clone());
    assert_eq!((taken.pulses, taken.ticks), (2, 1));
    assert_eq!((left.pulses, left.ticks), (0, 0), "nothing is done there");
}

#[tokio::test(start_paused = true)]
async fn a_region_that_is_lost_holds_nothing_up() {
    let pair = Pair::at_work().await;
    // It does not refuse: it says nothing.
    pair.here.stores.on_every_call(When::matching(|_| true), Fault::ParkBefore);
    let began = tokio::time::Instant::now();
    let ran = pair.failover().run(|_, _| {}).await.unwrap();
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    assert_eq!(pair.there.stores.epoch(STREAM).unwrap().active, THERE);
    for step in [Step::Fence, Step::Drain, Step::Alerting, Step::Devices] {
        let done = ran.record.done(step).unwrap();
        assert_eq!(done.outcome, Outcome::Warned, "{done:?}");
        assert!(done.evidence.contains(HERE), "{done:?}");
    }
    for step in [Step::Pieces, Step::TakeOver, Step::Verify, Step::Tick] {
        assert_eq!(ran.record.done(step).unwrap().outcome, Outcome::Done, "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_not_arrived_is_waited_for_and_then_named() {
    let pair = Pair::at_work().await;
    let key = format!("bronze/{HERE}/shardId-000000000001/2.zst");
    pair.lose(&key);
    let ran = pair.failover().run(|_, _| {}).await.unwrap();
    let pieces = ran.record.done(Step::Pieces).unwrap();
    assert_eq!(pieces.outcome, Outcome::Warned);
    assert!(pieces.evidence.contains(&key) && pieces.evidence.contains("100 readings"), "{}", pieces.evidence);
    assert_eq!(ran.record.done(Step::Verify).unwrap().outcome, Outcome::Done, "it goes on without");
    // Nobody knows which readings these were: devices send all that they keep.
    assert_eq!(ran.record.resend_from, None);
    let told = pair.there.reach.heard().kept.get(&format!("tenants/{TENANT}/region")).cloned().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told.get("resend_from"), None);
}

#[tokio::test(start_paused = true)]
async fn the_shard_that_is_furthest_behind_says_from_when_on_devices_send_once_more() {
    let pair = Pair::at_work().await;
    let mut checkpoints = pair.there.stores.list_checkpoints(HERE, STREAM).await.unwrap();
    let (known, whole) = (pieces::known_until, Seen::default());
    assert_eq!(checkpoints.len(), 2);
    assert_eq!(known(&checkpoints, &whole), Some(pair::now()));
    assert_eq!(known(&[], &whole), None);
    let earlier = |seconds: i64| Timestamp::from_millis(pair::now().millis() - 1_000 * seconds).unwrap();
    checkpoints[1].1.stream_time = earlier(7);
    assert_eq!(known(&checkpoints, &whole), Some(earlier(7)));
    // What came after the snapshot lacks a piece, or the snapshot does.
    let lacking = |object: &ObjectRef, shard: &ShardId| Seen {
        missing: vec![pieces::Piece { shard: shard.clone(), object: object.clone(), readings: None }],
        ..Seen::default()
    };
    let (shard, checkpoint) = checkpoints[0].clone();
    let lacks_segment = lacking(&checkpoint.segments[1].object, &shard);
    assert_eq!(known(&checkpoints, &lacks_segment), None);
    let snapshot = ObjectRef { key: Key::new("snapshots/1.zst").unwrap(), sha256: ContentHash::of(b"1") };
    checkpoints[0].1.snapshot = Some(SnapshotRef { object: snapshot.clone(), at: earlier(60) });
    assert_eq!(known(&checkpoints, &lacks_segment), Some(earlier(60)));
    assert_eq!(known(&checkpoints, &lacking(&snapshot, &shard)), None);
    let wrong = Seen { wrong: vec![(lacks_segment.missing[0].clone(), String::new())], ..Seen::default() };
    assert_eq!(known(&checkpoints, &wrong), Some(earlier(60)));
}

#[tokio::test(start_paused = true)]
async fn other_bytes_than_were_committed_are_named() {
    let pair = Pair::at_work().await;
    let key = Key::new(format!("bronze/{HERE}/shardId-000000000000/1.zst")).unwrap();
    pair.there.stores.place_object(key.clone(), "damaged");
    let ran = pair.failover().run(|_, _| {}).await.unwrap();
    let pieces = ran.record.done(Step::Pieces).unwrap();
    assert_eq!(pieces.outcome, Outcome::Warned);
    assert!(pieces.evidence.contains(key.as_str()) && pieces.evidence.contains("SHA-256"), "{}", pieces.evidence);
}

#[tokio::test(start_paused = true)]
async fn what_arrives_while_it_is_waited_for_is_adopted() {
    let pair = Pair::at_work().await;
    pair.here.reach.commit("shardId-000000000000").await.unwrap();
    let ran = pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
    assert_eq!(ran.record.done(Step::Drain).unwrap().outcome, Outcome::Done);
    assert!(ran.record.done(Step::Pieces).unwrap().evidence.starts_with("2 shards, 7 objects whole"));
}

#[tokio::test(start_paused = true)]
async fn a_region_that_has_the_say_is_left_as_it_is() {
    let pair = Pair::at_work().await;
    let first = pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
    pair.carry();
    let entries = pair.there.stores.entries();
    let told = pair.there.reach.heard().kept.clone();
    let again = pair.failover().run(|_, _| {}).await.unwrap();
    assert_eq!((again.was_needed, &again.record), (false, &first.record));
    assert_eq!(pair.there.stores.entries(), entries);
    assert_eq!(pair.there.reach.heard().kept, told);
    assert_eq!(pair.there.reach.heard().pulses, 4, "that it commits is proven each time");
    assert_eq!(pair.failover().plan().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_every_step_and_writes_nothing() {
    let pair = Pair::at_work().await;
    let planned = pair.failover().plan().await.unwrap();
    let steps: Vec<Step> = planned.iter().map(|planned| planned.step).collect();
    assert_eq!(steps, Step::of(Purpose::Failover).collect::<Vec<_>>());
    assert!(pair.there.stores.written().is_empty() && pair.here.stores.written().is_empty());
    assert_eq!(pair.there.reach.heard().pulses, 0);
    // One that was begun says what is left of it.
    pair.there.reach.heard().mapping_is_off = true;
    pair.replicated(pair.failover().run(|_, _| {})).await.unwrap_err();
    let planned = pair.failover().plan().await.unwrap();
    assert!(planned.iter().any(|planned| planned.would.starts_with("nothing: done")), "{planned:?}");
    let left = planned.iter().filter(|planned| !planned.would.starts_with("nothing: done")).count();
    assert_eq!(left, 2, "{planned:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_is_found_out_and_the_move_goes_on_when_it_is_mended() {
    let pair = Pair::at_work().await;
    pair.there.reach.heard().mapping_is_off = true;
    let error = pair.replicated(pair.failover().run(|_, _| {})).await.unwrap_err();
    assert!(matches!(&error, MoveError::NotTaken { shards: 2, waiting, .. } if waiting.len() == 2), "{error}");
    assert!(error.to_string().contains("mapping"), "{error}");
    pair.there.reach.heard().mapping_is_off = false;
    let ran = pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
    assert_eq!((ran.record.epoch, ran.record.ended.is_some()), (2, true));
}

#[tokio::test(start_paused = true)]
async fn a_move_that_was_begun_the_other_way_is_not_forgotten() {
    let pair = Pair::at_work().await;
    pair.there.reach.heard().mapping_is_off = true;
    pair.replicated(pair.failover().run(|_, _| {})).await.unwrap_err();
    pair.carry();
    let mut home = mover(&pair.there, &pair.here, Purpose::Failover);
    let error = pair.replicated(home.run(|_, _| {})).await.unwrap_err();
    assert!(matches!(&error, MoveError::Unfinished { epoch: 2, next: "verify", .. }), "{error}");
    home.abandon = true;
    let ran = pair.replicated(home.run(|_, _| {})).await.unwrap();
    assert_eq!((ran.record.epoch, &*ran.record.to), (4, HERE));
    pair.carry();
    for side in [&pair.here, &pair.there] {
        assert_eq!(side.stores.epoch(STREAM).unwrap().active, HERE, "{}", side.region);
    }
    // The one that was given up is not gone on with.
    pair.there.reach.heard().mapping_is_off = false;
    let away = pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
    assert_eq!(away.record.epoch, 6);
}

#[tokio::test(start_paused = true)]
async fn two_who_move_at_once_make_one_move_or_one_of_them_stops() {
    let pair = Pair::at_work().await;
    let (first, second) = (pair.failover(), pair.failover());
    let both = async { tokio::join!(first.run(|_, _| {}), second.run(|_, _| {})) };
    let (one, other) = Box::pin(pair.replicated(both)).await;
    let ended = [&one, &other].into_iter().filter(|ran| ran.is_ok()).count();
    assert!(ended >= 1, "{one:?} {other:?}");
    for failed in [one, other].into_iter().filter_map(Result::err) {
        assert!(matches!(failed, MoveError::Busy { .. }), "{failed}");
    }
    assert_eq!(pair.there.stores.epoch(STREAM).unwrap().epoch, 2);
}

#[tokio::test(start_paused = true)]
async fn a_newer_epoch_stops_an_older_move() {
    for (epoch, active) in [(9, HERE), (2, HERE)] {
        let pair = Pair::at_work().await;
        let newer = platform::model::Epoch { epoch, active: active.to_owned(), is_fenced: false, since: pair::now() };
        let mover = pair.failover();
        // Somebody else moves while this one waits.
        let ran = mover.run(|step, done| {
            if step == Step::TakeOver && done.is_none() {
                pair.there.stores.place_epoch(STREAM, &newer);
            }
        });
        let error = pair.replicated(ran).await.unwrap_err();
        assert!(matches!(&error, MoveError::Superseded { newer, .. } if *newer == epoch), "{error}");
        // What runs now is a move of its own, with a number that nobody has used.
        let ran = pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
        assert!(ran.record.epoch > epoch && ran.record.ended.is_some(), "{:?}", ran.record);
        assert_eq!(pair.there.stores.epoch(STREAM).unwrap().active, THERE);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_has_the_say_until_what_was_committed_has_arrived() {
    let pair = Pair::at_work().await;
    let mut seen = Vec::new();
    let ran = pair.failover();
    let ran = ran.run(|step, done| {
        if done.is_none() {
            let active = |side: &failover::Side<_, _>| -> Option<String> {
                let stores: &platform::sim::SimWorld = &side.stores;
                stores.epoch(STREAM).filter(|epoch| !epoch.is_fenced).map(|epoch| epoch.active)
            };
            seen.push((step, active(&pair.here), active(&pair.there)));
        }
    });
    pair.replicated(ran).await.unwrap();
    for (step, here, there) in &seen {
        if (Step::Drain..=Step::TakeOver).contains(step) {
            assert_eq!(here.as_deref(), None, "{step:?}");
            assert_ne!(there.as_deref(), Some(THERE), "{step:?}: its scorer would adopt what has not arrived");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_that_is_gone_on_with_waits_anew_until_the_epoch_begins() {
    let pair = Pair::at_work().await;
    let mover = pair.failover();
    // It dies after it has waited.
    pair.there.stores.on_call(When::verb("begin epoch"), Fault::Unavailable);
    pair.replicated(mover.run(|_, _| {})).await.unwrap_err();
    pair.here.reach.commit("shardId-000000000000").await.unwrap();
    let ran = pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
    let pieces = ran.record.done(Step::Pieces).unwrap();
    assert!(pieces.evidence.starts_with("2 shards, 7 objects whole"), "{pieces:?}");
}

#[tokio::test(start_paused = true)]
async fn what_could_only_be_warned_of_is_done_by_the_next_run() {
    let pair = Pair::at_work().await;
    pair.here.stores.on_every_call(When::matching(|_| true), Fault::ParkBefore);
    let first = pair.failover().run(|_, _| {}).await.unwrap();
    assert_eq!(first.record.done(Step::Devices).unwrap().outcome, Outcome::Warned);
    pair.here.stores.clear_faults();
    pair.here.stores.release();
    let again = pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
    assert!(again.was_needed);
    assert_eq!(again.record.done(Step::Devices).unwrap().outcome, Outcome::Done);
    assert!(pair.here.reach.heard().kept.contains_key(&format!("tenants/{TENANT}/region")));
}
