//! How an incident moves: what happens to its device, what people do, and what time alone changes.
//!
//! Each event first changes the facts, then what time has changed is settled, then what differs from what was told is told.

use super::{
    Acknowledgement, AlertPolicy, ClosedBy, FLAPS_MAX, Heard, INCIDENT_METRICS_MAX, Incident, IncidentId,
    IncidentMetric, Phase, Quiet, SENTENCES_MAX, Status, cut, minutes_after,
};
use crate::incident::CalledFor;
use crate::{Anomaly, Severity, Timestamp};

/// What happens to an incident.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// The engine found something. The caller has asked [`Incident::joins`].
    Anomaly(&'a Anomaly),
    /// The device says how it is. After an anomaly the status that is stored then has to follow, even if it is old: an anomaly
    /// that is an event and no state does not change it, and ends by itself only if the device is known to be normal.
    Status(&'a Status),
    /// A person takes care of it. The first one stands.
    Acknowledge {
        /// Who.
        by: &'a str,
        /// What they say.
        note: Option<&'a str>,
    },
    /// A person says that it is over.
    Resolve {
        /// Who.
        by: &'a str,
    },
    /// The notices with these numbers have reached everybody they are for, or finally failed.
    Delivered(&'a [u32]),
    /// Time has passed.
    Tick,
}

/// An incident after an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// As it is now.
    pub incident: Incident,
    /// Whether it differs from before, and has to be stored.
    pub changed: bool,
}

impl Incident {
    /// What an anomaly makes of the newest incident of its device: one that it joins, or a new one.
    #[must_use]
    pub fn follow(
        newest: Option<&Self>,
        anomaly: &Anomaly,
        policy: &AlertPolicy,
        quiet: Option<&Quiet>,
        now: Timestamp,
    ) -> Change {
        match newest {
            Some(incident) if incident.joins(anomaly, policy, now) => {
                incident.apply(Event::Anomaly(anomaly), policy, quiet, now)
            }
            _ => Change { incident: Self::open(anomaly, policy, quiet, now), changed: true },
        }
    }

    /// Opens an incident.
    #[must_use]
    pub fn open(anomaly: &Anomaly, policy: &AlertPolicy, quiet: Option<&Quiet>, now: Timestamp) -> Self {
        let mut incident = Self {
            id: IncidentId::of(&anomaly.tenant, &anomaly.device, &anomaly.id),
            tenant: anomaly.tenant.clone(),
            device: anomaly.device.clone(),
            opened: anomaly.onset,
            first_onset: anomaly.onset,
            since: now,
            reopened: None,
            phase: Phase::Open,
            severity: anomaly.severity,
            called_for: CalledFor::default(),
            is_worn: false,
            peak: f64::NEG_INFINITY,
            detector: anomaly.detector,
            summary: String::new(),
            sentences: Vec::new(),
            metrics: Vec::new(),
            anomalies: 0,
            last_anomaly: anomaly.id.clone(),
            last_detected: now,
            status: None,
            acknowledged: None,
            level: 0,
            returns: Vec::new(),
            quiet: None,
            told: None,
            numbered: 0,
            notices: Vec::new(),
        };
        incident.take(anomaly, policy, now);
        incident.settle(policy, now);
        incident.voice(policy, quiet, now);
        incident
    }

    /// What an event makes of it. `quiet` is what [`super::quiet_at`] says of it now.
    #[must_use]
    pub fn apply(&self, event: Event<'_>, policy: &AlertPolicy, quiet: Option<&Quiet>, now: Timestamp) -> Change {
        let mut incident = self.clone();
        match event {
            Event::Anomaly(anomaly) => incident.see(anomaly, policy, now),
            Event::Status(status) => incident.hear(status, policy, now),
            Event::Acknowledge { by, note } => incident.acknowledge(by, note, now),
            Event::Resolve { by } => incident.resolve(by, now),
            Event::Delivered(numbers) => incident.notices.retain(|notice| !numbers.contains(&notice.number)),
            Event::Tick => {}
        }
        // A delivery is known where nobody asks whether it is quiet.
        if !matches!(event, Event::Delivered(_)) {
            incident.settle(policy, now);
            incident.voice(policy, quiet, now);
        }
        Change { changed: incident != *self, incident }
    }

    /// When time alone can change it, at the earliest; `None` when it never does. A [tick](Event::Tick) before changes
    /// nothing.
    #[must_use]
    pub fn due(&self, policy: &AlertPolicy) -> Option<Timestamp> {
        [self.over_due(policy).map(|(at, _)| at), self.worn_due(policy), self.better_due(policy), self.tell_due(policy)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether an anomaly would still belong to it.
    pub(super) fn is_within_reach(&self, policy: &AlertPolicy, now: Timestamp) -> bool {
        match self.phase {
            Phase::Open | Phase::Recovering { .. } => true,
            Phase::Closed { at, .. } => now < minutes_after(at, policy.reopen_minutes),
        }
    }

    fn see(&mut self, anomaly: &Anomaly, policy: &AlertPolicy, now: Timestamp) {
        if self.last_anomaly == anomaly.id {
            return;
        }
        self.take(anomaly, policy, now);
        self.come_back(policy, now);
    }

    /// Takes what an anomaly says. The order of two changes only what is named first and last.
    fn take(&mut self, anomaly: &Anomaly, policy: &AlertPolicy, now: Timestamp) {
        if anomaly.score > self.peak {
            self.peak = anomaly.score;
            self.detector = anomaly.detector;
            self.summary = cut(&anomaly.explanation.summary);
            let named = anomaly.explanation.contributions.iter().filter(|c| anomaly.metrics.contains(&c.metric));
            self.sentences = named.take(SENTENCES_MAX).map(|c| cut(&c.sentence)).collect();
        }
        self.first_onset = self.first_onset.min(anomaly.onset);
        self.anomalies = self.anomalies.saturating_add(1);
        self.last_anomaly = anomaly.id.clone();
        self.last_detected = self.last_detected.max(now);
        for name in &anomaly.metrics {
            let said = anomaly.explanation.contributions.iter().find(|c| c.metric == *name);
            let strength = said.map_or(anomaly.score, |c| c.strength);
            match self.metrics.iter_mut().find(|metric| metric.name == *name) {
                Some(metric) => metric.strength = metric.strength.max(strength),
                None => self.metrics.push(IncidentMetric { name: name.clone(), strength }),
            }
        }
        self.metrics.sort_by(|a, b| b.strength.total_cmp(&a.strength).then_with(|| a.name.cmp(&b.name)));
        self.metrics.truncate(INCIDENT_METRICS_MAX);
        self.called_for.call(anomaly.severity, now);
        let many = policy.critical_metrics as usize;
        if many > 0 && self.metrics.len() >= many && self.called_for.highest() >= Severity::Warning {
            self.called_for.call(Severity::Critical, now);
        }
    }

    fn hear(&mut self, status: &Status, policy: &AlertPolicy, now: Timestamp) {
        let is_news = self.status.as_ref().is_none_or(|heard| status.is_newer_than(&heard.status));
        if !is_news || !self.is_within_reach(policy, now) {
            return;
        }
        self.status = Some(Heard { status: status.clone(), at: now });
        match &self.phase {
            Phase::Open if !status.is_abnormal => self.phase = Phase::Recovering { since: now },
            Phase::Recovering { .. } if status.is_abnormal => self.come_back(policy, now),
            // Whoever said that it is over may have known that the device was not yet.
            Phase::Closed { at, by } if status.is_abnormal && (*by == ClosedBy::Recovered || status.since > *at) => {
                self.come_back(policy, now);
            }
            _ => {}
        }
    }

    fn come_back(&mut self, policy: &AlertPolicy, now: Timestamp) {
        match self.phase {
            Phase::Open => return,
            Phase::Recovering { .. } => {}
            Phase::Closed { .. } => {
                self.since = now;
                self.reopened = Some(now);
            }
        }
        self.phase = Phase::Open;
        self.returns.retain(|at| minutes_after(*at, policy.flap_minutes) > now);
        self.returns.push(now);
        let over = self.returns.len().saturating_sub(FLAPS_MAX);
        self.returns.drain(..over);
    }

    fn acknowledge(&mut self, by: &str, note: Option<&str>, now: Timestamp) {
        if self.is_open() && self.acknowledged.is_none() {
            let (by, note, severity) = (cut(by), note.map(cut), self.severity);
            self.acknowledged = Some(Acknowledgement { by, at: now, note, severity });
        }
    }

    fn resolve(&mut self, by: &str, now: Timestamp) {
        if self.is_open() {
            self.phase = Phase::Closed { at: now, by: ClosedBy::Person(cut(by)) };
            self.returns.clear();
        }
    }

    /// Settles what time has changed.
    fn settle(&mut self, policy: &AlertPolicy, now: Timestamp) {
        if let Some((_, by)) = self.over_due(policy).filter(|(at, _)| *at <= now) {
            self.phase = Phase::Closed { at: now, by };
        }
        while self.better_due(policy).is_some_and(|at| at <= now)
            && let Some((highest, _)) = self.called_for.falling()
        {
            *self.called_for.slot(highest) = None;
        }
        self.severity = self.called_for.highest();
        self.outgrow(now);
        if self.worn_due(policy).is_some_and(|at| at <= now) {
            self.is_worn = true;
            self.severity = if self.severity == Severity::Info { Severity::Warning } else { Severity::Critical };
            self.called_for.call(self.severity, now);
        }
    }

    /// An acknowledgement holds for what was acknowledged: of an incident that has come back worse nobody takes care.
    fn outgrow(&mut self, now: Timestamp) {
        let is_outgrown = |ack: &Acknowledgement| self.severity > ack.severity && self.reopened >= Some(ack.at);
        if self.is_open() && self.acknowledged.as_ref().is_some_and(is_outgrown) {
            self.acknowledged = None;
            self.level = 0;
            if let Some(told) = &mut self.told {
                (told.waiting_since, told.is_acknowledged) = (now, false);
            }
        }
    }

    /// When it closes by itself, and why.
    fn over_due(&self, policy: &AlertPolicy) -> Option<(Timestamp, ClosedBy)> {
        let close = policy.close_after_minutes;
        match (&self.phase, &self.status) {
            (Phase::Recovering { since }, _) => Some((minutes_after(*since, close), ClosedBy::Recovered)),
            // An anomaly in a device that says it is normal is an event and no state.
            (Phase::Open, Some(heard)) if !heard.status.is_abnormal => {
                Some((minutes_after(self.last_detected, close), ClosedBy::Recovered))
            }
            (Phase::Open, heard) => {
                let last = heard.as_ref().map_or(self.last_detected, |heard| heard.at.max(self.last_detected));
                Some((minutes_after(last, policy.auto_resolve_hours.saturating_mul(60)), ClosedBy::TimedOut))
            }
            (Phase::Closed { .. }, _) => None,
        }
    }

    /// When it becomes more urgent because it lasts.
    fn worn_due(&self, policy: &AlertPolicy) -> Option<Timestamp> {
        let minutes = policy.worse_after_minutes?;
        let can_rise = match self.called_for.highest() {
            Severity::Info => policy.worse_info,
            Severity::Warning => true,
            Severity::Critical => false,
        };
        let waits = self.phase == Phase::Open && self.acknowledged.is_none() && !self.is_worn;
        (waits && can_rise).then(|| minutes_after(self.since, minutes))
    }

    /// When it becomes less urgent because only lesser anomalies come.
    fn better_due(&self, policy: &AlertPolicy) -> Option<Timestamp> {
        let minutes = policy.better_after_minutes?;
        let (_, at) = self.called_for.falling().filter(|_| self.is_open())?;
        Some(minutes_after(at, minutes))
    }
}
