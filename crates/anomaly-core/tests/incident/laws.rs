//! Laws that hold for any course of events, any policy, with quiet or without, and whether ticks come in time or late.

use anomaly_core::incident::{AlertPolicy, Event, Incident, Notice, NoticeKind, Phase, Quiet, Status};
use anomaly_core::{Anomaly, Severity, Timestamp};
use proptest::prelude::*;

use crate::support::{anomaly, at, quiet_until, status, warning};

const METRICS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const SEVERITIES: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

#[derive(Debug, Clone)]
enum Happens {
    Anomaly { severity: Severity, score: f64, metrics: Vec<&'static str> },
    Status { is_abnormal: bool, ago: i64 },
    Acknowledge,
    Resolve,
    Tick,
}

fn found() -> impl Strategy<Value = Happens> {
    (0..3_usize, 8..24_u8, proptest::sample::subsequence(METRICS.to_vec(), 0..=4)).prop_map(
        |(severity, score, metrics)| Happens::Anomaly {
            severity: SEVERITIES[severity],
            score: f64::from(score) / 8.0,
            metrics,
        },
    )
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => found(),
        6 => (any::<bool>(), 0..30_i64).prop_map(|(is_abnormal, ago)| Happens::Status { is_abnormal, ago }),
        1 => Just(Happens::Acknowledge),
        1 => Just(Happens::Resolve),
        2 => Just(Happens::Tick),
    ]
}

/// Minutes to wait, and what happens then.
fn events() -> impl Strategy<Value = Vec<(i64, Happens)>> {
    let pause = prop_oneof![6 => 0..15_i64, 2 => 0..90_i64, 1 => 0..3000_i64];
    proptest::collection::vec((pause, happens()), 0..60)
}

fn policies() -> impl Strategy<Value = AlertPolicy> {
    let times = (1..30_u32, 0..90_u32, 1..48_u32, 2..6_u32, 1..120_u32);
    let severity =
        (0..6_u32, proptest::option::of(1..90_u32), any::<bool>(), proptest::option::of(1..90_u32), any::<bool>());
    let steps = proptest::collection::btree_set(1..200_u32, 0..4);
    (times, severity, steps).prop_map(|(times, severity, steps)| AlertPolicy {
        close_after_minutes: times.0,
        reopen_minutes: times.1,
        auto_resolve_hours: times.2,
        flap_count: times.3,
        flap_minutes: times.4,
        critical_metrics: severity.0,
        worse_after_minutes: severity.1,
        worse_info: severity.2,
        better_after_minutes: severity.3,
        tell_better: severity.4,
        escalate_after_minutes: steps.into_iter().collect(),
    })
}

/// Spans of quiet: minutes of pause, then of quiet.
fn quiets() -> impl Strategy<Value = Vec<(i64, i64)>> {
    proptest::collection::vec((0..200_i64, 1..200_i64), 0..6).prop_map(|pairs| {
        let mut end = 0;
        pairs
            .into_iter()
            .map(|(pause, length)| {
                let start = end + pause;
                end = start + length;
                (start, end)
            })
            .collect()
    })
}

/// Statuses with numbers, often of one epoch or with one number.
fn numbered() -> impl Strategy<Value = Status> {
    (any::<bool>(), 0..30_i64, 0..3_u64, 0..5_u32).prop_map(|(is_abnormal, since, epoch, number)| Status {
        epoch,
        seq: format!("{number:04}"),
        ..status(is_abnormal, since)
    })
}

struct World {
    policy: AlertPolicy,
    quiets: Vec<(i64, i64)>,
    /// Ticks come when they are due.
    is_prompt: bool,
    incidents: Vec<Incident>,
    told: Vec<Vec<Notice>>,
}

impl World {
    fn quiet(&self, now: Timestamp) -> Option<Quiet> {
        let covers = |span: &&(i64, i64)| at(span.0) <= now && now < at(span.1);
        self.quiets.iter().find(covers).map(|(_, until)| quiet_until(*until))
    }

    /// Applies an event to an incident; checks what holds for each single step.
    fn apply(&mut self, place: usize, event: Event<'_>, now: Timestamp) {
        let quiet = self.quiet(now);
        let before = &self.incidents[place];
        let change = before.apply(event, &self.policy, quiet.as_ref(), now);
        assert_eq!(change.changed, change.incident != *before);
        if self.policy.better_after_minutes.is_none() {
            assert!(change.incident.severity >= before.severity, "severity fell");
        }
        self.take(place, &change.incident, now);
        let again = self.incidents[place].apply(event, &self.policy, quiet.as_ref(), now);
        assert!(
            !again.changed,
            "{event:?} changes something the second time: {:#?} {:#?}",
            self.incidents[place], again
        );
    }

