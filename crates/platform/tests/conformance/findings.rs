//! Laws of `ListEntries`, `FindDue` and `ListDay`.

use platform::model::{Entry, EntryKey, Transaction};
use platform::ports::{
    AnomalyQuery, ChangeEntries as _, CommitTransaction as _, FindAnomalies as _, FindDue as _, GetDeviceState as _,
    ListDay as _, ListEntries as _, LoadEntry as _, Order,
};

use super::records::{anomaly, at, due, entry, next, on_day, state};
use super::worlds::Setup;

const TODAY: &str = "acme#2023-11-14";

async fn write(setup: &impl Setup, entries: &[&Entry]) {
    let changes: Vec<_> = entries.iter().map(|entry| next(entry)).collect();
    setup.world().change_entries(&changes).await.unwrap();
}

/// Sort keys, so that a failure is readable.
fn keys(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.sk.as_str()).collect()
}

async fn list(setup: &impl Setup, prefix: &str, order: Order, count_max: usize) -> Vec<Entry> {
    setup.world().list_entries("acme#pump-1", prefix, order, count_max).await.unwrap()
}

async fn found_due(setup: &impl Setup, queue: &str, until: i64, count_max: usize) -> Vec<Entry> {
    setup.world().find_due(queue, at(until), count_max).await.unwrap()
}

async fn of_day(setup: &impl Setup, day: &str, prefix: &str, count_max: usize) -> Vec<Entry> {
    setup.world().list_day(day, prefix, count_max).await.unwrap()
}

pub(crate) async fn entries_are_listed_by_their_beginning_in_the_order_asked_for(setup: &impl Setup) {
    let those = ["I#2", "D#1", "I#10", "I", "J#1", "I#1", "I#ä"].map(|sk| entry(sk, 1));
    let elsewhere = Entry { key: EntryKey::new("acme#pump-10", "I#5"), ..entry("I#5", 1) };
    write(setup, &those.iter().chain([&elsewhere]).collect::<Vec<_>>()).await;
    let forward = list(setup, "I#", Order::OldestFirst, 100).await;
    assert_eq!(keys(&forward), ["I#1", "I#10", "I#2", "I#ä"]);
    let mut backward = list(setup, "I#", Order::NewestFirst, 100).await;
    backward.reverse();
    assert_eq!(backward, forward);
    assert_eq!(forward[1], those[2], "each is whole");
    let all = list(setup, "", Order::OldestFirst, 100).await;
    assert_eq!(keys(&all), ["D#1", "I", "I#1", "I#10", "I#2", "I#ä", "J#1"]);
    assert_eq!(list(setup, "X", Order::OldestFirst, 100).await, []);
}

pub(crate) async fn a_list_of_entries_has_a_bound(setup: &impl Setup) {
    let those: Vec<Entry> =
        (0..5).map(|second| due(on_day(entry(&format!("I#{second}"), 1), TODAY, second), "due#0", second)).collect();
    write(setup, &those.iter().collect::<Vec<_>>()).await;
    assert_eq!(keys(&list(setup, "I#", Order::OldestFirst, 2).await), ["I#0", "I#1"]);
    assert_eq!(keys(&list(setup, "", Order::NewestFirst, 2).await), ["I#4", "I#3"]);
    assert_eq!(keys(&found_due(setup, "due#0", 9, 2).await), ["I#0", "I#1"]);
    assert_eq!(keys(&of_day(setup, TODAY, "I#", 2).await), ["I#4", "I#3"]);
    assert_eq!(list(setup, "I#", Order::OldestFirst, 0).await, []);
    assert_eq!(found_due(setup, "due#0", 9, 0).await, []);
    assert_eq!(of_day(setup, TODAY, "", 0).await, []);
}

pub(crate) async fn what_is_due_is_found_earliest_first(setup: &impl Setup) {
    let late = due(entry("I#1", 1), "due#0", 90);
    let soon = due(entry("D#9", 1), "due#0", 10);
    let then = due(Entry { key: EntryKey::new("globex#fan", "I#1"), ..entry("I#1", 1) }, "due#0", 50);
    let other = due(entry("I#2", 1), "due#1", 5);
    let never = entry("I#3", 1);
    write(setup, &[&late, &soon, &then, &other, &never]).await;
    assert_eq!(found_due(setup, "due#0", 100, 10).await, [soon.clone(), then.clone(), late]);
    assert_eq!(found_due(setup, "due#0", 50, 10).await, [soon, then], "up to and with the instant");
    assert_eq!(found_due(setup, "due#0", 9, 10).await, []);
    assert_eq!(found_due(setup, "due#1", 100, 10).await, [other]);
    assert_eq!(found_due(setup, "due#2", 100, 10).await, []);
}

