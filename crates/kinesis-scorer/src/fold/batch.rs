//! What a batch leaves behind: lines and rows for the lake, anomalies, changed states, counts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::{Anomaly, Device, DeviceStatus, Observation, Reading, ReadingVerdict, Scored, Timestamp};
use platform::model::{AnomalyRecord, ShardId, StateRecord};
use telemetry::bronze::{BronzeWriter, LakeError};
use telemetry::payload::RawForm;
use telemetry::poison::Poison;
use telemetry::quarantine::{QuarantineRecord, QuarantineWriter};
use telemetry::sequence::SequenceNumber;
use telemetry::silver::{SilverCell, SilverHead, SilverWriter};

use super::{Findings, RawRecord};
use crate::opinion::{Candidates, Episodes};

/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// Most anomalies of one batch that a second model tells: with the checkpoint they must fit into one transaction.
pub const TOLD_MAX: usize = 64;

/// Everything scored since the batch began.
#[derive(Debug)]
pub struct Batch {
    /// Last record taken.
    pub last_seq: Option<SequenceNumber>,
    /// Newest arrival among them.
    pub newest: Timestamp,
    /// Readings taken in, whatever became of them.
    pub readings: u64,
    /// Readings that were late, repeated, from the future, or marked bad.
    pub unscored: u64,
    /// Messages refused.
    pub quarantined: u64,
    bronze: BronzeWriter,
    silver: SilverWriter,
    quarantine: QuarantineWriter,
    found: Vec<Found>,
    /// Observations to ask a second model about; `None` where there is none.
    candidates: Option<Candidates>,
    /// What it told.
    told: Vec<Found>,
    has_opinions: bool,
    /// Newest change of each device, by tenant and device.
    changed: BTreeMap<(String, String), Changed>,
}

/// An anomaly and the record it was found in.
#[derive(Debug)]
struct Found {
    anomaly: Anomaly,
    seq: SequenceNumber,
    arrived: Timestamp,
}

#[derive(Debug)]
struct Changed {
    status: DeviceStatus,
    since: Timestamp,
    score: f64,
    seq: SequenceNumber,
    arrived: Timestamp,
}

/// The objects of a batch.
#[derive(Debug)]
pub struct Objects {
    /// Every record, raw.
    pub bronze: Vec<u8>,
    /// Every reading, scored; `None` without readings.
    pub silver: Option<Vec<u8>>,
    /// Every refused message; `None` without any.
    pub quarantine: Option<Vec<u8>>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            last_seq: None,
            newest: Timestamp::MIN,
            readings: 0,
            unscored: 0,
            quarantined: 0,
            bronze: BronzeWriter::default(),
            silver: SilverWriter::default(),
            quarantine: QuarantineWriter::default(),
            found: Vec::new(),
            candidates: None,
            told: Vec::new(),
            has_opinions: false,
            changed: BTreeMap::new(),
        }
    }
}

impl Batch {
    /// Forgets everything but its room, and begins anew, with what to look for on behalf of a second model.
    pub fn begin(&mut self, candidates: Option<Candidates>) {
        (self.last_seq, self.newest) = (None, Timestamp::MIN);
        (self.readings, self.unscored, self.quarantined) = (0, 0, 0);
        self.bronze.clear();
        self.silver.clear();
        self.quarantine.clear();
        self.found.clear();
        self.candidates = candidates;
        self.told.clear();
        self.has_opinions = false;
        self.changed.clear();
    }

    /// Keeps the record itself. One whose envelope is broken has no bytes of its own; quarantine holds what came.
    pub fn keep_raw(&mut self, record: &RawRecord<'_>, form: RawForm) {
        self.last_seq = Some(record.seq);
        self.newest = self.newest.max(record.arrived);
        if let Ok(bytes) = record.data {
            self.bronze.push(&record.seq, record.arrived, record.partition_key, bytes, form == RawForm::Json);
        }
    }

    /// How many anomalies were found.
    #[must_use]
    pub fn found(&self) -> usize {
        self.found.len() + self.told.len()
    }

    /// What there is to ask a second model about; `None` where there is none.
    #[must_use]
    pub fn candidates(&self) -> Option<&Candidates> {
        self.candidates.as_ref()
    }

    /// Whether a second model's opinions are recorded in the batch's silver.
    #[must_use]
    pub fn has_opinions(&self) -> bool {
        self.has_opinions
    }

    /// Records what `model` said of the candidates, one strength each, and tells of the episodes that begin with it. Says how
    /// many opinions it took: one that would begin an episode more than [`TOLD_MAX`] is left aside as if it had not been given.
    pub fn take_opinions(&mut self, strengths: &[Option<f32>], episodes: &mut Episodes, model: &str) -> u64 {
        let Some(candidates) = &self.candidates else { return 0 };
        let mut taken = 0;
        let shift = usize::from(tooth!("opinion-of-another-row"));
        let given = strengths.iter().cycle().skip(shift);
        for (candidate, strength) in candidates.found().iter().zip(given) {
            let Some(strength) = *strength else { continue };
            let (tenant, device, at) = (&*candidate.tenant, &*candidate.device, candidate.at);
            if self.told.len() == TOLD_MAX && episodes.begins(tenant, device, at, strength) {
                continue;
            }
            self.silver.opinion(candidate.rows.clone(), strength);
            taken += 1;
            if episodes.take(tenant, device, at, strength) {
                let anomaly = candidate.anomaly(strength, model);
                self.told.push(Found { anomaly, seq: candidate.seq, arrived: candidate.arrived });
            }
        }
        self.has_opinions = taken > 0;
        taken
    }

