//! Second opinions: what silver has recorded, what was told because of it, and what a shard must remember of that.
//!
//! What the model says is chance, so the checks take it from the committed silver objects; that it was said of just that row
//! they know from the model itself. What must come of it they work out on their own.

use std::collections::BTreeMap;

use anomaly_core::{AnomalyId, DetectorId, DeviceName, Engine, TenantName, Timestamp};
use kinesis_scorer::chain;
use kinesis_scorer::opinion::Episodes;
use platform::model::AnomalyRecord;
use telemetry::sequence::SequenceNumber;
use telemetry::silver::SilverReader;

use super::Findings;
use super::chain::Step;
use crate::run::{Rest, Site};

const BYTES_MAX: usize = 64 << 20;
const SIX_HOURS_MS: i64 = 21_600_000;

/// An opinion as it was recorded.
pub(super) struct Opinion {
    seq: SequenceNumber,
    sub: u32,
    tenant: String,
    device: String,
    at: Timestamp,
    strength: f32,
    /// Metrics that were scored then.
    metrics: Vec<String>,
}

/// The recorded opinions of every committed batch, by region, shard and identity of the batch.
pub(super) struct Recorded(BTreeMap<(usize, String, String), Vec<Opinion>>);

/// Time of the last opinion that supported each open episode, and the opinions since, by tenant and device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told(BTreeMap<(String, String), (i64, u32)>);

/// What a shard knows of its devices.
#[derive(Clone, Default)]
pub(super) struct Known {
    pub(super) engine: Engine,
    pub(super) told: Told,
}

/// Anomalies that must have been told, by key: where, and in which record.
pub(super) type Expected = BTreeMap<(String, String), Vec<(String, SequenceNumber)>>;

impl Known {
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.told.0.retain(|(tenant, device), _| keep(tenant, device));
        self.engine.retain(keep);
    }

    /// Whether more has been taken of a device than elsewhere.
    pub(super) fn is_ahead(&self, tenant: &str, device: &str, other: &Self) -> bool {
        let Some((tenant, device)) = TenantName::new(tenant).ok().zip(DeviceName::new(device).ok()) else {
            return false;
        };
        let (here, there) = (self.engine.device(tenant, device), other.engine.device(tenant, device));
        here.zip(there).is_some_and(|(here, there)| here.is_ahead_of(there))
    }

    /// Takes the devices that are not known yet, with what was told of them.
    pub(super) fn absorb(&mut self, other: Self) {
        let is_known = |(tenant, device): &(String, String)| {
            let names = TenantName::new(tenant).ok().zip(DeviceName::new(device).ok());
            names.is_some_and(|(tenant, device)| self.engine.device(tenant, device).is_some())
        };
        let new: Vec<_> = other.told.0.into_iter().filter(|(device, _)| !is_known(device)).collect();
        self.told.0.extend(new);
        self.engine.absorb(other.engine);
    }
}

impl Told {
    pub(super) fn of(episodes: &Episodes) -> Self {
        let open = episodes.open().map(|(tenant, device, supported_at, doubts)| {
            ((tenant.to_owned(), device.to_owned()), (supported_at.millis(), u32::from(doubts)))
        });
        Self(open.collect())
    }

    /// Whether an episode begins.
    fn take(&mut self, opinion: &Opinion) -> bool {
        let (key, at) = ((opinion.tenant.clone(), opinion.device.clone()), opinion.at.millis());
        if self.0.get(&key).is_some_and(|(supported, _)| at - supported >= SIX_HOURS_MS) {
            self.0.remove(&key);
        }
        match self.0.get_mut(&key) {
            None if opinion.strength >= 1.0 => {
                self.0.insert(key, (at, 0));
                return true;
            }
            None => {}
            Some((supported, doubts)) if opinion.strength >= 0.5 => (*supported, *doubts) = ((*supported).max(at), 0),
            Some((_, doubts)) if *doubts < 9 => *doubts += 1,
            Some(_) => _ = self.0.remove(&key),
        }
        false
    }
}