pub(crate) async fn an_entry_leaves_and_moves_in_the_queue_as_it_changes(setup: &impl Setup) {
    write(setup, &[&due(entry("I#1", 1), "due#0", 10)]).await;
    let later = due(entry("I#1", 2), "due#0", 20);
    write(setup, &[&later]).await;
    assert_eq!(found_due(setup, "due#0", 19, 10).await, []);
    assert_eq!(found_due(setup, "due#0", 20, 10).await, [later]);
    let elsewhere = due(entry("I#1", 3), "due#1", 20);
    write(setup, &[&elsewhere]).await;
    assert_eq!(found_due(setup, "due#0", 20, 10).await, []);
    assert_eq!(found_due(setup, "due#1", 20, 10).await, [elsewhere]);
    write(setup, &[&entry("I#1", 4)]).await;
    assert_eq!(found_due(setup, "due#1", 20, 10).await, []);
    assert_eq!(list(setup, "I#", Order::OldestFirst, 10).await, [entry("I#1", 4)]);
}

pub(crate) async fn a_days_entries_come_newest_first(setup: &impl Setup) {
    let morning = on_day(entry("I#1", 1), TODAY, 100);
    let noon = on_day(Entry { key: EntryKey::new("acme#pump-2", "I#7"), ..entry("I#7", 1) }, TODAY, 43_200);
    let failed = on_day(entry("D#1", 1), TODAY, 200);
    let tomorrow = on_day(entry("I#2", 1), "acme#2023-11-15", 90_000);
    let nowhere = entry("I#3", 1);
    write(setup, &[&noon, &morning, &failed, &tomorrow, &nowhere]).await;
    assert_eq!(of_day(setup, TODAY, "I#", 10).await, [noon.clone(), morning.clone()]);
    assert_eq!(of_day(setup, TODAY, "", 10).await, [noon, failed.clone(), morning]);
    assert_eq!(of_day(setup, TODAY, "D#", 10).await, [failed]);
    assert_eq!(of_day(setup, "acme#2023-11-15", "I#", 10).await, [tomorrow]);
    write(setup, &[&entry("I#1", 2)]).await;
    assert_eq!(keys(&of_day(setup, TODAY, "I#", 10).await), ["I#7"], "an entry may leave its day");
}

pub(crate) async fn anomalies_states_and_entries_are_kept_apart(setup: &impl Setup) {
    let world = setup.world();
    let (found, how) = (anomaly("acme", "pump-1", 50), state("acme", "pump-1", 1));
    world.commit(&Transaction { anomalies: vec![&found], states: vec![&how], ..Transaction::default() }).await.unwrap();
    let [before, after] = [("I#1", 40), ("I#2", 60)].map(|(sk, second)| on_day(entry(sk, 1), TODAY, second));
    write(setup, &[&before, &after]).await;
    let (tenant, device) = ("acme".to_owned(), "pump-1".to_owned());
    let day = AnomalyQuery::Day { tenant: tenant.clone(), day: "2023-11-14".to_owned() };
    for query in [day, AnomalyQuery::Device { tenant, device }] {
        for count_max in [1, 10] {
            assert_eq!(world.find_anomalies(&query, count_max).await.unwrap(), std::slice::from_ref(&found));
        }
    }
    assert_eq!(world.device_state("acme", "pump-1").await.unwrap(), Some(how));
    assert_eq!(of_day(setup, TODAY, "", 10).await, [after.clone(), before.clone()]);
    assert_eq!(list(setup, "", Order::OldestFirst, 10).await, [before.clone(), after]);
    assert_eq!(list(setup, "", Order::OldestFirst, 1).await, [before]);
    assert_eq!(list(setup, "A#", Order::OldestFirst, 10).await, []);
    for sk in ["S".to_owned(), found.sort_key()] {
        assert_eq!(world.load_entry(&EntryKey::new("acme#pump-1", sk)).await.unwrap(), None);
    }
}
