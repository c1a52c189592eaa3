//! The faults do what they say.

use std::time::Duration;

use super::*;
use crate::model::EntryChange;
use crate::ports::StoreErrorKind::{Throttled, Unavailable};
use crate::ports::{
    AskErrorKind, AskModel as _, ChangeEntries as _, ChangeError, GetObject as _, PutError, PutIfAbsent as _, Stored,
};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn kind(error: &PutError) -> StoreErrorKind {
    match error {
        PutError::Store(error) => error.kind,
        PutError::Conflict(key) => panic!("{key} is in conflict"),
    }
}

/// Polls once: ready or not.
async fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    tokio::select! {
        biased;
        answer = future => Some(answer),
        () = std::future::ready(()) => None,
    }
}

#[tokio::test]
async fn every_call_has_a_number_and_an_outcome() {
    let world = SimWorld::new();
    world.put_if_absent(&key("a"), b"1").await.unwrap();
    world.put_if_absent(&key("a"), b"2").await.unwrap_err();
    world.on_call(2, Fault::Throttle);
    world.get_object(&key("a"), 10).await.unwrap_err();
    let calls = world.calls();
    let seen: Vec<_> = calls.iter().map(|call| (call.index, call.verb, call.target.as_str())).collect();
    assert_eq!(seen, [(0, "put object", "a"), (1, "put object", "a"), (2, "get object", "a")]);
    assert_eq!(calls[0].outcome, CallOutcome::Done);
    assert!(matches!(&calls[1].outcome, CallOutcome::Refused(why) if why.contains("never overwritten")));
    assert_eq!(calls[2].outcome, CallOutcome::Faulted(Fault::Throttle));
}

#[tokio::test]
async fn a_failed_write_happens_or_not_as_the_fault_says() {
    for (fault, expected, stored) in [
        (Fault::Throttle, Throttled, false),
        (Fault::Unavailable, Unavailable, false),
        (Fault::UnavailableButLands, Unavailable, true),
        (Fault::LandsLater, Unavailable, false),
    ] {
        let world = SimWorld::new();
        world.on_call(When::verb("put object"), fault);
        let error = world.put_if_absent(&key("a"), b"1").await.unwrap_err();
        assert_eq!(kind(&error), expected, "{fault:?}");
        assert_eq!(!world.objects().is_empty(), stored, "{fault:?}");
        assert_eq!(world.put_if_absent(&key("b"), b"1").await.unwrap(), Stored::New, "a fault happens once");
    }
}

#[tokio::test]
async fn a_late_write_lands_under_the_conditions_of_its_landing() {
    let world = SimWorld::new();
    world.on_every_call(When::verb("put object"), Fault::LandsLater);
    world.put_if_absent(&key("a"), b"late").await.unwrap_err();
    world.put_if_absent(&key("b"), b"late").await.unwrap_err();
    world.clear_faults();
    world.put_if_absent(&key("a"), b"soon").await.unwrap();
    world.land();
    assert_eq!(world.objects(), BTreeMap::from([(key("a"), b"soon".to_vec()), (key("b"), b"late".to_vec())]));
}

#[tokio::test]
async fn a_crash_leaves_the_caller_pending_and_tells_the_test() {
    for (fault, stored) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
        let world = SimWorld::new();
        world.on_call(0, fault);
        let a = key("a");
        tokio::select! {
            _ = world.put_if_absent(&a, b"1") => panic!("the caller went on"),
            () = world.crashed() => {}
        }
        assert_eq!(!world.objects().is_empty(), stored, "{fault:?}");
    }
}

#[tokio::test]
async fn a_parked_call_goes_on_when_it_is_released() {
    for (fault, stored_while_parked) in [(Fault::ParkBefore, false), (Fault::ParkAfter, true)] {
        let world = SimWorld::new();
        world.on_call(0, fault);
        let a = key("a");
        let mut zombie = Box::pin(world.put_if_absent(&a, b"1"));
        assert!(poll_once(&mut zombie).await.is_none());
        world.parked().await;
        assert_eq!(!world.objects().is_empty(), stored_while_parked, "{fault:?}");
        world.release();
        assert_eq!(zombie.await.unwrap(), Stored::New);
        assert!(!world.objects().is_empty());
        assert_eq!(world.calls()[0].outcome, CallOutcome::Done);
    }
}