    /// The batch's objects. The writers are empty afterwards.
    ///
    /// # Errors
    /// [`LakeError`] when a record breaks a bound of the stored format.
    pub fn finish(&mut self) -> Result<Objects, LakeError> {
        let silver = if self.silver.is_empty() { None } else { Some(self.silver.finish()?) };
        let quarantine = if self.quarantine.is_empty() { None } else { Some(self.quarantine.finish()?) };
        Ok(Objects { bronze: self.bronze.finish()?, silver, quarantine })
    }

    /// The anomalies as they are stored, each key once: a device whose clock was set back can find the same thing at the
    /// same instant twice, and a transaction may name an item only once.
    #[must_use]
    pub fn anomalies(&self, shard: &ShardId, profiles: &str, ttl_days: u32) -> Vec<AnomalyRecord> {
        records(&self.found, shard, profiles, ttl_days)
    }

    /// The same of those that a second model told.
    #[must_use]
    pub fn told(&self, shard: &ShardId, profiles: &str, ttl_days: u32) -> Vec<AnomalyRecord> {
        records(&self.told, shard, profiles, ttl_days)
    }

    /// The newest state of each device whose state changed. `epoch`: that of the shard's state, which they come from.
    #[must_use]
    pub fn states(&self, epoch: u64, ttl_days: u32) -> Vec<StateRecord> {
        let record = |((tenant, device), changed): (&(String, String), &Changed)| StateRecord {
            tenant: tenant.clone(),
            device: device.clone(),
            status: changed.status,
            since: changed.since,
            score: changed.score,
            seq: changed.seq,
            epoch,
            expires_at: expiry(changed.arrived, ttl_days),
        };
        self.changed.iter().map(record).collect()
    }
}

/// Anomalies as they are stored, each key once.
fn records(found: &[Found], shard: &ShardId, profiles: &str, ttl_days: u32) -> Vec<AnomalyRecord> {
    let record = |found: &Found| AnomalyRecord {
        anomaly: found.anomaly.clone(),
        detected_at: found.arrived,
        seq: found.seq,
        shard: shard.to_string(),
        profiles: profiles.to_owned(),
        expires_at: expiry(found.arrived, ttl_days),
    };
    let mut known = BTreeSet::new();
    found.iter().map(record).filter(|found| known.insert((found.partition_key(), found.sort_key()))).collect()
}

/// When a store may forget what arrived at `arrived`: a function of the data, so that every writer writes the same.
fn expiry(arrived: Timestamp, ttl_days: u32) -> i64 {
    arrived.millis().div_euclid(1_000) + i64::from(ttl_days) * DAY_SECONDS
}

impl Findings for Batch {
    fn observed(
        &mut self,
        of: &RawRecord<'_>,
        sub: u32,
        observation: &Observation<'_>,
        scored: &Scored,
        device: &Device,
    ) {
        let (tenant, name) = (observation.tenant.as_str(), observation.device.as_str());
        let head = SilverHead {
            tenant,
            device: name,
            at: observation.at,
            alert: scored.alert_strength() as f32,
            seq: of.seq,
            sub,
            arrived: of.arrived,
        };
        self.readings += observation.readings.len() as u64;
        self.unscored += scored.readings.iter().filter(|verdict| !verdict.outcome.is_scored()).count() as u64;
        let cell = |(reading, verdict): (&Reading<'_>, &'_ ReadingVerdict)| SilverCell {
            metric: device.series(verdict.series).name(),
            value: verdict.observed,
            score: verdict.evidence.strength as f32,
            expected: verdict.evidence.expected,
            outcome: verdict.outcome,
            quality: reading.quality,
        };
        let first = self.silver.len();
        self.silver.observation(&head, observation.readings.iter().zip(&scored.readings).map(cell));
        if let Some(candidates) = &mut self.candidates {
            candidates.consider(of, sub, observation, scored, device, first..self.silver.len());
        }
        if let Some(anomaly) = &scored.alert {
            self.found.push(Found { anomaly: (**anomaly).clone(), seq: of.seq, arrived: of.arrived });
        }
        if scored.changed {
            let changed = Changed {
                status: scored.status,
                since: device.since().unwrap_or(observation.at),
                score: scored.score,
                seq: of.seq,
                arrived: of.arrived,
            };
            self.changed.insert((tenant.to_owned(), name.to_owned()), changed);
        }
    }

    fn fell_silent(&mut self, of: &RawRecord<'_>, anomaly: Anomaly, device: &Device) {
        let changed = Changed {
            status: device.status(),
            since: device.since().unwrap_or(of.arrived),
            score: anomaly.score,
            seq: of.seq,
            arrived: of.arrived,
        };
        self.changed.insert((anomaly.tenant.clone(), anomaly.device.clone()), changed);
        self.found.push(Found { anomaly, seq: of.seq, arrived: of.arrived });
    }

    fn refused(&mut self, of: &RawRecord<'_>, sub: u32, poison: &Poison, data: &[u8]) {
        self.quarantined += 1;
        let record = QuarantineRecord {
            seq: of.seq,
            arrived: of.arrived,
            partition_key: Cow::Borrowed(of.partition_key),
            sub,
            reason: Cow::Borrowed(poison.reason().as_str()),
            detail: Cow::Borrowed(poison.detail()),
            data: Cow::Borrowed(data),
        };
        self.quarantine.push(&record, false);
    }
}
