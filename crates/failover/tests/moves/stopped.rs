//! A move that is killed before or after any of its calls, and run again, ends as one that was never stopped.

use std::collections::BTreeMap;

use failover::record::newest;
use failover::{Outcome, Step};
use platform::model::{EntryKey, Epoch};
use platform::sim::Fault;

use crate::pair::{Heard, Pair, STREAM};

/// What a move leaves behind, without what differs by the number of tries.
#[derive(Debug, PartialEq)]
struct End {
    epochs: [Option<Epoch>; 2],
    entries: [BTreeMap<EntryKey, serde_json::Value>; 2],
    steps: Vec<(Step, Outcome)>,
    told: [BTreeMap<String, Vec<u8>>; 2],
}

async fn end(pair: &Pair) -> End {
    pair.carry();
    let sides = [&pair.here, &pair.there];
    let record = newest(&pair.there.stores, STREAM, 9).await.unwrap();
    assert_eq!(record.len(), 1, "one move, however often it was run: {record:?}");
    assert!(record[0].record.ended.is_some());
    End {
        epochs: sides.map(|side| side.stores.epoch(STREAM)),
        entries: sides.map(|side| {
            let kept = side.stores.entries().into_iter().filter(|entry| entry.key.pk != "#move");
            kept.map(|entry| (entry.key, entry.body)).collect()
        }),
        steps: record[0].record.steps.iter().map(|done| (done.step, done.outcome)).collect(),
        told: sides.map(|side| {
            let Heard { kept, .. } = side.reach.heard().clone();
            kept
        }),
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_that_is_killed_anywhere_comes_to_the_same_end() {
    let undisturbed = Pair::at_work().await;
    let before = [undisturbed.here.stores.calls().len(), undisturbed.there.stores.calls().len()];
    undisturbed.replicated(undisturbed.failover().run(|_, _| {})).await.unwrap();
    let expected = end(&undisturbed).await;
    let after = [undisturbed.here.stores.calls().len(), undisturbed.there.stores.calls().len()];
    let mut cuts = 0;
    for side in 0..2 {
        for index in before[side]..after[side] {
            for fault in [Fault::CrashBefore, Fault::CrashAfter] {
                let pair = Pair::at_work().await;
                let struck = [&pair.here, &pair.there][side].stores.clone();
                struck.on_call(index, fault);
                let mover = pair.failover();
                let crashed = pair.replicated(async {
                    tokio::select! {
                        biased;
                        () = struck.crashed() => true,
                        _ = mover.run(|_, _| {}) => false,
                    }
                });
                cuts += usize::from(crashed.await);
                struck.clear_faults();
                let ran = pair.replicated(pair.failover().run(|_, _| {})).await;
                assert!(ran.is_ok(), "cut at call {index} of side {side}: {:?}", ran.err());
                assert_eq!(end(&pair).await, expected, "cut at call {index} of side {side}");
            }
        }
    }
    assert!(cuts > 60, "{cuts} cuts are too few to have reached every step");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_once_or_whose_answer_is_lost_does_no_harm() {
    let undisturbed = Pair::at_work().await;
    let before = undisturbed.there.stores.calls().len();
    undisturbed.replicated(undisturbed.failover().run(|_, _| {})).await.unwrap();
    let expected = end(&undisturbed).await;
    let after = undisturbed.there.stores.calls().len();
    for index in before..after {
        for fault in [Fault::Throttle, Fault::Unavailable, Fault::UnavailableButLands] {
            let pair = Pair::at_work().await;
            pair.there.stores.on_call(index, fault);
            // The command says what failed; whoever reads it runs it again.
            let first = pair.replicated(pair.failover().run(|_, _| {})).await;
            pair.there.stores.clear_faults();
            if first.is_err() {
                pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
            }
            let ended = end(&pair).await;
            assert_eq!(
                (&ended.epochs, &ended.entries),
                (&expected.epochs, &expected.entries),
                "call {index}, {fault:?}"
            );
        }
    }
}