#[tokio::test]
async fn a_rule_can_wait_for_the_nth_call_of_a_verb() {
    let world = SimWorld::new();
    world.on_call(When::nth("get object", 1), Fault::Unavailable);
    world.get_object(&key("a"), 1).await.unwrap();
    world.put_if_absent(&key("b"), b"1").await.unwrap();
    world.get_object(&key("a"), 1).await.unwrap_err();
    world.get_object(&key("a"), 1).await.unwrap();
}

#[tokio::test]
async fn a_copy_has_what_is_stored_and_goes_its_own_way() {
    let world = SimWorld::new();
    world.put_if_absent(&key("a"), b"1").await.unwrap();
    let copy = world.copy();
    copy.put_if_absent(&key("b"), b"1").await.unwrap();
    assert_eq!((world.objects().len(), copy.objects().len()), (1, 2));
    assert_eq!((world.calls().len(), copy.calls().len()), (1, 1));
}

fn entry(version: u64, body: &str) -> Entry {
    let body = serde_json::Value::from(body);
    Entry { key: EntryKey::new("acme#pump-1", "I#1"), version, due: None, day: None, expires_at: None, body }
}

async fn change(world: &SimWorld, entry: &Entry) -> Result<(), ChangeError> {
    let expected = (entry.version > 1).then_some(entry.version - 1);
    world.change_entries(&[EntryChange { entry, expected }]).await
}

#[tokio::test]
async fn an_entry_arrives_in_the_other_region_and_in_its_changes() {
    let (here, there) = (SimWorld::replicated(), SimWorld::replicated());
    change(&here, &entry(1, "a")).await.unwrap();
    change(&here, &entry(2, "b")).await.unwrap();
    let mut written = here.written();
    written.reverse();
    for written in written {
        there.receive(written);
    }
    assert_eq!(there.entries(), [entry(2, "b")], "what is older never replaces what is newer");
    assert_eq!(there.changes().len(), 1, "and is no change");
    assert_eq!(there.changes()[0].change.new, Some(Image::Entry(entry(2, "b"))));
    assert_eq!(there.written(), [], "what has come from elsewhere is not sent back");
}

#[tokio::test]
async fn regions_that_write_at_a_time_end_with_the_same_entry() {
    let (here, there) = (SimWorld::replicated(), SimWorld::replicated());
    change(&here, &entry(1, "here")).await.unwrap();
    change(&there, &entry(1, "there")).await.unwrap();
    let (sent, received) = (here.written(), there.written());
    for written in sent {
        there.receive(written);
    }
    for written in received {
        here.receive(written);
    }
    assert_eq!(here.entries(), there.entries());
}

#[tokio::test]
async fn an_entry_that_expires_is_told_without_a_new_image() {
    let world = SimWorld::new();
    change(&world, &entry(1, "a")).await.unwrap();
    world.remove_entry(&entry(1, "a").key);
    world.remove_entry(&entry(1, "a").key);
    assert_eq!(world.entries(), []);
    let told: Vec<_> = world.changes().into_iter().map(|change| (change.number, change.change.new)).collect();
    assert_eq!(told, [(1, Some(Image::Entry(entry(1, "a")))), (2, None)]);
}

#[tokio::test]
async fn a_model_answers_what_the_test_says_and_fails_as_the_fault_says() {
    let within = Duration::from_secs(1);
    let world = SimWorld::new();
    assert_eq!(world.ask_model(b"1", within).await.unwrap_err().kind, AskErrorKind::Unreachable);
    let mut asked = 0;
    world.define_model(move |rows| {
        asked += 1;
        Ok([rows, format!(" {asked}").as_bytes()].concat())
    });
    assert_eq!(world.ask_model(b"a", within).await.unwrap(), b"a 1");
    world.on_call(When::verb("ask model"), Fault::Throttle);
    assert_eq!(world.ask_model(b"a", within).await.unwrap_err().kind, AskErrorKind::Throttled);
    assert_eq!(world.ask_model(b"a", within).await.unwrap(), b"a 2");
}

#[tokio::test]
async fn a_change_of_entries_fails_as_the_fault_says() {
    let world = SimWorld::new();
    world.on_call(When::verb("change entries"), Fault::UnavailableButLands);
    assert!(change(&world, &entry(1, "a")).await.unwrap_err().is_transient());
    let moved = change(&world, &entry(1, "a")).await.unwrap_err();
    assert!(matches!(&moved, ChangeError::Moved(which) if *which == [0]) && !moved.is_transient(), "{moved}");
    assert_eq!(world.changes().len(), 1);
}
