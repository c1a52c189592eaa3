//! Laws of `LoadEntry` and `ChangeEntries`.

use platform::model::{Entry, EntryChange, EntryKey};
use platform::ports::{ChangeEntries as _, ChangeError, LoadEntry as _};
use serde_json::{Value, json};

use super::records::{due, entry, next, on_day};
use super::worlds::Setup;

async fn change(setup: &impl Setup, entries: &[&Entry]) -> Result<(), ChangeError> {
    let changes: Vec<_> = entries.iter().map(|entry| next(entry)).collect();
    setup.world().change_entries(&changes).await
}

async fn load(setup: &impl Setup, sk: &str) -> Option<Entry> {
    setup.world().load_entry(&EntryKey::new("acme#pump-1", sk)).await.unwrap()
}

async fn moved(setup: &impl Setup, changes: &[EntryChange<'_>]) -> Vec<usize> {
    match setup.world().change_entries(changes).await.unwrap_err() {
        ChangeError::Moved(indexes) => indexes,
        other => panic!("{other:?}"),
    }
}

fn saying(sk: &str, body: Value) -> Entry {
    Entry { body, ..entry(sk, 1) }
}

pub(crate) async fn an_entry_comes_back_as_it_was_written(setup: &impl Setup) {
    assert_eq!(load(setup, "I#0").await, None);
    let bodies = [
        json!({ "small": 1e-138, "least": 5e-324, "large": 1e200, "edge": 1e126, "third": 0.1 + 0.2, "below": -2.5e-7 }),
        json!({ "most": u64::MAX, "least": i64::MIN, "zero": 0, "minus": -1 }),
        json!({ "map": {}, "list": [], "both": [{}, [], [[]], { "a": {} }], "nothing": null, "yes": true, "no": false }),
        json!({ "größe": "→ \u{1f514} \u{0} \" \\ \n", "empty": "", "名": [""] }),
        json!({ "f64": "1e-138", "nested": { "f64": "text" }, "again": { "f64'": "text" }, "alone": [{ "f64": 1.5 }] }),
        json!("text alone"),
        json!(null),
    ];
    for (index, body) in bodies.into_iter().enumerate() {
        let sk = format!("I#{index}");
        let written = due(on_day(saying(&sk, body), "acme#2023-11-14", 7), "due#3", 9);
        change(setup, &[&written]).await.unwrap();
        assert_eq!(load(setup, &sk).await, Some(written));
    }
    let bare = Entry { expires_at: None, ..saying("bare", json!({ "whole": 1.0 })) };
    change(setup, &[&bare]).await.unwrap();
    let found = load(setup, "bare").await.unwrap();
    assert_eq!((found.expires_at, found.body["whole"].as_f64()), (None, Some(1.0)), "a number keeps its value");
}

pub(crate) async fn a_large_body_comes_back_as_it_was_written(setup: &impl Setup) {
    let notices: Vec<Value> = (0..1000).map(|number| json!({ "number": number, "said": "ä".repeat(90) })).collect();
    let written = saying("I#1", json!({ "notices": notices }));
    assert!(serde_json::to_string(&written).unwrap().len() > 200 * 1024);
    change(setup, &[&written]).await.unwrap();
    assert_eq!(load(setup, "I#1").await, Some(written));
}

pub(crate) async fn an_entry_is_changed_only_as_expected(setup: &impl Setup) {
    let (first, second, skipped) = (entry("I#1", 1), entry("I#1", 2), entry("I#1", 7));
    assert_eq!(moved(setup, &[next(&second)]).await, [0], "there is none");
    change(setup, &[&first]).await.unwrap();
    let other = saying("I#1", json!("other"));
    assert_eq!(moved(setup, &[next(&other)]).await, [0], "there is one");
    for wrong in [2, 6] {
        assert_eq!(moved(setup, &[EntryChange { entry: &skipped, expected: Some(wrong) }]).await, [0]);
    }
    assert_eq!(load(setup, "I#1").await, Some(first));
    setup.world().change_entries(&[EntryChange { entry: &skipped, expected: Some(1) }]).await.unwrap();
    assert_eq!(load(setup, "I#1").await, Some(skipped));
}

pub(crate) async fn a_repeated_change_is_refused(setup: &impl Setup) {
    let (first, second) = (entry("I#1", 1), entry("I#1", 2));
    for written in [&first, &second] {
        change(setup, &[written]).await.unwrap();
        assert_eq!(moved(setup, &[next(written)]).await, [0]);
    }
    let pair = [entry("I#2", 1), entry("I#3", 1)];
    change(setup, &[&pair[0], &pair[1]]).await.unwrap();
    assert_eq!(moved(setup, &[next(&pair[0]), next(&pair[1])]).await, [0, 1]);
}

pub(crate) async fn all_entries_of_a_transaction_are_changed_or_none(setup: &impl Setup) {
    change(setup, &[&entry("I#1", 1), &entry("W#1", 1)]).await.unwrap();
    let (incident, link, delivery) = (entry("I#1", 2), saying("W#1", json!("again")), entry("D#1", 1));
    assert_eq!(moved(setup, &[next(&incident), next(&link), next(&delivery)]).await, [1]);
    assert_eq!(load(setup, "I#1").await, Some(entry("I#1", 1)));
    assert_eq!(load(setup, "W#1").await, Some(entry("W#1", 1)));
    assert_eq!(load(setup, "D#1").await, None);
    change(setup, &[&incident, &delivery]).await.unwrap();
    assert_eq!(load(setup, "I#1").await, Some(incident));
    assert_eq!(load(setup, "D#1").await, Some(delivery));
}

pub(crate) async fn one_of_two_changes_at_a_time_wins(setup: &impl Setup) {
    let world = setup.world();
    for (sk, with) in [("I#1", None), ("I#2", Some(entry("W#2", 1)))] {
        change(setup, &[&entry(sk, 1)]).await.unwrap();
        let [one, two] = ["one", "two"].map(|who| Entry { body: json!(who), ..entry(sk, 2) });
        let changes = |entry| std::iter::once(entry).chain(&with).map(next).collect::<Vec<_>>();
        let (with_one, with_two) = (changes(&one), changes(&two));
        let (a, b) = tokio::join!(world.change_entries(&with_one), world.change_entries(&with_two));
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        let winner = if a.is_ok() { one } else { two };
        assert_eq!(load(setup, sk).await, Some(winner));
        // DynamoDB may also answer that the other transaction is under way.
        let loser = a.and(b).unwrap_err();
        assert!(matches!(loser, ChangeError::Moved(_)) || loser.is_transient(), "{loser:?}");
    }
}

pub(crate) async fn a_transaction_changes_1_to_100_entries(setup: &impl Setup) {
    assert!(matches!(change(setup, &[]).await, Err(ChangeError::Size(0))));
    let entries: Vec<Entry> = (0..101).map(|index| entry(&format!("I#{index:03}"), 1)).collect();
    let all: Vec<&Entry> = entries.iter().collect();
    assert!(matches!(change(setup, &all).await, Err(ChangeError::Size(101))));
    assert_eq!(load(setup, "I#000").await, None);
    change(setup, &all[..100]).await.unwrap();
    assert_eq!(load(setup, "I#099").await, Some(entries[99].clone()));
}

pub(crate) async fn what_no_store_bears_is_refused_and_named(setup: &impl Setup) {
    let long = entry(&"x".repeat(1025), 1);
    let large = saying("I#1", json!("x".repeat(300 * 1024 + 1)));
    let state = entry("S", 1);
    let unversioned = entry("I#1", 0);
    let fine = entry("I#1", 1);
    for (entries, said) in [
        (vec![&long], "`sk` has 1025 bytes"),
        (vec![&large], "the limit is 307200"),
        (vec![&state], "belongs to states and anomalies"),
        (vec![&unversioned], "count each change"),
        (vec![&fine, &fine], "changes an entry once"),
    ] {
        let error = change(setup, &entries).await.unwrap_err();
        assert!(!error.is_transient() && error.to_string().contains(said), "{error}");
        assert!(error.to_string().contains("acme#pump-1"), "{error}");
    }
    assert_eq!(load(setup, "I#1").await, None);
}
