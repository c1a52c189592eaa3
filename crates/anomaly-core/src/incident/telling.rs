//! What is told: where the facts differ from what people believe, unless it is quiet.
//!
//! Openings and ends alternate: an end is told to whoever was told an opening, once. While an incident comes and goes neither is
//! told, until it is steady; then its end follows if it is over.

use super::{AlertPolicy, Incident, NoticeKind, Phase, Quiet, Told, minutes_after};
use crate::Timestamp;

impl Incident {
    /// Tells what is to be told, or notes why it is not.
    pub(super) fn voice(&mut self, policy: &AlertPolicy, quiet: Option<&Quiet>, now: Timestamp) {
        match quiet.filter(|quiet| quiet.until > now) {
            None => {
                self.tell(policy, now);
                if self.is_open() {
                    self.quiet = None;
                }
            }
            // One quiet may follow another.
            Some(quiet) if (self.is_open() && self.quiet.is_some()) || self.has_to_tell(policy, now) => {
                self.quiet = Some(quiet.clone());
            }
            Some(_) => {}
        }
    }

    fn has_to_tell(&self, policy: &AlertPolicy, now: Timestamp) -> bool {
        let mut loud = self.clone();
        loud.tell(policy, now);
        loud.numbered != self.numbered
    }

    /// When something is to be told that is not told yet, for time alone.
    pub(super) fn tell_due(&self, policy: &AlertPolicy) -> Option<Timestamp> {
        let quiet_until = self.quiet.as_ref().map(|quiet| quiet.until);
        let withheld = quiet_until.filter(|until| self.is_open() || self.has_to_tell(policy, *until));
        let waiting = [self.escalation_due(policy), self.steady_due(policy)].into_iter().flatten();
        // Before the quiet ends nothing is told.
        waiting.map(|at| Some(at).max(quiet_until)).chain([withheld]).flatten().min()
    }

    fn tell(&mut self, policy: &AlertPolicy, now: Timestamp) {
        let Some(mut told) = self.told.take().or_else(|| self.first_telling(now)) else { return };
        self.tell_steady(policy, &mut told, now);
        self.tell_open_or_over(policy, &mut told, now);
        self.tell_severity(policy, &mut told, now);
        if self.acknowledged.is_some() && self.is_open() && told.is_open && !told.is_acknowledged {
            told.is_acknowledged = true;
            self.note(NoticeKind::Acknowledged, &mut told, now);
        }
        self.told = Some(told);
        while self.escalation_due(policy).is_some_and(|at| at <= now)
            && let Some(mut told) = self.told.take()
        {
            self.level += 1;
            self.note(NoticeKind::Escalated { to: self.level }, &mut told, now);
            self.told = Some(told);
        }
    }

    /// Nobody heard of it yet. Those that seem over are not told, they may well be.
    fn first_telling(&self, now: Timestamp) -> Option<Told> {
        (self.phase == Phase::Open).then_some(Told {
            at: now,
            waiting_since: now,
            severity: self.severity,
            reach: self.severity,
            is_open: false,
            is_flapping: false,
            is_acknowledged: false,
            is_held: false,
        })
    }

    fn tell_steady(&mut self, policy: &AlertPolicy, told: &mut Told, now: Timestamp) {
        if !told.is_flapping {
            return;
        }
        if self.returns.is_empty() {
            // A person has said that it is over; the end is told.
            told.is_flapping = false;
        } else if self.last_return_ends(policy).is_some_and(|at| at <= now) {
            told.is_flapping = false;
            self.note(NoticeKind::Steady, told, now);
        }
    }

    fn tell_open_or_over(&mut self, policy: &AlertPolicy, told: &mut Told, now: Timestamp) {
        let is_new = self.numbered == 0;
        let is_flapping = self.phase == Phase::Open && self.is_flapping(policy, now);
        if self.phase == Phase::Open && !told.is_open && !told.is_flapping && (is_new || !is_flapping) {
            (told.at, told.waiting_since, told.is_open, told.is_held) = (now, now, true, false);
            (told.severity, told.reach) = (self.severity, self.severity);
            self.note(NoticeKind::Opened, told, now);
        }
        if is_flapping && !told.is_flapping {
            if !told.is_open {
                (told.at, told.waiting_since, told.reach) = (now, now, self.severity);
            }
            (told.is_flapping, told.is_open) = (true, true);
            told.severity = told.severity.max(self.severity);
            told.reach = told.reach.max(self.severity);
            self.note(NoticeKind::Flapping, told, now);
        }
        if !self.is_open() && told.is_open && !told.is_flapping {
            told.is_open = false;
            self.note(NoticeKind::Resolved, told, now);
        }
    }

    fn tell_severity(&mut self, policy: &AlertPolicy, told: &mut Told, now: Timestamp) {
        if self.phase != Phase::Open || !told.is_open {
            return;
        }
        if self.severity > told.severity {
            told.severity = self.severity;
            told.reach = told.reach.max(self.severity);
            self.note(NoticeKind::Worse, told, now);
        } else if self.severity < told.severity && policy.tell_better {
            told.severity = self.severity;
            self.note(NoticeKind::Better, told, now);
        }
    }

    fn is_flapping(&self, policy: &AlertPolicy, now: Timestamp) -> bool {
        let counts = |at: &&Timestamp| minutes_after(**at, policy.flap_minutes) > now;
        self.returns.iter().filter(counts).count() >= policy.flap_count as usize
    }

    fn last_return_ends(&self, policy: &AlertPolicy) -> Option<Timestamp> {
        self.returns.last().map(|at| minutes_after(*at, policy.flap_minutes))
    }

    fn steady_due(&self, policy: &AlertPolicy) -> Option<Timestamp> {
        self.last_return_ends(policy).filter(|_| self.told.as_ref().is_some_and(|told| told.is_flapping))
    }

    fn escalation_due(&self, policy: &AlertPolicy) -> Option<Timestamp> {
        let told = self.told.as_ref().filter(|told| told.is_open)?;
        let minutes = policy.escalate_after_minutes.get(usize::from(self.level))?;
        let waits = self.phase == Phase::Open && self.acknowledged.is_none();
        waits.then(|| minutes_after(told.waiting_since, *minutes))
    }
}
