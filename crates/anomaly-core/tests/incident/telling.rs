//! What is told of an incident, and what is not.

use anomaly_core::incident::{AlertPolicy, Event, Incident, NOTICES_MAX, Notice, NoticeKind, QuietCause, Route};
use anomaly_core::{Anomaly, Severity};

use crate::support::{Course, at, critical, quiet_until, warning};

fn default() -> Course {
    Course::new(AlertPolicy::default())
}

#[test]
fn an_incident_is_told_when_it_opens_gets_worse_and_is_over() {
    let mut course = default();
    course.find(0, &warning(0)).find(1, &warning(1)).find(2, &critical(2)).find(3, &warning(3)).normal(5).until(60);
    course.told(&["0 opened warning", "2 worse critical", "15 resolved critical"]);
}

#[test]
fn what_comes_and_goes_is_told_once_at_its_start_and_once_when_it_is_steady() {
    let mut course = default();
    course.find(0, &warning(0));
    for minute in [10, 20, 30, 40, 50, 60] {
        course.normal(minute - 2).abnormal(minute);
    }
    course.normal(62).until(600);
    course.told(&["0 opened warning", "40 flapping warning", "120 steady warning", "120 resolved warning"]);
}

#[test]
fn flapping_over_ends_that_were_told_is_told_as_an_opening_and_has_an_end() {
    let mut course = Course::new(AlertPolicy { close_after_minutes: 1, flap_count: 2, ..AlertPolicy::default() });
    course.find(0, &warning(0)).normal(2).abnormal(5).normal(7).abnormal(10).until(100);
    course.told(&[
        "0 opened warning",
        "3 resolved warning",
        "5 opened warning",
        "8 resolved warning",
        "10 flapping warning",
        "70 steady warning",
    ]);
    course.normal(101).until(110);
    assert_eq!(course.now().numbered, 7);
    assert!(!course.now().told.as_ref().unwrap().is_open);
}

#[test]
fn a_person_who_closes_what_comes_and_goes_is_told_the_end_at_once() {
    let mut course = Course::new(AlertPolicy { flap_count: 2, ..AlertPolicy::default() });
    course.find(0, &warning(0)).normal(1).abnormal(2).normal(3).abnormal(4);
    course.event(5, Event::Resolve { by: "ann" }).until(600);
    course.told(&["0 opened warning", "4 flapping warning", "5 resolved warning"]);
}

#[test]
fn it_is_escalated_step_by_step_until_somebody_takes_care() {
    let policy = AlertPolicy { escalate_after_minutes: vec![15, 30, 60], ..AlertPolicy::default() };
    let mut course = Course::new(policy);
    course.find(0, &warning(0)).until(40).acknowledge(45).until(300);
    course.told(&[
        "0 opened warning",
        "15 escalated to 1 warning",
        "30 escalated to 2 warning",
        "45 acknowledged warning",
    ]);
}

#[test]
fn what_comes_back_after_somebody_took_care_is_escalated_only_if_it_is_worse() {
    let policy = AlertPolicy { escalate_after_minutes: vec![15], ..AlertPolicy::default() };
    let back = |found: Anomaly| {
        let mut course = Course::new(policy.clone());
        course.find(0, &warning(0)).acknowledge(1).normal(2).find(20, &found).abnormal(21).until(40);
        course
    };
    let told = ["0 opened warning", "1 acknowledged warning", "12 resolved warning"];
    back(warning(20)).told(&[&told[..], &["20 opened warning"]].concat());
    back(critical(20)).told(&[&told[..], &["20 opened critical", "35 escalated to 1 critical"]].concat());
}

#[test]
fn in_quiet_nothing_is_told_and_what_is_still_open_is_told_at_its_end() {
    let mut course = default();
    course.quiet = Some((0, 120));
    course.find(0, &warning(0)).until(119);
    course.told(&[]);
    assert_eq!(course.now().quiet.as_ref().unwrap().cause, QuietCause::Silence("s1".into()));
    course.until(120);
    course.told(&["120 opened warning"]);
    assert_eq!(course.now().quiet, None);
}

#[test]
fn what_began_and_ended_in_quiet_is_never_told_and_says_why() {
    let mut course = default();
    course.quiet = Some((0, 120));
    course.find(0, &warning(0)).normal(5).until(600);
    course.told(&[]);
    assert!(course.is_closed() && course.now().quiet.is_some());
}

#[test]
fn the_end_of_what_was_told_is_told_after_the_quiet() {
    let mut course = default();
    course.quiet = Some((3, 120));
    course.find(0, &warning(0)).normal(5).until(600);
    course.told(&["0 opened warning", "120 resolved warning"]);
}

