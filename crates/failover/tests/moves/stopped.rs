//! A move that is killed before or after any of its calls, and run again, ends as one that was never stopped.

use std::collections::BTreeMap;

use failover::record::newest;
use failover::{Mover, Outcome, Step};
use platform::model::{EntryKey, Epoch};
use platform::sim::{Fault, SimWorld};

use crate::pair::{Hand, Heard, Pair, STREAM};

/// What a move leaves behind, without what differs by the number of tries.
#[derive(Debug, PartialEq)]
struct End {
    epochs: [Option<Epoch>; 2],
    entries: [BTreeMap<EntryKey, serde_json::Value>; 2],
    steps: Vec<(Step, Outcome)>,
    told: [BTreeMap<String, Vec<u8>>; 2],
}

/// Which way it goes.
#[derive(Debug, Clone, Copy)]
enum Way {
    There,
    Back,
}

impl Way {
    /// A pair from which it goes that way.
    async fn pair(self) -> Pair {
        let pair = Pair::at_work().await;
        if let Self::Back = self {
            pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
            pair.carry();
        }
        pair
    }

    fn mover(self, pair: &Pair) -> Mover<'_, SimWorld, Hand> {
        match self {
            Self::There => pair.failover(),
            Self::Back => pair.failback(),
        }
    }
}

async fn end(pair: &Pair, way: Way) -> End {
    pair.carry();
    let (sides, to) = match way {
        Way::There => ([&pair.here, &pair.there], &pair.there),
        Way::Back => ([&pair.here, &pair.there], &pair.here),
    };
    let records = newest(&to.stores, STREAM, 9).await.unwrap();
    let moves = match way {
        Way::There => 1,
        Way::Back => 2,
    };
    assert_eq!(records.len(), moves, "one move, however often it was run: {records:?}");
    assert!(records[0].record.ended.is_some());
    End {
        epochs: sides.map(|side| side.stores.epoch(STREAM)),
        entries: sides.map(|side| {
            let kept = side.stores.entries().into_iter().filter(|entry| entry.key.pk != "#move");
            kept.map(|entry| (entry.key, entry.body)).collect()
        }),
        steps: records[0].record.steps.iter().map(|done| (done.step, done.outcome)).collect(),
        told: sides.map(|side| {
            let Heard { kept, .. } = side.reach.heard().clone();
            kept
        }),
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_that_is_killed_anywhere_comes_to_the_same_end() {
    for (way, at_least) in [(Way::There, 60), (Way::Back, 80)] {
        let undisturbed = way.pair().await;
        let calls = |pair: &Pair| [pair.here.stores.calls().len(), pair.there.stores.calls().len()];
        let before = calls(&undisturbed);
        undisturbed.replicated(way.mover(&undisturbed).run(|_, _| {})).await.unwrap();
        let expected = end(&undisturbed, way).await;
        let after = calls(&undisturbed);
        let mut cuts = 0;
        for side in 0..2 {
            for index in before[side]..after[side] {
                for fault in [Fault::CrashBefore, Fault::CrashAfter] {
                    let pair = way.pair().await;
                    let struck = [&pair.here, &pair.there][side].stores.clone();
                    struck.on_call(index, fault);
                    let mover = way.mover(&pair);
                    let crashed = pair.replicated(async {
                        tokio::select! {
                            biased;
                            () = struck.crashed() => true,
                            _ = mover.run(|_, _| {}) => false,
                        }
                    });
                    cuts += usize::from(crashed.await);
                    struck.clear_faults();
                    let ran = pair.replicated(way.mover(&pair).run(|_, _| {})).await;
                    assert!(ran.is_ok(), "{way:?}, cut at call {index} of side {side}: {:?}", ran.err());
                    assert_eq!(end(&pair, way).await, expected, "{way:?}, cut at call {index} of side {side}");
                }
            }
        }
        assert!(cuts > at_least, "{way:?}: {cuts} cuts are too few to have reached every step");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_once_or_whose_answer_is_lost_does_no_harm() {
    for way in [Way::There, Way::Back] {
        let undisturbed = way.pair().await;
        let (_, to) = ends(&undisturbed, way);
        let before = to.calls().len();
        undisturbed.replicated(way.mover(&undisturbed).run(|_, _| {})).await.unwrap();
        let expected = end(&undisturbed, way).await;
        let after = to.calls().len();
        for index in before..after {
            for fault in [Fault::Throttle, Fault::Unavailable, Fault::UnavailableButLands] {
                let pair = way.pair().await;
                let (_, to) = ends(&pair, way);
                to.on_call(index, fault);
                // The command says what failed; whoever reads it runs it again.
                let first = pair.replicated(way.mover(&pair).run(|_, _| {})).await;
                to.clear_faults();
                if first.is_err() {
                    pair.replicated(way.mover(&pair).run(|_, _| {})).await.unwrap();
                }
                let ended = end(&pair, way).await;
                assert_eq!(
                    (&ended.epochs, &ended.entries),
                    (&expected.epochs, &expected.entries),
                    "{way:?}, call {index}, {fault:?}"
                );
            }
        }
    }
}

/// The stores of the Region that is left, and of the one that takes over.
fn ends(pair: &Pair, way: Way) -> (SimWorld, SimWorld) {
    let (here, there) = (pair.here.stores.clone(), pair.there.stores.clone());
    match way {
        Way::There => (here, there),
        Way::Back => (there, here),
    }
}
