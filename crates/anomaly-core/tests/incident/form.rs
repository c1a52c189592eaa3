//! The stored form of an incident: what an earlier release wrote has to be read by every later one.

use anomaly_core::incident::{AlertPolicy, Event, Incident, Matcher, Silence};
use anomaly_core::{IncidentId, Severity};

use crate::support::{Course, at, critical, quiet_until, status, warning};

/// An incident with every field set that can be.
fn full() -> Incident {
    let policy =
        AlertPolicy { escalate_after_minutes: vec![1], worse_after_minutes: Some(1), ..AlertPolicy::default() };
    let mut course = Course::new(policy.clone());
    course.find(0, &warning(0)).until(1).acknowledge(2).normal(3).until(13).find(14, &critical(14));
    course.event(14, Event::Status(&status(true, 14)));
    let quiet = quiet_until(90);
    let resolved = course.now().apply(Event::Resolve { by: "bob" }, &policy, None, at(20)).incident;
    let again = resolved.apply(Event::Anomaly(&warning(21)), &policy, Some(&quiet), at(21)).incident;
    assert_eq!(again.quiet, Some(quiet));
    again
}

#[test]
fn the_stored_form_is_what_it_was_in_the_first_release() {
    let text = serde_json::to_string_pretty(&full()).unwrap() + "\n";
    assert_eq!(text, include_str!("golden.json"));
}

#[test]
fn what_was_stored_is_read_back_the_same() {
    let read: Incident = serde_json::from_str(include_str!("golden.json")).unwrap();
    assert_eq!(read, full());
    let small = Incident::open(&warning(0), &AlertPolicy::default(), None, at(0));
    let text = serde_json::to_string(&small).unwrap();
    assert_eq!(serde_json::from_str::<Incident>(&text).unwrap(), small);
}

#[test]
fn the_id_is_what_it_was_in_the_first_release() {
    let id = IncidentId::of("acme", "pump-7", &warning(0).id);
    assert_eq!(id.as_str(), "7200115255a66e5c1b14ab2335d72504");
}

#[test]
fn a_silence_is_stored_with_what_it_says_and_nothing_else() {
    let matcher = Matcher { device: Some("pump-*".into()), metric: None, severity_max: Some(Severity::Warning) };
    let silence =
        Silence { id: "s1".into(), matcher, until: at(60), by: "ann".into(), reason: "belt is changed".into() };
    let text = serde_json::to_string(&silence).unwrap();
    assert_eq!(
        text,
        r#"{"id":"s1","matcher":{"device":"pump-*","severity_max":"warning"},"until":1700003600000,"by":"ann","reason":"belt is changed"}"#
    );
    assert_eq!(serde_json::from_str::<Silence>(&text).unwrap(), silence);
}
