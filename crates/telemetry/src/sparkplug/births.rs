//! What BIRTH messages told: the state that Sparkplug DATA cannot be read without.
//!
//! A BIRTH replaces what an earlier one told of the same node or device; a DEATH of the same session ends it. Kept are the
//! numeric metrics, and the aliases of those whose values look like numbers and are none (dates, the protocol's own).
//! Everything is in a defined order, so equal states are equal bytes in a snapshot.

use std::collections::BTreeMap;

use anomaly_core::MetricName;
use serde::{Deserialize, Serialize};

use super::SESSION;
use super::metric::Metric;
use crate::payload::rows::{bad_name, too_many_metrics};
use crate::poison::{BIRTHS_MAX, METRICS_MAX, Poison, PoisonReason};

/// Most metrics of one BIRTH that look like numbers and are no readings.
const NO_NUMBERS_MAX: usize = 256;

/// The BIRTHs of the Sparkplug nodes and devices of one shard, at most [`BIRTHS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Births {
    /// By `{tenant}/{group}:{node}` and `{tenant}/{group}:{node}:{device}`.
    devices: BTreeMap<String, Birth>,
}

/// The BIRTH of one node or device: at most [`METRICS_MAX`] numeric metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    session: Option<u64>,
    metrics: Vec<BirthMetric>,
    /// Aliases of what looks like a number and is no reading; sorted, at most [`NO_NUMBERS_MAX`].
    no_numbers: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct BirthMetric {
    name: String,
    alias: Option<u64>,
    /// 1 to 10, the numeric types.
    datatype: u32,
}

impl Births {
    /// How many nodes and devices are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether no BIRTH was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Adds what another shard knows, after a merge of shards. What is known here stays; beyond [`BIRTHS_MAX`] the rest
    /// is left out, and its data are `unknown_alias` until the next BIRTH.
    pub fn absorb(&mut self, other: Self) {
        for (key, birth) in other.devices {
            if self.check_room(&key).is_ok() {
                self.devices.entry(key).or_insert(birth);
            }
        }
    }

    /// Keeps those for which `keep` says yes, asked with tenant and device.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.devices.retain(|key, _| key.split_once('/').is_none_or(|(tenant, device)| keep(tenant, device)));
    }

    pub(super) fn get(&self, key: &str) -> Option<&Birth> {
        self.devices.get(key)
    }

    pub(super) fn check_room(&self, key: &str) -> Result<(), Poison> {
        if self.devices.len() < BIRTHS_MAX || self.devices.contains_key(key) {
            return Ok(());
        }
        Err(Poison::new(
            PoisonReason::TooManyDevices,
            format_args!("more than {BIRTHS_MAX} Sparkplug nodes and devices on one shard; split the shard"),
        ))
    }

    pub(super) fn insert(&mut self, key: &str, birth: Birth) {
        if let Some(known) = self.devices.get_mut(key) {
            *known = birth;
        } else {
            self.devices.insert(key.to_owned(), birth);
        }
    }

    /// Forgets a device, or a node with its devices. A node's DEATH is often delivered late, by the broker, after the BIRTH
    /// of the node's next session; it counts only if it is of the session that is known.
    pub(super) fn end(&mut self, key: &str, is_node: bool, session: Option<u64>) {
        if !is_node {
            self.devices.remove(key);
            return;
        }
        if self.devices.get(key).is_some_and(|birth| birth.session == session) {
            let of_node =
                |known: &str| known.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
            self.devices.retain(|known, _| !of_node(known));
        }
    }
}

impl Birth {
    /// Name and type of a metric that is told by name or alias.
    pub(super) fn find(&self, name: Option<&str>, alias: Option<u64>) -> Option<(&str, u32)> {
        let metric = self.metrics.iter().find(|metric| match name {
            Some(name) => metric.name == name,
            None => alias.is_some() && metric.alias == alias,
        })?;
        Some((&metric.name, metric.datatype))
    }

    /// Whether `alias` is of a metric that is no reading.
    pub(super) fn is_no_number(&self, alias: u64) -> bool {
        self.no_numbers.binary_search(&alias).is_ok()
    }
}

/// Collects a BIRTH while its metrics are read.
#[derive(Debug, Default)]
pub(super) struct BirthBuilder(Birth);

impl BirthBuilder {
    pub(super) fn learn(&mut self, metric: &Metric<'_>) -> Result<(), Poison> {
        let Some(name) = metric.name else {
            return Err(Poison::new(PoisonReason::WrongEncoding, "a metric of a Sparkplug BIRTH has no name"));
        };
        if name == SESSION {
            self.0.session = metric.whole();
        }
        if !metric.is_numeric() || Metric::is_protocol(name) {
            let looks_like_one = metric.is_protocol_or_date(name);
            self.0.no_numbers.extend(metric.alias.filter(|_| looks_like_one));
            if self.0.no_numbers.len() > NO_NUMBERS_MAX {
                let detail = format_args!("more than {NO_NUMBERS_MAX} dates in one Sparkplug BIRTH; split the device");
                return Err(Poison::new(PoisonReason::TooManyMetrics, detail));
            }
            return Ok(());
        }
        MetricName::new(name).map_err(bad_name)?;
        let known = self.0.metrics.iter().any(|known| known.name == name);
        if known {
            // The same metric at several times; whether at one time twice is seen when it is delivered.
            return Ok(());
        }
        if self.0.metrics.len() == METRICS_MAX {
            return Err(too_many_metrics(METRICS_MAX + 1));
        }
        // A number without a type stands for itself; 8 is UInt64 and 10 is Double, of which either reads all values alike.
        let datatype = metric.datatype.unwrap_or(if metric.whole().is_some() { 8 } else { 10 });
        self.0.metrics.push(BirthMetric { name: name.to_owned(), alias: metric.alias, datatype });
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Birth, Poison> {
        let Self(mut birth) = self;
        birth.no_numbers.sort_unstable();
        birth.no_numbers.dedup();
        let mut aliases: Vec<u64> = birth.metrics.iter().filter_map(|metric| metric.alias).collect();
        aliases.sort_unstable();
        let twice = aliases.windows(2).any(|pair| pair[0] == pair[1]);
        if twice || aliases.iter().any(|alias| birth.is_no_number(*alias)) {
            return Err(Poison::new(PoisonReason::DuplicateKey, "a Sparkplug BIRTH gives one alias to two metrics"));
        }
        Ok(birth)
    }
}