    /// Keeps an incident; delivers its notices.
    fn take(&mut self, place: usize, next: &Incident, now: Timestamp) {
        if self.quiet(now).is_some() {
            assert!(next.notices.is_empty(), "told in quiet");
        } else if next.phase == Phase::Open {
            assert!(next.told.as_ref().is_some_and(|told| told.is_open), "open and not told");
        }
        let numbers: Vec<u32> = next.notices.iter().map(|notice| notice.number).collect();
        self.told[place].extend(next.notices.clone());
        let next = next.apply(Event::Delivered(&numbers), &self.policy, None, now).incident;
        assert!(!next.apply(Event::Delivered(&numbers), &self.policy, None, now).changed);
        self.incidents[place] = next;
    }

    fn find(&mut self, found: &Anomaly, now: Timestamp) {
        let joins = self.incidents.last().is_some_and(|newest| newest.joins(found, &self.policy, now));
        if joins {
            self.apply(self.incidents.len() - 1, Event::Anomaly(found), now);
        } else {
            let opened = Incident::follow(None, found, &self.policy, self.quiet(now).as_ref(), now).incident;
            self.incidents.push(opened.clone());
            self.told.push(Vec::new());
            self.take(self.incidents.len() - 1, &opened, now);
        }
    }

    /// Ticks whenever something is due up to an instant, or once.
    fn pass(&mut self, from: Timestamp, until: Timestamp) {
        for place in 0..self.incidents.len() {
            self.look_before_due(place, from, until);
            let mut ticks = 0;
            while let Some(due) = self.incidents[place].due(&self.policy)
                && due <= until
            {
                let now = if self.is_prompt { due.max(from) } else { until };
                self.apply(place, Event::Tick, now);
                ticks += 1;
                assert!(ticks < 200, "ticks without end: {:#?}", self.incidents[place]);
            }
        }
    }

    /// Nothing changes before something is due.
    fn look_before_due(&self, place: usize, from: Timestamp, until: Timestamp) {
        let due = self.incidents[place].due(&self.policy).unwrap_or(Timestamp::MAX).min(until);
        for now in [from, Timestamp::from_millis(i64::midpoint(from.millis(), due.millis())).unwrap()] {
            if from <= now && now < due {
                let tick = self.incidents[place].apply(Event::Tick, &self.policy, self.quiet(now).as_ref(), now);
                assert!(!tick.changed, "a tick before it is due: {:#?} {:#?}", self.incidents[place], tick.incident);
            }
        }
    }

    fn run(policy: AlertPolicy, quiets: Vec<(i64, i64)>, is_prompt: bool, events: &[(i64, Happens)]) -> Self {
        let mut world = Self { policy, quiets, is_prompt, incidents: Vec::new(), told: Vec::new() };
        let mut minute = 0;
        for (number, (pause, happens)) in events.iter().enumerate() {
            world.pass(at(minute), at(minute + pause));
            minute += pause;
            let newest = world.incidents.len().checked_sub(1);
            match (happens, newest) {
                (Happens::Anomaly { severity, score, metrics }, _) => {
                    let mut found = anomaly(minute, *severity, *score, metrics);
                    found.id = anomaly(number as i64, *severity, 1.0, &["id"]).id;
                    world.find(&found, at(minute));
                }
                (_, None) => {}
                (Happens::Status { is_abnormal, ago }, Some(place)) => {
                    world.apply(place, Event::Status(&status(*is_abnormal, minute - ago)), at(minute));
                }
                (Happens::Acknowledge, Some(place)) => {
                    world.apply(place, Event::Acknowledge { by: "ann", note: None }, at(minute));
                }
                (Happens::Resolve, Some(place)) => world.apply(place, Event::Resolve { by: "ann" }, at(minute)),
                (Happens::Tick, Some(place)) => world.apply(place, Event::Tick, at(minute)),
            }
        }
        world.is_prompt = true;
        world.pass(at(minute), Timestamp::MAX);
        world
    }
}