#[test]
fn one_quiet_that_follows_another_keeps_it_quiet_and_is_waited_for() {
    let policy = AlertPolicy::default();
    let first = Incident::open(&warning(0), &policy, Some(&quiet_until(10)), at(0));
    let second = first.apply(Event::Tick, &policy, Some(&quiet_until(20)), at(10)).incident;
    assert_eq!((second.due(&policy), second.told.as_ref()), (Some(at(20)), None));
    let told = Incident::open(&warning(0), &policy, None, at(0));
    let quiet = told.apply(Event::Resolve { by: "ann" }, &policy, Some(&quiet_until(10)), at(1)).incident;
    let back = quiet.apply(Event::Anomaly(&warning(2)), &policy, Some(&quiet_until(10)), at(2)).incident;
    let next = back.apply(Event::Tick, &policy, Some(&quiet_until(20)), at(10)).incident;
    assert_eq!(next.due(&policy), Some(at(20)));
}

#[test]
fn a_silence_that_is_lifted_early_lets_a_tick_tell() {
    let policy = AlertPolicy::default();
    let incident = Incident::open(&warning(0), &policy, Some(&quiet_until(120)), at(0));
    assert_eq!(incident.due(&policy), Some(at(120)));
    let told = incident.apply(Event::Tick, &policy, None, at(30)).incident;
    assert_eq!(told.notices[0].kind, NoticeKind::Opened);
}

#[test]
fn an_opening_that_is_held_takes_its_end_along_but_not_what_is_urgent() {
    let policy = AlertPolicy::default();
    let mut held = Incident::open(&warning(0), &policy, None, at(0));
    held.hold();
    let over = held.apply(Event::Resolve { by: "ann" }, &policy, None, at(1)).incident;
    assert!(over.notices.iter().all(|notice| notice.is_held));
    let worse = held.apply(Event::Anomaly(&critical(1)), &policy, None, at(1)).incident;
    let over = worse.apply(Event::Resolve { by: "ann" }, &policy, None, at(2)).incident;
    let singly: Vec<_> = over.notices.iter().filter(|n| !n.is_held).map(|n| n.kind).collect();
    assert_eq!(singly, [NoticeKind::Worse, NoticeKind::Resolved]);
}

#[test]
fn notices_that_nobody_takes_are_folded_and_not_lost() {
    let policy = AlertPolicy { close_after_minutes: 1, flap_count: 16, ..AlertPolicy::default() };
    let mut incident = Incident::open(&critical(0), &policy, None, at(0));
    for round in 1..=12 {
        let resolve = incident.apply(Event::Resolve { by: "ann" }, &policy, None, at(round * 10)).incident;
        incident = resolve.apply(Event::Anomaly(&warning(round * 10)), &policy, None, at(round * 10 + 1)).incident;
    }
    assert_eq!((incident.numbered, incident.notices.len()), (25, NOTICES_MAX));
    let folded: u32 = incident.notices.iter().map(|notice| 1 + notice.folded).sum();
    assert_eq!(folded, 25);
    assert_eq!(incident.notices.last().unwrap().kind, NoticeKind::Opened);
}

#[test]
fn a_route_hears_the_end_of_what_it_heard_and_an_escalation_goes_to_its_level_alone() {
    let policy =
        AlertPolicy { better_after_minutes: Some(1), escalate_after_minutes: vec![15], ..AlertPolicy::default() };
    let mut incident = Incident::open(&critical(0), &policy, None, at(0));
    incident = incident.apply(Event::Anomaly(&warning(1)), &policy, None, at(2)).incident;
    incident = incident.apply(Event::Tick, &policy, None, at(15)).incident;
    incident = incident.apply(Event::Resolve { by: "ann" }, &policy, None, at(16)).incident;
    let [opened, escalated, resolved]: [Notice; 3] = incident.notices.try_into().unwrap();
    assert_eq!(resolved.severity, Severity::Warning);
    let urgent = Route { severity_min: Severity::Critical, ..Route::default() };
    let chief = Route { level: 1, ..Route::default() };
    let covered = |route: &Route| [&opened, &escalated, &resolved].map(|notice| route.covers("pump-7", notice));
    assert_eq!(covered(&urgent), [true, false, true]);
    assert_eq!(covered(&chief), [false, true, true]);
    assert_eq!(covered(&Route { devices: vec!["fan-*".into()], ..Route::default() }), [false; 3]);
}
