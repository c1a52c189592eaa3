//! A device whose incident is followed minute by minute.

use anomaly_core::incident::{AlertPolicy, Event, Incident, NoticeKind, Phase, Quiet, QuietCause, Status};
use anomaly_core::{Anomaly, AnomalyId, Contribution, DetectorId, Explanation, Outcome, Severity, Timestamp};

/// So many minutes after the test began.
pub(crate) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + minutes * 60_000).unwrap()
}

/// An anomaly with this onset in these metrics, the first the strongest.
pub(crate) fn anomaly(onset: i64, severity: Severity, score: f64, metrics: &[&str]) -> Anomaly {
    let contribution = |(place, metric): (usize, &&str)| Contribution {
        metric: (*metric).to_owned(),
        unit: None,
        observed: 95.0,
        expected: 80.0,
        spread: 2.5,
        detector: DetectorId::Limit,
        strength: score - 0.125 * place as f64,
        tail: 1e-9,
        outcome: Outcome::Scored,
        sentence: format!("{metric} 95 is above its upper limit of 80"),
    };
    let contributions = metrics.iter().enumerate().map(contribution).collect();
    Anomaly {
        id: AnomalyId::of("acme", "pump-7", metrics, DetectorId::Limit, at(onset)),
        tenant: "acme".into(),
        device: "pump-7".into(),
        metrics: metrics.iter().map(|metric| (*metric).to_owned()).collect(),
        detector: DetectorId::Limit,
        onset: at(onset),
        score,
        severity,
        explanation: Explanation { score, summary: format!("{} is at {score}", metrics.join(", ")), contributions },
    }
}

pub(crate) fn warning(onset: i64) -> Anomaly {
    anomaly(onset, Severity::Warning, 1.25, &["temperature"])
}

pub(crate) fn critical(onset: i64) -> Anomaly {
    anomaly(onset, Severity::Critical, 2.5, &["vibration"])
}

pub(crate) fn quiet_until(minutes: i64) -> Quiet {
    Quiet { cause: QuietCause::Silence("s1".into()), until: at(minutes) }
}

/// The newest incident of a device, and what has been told of it.
pub(crate) struct Course {
    pub(crate) policy: AlertPolicy,
    pub(crate) quiet: Option<(i64, i64)>,
    pub(crate) incident: Option<Incident>,
    told: Vec<String>,
}

impl Course {
    pub(crate) fn new(policy: AlertPolicy) -> Self {
        Self { policy, quiet: None, incident: None, told: Vec::new() }
    }

    fn quiet(&self, minute: i64) -> Option<Quiet> {
        self.quiet.filter(|(from, until)| (*from..*until).contains(&minute)).map(|(_, until)| quiet_until(until))
    }

    pub(crate) fn now(&self) -> &Incident {
        self.incident.as_ref().unwrap()
    }

    /// Ticks whenever something is due, up to a minute.
    pub(crate) fn until(&mut self, minute: i64) -> &mut Self {
        while let Some(due) = self.incident.as_ref().and_then(|incident| incident.due(&self.policy))
            && due <= at(minute)
        {
            let due = (due.millis() - at(0).millis()) / 60_000;
            self.apply(due, Event::Tick);
        }
        self
    }

    fn apply(&mut self, minute: i64, event: Event<'_>) {
        let next = self.now().apply(event, &self.policy, self.quiet(minute).as_ref(), at(minute)).incident;
        self.take(minute, &next);
    }

    fn take(&mut self, minute: i64, next: &Incident) {
        for notice in &next.notices {
            let kind = match notice.kind {
                NoticeKind::Escalated { to } => format!("escalated to {to}"),
                kind => kind.as_str().to_owned(),
            };
            self.told.push(format!("{minute} {kind} {}", notice.severity.as_str()));
        }
        let numbers: Vec<u32> = next.notices.iter().map(|notice| notice.number).collect();
        let delivered = next.apply(Event::Delivered(&numbers), &self.policy, None, at(minute));
        assert!(delivered.incident.notices.is_empty());
        self.incident = Some(delivered.incident);
    }

    pub(crate) fn find(&mut self, minute: i64, anomaly: &Anomaly) -> &mut Self {
        self.until(minute);
        let newest = self.incident.take();
        let quiet = self.quiet(minute);
        let next = Incident::follow(newest.as_ref(), anomaly, &self.policy, quiet.as_ref(), at(minute));
        self.take(minute, &next.incident);
        self
    }

    pub(crate) fn event(&mut self, minute: i64, event: Event<'_>) -> &mut Self {
        self.until(minute);
        self.apply(minute, event);
        self
    }

    /// The device says that it is normal since this minute.
    pub(crate) fn normal(&mut self, minute: i64) -> &mut Self {
        self.event(minute, Event::Status(&status(false, minute)))
    }

    /// The device says that it is abnormal since this minute.
    pub(crate) fn abnormal(&mut self, minute: i64) -> &mut Self {
        self.event(minute, Event::Status(&status(true, minute)))
    }

    pub(crate) fn acknowledge(&mut self, minute: i64) -> &mut Self {
        self.event(minute, Event::Acknowledge { by: "ann", note: Some("on my way") })
    }

    /// Checks everything that was told, as `minute what severity`.
    pub(crate) fn told(&self, expected: &[&str]) {
        assert_eq!(self.told, expected);
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.now().phase, Phase::Closed { .. })
    }
}

pub(crate) fn status(is_abnormal: bool, since: i64) -> Status {
    Status { is_abnormal, since: at(since), epoch: 0, seq: String::new() }
}