/// Openings and ends alternate, and nothing of either is told while it comes and goes.
fn check_alternation(notices: &[Notice]) {
    let (mut is_open, mut is_flapping) = (false, false);
    for (place, notice) in notices.iter().enumerate() {
        let told = (is_open, is_flapping);
        match notice.kind {
            NoticeKind::Opened => {
                assert_eq!(told, (false, false), "{notices:#?}");
                is_open = true;
            }
            NoticeKind::Resolved => {
                assert!(is_open, "{notices:#?}");
                (is_open, is_flapping) = (false, false);
            }
            NoticeKind::Flapping => {
                assert!(!is_flapping, "{notices:#?}");
                (is_open, is_flapping) = (true, true);
            }
            NoticeKind::Steady => {
                assert!(is_flapping, "{notices:#?}");
                is_flapping = false;
            }
            _ => assert!(is_open, "{notices:#?}"),
        }
        assert_eq!(notice.number as usize, place + 1, "a gap");
    }
    assert!(!is_open && !is_flapping, "the end was not told: {notices:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_course_ends_and_its_end_is_told_to_whoever_heard_of_it(
        policy in policies(), quiets in quiets(), is_prompt: bool, events in events(),
    ) {
        let world = World::run(policy, quiets, is_prompt, &events);
        for (incident, told) in world.incidents.iter().zip(&world.told) {
            prop_assert!(!incident.is_open());
            prop_assert_eq!(incident.numbered as usize, told.len());
            check_alternation(told);
        }
    }

    #[test]
    fn without_quiet_every_incident_is_told(policy in policies(), events in events()) {
        let world = World::run(policy, Vec::new(), true, &events);
        for told in &world.told {
            prop_assert_eq!(told.first().map(|notice| notice.kind), Some(NoticeKind::Opened));
        }
    }

    #[test]
    fn the_order_of_two_anomalies_changes_neither_severity_nor_metrics_nor_count(
        policy in policies(), a in found(), b in found(), later in 0..5_i64,
    ) {
        // What time does in between depends on what was known then.
        let policy = AlertPolicy { better_after_minutes: None, worse_after_minutes: None, ..policy };
        let made = |happens: &Happens, onset| match happens {
            Happens::Anomaly { severity, score, metrics } => anomaly(onset, *severity, *score, metrics),
            other => panic!("not an anomaly: {other:?}"),
        };
        let (a, b) = (made(&a, 1), made(&b, 2));
        let both = |first: &Anomaly, second: &Anomaly| {
            let opened = Incident::open(first, &policy, None, at(10));
            let joined = Incident::follow(Some(&opened), second, &policy, None, at(10 + later)).incident;
            (joined.severity, joined.metrics.clone(), joined.anomalies, joined.peak.to_bits(), joined.first_onset)
        };
        prop_assert_eq!(both(&a, &b), both(&b, &a));
    }

    #[test]
    fn any_two_statuses_with_numbers_are_in_one_order(a in numbered(), b in numbered(), c in numbered()) {
        let same = (a.epoch, &a.seq) == (b.epoch, &b.seq);
        prop_assert_eq!(u8::from(a.is_newer_than(&b)) + u8::from(b.is_newer_than(&a)) + u8::from(same), 1);
        prop_assert!(!(a.is_newer_than(&b) && b.is_newer_than(&c)) || a.is_newer_than(&c));
    }

    #[test]
    fn an_older_epochs_status_never_replaces_a_newer_one(
        mut new in numbered(), mut old in numbered(), older in 1..3_u64, has_numbers: [bool; 2],
    ) {
        new.epoch = old.epoch + older;
        for (status, has) in [&mut new, &mut old].into_iter().zip(has_numbers) {
            status.seq = if has { status.seq.clone() } else { String::new() };
        }
        prop_assert!(new.is_newer_than(&old) && !old.is_newer_than(&new));
        let policy = AlertPolicy::default();
        let heard = Incident::open(&warning(0), &policy, None, at(1)).apply(Event::Status(&new), &policy, None, at(2));
        prop_assert!(!heard.incident.apply(Event::Status(&old), &policy, None, at(2)).changed);
    }

    #[test]
    fn in_whatever_order_statuses_come_the_newest_is_heard(
        statuses in proptest::collection::vec(numbered(), 1..8).prop_shuffle(),
    ) {
        let policy = AlertPolicy::default();
        let mut incident = Incident::open(&warning(0), &policy, None, at(1));
        for status in &statuses {
            incident = incident.apply(Event::Status(status), &policy, None, at(1)).incident;
        }
        let newest = statuses.iter().map(|status| (status.epoch, &status.seq)).max().unwrap();
        let heard = incident.status.unwrap().status;
        prop_assert_eq!((heard.epoch, &heard.seq), newest);
    }
}
