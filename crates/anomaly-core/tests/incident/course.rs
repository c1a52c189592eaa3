//! The facts: what belongs to an incident, how urgent it is, when it is over.

use anomaly_core::Severity;
use anomaly_core::incident::{AlertPolicy, ClosedBy, Event, Incident, Phase, Status};

use crate::support::{Course, anomaly, at, critical, status, warning};

fn default() -> Course {
    Course::new(AlertPolicy::default())
}

#[test]
fn anomalies_of_a_device_are_one_incident_and_the_strongest_speaks_for_it() {
    let mut course = default();
    course.find(0, &warning(0)).find(5, &critical(4)).find(6, &warning(-3));
    let incident = course.now();
    assert_eq!((incident.anomalies, incident.severity), (3, Severity::Critical));
    assert_eq!(incident.metric_names().collect::<Vec<_>>(), ["vibration", "temperature"]);
    assert_eq!(incident.summary, "vibration is at 2.5");
    assert_eq!(incident.sentences, ["vibration 95 is above its upper limit of 80"]);
    assert_eq!((incident.opened, incident.first_onset), (at(0), at(-3)));
}

#[test]
fn an_anomaly_soon_after_the_end_opens_the_same_incident_and_later_a_new_one() {
    let mut course = default();
    course.find(0, &warning(0)).normal(5);
    let first = course.now().id.clone();
    course.find(44, &warning(44));
    assert_eq!((&course.now().id, &course.now().phase), (&first, &Phase::Open));
    course.normal(50).find(90, &warning(90));
    assert_ne!(course.now().id, first);
}

#[test]
fn it_is_over_when_the_device_has_been_normal_for_ten_minutes() {
    let mut course = default();
    course.find(0, &warning(0)).normal(5).until(14);
    assert!(!course.is_closed());
    course.until(15);
    assert_eq!(course.now().phase, Phase::Closed { at: at(15), by: ClosedBy::Recovered });
    assert_eq!(course.now().due(&course.policy), None);
}

#[test]
fn a_relapse_meanwhile_keeps_it_open() {
    let mut course = default();
    course.find(0, &warning(0)).normal(5).abnormal(12).until(60);
    assert_eq!(course.now().phase, Phase::Open);
    course.told(&["0 opened warning"]);
}

#[test]
fn an_anomaly_in_a_device_that_stays_normal_ends_by_itself() {
    let mut course = default();
    course.find(0, &warning(0)).event(0, Event::Status(&status(false, -600))).find(8, &warning(8));
    assert_eq!(course.now().phase, Phase::Open);
    course.until(17);
    assert!(!course.is_closed());
    course.until(18);
    course.told(&["0 opened warning", "18 resolved warning"]);
}

#[test]
fn without_a_sign_of_life_it_is_closed_after_a_day() {
    let mut course = default();
    course.find(0, &warning(0)).abnormal(1).until(24 * 60);
    assert!(!course.is_closed());
    course.until(24 * 60 + 1);
    assert!(matches!(course.now().phase, Phase::Closed { by: ClosedBy::TimedOut, .. }));
}

#[test]
fn a_status_older_than_the_one_that_was_heard_changes_nothing() {
    let mut course = default();
    course.find(0, &warning(0)).abnormal(20);
    let before = course.now().clone();
    course.event(21, Event::Status(&status(false, 19))).event(21, Event::Status(&status(false, 20)));
    assert_eq!(*course.now(), before);
}

#[test]
fn a_device_that_sends_what_it_kept_while_it_was_silent_is_heard_though_it_goes_back_in_time() {
    let said = |is_abnormal, since, seq: &str| Status { seq: seq.into(), ..status(is_abnormal, since) };
    let mut course = default();
    course.find(60, &warning(10)).event(60, Event::Status(&said(true, 60, "0007")));
    course.event(61, Event::Status(&said(false, 2, "0008")));
    assert!(matches!(course.now().phase, Phase::Recovering { .. }));
    course.event(62, Event::Status(&said(true, 60, "0007")));
    assert!(matches!(course.now().phase, Phase::Recovering { .. }));
}

#[test]
fn an_older_epochs_status_with_a_higher_number_does_not_open_again_what_has_closed() {
    let said = |is_abnormal, epoch, seq: &str| Status { epoch, seq: seq.into(), ..status(is_abnormal, 20) };
    let mut course = default();
    course.find(0, &warning(0)).event(1, Event::Status(&said(true, 1, "0007")));
    course.event(2, Event::Status(&said(false, 2, "0003"))).until(12);
    assert_eq!(course.now().phase, Phase::Closed { at: at(12), by: ClosedBy::Recovered });
    let before = course.now().clone();
    course.event(13, Event::Status(&said(true, 1, "0008"))).event(13, Event::Status(&said(true, 0, "")));
    assert_eq!(*course.now(), before);
    course.event(14, Event::Status(&said(true, 2, "0004")));
    assert_eq!(course.now().phase, Phase::Open);
}

#[test]
fn what_a_person_closed_opens_again_only_for_something_new() {
    let mut course = default();
    course.find(0, &warning(0)).event(10, Event::Resolve { by: "ann" });
    assert_eq!(course.now().phase, Phase::Closed { at: at(10), by: ClosedBy::Person("ann".into()) });
    course.event(11, Event::Status(&status(true, 0)));
    assert!(course.is_closed());
    course.event(12, Event::Status(&status(true, 12)));
    assert_eq!((course.now().phase.clone(), course.now().reopened), (Phase::Open, Some(at(12))));
}

#[test]
fn four_metrics_make_it_critical_but_not_what_is_only_information() {
    let metrics = ["a", "b", "c", "d"];
    let mut course = default();
    course.find(0, &anomaly(0, Severity::Info, 1.5, &metrics));
    assert_eq!(course.now().severity, Severity::Info);
    course.find(1, &anomaly(1, Severity::Warning, 1.25, &metrics[..1]));
    assert_eq!(course.now().severity, Severity::Critical);
}

#[test]
fn a_warning_that_nobody_takes_care_of_gets_worse_if_the_policy_says_so() {
    let policy = AlertPolicy { worse_after_minutes: Some(30), ..AlertPolicy::default() };
    let mut course = Course::new(policy.clone());
    course.find(0, &warning(0)).until(30);
    course.told(&["0 opened warning", "30 worse critical"]);
    let mut course = Course::new(policy);
    course.find(0, &warning(0)).acknowledge(29).until(600);
    course.told(&["0 opened warning", "29 acknowledged warning"]);
}

#[test]
fn severity_falls_when_only_lesser_anomalies_come_if_the_policy_says_so() {
    let policy = AlertPolicy { better_after_minutes: Some(60), tell_better: true, ..AlertPolicy::default() };
    let mut course = Course::new(policy);
    course.find(0, &critical(0)).until(59).find(59, &warning(59)).until(60);
    course.told(&["0 opened critical", "60 better warning"]);
}

#[test]
fn the_anomaly_that_opened_it_gives_the_id() {
    let opened = |onset| Incident::open(&warning(onset), &AlertPolicy::default(), None, at(9)).id;
    assert_eq!(opened(0), opened(0));
    assert_ne!(opened(0), opened(1));
    assert_eq!(opened(0).as_str().len(), 32);
}
