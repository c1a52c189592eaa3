//! An invocation that was given up and goes on writing while, and after, its successor has run.

use platform::sim::{Fault, SimWorld};

use super::outcome::{Outcome, assert_unbroken};
use super::workload::{Record, SHARD, block_on, deliver, deliver_all, mixed, scorer};

const SIZE: usize = 16;

/// One process is held up at its call number `index` while another does everything; then the first goes on to its end.
async fn overtake(world: &SimWorld, records: &[Record], index: usize, fault: Fault) -> bool {
    world.on_call(index, fault);
    let zombie = scorer(world);
    let batch = records[..SIZE].to_vec();
    let stuck = tokio::spawn(async move {
        deliver_all(&zombie, SHARD, &batch, SIZE).await;
    });
    tokio::select! {
        biased;
        () = world.parked() => {}
        () = async { while !stuck.is_finished() { tokio::task::yield_now().await } } => return false,
    }
    deliver_all(&scorer(world), SHARD, records, SIZE + 3).await;
    world.release();
    stuck.await.expect("the zombie does not panic");
    true
}

#[test]
fn a_late_write_of_a_zombie_changes_nothing() {
    let records = mixed(3 * SIZE, 11);
    let expected = Outcome::fault_free(&records);
    for fault in [Fault::ParkBefore, Fault::ParkAfter] {
        let mut held_up = 0;
        for index in 0..40 {
            let world = SimWorld::new();
            if !block_on(overtake(&world, &records, index, fault)) {
                break;
            }
            held_up += 1;
            assert_unbroken(&world, SHARD);
            assert_eq!(Outcome::of(&world), expected, "{fault:?} at call {index}: {:?}", world.calls()[index]);
        }
        assert!(held_up >= 6, "only {held_up} calls could be held up");
    }
}

#[test]
fn a_late_orphan_of_the_same_ends_and_version_hides_nothing() {
    let records = mixed(4 * SIZE, 13);
    let world = SimWorld::new();
    block_on(async {
        let (old, new) = (scorer(&world), scorer(&world));
        deliver_all(&old, SHARD, &records[..SIZE], SIZE).await;
        deliver_all(&new, SHARD, &records[SIZE..], SIZE).await;
        // The mapping starts over from within the second batch; the old process believes that the first was the last.
        deliver(&old, SHARD, &records[2 * SIZE - 1..2 * SIZE]).await;
    });
    assert_unbroken(&world, SHARD);
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}

#[test]
fn a_process_whose_memory_is_out_of_date_finds_out_and_starts_over() {
    let records = mixed(4 * SIZE, 13);
    let world = SimWorld::new();
    block_on(async {
        let (old, new) = (scorer(&world), scorer(&world));
        deliver_all(&old, SHARD, &records[..SIZE], SIZE).await;
        deliver_all(&new, SHARD, &records[SIZE..2 * SIZE], SIZE).await;
        // The old process believes that the second batch is not committed.
        let response = deliver(&old, SHARD, &records[SIZE..3 * SIZE]).await;
        assert!(response.batch_item_failures.is_empty());
        // What it has called a success must be committed: nobody sends it again.
        deliver_all(&new, SHARD, &records[3 * SIZE..], SIZE).await;
    });
    assert_unbroken(&world, SHARD);
    assert_eq!(Outcome::of(&world), Outcome::fault_free(&records));
}
