//! Laws of `ReadChanges` and `ForgetChanges`.

use platform::model::{AnomalyRecord, Change, Entry, EntryKey, Image, StateRecord, TableChange, Transaction};
use platform::ports::{ChangeEntries as _, CommitTransaction as _, ForgetChanges, ReadChanges};

use super::records::{anomaly, change, checkpoint, entry, next, shard, state};
use super::worlds::Setup;

async fn told<S: Setup<World: ReadChanges>>(setup: &S, after: u64, count_max: usize) -> Vec<TableChange> {
    setup.world().read_changes(after, count_max).await.unwrap()
}

fn numbers(changes: &[TableChange]) -> Vec<u64> {
    changes.iter().map(|change| change.number).collect()
}

async fn write(setup: &impl Setup, entries: &[&Entry]) {
    let changes: Vec<_> = entries.iter().map(|entry| next(entry)).collect();
    setup.world().change_entries(&changes).await.unwrap();
}

async fn commit(setup: &impl Setup, anomalies: &[&AnomalyRecord], states: &[&StateRecord]) -> bool {
    let (anomalies, states) = (anomalies.to_vec(), states.to_vec());
    setup.world().commit(&Transaction { anomalies, states, ..Transaction::default() }).await.is_ok()
}

fn of_anomaly(record: &AnomalyRecord) -> Change {
    let key = EntryKey::new(record.partition_key(), record.sort_key());
    Change { key, old: None, new: Some(Image::Anomaly(Box::new(record.clone()))) }
}

fn of_state(old: Option<&StateRecord>, new: &StateRecord) -> Change {
    let image = |state: &StateRecord| Image::State(state.clone());
    Change { key: EntryKey::new(new.partition_key(), "S"), old: old.map(image), new: Some(image(new)) }
}

fn of_entry(old: Option<&Entry>, new: &Entry) -> Change {
    let image = |entry: &Entry| Image::Entry(entry.clone());
    Change { key: new.key.clone(), old: old.map(image), new: Some(image(new)) }
}

pub(crate) async fn every_commit_is_told_once_and_in_order<S: Setup<World: ReadChanges>>(setup: &S) {
    assert_eq!(told(setup, 0, 10).await, []);
    let (found, old) = (anomaly("acme", "pump-1", 0), state("acme", "pump-1", 1));
    let new = StateRecord { epoch: 3, ..state("acme", "pump-1", 2) };
    let (first, second, link) = (entry("I#1", 1), entry("I#1", 2), entry("W#1", 1));
    assert!(commit(setup, &[&found], &[&old]).await);
    write(setup, &[&first]).await;
    assert!(commit(setup, &[], &[&new]).await);
    write(setup, &[&second, &link]).await;
    let changes = told(setup, 0, 100).await;
    assert!(changes.is_sorted_by(|a, b| a.number < b.number) && changes[0].number > 0, "{:?}", numbers(&changes));
    let expected = [
        of_anomaly(&found),
        of_state(None, &old),
        of_entry(None, &first),
        of_state(Some(&old), &new),
        of_entry(Some(&first), &second),
        of_entry(None, &link),
    ];
    assert_eq!(changes.into_iter().map(|change| change.change).collect::<Vec<_>>(), expected);
}

pub(crate) async fn what_was_refused_is_not_told<S: Setup<World: ReadChanges>>(setup: &S) {
    let (found, how, first) = (anomaly("acme", "pump-1", 0), state("acme", "pump-1", 1), entry("I#1", 1));
    assert!(commit(setup, &[&found], &[&how]).await);
    write(setup, &[&first]).await;
    let before = told(setup, 0, 100).await;
    let (other, late) = (anomaly("acme", "pump-1", 9), state("acme", "pump-2", 1));
    assert!(!commit(setup, &[&other, &found], &[&late]).await);
    assert!(!commit(setup, &[&other], &[&how]).await);
    let link = entry("W#1", 1);
    setup.world().change_entries(&[next(&link), next(&first)]).await.unwrap_err();
    let (shard, next) = (shard("shardId-000000000000"), checkpoint(1));
    let checkpoint = Some(change(&shard, &next, None));
    setup.world().commit(&Transaction { checkpoint, ..Transaction::default() }).await.unwrap();
    assert_eq!(told(setup, 0, 100).await, before, "a checkpoint lies in another table");
}

pub(crate) async fn changes_are_read_from_any_number_with_a_bound<S: Setup<World: ReadChanges>>(setup: &S) {
    for index in 0..5 {
        write(setup, &[&entry(&format!("I#{index}"), 1)]).await;
    }
    let all = told(setup, 0, 100).await;
    assert_eq!(all.len(), 5);
    let mut read: Vec<TableChange> = Vec::new();
    loop {
        let some = told(setup, read.last().map_or(0, |last| last.number), 2).await;
        assert!(some.len() <= 2);
        if some.is_empty() {
            break;
        }
        read.extend(some);
    }
    assert_eq!(read, all);
    assert_eq!(told(setup, u64::MAX, 10).await, []);
    assert_eq!(told(setup, 0, 0).await, []);
}

pub(crate) async fn what_is_forgotten_is_gone_and_numbers_go_on_rising<S>(setup: &S)
where
    S: Setup<World: ReadChanges + ForgetChanges>,
{
    for index in 0..4 {
        write(setup, &[&entry(&format!("I#{index}"), 1)]).await;
    }
    let all = told(setup, 0, 100).await;
    for _ in 0..2 {
        setup.world().forget_changes(all[1].number).await.unwrap();
        assert_eq!(told(setup, 0, 100).await, all[2..]);
    }
    setup.world().forget_changes(u64::MAX).await.unwrap();
    assert_eq!(told(setup, 0, 100).await, []);
    write(setup, &[&entry("I#9", 1)]).await;
    let after = told(setup, 0, 100).await;
    assert!(after.len() == 1 && after[0].number > all[3].number, "{:?}", numbers(&after));
    assert_eq!(told(setup, all[3].number, 100).await, after);
}
