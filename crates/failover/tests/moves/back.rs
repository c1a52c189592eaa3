//! The way back: what both Regions saw is one, and nobody goes back from a Region that does not answer.

use failover::{MoveError, Purpose, Step};
use platform::model::Transaction;
use platform::ports::CommitTransaction as _;
use platform::sim::{Fault, When};

use crate::pair::{HERE, Pair, STREAM, finding};

async fn store(world: &platform::sim::SimWorld, found: &platform::model::AnomalyRecord) {
    world.commit(&Transaction { anomalies: vec![found], ..Transaction::default() }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_each_region_found_alone_is_in_both_after_the_way_back() {
    let pair = Pair::at_work().await;
    pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
    pair.carry();
    let (both, ours, theirs) = (finding("pump-1", 1), finding("pump-2", 2), finding("pump-3", 3));
    for (side, lost) in [(&pair.here, &ours), (&pair.there, &theirs)] {
        store(&side.stores, &both).await;
        store(&side.stores, lost).await;
        // It is never replicated: the link has lost it.
        drop(side.stores.written());
    }
    let ran = pair.replicated(pair.failback().run(|_, _| {})).await.unwrap();
    let reconciled = ran.record.done(Step::Reconcile).unwrap();
    assert!(
        reconciled.evidence.starts_with("1 anomalies in both Regions; 1 and 1 were in one alone"),
        "{reconciled:?}"
    );
    assert_eq!(pair.here.stores.anomalies(), pair.there.stores.anomalies());
    assert_eq!(pair.here.stores.anomalies().len(), 3);
    assert_eq!(pair.here.stores.epoch(STREAM).unwrap().active, HERE);
}

#[tokio::test(start_paused = true)]
async fn nobody_goes_back_from_a_region_that_does_not_answer() {
    let pair = Pair::at_work().await;
    pair.replicated(pair.failover().run(|_, _| {})).await.unwrap();
    pair.carry();
    pair.there.stores.on_every_call(When::matching(|_| true), Fault::ParkBefore);
    let error = pair.failback().run(|_, _| {}).await.unwrap_err();
    assert!(matches!(error, MoveError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&format!("failover --to {HERE}")), "{error}");
    assert_ne!(pair.here.stores.epoch(STREAM).unwrap().active, HERE, "nothing was moved");
    // What it says is what helps.
    let ran = crate::pair::mover(&pair.there, &pair.here, Purpose::Failover).run(|_, _| {}).await.unwrap();
    assert_eq!(&*ran.record.to, HERE);
    assert_eq!(pair.here.stores.epoch(STREAM).unwrap().active, HERE);
}

#[tokio::test(start_paused = true)]
async fn there_and_back_and_there_again_each_has_an_epoch_of_its_own() {
    let pair = Pair::at_work().await;
    for (epoch, mover) in [(2, pair.failover()), (4, pair.failback()), (6, pair.failover()), (8, pair.failback())] {
        let ran = pair.replicated(mover.run(|_, _| {})).await.unwrap();
        pair.carry();
        assert_eq!(ran.record.epoch, epoch);
    }
    assert_eq!(pair.there.stores.epoch(STREAM).unwrap().active, HERE);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_the_way_there_that_replication_has_not_brought_up_to_date_holds_nobody_up() {
    let pair = Pair::at_work().await;
    pair.there.reach.heard().mapping_is_off = true;
    pair.replicated(pair.failover().run(|_, _| {})).await.unwrap_err();
    pair.carry();
    pair.there.reach.heard().mapping_is_off = false;
    // It is finished, and the Region to go back to has not heard of that.
    pair.failover().run(|_, _| {}).await.unwrap();
    let ran = pair.failback().run(|_, _| {}).await;
    assert!(!matches!(ran, Err(MoveError::Unfinished { .. })), "{ran:?}");
}
