//! Laws of `LoadCheckpoint` and `CommitTransaction`.

use platform::model::{AnomalyRecord, CheckpointGuard, StateRecord, Transaction};
use platform::ports::{
    AnomalyQuery, CommitError, CommitTransaction as _, FindAnomalies as _, GetDeviceState as _, LoadCheckpoint as _,
};

use super::records::{anomaly, at, change, checkpoint, shard, state};
use super::worlds::Setup;

async fn anomalies_of(setup: &impl Setup, tenant: &str, device: &str) -> Vec<AnomalyRecord> {
    let query = AnomalyQuery::Device { tenant: tenant.to_owned(), device: device.to_owned() };
    setup.world().find_anomalies(&query, 1000).await.unwrap()
}

async fn state_of(setup: &impl Setup, device: &str) -> Option<StateRecord> {
    setup.world().device_state("acme", device).await.unwrap()
}

async fn already_there(setup: &impl Setup, transaction: &Transaction<'_>) -> (Vec<usize>, Vec<usize>) {
    match setup.world().commit(transaction).await.unwrap_err() {
        CommitError::AlreadyThere { anomalies, states } => (anomalies, states),
        other => panic!("{other:?}"),
    }
}

async fn is_moved(setup: &impl Setup, transaction: &Transaction<'_>) -> bool {
    matches!(setup.world().commit(transaction).await, Err(CommitError::CheckpointMoved))
}

pub(crate) async fn a_checkpoint_is_read_back_as_it_was_committed(setup: &impl Setup) {
    let (world, shard) = (setup.world(), shard("shardId-000000000000"));
    assert_eq!(world.load_checkpoint(&shard).await.unwrap(), None);
    let mut first = checkpoint(1);
    (first.snapshot, first.segments) = (None, Vec::new());
    let second = checkpoint(2);
    for (next, expected) in [(&first, None), (&second, Some(1))] {
        let checkpoint = Some(change(&shard, next, expected));
        world.commit(&Transaction { checkpoint, ..Transaction::default() }).await.unwrap();
        assert_eq!(world.load_checkpoint(&shard).await.unwrap().as_ref(), Some(next));
    }
}

pub(crate) async fn a_commit_on_a_moved_checkpoint_changes_nothing(setup: &impl Setup) {
    let (world, shard) = (setup.world(), shard("shardId-000000000000"));
    let (first, second) = (checkpoint(1), checkpoint(2));
    for (next, expected) in [(&first, None), (&second, Some(1))] {
        let checkpoint = Some(change(&shard, next, expected));
        world.commit(&Transaction { checkpoint, ..Transaction::default() }).await.unwrap();
    }
    let (found, how, zombie) = (anomaly("acme", "pump-1", 0), state("acme", "pump-1", 9), checkpoint(3));
    let late = Transaction {
        checkpoint: Some(change(&shard, &zombie, Some(1))),
        anomalies: vec![&found],
        states: vec![&how],
        ..Transaction::default()
    };
    assert!(is_moved(setup, &late).await);
    assert_eq!(world.load_checkpoint(&shard).await.unwrap(), Some(second));
    assert_eq!(anomalies_of(setup, "acme", "pump-1").await, []);
    assert_eq!(state_of(setup, "pump-1").await, None);
}

pub(crate) async fn an_expectation_must_hold_both_ways(setup: &impl Setup) {
    let (world, shard, next) = (setup.world(), shard("shardId-000000000000"), checkpoint(1));
    let with = |expected| Transaction { checkpoint: Some(change(&shard, &next, expected)), ..Transaction::default() };
    assert!(is_moved(setup, &with(Some(1))).await, "there is none");
    world.commit(&with(None)).await.unwrap();
    assert!(is_moved(setup, &with(None)).await, "there is one");
    assert!(is_moved(setup, &with(Some(0))).await && is_moved(setup, &with(Some(2))).await);
    world.commit(&with(Some(1))).await.unwrap();
}

