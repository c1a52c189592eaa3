//! One device: what is told of it, and that it is told once.

use anomaly_core::Severity;
use anomaly_core::incident::{Matcher, Silence};
use platform::model::{Entry, EntryChange, StateRecord};
use platform::ports::ChangeEntries as _;

use super::plant::{TENANT, at, block_on, changes, fanout, finding, only, state, store, take, tick_through, world};
use super::receiver::{Mood, Receiver};

#[test]
fn a_fault_is_told_when_it_begins_and_when_it_is_over() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let fanout = fanout(&world, &receiver);
        let began = store(&world, &[finding("oven-1", 0, Severity::Warning)], &[state("oven-1", 0, true)]).await;
        assert_eq!(take(&fanout, &began, at(1)).await.sent, 1);
        let over = store(&world, &[], &[state("oven-1", 300, false)]).await;
        assert_eq!(take(&fanout, &over, at(301)).await.sent, 0, "it has to stay normal for a while");
        tick_through(&fanout, 360, 1_200).await;
        assert_eq!(only(&world, &receiver, "ops").await, ["opened", "resolved"]);
        assert!(receiver.courses("chief").is_empty(), "it was never critical");
    });
}

#[test]
fn changes_that_come_again_change_nothing() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let first = fanout(&world, &receiver);
        store(&world, &[finding("oven-1", 0, Severity::Critical)], &[state("oven-1", 0, true)]).await;
        let all = changes(&world).await;
        take(&first, &all, at(1)).await;
        take(&first, &all, at(2)).await;
        // A new process knows nothing, not even after the incident has closed.
        store(&world, &[], &[state("oven-1", 60, false)]).await;
        take(&first, &changes(&world).await, at(61)).await;
        tick_through(&first, 120, 7_200).await;
        take(&fanout(&world, &receiver), &changes(&world).await, at(7_300)).await;
        assert_eq!(only(&world, &receiver, "ops").await, ["opened", "resolved"]);
        assert_eq!(receiver.got().len(), 4, "two messages over two channels");
    });
}

#[test]
fn an_older_epochs_state_with_a_higher_number_does_not_open_again_what_is_closed() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let fanout = fanout(&world, &receiver);
        // The stream is moved: the other region's one gives its records lower numbers.
        let of = |epoch, seconds, is_abnormal| StateRecord { epoch, ..state("oven-1", seconds, is_abnormal) };
        let began = store(&world, &[finding("oven-1", 500, Severity::Warning)], &[of(1, 500, true)]).await;
        take(&fanout, &began, at(501)).await;
        let over = store(&world, &[], &[of(2, 60, false)]).await;
        take(&fanout, &over, at(510)).await;
        tick_through(&fanout, 540, 1_200).await;
        assert_eq!(only(&world, &receiver, "ops").await, ["opened", "resolved"]);
        // What the first region said comes once more.
        take(&fanout, &began[1..], at(1_210)).await;
        tick_through(&fanout, 1_260, 2_400).await;
        assert_eq!(only(&world, &receiver, "ops").await, ["opened", "resolved"]);
    });
}

#[test]
fn a_message_that_was_not_taken_is_tried_again() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let fanout = fanout(&world, &receiver);
        receiver.be(vec![Mood::Busy, Mood::Busy, Mood::TakesSilently, Mood::Takes]);
        let began = store(&world, &[finding("oven-1", 0, Severity::Warning)], &[state("oven-1", 0, true)]).await;
        let done = take(&fanout, &began, at(1)).await;
        assert_eq!((done.sent, done.unsent), (0, 1));
        tick_through(&fanout, 60, 900).await;
        assert_eq!(only(&world, &receiver, "ops").await, ["opened"]);
        assert_eq!(receiver.got().len(), 2, "the one whose answer was lost came twice, under one key");
    });
}

#[test]
fn what_is_silenced_is_told_when_the_silence_is_over_and_it_still_is() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let fanout = fanout(&world, &receiver);
        let silence = Silence {
            id: "s1".to_owned(),
            matcher: Matcher { device: Some("oven-*".to_owned()), ..Matcher::default() },
            until: at(600),
            by: "jo".to_owned(),
            reason: "maintenance".to_owned(),
        };
        let entry = Entry {
            key: alert_fanout::place::silence(TENANT, "s1"),
            version: 1,
            due: None,
            day: None,
            expires_at: None,
            body: serde_json::to_value(&silence).unwrap(),
        };
        world.change_entries(&[EntryChange { entry: &entry, expected: None }]).await.unwrap();
        let began = store(&world, &[finding("oven-1", 0, Severity::Warning)], &[state("oven-1", 0, true)]).await;
        take(&fanout, &began, at(1)).await;
        tick_through(&fanout, 60, 590).await;
        assert!(receiver.got().is_empty());
        tick_through(&fanout, 600, 720).await;
        assert_eq!(only(&world, &receiver, "ops").await, ["opened"]);
    });
}

#[test]
fn the_profile_in_the_documents_is_one() {
    let text = include_str!("../../../../docs/operations/alerts.md");
    let (_, after) = text.split_once("```toml\n").unwrap();
    let (profile, _) = after.split_once("```").unwrap();
    let parsed = telemetry::profile::parse_profile(profile).unwrap();
    assert_eq!((parsed.alerts.channels.len(), parsed.alerts.routes.len(), parsed.alerts.maintenance.len()), (2, 2, 1));
}
