//! A crash, a lost answer, a late write or a refusal at every single call.

use platform::sim::{Fault, SimWorld};

use super::outcome::{Outcome, assert_unbroken};
use super::workload::{Record, SHARD, block_on, deliver, deliver_all, mixed, resume, scorer};

/// Batches of the scenario: the first starts the shard, the second is warm, the third is due for a snapshot.
const SIZE: usize = 16;

fn scenario() -> Vec<Record> {
    mixed(3 * SIZE, 7)
}

/// Delivers everything; a process that crashes is replaced by a new one, which gets a batch that is cut differently.
async fn survive(world: &SimWorld, records: &[Record]) {
    let mut process = scorer(world);
    let (mut next, mut size) = (0, SIZE);
    for _ in 0..100 {
        if next >= records.len() {
            return;
        }
        let batch = &records[next..(next + size).min(records.len())];
        tokio::select! {
            biased;
            response = deliver(&process, SHARD, batch) => next += resume(batch, &response),
            () = world.crashed() => {
                process = scorer(world);
                size = SIZE + 5;
            }
        }
    }
    panic!("stuck at record {next}");
}

#[test]
fn a_fault_at_any_call_changes_nothing() {
    let records = scenario();
    let expected = Outcome::fault_free(&records);
    let calm = SimWorld::new();
    block_on(survive(&calm, &records));
    let calls = calm.calls().len();
    assert!(calls >= 12, "{calls} calls are too few to be the whole scenario");

    let faults = [
        Fault::Throttle,
        Fault::Unavailable,
        Fault::UnavailableButLands,
        Fault::LandsLater,
        Fault::CrashBefore,
        Fault::CrashAfter,
    ];
    for index in 0..calls {
        for fault in faults {
            let world = SimWorld::new();
            world.on_call(index, fault);
            block_on(survive(&world, &records));
            world.land();
            assert_unbroken(&world, SHARD);
            assert_eq!(Outcome::of(&world), expected, "{fault:?} at call {index}: {:?}", world.calls()[index]);
        }
    }
}

#[test]
fn two_faults_in_a_row_change_nothing() {
    let records = scenario();
    let expected = Outcome::fault_free(&records);
    let calm = SimWorld::new();
    block_on(survive(&calm, &records));
    for index in 0..calm.calls().len() {
        for first in [Fault::UnavailableButLands, Fault::CrashAfter, Fault::LandsLater] {
            for second in [Fault::CrashBefore, Fault::CrashAfter, Fault::Unavailable] {
                let world = SimWorld::new();
                world.on_call(index, first);
                world.on_call(index + 1, second);
                block_on(survive(&world, &records));
                world.land();
                assert_unbroken(&world, SHARD);
                assert_eq!(Outcome::of(&world), expected, "{first:?}, {second:?} from call {index}");
            }
        }
    }
}

#[test]
fn a_store_that_is_down_skips_nothing_and_says_where_to_go_on() {
    let records = scenario();
    let world = SimWorld::new();
    block_on(async {
        let process = scorer(&world);
        deliver_all(&process, SHARD, &records[..SIZE], SIZE).await;
        world.on_every_call(platform::sim::When::verb("put object"), Fault::Unavailable);
        let response = deliver(&process, SHARD, &records[SIZE / 2..2 * SIZE]).await;
        assert_eq!(response.batch_item_failures[0].item_identifier, records[SIZE].seq.trimmed());
        world.clear_faults();
        deliver_all(&process, SHARD, &records[SIZE..], SIZE).await;
    });
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}