pub(crate) async fn anomalies_that_are_there_are_named_and_nothing_changes(setup: &impl Setup) {
    let (world, shard, next) = (setup.world(), shard("shardId-000000000000"), checkpoint(1));
    let found: Vec<AnomalyRecord> = (0..4).map(|index| anomaly("acme", "pump-1", index)).collect();
    let before = Transaction { anomalies: vec![&found[1], &found[3]], ..Transaction::default() };
    world.commit(&before).await.unwrap();
    let mut other_bytes = found[1].clone();
    other_bytes.detected_at = at(1000);
    let how = state("acme", "pump-1", 1);
    let again = Transaction {
        checkpoint: Some(change(&shard, &next, None)),
        anomalies: vec![&found[0], &other_bytes, &found[2], &found[3]],
        states: vec![&how],
        ..Transaction::default()
    };
    assert_eq!(already_there(setup, &again).await, (vec![1, 3], vec![]));
    assert_eq!(world.load_checkpoint(&shard).await.unwrap(), None);
    assert_eq!(state_of(setup, "pump-1").await, None);
    let newest_first = [found[3].clone(), found[1].clone()];
    assert_eq!(anomalies_of(setup, "acme", "pump-1").await, newest_first, "what is written is never changed");
    let rest = Transaction { anomalies: vec![&found[0], &found[2]], ..again };
    world.commit(&rest).await.unwrap();
    assert_eq!(anomalies_of(setup, "acme", "pump-1").await.len(), 4);
}

pub(crate) async fn a_state_is_replaced_only_by_a_newer_one(setup: &impl Setup) {
    let world = setup.world();
    let (old, new, other) = (state("acme", "pump-1", 9), state("acme", "pump-1", 10), state("acme", "pump-2", 1));
    let with = |states| Transaction { states, ..Transaction::default() };
    world.commit(&with(vec![&old])).await.unwrap();
    world.commit(&with(vec![&new])).await.unwrap();
    assert_eq!(already_there(setup, &with(vec![&other, &old])).await, (vec![], vec![1]), "older");
    assert_eq!(already_there(setup, &with(vec![&new, &other])).await, (vec![], vec![0]), "equal");
    assert_eq!(state_of(setup, "pump-1").await, Some(new));
    assert_eq!(state_of(setup, "pump-2").await, None);
}

pub(crate) async fn a_moved_checkpoint_is_told_before_anything_else(setup: &impl Setup) {
    let (world, shard, next) = (setup.world(), shard("shardId-000000000000"), checkpoint(1));
    let (found, how) = (anomaly("acme", "pump-1", 0), state("acme", "pump-1", 1));
    let commit = Transaction {
        checkpoint: Some(change(&shard, &next, None)),
        anomalies: vec![&found],
        states: vec![&how],
        ..Transaction::default()
    };
    world.commit(&commit).await.unwrap();
    assert!(is_moved(setup, &commit).await);
}

pub(crate) async fn a_repeated_transaction_is_refused(setup: &impl Setup) {
    let (world, shard) = (setup.world(), shard("shardId-000000000000"));
    let (first, second, found) = (checkpoint(1), checkpoint(2), anomaly("acme", "pump-1", 0));
    let base = Transaction { checkpoint: Some(change(&shard, &first, None)), ..Transaction::default() };
    world.commit(&base).await.unwrap();
    let commit = Transaction {
        checkpoint: Some(change(&shard, &second, Some(1))),
        anomalies: vec![&found],
        ..Transaction::default()
    };
    world.commit(&commit).await.unwrap();
    assert!(is_moved(setup, &commit).await);
    assert_eq!(anomalies_of(setup, "acme", "pump-1").await.len(), 1);
}

pub(crate) async fn one_of_two_commits_at_a_time_wins(setup: &impl Setup) {
    let (world, shard) = (setup.world(), shard("shardId-000000000000"));
    let (mut one, mut two) = (checkpoint(1), checkpoint(1));
    (one.stream_time, two.stream_time) = (at(1), at(2));
    let with = |next| Transaction { checkpoint: Some(change(&shard, next, None)), ..Transaction::default() };
    let (with_one, with_two) = (with(&one), with(&two));
    let (a, b) = tokio::join!(world.commit(&with_one), world.commit(&with_two));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    let winner = if a.is_ok() { one } else { two };
    assert_eq!(world.load_checkpoint(&shard).await.unwrap(), Some(winner));
    // DynamoDB may also answer that the other transaction is under way.
    let transient = |error: &CommitError| matches!(error, CommitError::Store(error) if error.is_transient());
    let loser = a.and(b).unwrap_err();
    assert!(matches!(loser, CommitError::CheckpointMoved) || transient(&loser), "{loser:?}");
}

