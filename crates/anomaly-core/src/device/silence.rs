//! A device, or a metric of it, that stops reporting.

use super::{Device, DeviceStatus};
use crate::{Anomaly, AnomalyId, Contribution, DetectorId, Explanation, Observation, Severity, Timestamp};

impl Device {
    /// Follows how often anything arrives.
    pub(super) fn follow_arrivals(&mut self, observation: &Observation<'_>) {
        let arrived = observation.arrived.millis();
        let interval = arrived - self.arrived;
        if self.arrived > 0 && interval > 0 {
            if self.cadence.limit_ms().is_some_and(|limit| interval as f64 > limit) {
                self.resumed = observation.at.millis();
            }
            self.cadence.report(interval);
        }
        self.arrived = self.arrived.max(arrived);
        self.is_silent = false;
    }

    /// Notices which metrics have stopped reporting while the device goes on, and since when.
    pub(super) fn look_for_silence(&mut self, now: Timestamp) -> Vec<(Timestamp, Contribution)> {
        let resumed = self.resumed;
        let silent = self.series.iter_mut().filter_map(|series| {
            let silence = series.falls_silent(now, resumed)?;
            Some((silence.since, Contribution::of_silence(&silence, series)))
        });
        silent.collect()
    }

    /// Metrics that are missed at the time of the newest reading.
    pub(super) fn missed(&self) -> impl Iterator<Item = Contribution> {
        let now = self.series.iter().filter_map(crate::Series::newest).max();
        let missed = self.series.iter().filter(move |series| now.is_some_and(|now| series.is_missed(now)));
        missed.filter_map(move |series| Some(Contribution::of_silence(&series.silence(now?, self.resumed)?, series)))
    }

    /// Whether it has not reported for longer than it ever does, and nobody was told.
    pub(crate) fn is_overdue(&self, now: Timestamp) -> bool {
        let limit = self.cadence.limit_ms().filter(|_| !self.is_silent);
        limit.is_some_and(|limit| (now.millis() - self.arrived) as f64 > limit)
    }

    /// Falls silent, as of the arrival of something else at `now`, if it [is overdue](Self::is_overdue) and its profile wants
    /// to know.
    pub(crate) fn fall_silent(&mut self, tenant: &str, device: &str, now: Timestamp) -> Option<Anomaly> {
        let is_wanted = self.series.iter().any(|series| series.settings().runs(DetectorId::Silence));
        let limit_ms = self.cadence.limit_ms().filter(|_| is_wanted)?;
        self.is_silent = true;
        if self.status != DeviceStatus::Abnormal {
            (self.status, self.since) = (DeviceStatus::Abnormal, now.millis());
        }
        let (silent_ms, usual_ms) = ((now.millis() - self.arrived) as f64, self.cadence.usual_ms());
        let since = self.arrived.saturating_add(usual_ms as i64);
        let onset = Timestamp::from_millis(since).unwrap_or(now).min(now);
        let explanation = Explanation::of_silent_device(device, silent_ms, usual_ms, silent_ms / limit_ms);
        self.score = self.score.max(explanation.score);
        let fixed = self.series.iter().filter_map(|series| series.settings().severity).max();
        Some(Anomaly {
            id: AnomalyId::of(tenant, device, &[], DetectorId::Silence, onset),
            tenant: tenant.to_owned(),
            device: device.to_owned(),
            metrics: Vec::new(),
            detector: DetectorId::Silence,
            onset,
            score: explanation.score,
            severity: fixed.unwrap_or_else(|| Severity::of_strength(explanation.score)),
            explanation,
        })
    }
}