impl Recorded {
    pub(super) fn read(rest: &Rest, findings: &mut Findings) -> Self {
        let mut recorded = Self(BTreeMap::new());
        for site in &rest.sites {
            let objects = site.store.objects();
            for shard in site.shard_ids() {
                let Some(checkpoint) = site.store.checkpoint(&shard) else { continue };
                let (batches, _) = chain::walk(objects.keys(), &shard, &checkpoint);
                for batch in batches {
                    let Some(key) = batch.object("silver") else { continue };
                    let object = objects.get(key).cloned().unwrap_or_default();
                    match opinions_of(object) {
                        Ok(opinions) => {
                            let place = (site.region, shard.shard.clone(), batch.name.id.to_owned());
                            recorded.0.insert(place, opinions);
                        }
                        Err(error) => findings.add("objects", &format!("{key}: {error}")),
                    }
                }
            }
        }
        recorded.check(rest, findings);
        recorded
    }

    /// The model has said it, of that row; and only where there is one.
    fn check(&self, rest: &Rest, findings: &mut Findings) {
        for opinion in self.0.values().flatten() {
            let Opinion { tenant, device, at, strength, .. } = opinion;
            let is_said = rest.sayings.has((tenant, device, at.millis()), *strength);
            findings.demand(is_said && rest.plan.config.opinion.is_some(), "opinions", || {
                format!("{tenant}/{device} at {at}: nobody has said {strength}")
            });
        }
    }

    /// What a commit's opinions come to.
    pub(super) fn take(&self, site: &Site, step: &Step, told: &mut Told, expected: &mut Expected) {
        if step.records.is_empty() {
            return;
        }
        let place = (step.region, step.shard.clone(), step.checkpoint.batch.clone());
        for opinion in self.0.get(&place).into_iter().flatten() {
            if told.take(opinion) {
                let Opinion { tenant, device, at, metrics, .. } = opinion;
                let metrics: Vec<&str> = metrics.iter().map(String::as_str).collect();
                let id = AnomalyId::of(tenant, device, &metrics, DetectorId::Model, *at);
                let key = (format!("{tenant}#{device}"), format!("A#{at}#{id}"));
                let shard = site.shard_id(&step.shard).to_string();
                expected.entry(key).or_default().push((shard, opinion.seq));
            }
        }
    }
}

/// The opinions of a silver object.
fn opinions_of(object: Vec<u8>) -> Result<Vec<Opinion>, String> {
    let reader = SilverReader::new(object, BYTES_MAX).map_err(|error| error.to_string())?;
    let mut opinions: Vec<Opinion> = Vec::new();
    let mut goes_on = false;
    for row in reader.rows() {
        let Some(strength) = row.opinion else {
            goes_on = false;
            continue;
        };
        let about = (row.seq, row.sub, row.tenant, row.device, row.at);
        let last = opinions.last_mut().filter(|last| {
            goes_on && (last.seq, last.sub, last.tenant.as_str(), last.device.as_str(), last.at) == about
        });
        let metric = row.outcome.is_scored().then(|| row.metric.to_owned());
        goes_on = true;
        match last {
            Some(last) if last.strength.to_bits() != strength.to_bits() => {
                return Err(format!("{}: two opinions of one row", row.seq));
            }
            Some(last) => last.metrics.extend(metric),
            None => opinions.push(Opinion {
                seq: row.seq,
                sub: row.sub,
                tenant: row.tenant.to_owned(),
                device: row.device.to_owned(),
                at: row.at,
                strength,
                metrics: metric.into_iter().collect(),
            }),
        }
    }
    Ok(opinions)
}

/// What was told on a model's word is what was recorded, no more and no less.
pub(super) fn compare(stored: &[AnomalyRecord], expected: &Expected, findings: &mut Findings) {
    let of_model = stored.iter().filter(|record| record.anomaly.detector == DetectorId::Model);
    let found: BTreeMap<_, _> = of_model.map(|record| ((record.partition_key(), record.sort_key()), record)).collect();
    for (key, places) in expected {
        let fits = found.get(key).is_some_and(|record| places.contains(&(record.shard.clone(), record.seq)));
        findings.demand(fits, "opinions", || format!("{key:?} must have been told in {places:?}"));
    }
    for key in found.keys().filter(|key| !expected.contains_key(*key)) {
        findings.add("opinions", &format!("{key:?} was told, and no recorded opinion says so"));
    }
}