pub(crate) async fn shards_have_checkpoints_of_their_own(setup: &impl Setup) {
    let world = setup.world();
    let (here, sibling) = (shard("shardId-000000000000"), shard("shardId-000000000001"));
    let next = checkpoint(1);
    for shard in [&here, &sibling] {
        let checkpoint = Some(change(shard, &next, None));
        assert_eq!(world.load_checkpoint(shard).await.unwrap(), None);
        world.commit(&Transaction { checkpoint, ..Transaction::default() }).await.unwrap();
    }
}

pub(crate) async fn a_transaction_changes_1_to_100_items(setup: &impl Setup) {
    let (world, shard, next) = (setup.world(), shard("shardId-000000000000"), checkpoint(1));
    assert!(matches!(world.commit(&Transaction::default()).await, Err(CommitError::Size(0))));
    let found: Vec<AnomalyRecord> = (0..98).map(|index| anomaly("acme", "pump-1", index)).collect();
    let (one, two) = (state("acme", "pump-1", 1), state("acme", "pump-2", 1));
    let mut commit = Transaction {
        checkpoint: Some(change(&shard, &next, None)),
        anomalies: found.iter().collect(),
        states: vec![&one, &two],
        ..Transaction::default()
    };
    assert!(matches!(world.commit(&commit).await, Err(CommitError::Size(101))));
    assert_eq!(world.load_checkpoint(&shard).await.unwrap(), None);
    commit.states.pop();
    world.commit(&commit).await.unwrap();
    assert_eq!(anomalies_of(setup, "acme", "pump-1").await.len(), 98);
}

pub(crate) async fn chunks_go_without_a_checkpoint(setup: &impl Setup) {
    let (found, how) = (anomaly("acme", "pump-1", 0), state("acme", "pump-1", 1));
    let chunk = Transaction { anomalies: vec![&found], states: vec![&how], ..Transaction::default() };
    setup.world().commit(&chunk).await.unwrap();
    assert_eq!(already_there(setup, &chunk).await, (vec![0], vec![0]));
    assert_eq!(anomalies_of(setup, "acme", "pump-1").await, [found]);
}

pub(crate) async fn a_chunk_is_on_condition_of_its_guard(setup: &impl Setup) {
    let (world, shard, first) = (setup.world(), shard("shardId-000000000000"), checkpoint(1));
    let guarded = |expected, anomaly| Transaction {
        guard: Some(CheckpointGuard { shard: &shard, expected }),
        anomalies: vec![anomaly],
        ..Transaction::default()
    };
    let found: Vec<AnomalyRecord> = (0..3).map(|index| anomaly("acme", "pump-1", index)).collect();
    world.commit(&guarded(None, &found[0])).await.unwrap();
    assert_eq!(world.load_checkpoint(&shard).await.unwrap(), None, "a guard changes nothing");
    let base = Transaction { checkpoint: Some(change(&shard, &first, None)), ..Transaction::default() };
    world.commit(&base).await.unwrap();
    assert!(is_moved(setup, &guarded(None, &found[1])).await);
    assert!(is_moved(setup, &guarded(Some(2), &found[1])).await);
    world.commit(&guarded(Some(1), &found[2])).await.unwrap();
    assert_eq!(already_there(setup, &guarded(Some(1), &found[2])).await, (vec![0], vec![]));
    assert!(is_moved(setup, &guarded(Some(2), &found[2])).await, "the guard is told before anything else");
    assert_eq!(anomalies_of(setup, "acme", "pump-1").await.len(), 2);
    assert_eq!(world.load_checkpoint(&shard).await.unwrap(), Some(first));
}
