//! Delivery at least once, cut anywhere, to any process.

use platform::sim::SimWorld;
use proptest::prelude::*;

use super::outcome::{Outcome, assert_unbroken};
use super::workload::{SHARD, block_on, deliver, deliver_all, mixed, resume, scorer};

/// One delivery: how far it reaches back before what is committed, how long it is, and whether a new process gets it.
fn deliveries() -> impl Strategy<Value = Vec<(usize, usize, bool)>> {
    proptest::collection::vec((0..30_usize, 1..60_usize, proptest::bool::weighted(0.3)), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn redelivery_and_other_cuts_change_nothing(salt in any::<u64>(), deliveries in deliveries()) {
        let records = mixed(240, salt);
        let world = SimWorld::new();
        block_on(async {
            let mut process = scorer(&world);
            let mut next = 0;
            for (back, length, cold) in deliveries {
                if cold {
                    process = scorer(&world);
                }
                let from = next.min(records.len() - 1).saturating_sub(back);
                let batch = &records[from..(from + length).min(records.len())];
                next = next.max(from + resume(batch, &deliver(&process, SHARD, batch).await));
            }
            deliver_all(&process, SHARD, &records[next..], 50).await;
        });
        assert_unbroken(&world, SHARD);
        prop_assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
    }
}

#[test]
fn the_mixed_stream_has_something_to_find() {
    let (anomalies, refused) = Outcome::fault_free(&mixed(240, 1)).found();
    assert!(anomalies >= 4 && refused >= 5, "{anomalies} anomalies, {refused} refused");
}

#[test]
fn a_batch_that_is_committed_already_is_a_success_without_a_write() {
    let records = mixed(50, 1);
    let world = SimWorld::new();
    block_on(async {
        deliver_all(&scorer(&world), SHARD, &records, 50).await;
        let commits = world.commits().len();
        let response = deliver(&scorer(&world), SHARD, &records[10..40]).await;
        assert!(response.batch_item_failures.is_empty());
        assert_eq!(world.commits().len(), commits);
    });
}
