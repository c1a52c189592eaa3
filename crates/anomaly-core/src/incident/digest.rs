//! Many openings told as one: how many, how urgent, and the worst of them.
//!
//! Digests of parts merge into the digest of the whole, in any order and grouping, so that writers need not agree on one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Incident;
use crate::{Severity, Timestamp};

/// Most devices that a digest names.
pub const SAMPLE_MAX: usize = 10;
/// Most metrics that a digest names: the first by name, because which are the most frequent only the whole could say.
pub const METRICS_KEPT: usize = 32;

/// What is told of incidents that were held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    /// Whose they are.
    pub tenant: String,
    /// When the first was held.
    pub from: Timestamp,
    /// When the last was held.
    pub until: Timestamp,
    /// How many there are.
    pub count: u32,
    /// Critical ones among them.
    pub critical: u32,
    /// Warnings among them.
    pub warning: u32,
    /// Informations among them.
    pub info: u32,
    /// Devices, the worst first, each once, at most [`SAMPLE_MAX`].
    pub sample: Vec<DigestDevice>,
    /// How many incidents name each metric, for at most [`METRICS_KEPT`] metrics.
    pub metrics: BTreeMap<String, u32>,
}

/// One device of a digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigestDevice {
    /// The device.
    pub device: String,
    /// How urgent its incident is.
    pub severity: Severity,
    /// Its strongest anomaly, in units of the alarm line.
    pub peak: f64,
}

impl Digest {
    /// The digest of one incident, held at `now`.
    #[must_use]
    pub fn of(incident: &Incident, now: Timestamp) -> Self {
        let count = |severity| u32::from(incident.severity == severity);
        let device = DigestDevice { device: incident.device.clone(), severity: incident.severity, peak: incident.peak };
        let mut metrics: BTreeMap<String, u32> = incident.metric_names().map(|name| (name.to_owned(), 1)).collect();
        keep_first(&mut metrics);
        Self {
            tenant: incident.tenant.clone(),
            from: now,
            until: now,
            count: 1,
            critical: count(Severity::Critical),
            warning: count(Severity::Warning),
            info: count(Severity::Info),
            sample: vec![device],
            metrics,
        }
    }

    /// Both as one. They must be of the same tenant.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        debug_assert_eq!(self.tenant, other.tenant, "digests of two tenants");
        self.from = self.from.min(other.from);
        self.until = self.until.max(other.until);
        self.count = self.count.saturating_add(other.count);
        self.critical = self.critical.saturating_add(other.critical);
        self.warning = self.warning.saturating_add(other.warning);
        self.info = self.info.saturating_add(other.info);
        self.sample.extend(other.sample);
        self.sample.sort_by(|a, b| {
            let by_worst = b.severity.cmp(&a.severity).then_with(|| b.peak.total_cmp(&a.peak));
            by_worst.then_with(|| a.device.cmp(&b.device))
        });
        let mut named: Vec<DigestDevice> = Vec::with_capacity(SAMPLE_MAX);
        for device in self.sample {
            if named.len() < SAMPLE_MAX && named.iter().all(|other| other.device != device.device) {
                named.push(device);
            }
        }
        self.sample = named;
        for (name, count) in other.metrics {
            let sum = self.metrics.entry(name).or_insert(0);
            *sum = sum.saturating_add(count);
        }
        keep_first(&mut self.metrics);
        self
    }
}

fn keep_first(metrics: &mut BTreeMap<String, u32>) {
    while metrics.len() > METRICS_KEPT {
        metrics.pop_last();
    }
}
