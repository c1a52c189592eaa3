//! Laws of `ListCheckpoints`, `LoadEpoch`, `BeginEpoch`, and of a transaction's epoch guard.

use platform::model::{AnomalyRecord, Epoch, EpochGuard, ShardId, StateRecord, Transaction};
use platform::ports::{
    BeginEpoch as _, CommitError, CommitTransaction as _, GetDeviceState as _, ListCheckpoints as _,
    LoadCheckpoint as _, LoadEpoch as _,
};

use super::records::{anomaly, at, change, checkpoint, shard, state};
use super::worlds::Setup;

const STREAM: &str = "plant";

fn epoch(number: u64, active: &str) -> Epoch {
    Epoch { epoch: number, active: active.to_owned(), is_fenced: false, since: at(number as i64) }
}

async fn begin(setup: &impl Setup, number: u64) -> bool {
    setup.world().begin_epoch(STREAM, &epoch(number, "eu-west-1")).await.unwrap()
}

pub(crate) async fn the_checkpoints_of_a_stream_and_region_are_listed_in_order(setup: &impl Setup) {
    let world = setup.world();
    let of = |region: &str, stream: &str, shard: &str| ShardId {
        region: region.to_owned(),
        stream: stream.to_owned(),
        shard: shard.to_owned(),
    };
    let ours = ["shardId-000000000000", "shardId-000000000001", "shardId-000000000010"];
    let ours = ours.map(|shard| of("eu-west-1", STREAM, shard));
    let others = [
        of("eu-west-1", "plant-2", "shardId-000000000000"),
        of("eu-west-1", "plan", "shardId-000000000000"),
        of("eu-west-2", STREAM, "shardId-000000000000"),
        of("eu-west", STREAM, "shardId-000000000000"),
    ];
    let (next, later) = (checkpoint(1), checkpoint(2));
    for shard in ours.iter().rev().chain(&others) {
        let checkpoint = Some(change(shard, &next, None));
        world.commit(&Transaction { checkpoint, ..Transaction::default() }).await.unwrap();
    }
    let checkpoint = Some(change(&ours[1], &later, Some(1)));
    world.commit(&Transaction { checkpoint, ..Transaction::default() }).await.unwrap();
    assert!(begin(setup, 1).await, "an epoch is no checkpoint");
    let [a, b, c] = ours;
    let expected = [(a, next.clone()), (b, later), (c, next)];
    assert_eq!(world.list_checkpoints("eu-west-1", STREAM).await.unwrap(), expected);
    assert_eq!(world.list_checkpoints("eu-north-1", STREAM).await.unwrap(), []);
}

pub(crate) async fn an_epoch_is_replaced_only_by_a_newer_one(setup: &impl Setup) {
    let world = setup.world();
    assert_eq!(world.load_epoch(STREAM).await.unwrap(), None);
    assert!(begin(setup, 2).await);
    assert!(!world.begin_epoch(STREAM, &epoch(2, "eu-west-2")).await.unwrap(), "equal");
    assert!(!world.begin_epoch(STREAM, &epoch(1, "eu-west-2")).await.unwrap(), "older");
    assert_eq!(world.load_epoch(STREAM).await.unwrap(), Some(epoch(2, "eu-west-1")));
    assert!(world.begin_epoch(STREAM, &epoch(10, "eu-west-2")).await.unwrap());
    assert_eq!(world.load_epoch(STREAM).await.unwrap(), Some(epoch(10, "eu-west-2")));
    assert_eq!(world.load_epoch("plan").await.unwrap(), None, "each stream has its own");
}

pub(crate) async fn a_newer_epoch_refuses_a_transaction_and_changes_nothing(setup: &impl Setup) {
    let (world, shard) = (setup.world(), shard("shardId-000000000000"));
    let (first, second) = (checkpoint(1), checkpoint(2));
    let (found, how) = (anomaly("acme", "pump-1", 0), state("acme", "pump-1", 1));
    let guard = |newest| Some(EpochGuard { stream: STREAM, newest });
    let base =
        Transaction { checkpoint: Some(change(&shard, &first, None)), epoch: guard(0), ..Transaction::default() };
    world.commit(&base).await.unwrap();
    assert!(begin(setup, 1).await);
    let with = |newest| Transaction {
        checkpoint: Some(change(&shard, &second, Some(1))),
        epoch: guard(newest),
        anomalies: vec![&found],
        states: vec![&how],
        ..Transaction::default()
    };
    assert!(matches!(world.commit(&with(0)).await, Err(CommitError::EpochMoved)));
    let chunk = Transaction { checkpoint: None, ..with(0) };
    assert!(matches!(world.commit(&chunk).await, Err(CommitError::EpochMoved)));
    assert_eq!(world.load_checkpoint(&shard).await.unwrap(), Some(first));
    assert_eq!(world.device_state("acme", "pump-1").await.unwrap(), None);
    world.commit(&with(1)).await.unwrap();
    let moved = world.commit(&with(0)).await;
    assert!(matches!(moved, Err(CommitError::CheckpointMoved)), "the checkpoint is told before the epoch: {moved:?}");
}

pub(crate) async fn a_state_of_a_newer_epoch_wins_whatever_its_number(setup: &impl Setup) {
    let world = setup.world();
    let of_epoch = |epoch: u64, number: u32| StateRecord { epoch, ..state("acme", "pump-1", number) };
    let store = async |epoch: u64, number: u32| {
        let record = of_epoch(epoch, number);
        let epoch = Some(EpochGuard { stream: STREAM, newest: 12 });
        world.commit(&Transaction { epoch, states: vec![&record], ..Transaction::default() }).await
    };
    let refused = |answer: Result<(), CommitError>| matches!(answer, Err(CommitError::AlreadyThere { states, .. }) if states == [0]);
    let stored = async || world.device_state("acme", "pump-1").await.unwrap();
    store(0, 8).await.unwrap();
    assert_eq!(stored().await, Some(of_epoch(0, 8)));
    assert!(refused(store(0, 8).await) && refused(store(0, 7).await));
    store(2, 1).await.unwrap();
    assert!(refused(store(0, 9).await), "of no epoch");
    assert!(refused(store(1, 9).await) && refused(store(2, 1).await));
    store(2, 2).await.unwrap();
    assert_eq!(stored().await, Some(of_epoch(2, 2)), "it says of which epoch it is");
    store(10, 0).await.unwrap();
    assert!(refused(store(9, 9).await));
    assert_eq!(stored().await, Some(of_epoch(10, 0)));
}

pub(crate) async fn an_epoch_guard_is_one_of_the_items(setup: &impl Setup) {
    let found: Vec<AnomalyRecord> = (0..100).map(|index| anomaly("acme", "pump-1", index)).collect();
    let epoch = Some(EpochGuard { stream: STREAM, newest: 0 });
    let mut chunk = Transaction { epoch, anomalies: found.iter().collect(), ..Transaction::default() };
    assert!(matches!(setup.world().commit(&chunk).await, Err(CommitError::Size(101))));
    chunk.anomalies.pop();
    setup.world().commit(&chunk).await.unwrap();
}
