//! What was found, into the table: once, however often the job is analysed.
//!
//! An anomaly has its identity from what it is, so the table refuses a second one. What the warm path has found at the same
//! device in the same time is the same trouble: it gets the model as a second witness, an entry beside it, and no anomaly of
//! its own, so that nobody is told twice.

use std::collections::BTreeSet;

use anomaly_core::{Anomaly, DetectorId, Timestamp};
use platform::model::{AnomalyRecord, Entry, EntryChange, EntryKey, Transaction};
use platform::ports::{
    AnomalyQuery, ChangeEntries, ChangeError, CommitError, CommitTransaction, FindAnomalies, StoreError,
};
use serde::{Deserialize, Serialize};
use telemetry::sequence::SequenceNumber;

use crate::analysis::Analysis;
use crate::episode::Setting;
use crate::job::{Job, JobId};

/// Begins the sort keys of witnesses: `M#{anomaly}#{what the model would have told}`.
pub const WITNESSES: &str = "M#";
/// How long before an episode's first row, and after its last, the warm path may have told of the same trouble: it tells when
/// the evidence suffices, and a model may see a course sooner or later than it.
const AROUND_MS: i64 = 3_600_000;
/// Anomalies of one device that are looked at, the newest first.
const KNOWN_MAX: usize = 1_000;
/// Anomalies that an episode is a witness to, at most.
const WITNESSED_MAX: usize = 10;
/// Anomalies in one transaction.
const CHUNK: usize = 25;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// A finding and what it is beside the warm path's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The finding.
    #[serde(flatten)]
    pub anomaly: Anomaly,
    /// When the episode ended, or the device's rows did.
    pub end: Timestamp,
    /// Rows of the episode.
    pub rows: u64,
    /// Whether it went on when the device's rows ended.
    pub is_open: bool,
    /// The model's score of the strongest row.
    pub model_score: f64,
    /// Identities of the warm path's anomalies that are of the same trouble; none: the model alone has seen it.
    pub seen_by: Vec<String>,
    /// Number of the first row among those of the job, counted from 1.
    pub number: u64,
}

/// What was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Anomalies.
    pub anomalies: u64,
    /// Second witnesses.
    pub witnesses: u64,
}

/// What a record says of where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The job.
    pub id: &'a JobId,
    /// What its rows mean.
    pub job: &'a Job,
    /// Fingerprint of the profile.
    pub profiles: &'a str,
    /// How long findings stay in the table.
    pub ttl_days: u32,
    /// Now.
    pub now: Timestamp,
}

/// Looks what the warm path knows of the findings.
///
/// # Errors
/// The table cannot be read.
pub async fn compare<W: FindAnomalies>(
    world: &W,
    id: &JobId,
    job: &Job,
    profile: &anomaly_core::Profile,
    analysis: &Analysis,
) -> Result<Vec<Told>, StoreError> {
    let mut told = Vec::with_capacity(analysis.findings.len());
    let mut known: Option<(&str, Vec<AnomalyRecord>)> = None;
    for finding in &analysis.findings {
        let device = finding.device.as_str();
        let Some(usual) = analysis.survey.device(device) else { continue };
        let Some(Some(line)) = analysis.lines.get(&usual.asset) else { continue };
        let names = &analysis.names;
        let setting = Setting { tenant: &id.tenant, device, model: &job.model, profile, usual, line, names };
        let episode = &finding.episode;
        if known.as_ref().is_none_or(|(of, _)| *of != device) {
            let query = AnomalyQuery::Device { tenant: id.tenant.clone(), device: device.to_owned() };
            known = Some((device, world.find_anomalies(&query, KNOWN_MAX).await?));
        }
        let of_device = known.as_ref().map_or(&[][..], |(_, of_device)| of_device);
        told.push(Told {
            anomaly: episode.anomaly(&setting),
            end: episode.end,
            rows: episode.rows,
            is_open: episode.is_open,
            model_score: episode.peak.score,
            seen_by: same_trouble(of_device, episode.onset, episode.end),
            number: episode.number,
        });
    }
    Ok(told)
}

/// Those of the warm path's anomalies that began around the time, the oldest first.
fn same_trouble(known: &[AnomalyRecord], onset: Timestamp, end: Timestamp) -> Vec<String> {
    let around = onset.millis() - AROUND_MS..=end.millis() + AROUND_MS;
    let is_same = |record: &&AnomalyRecord| {
        record.anomaly.detector != DetectorId::Model && around.contains(&record.anomaly.onset.millis())
    };
    known.iter().rev().filter(is_same).take(WITNESSED_MAX).map(|record| record.anomaly.id.to_string()).collect()
}

/// Writes what is new. Safe to repeat.
///
/// # Errors
/// The table cannot be written.
pub async fn record<W>(world: &W, origin: &Origin<'_>, told: &[Told]) -> Result<Recorded, StoreError>
where
    W: CommitTransaction + ChangeEntries,
{
    let alone: Vec<AnomalyRecord> =
        told.iter().filter(|one| one.seen_by.is_empty()).map(|one| origin.record(one)).collect();
    let mut recorded = Recorded::default();
    for chunk in alone.chunks(CHUNK) {
        recorded.anomalies += put_new(world, chunk).await?;
    }
    for one in told {
        for anomaly in &one.seen_by {
            recorded.witnesses += u64::from(origin.witness(world, one, anomaly).await?);
        }
    }
    Ok(recorded)
}

/// Puts the anomalies that are not there, and says how many those were.
async fn put_new<W: CommitTransaction>(world: &W, chunk: &[AnomalyRecord]) -> Result<u64, StoreError> {
    let mut left: Vec<&AnomalyRecord> = chunk.iter().collect();
    while !left.is_empty() {
        let transaction = Transaction { anomalies: left.clone(), ..Transaction::default() };
        match world.commit(&transaction).await {
            Ok(()) => return Ok(left.len() as u64),
            Err(CommitError::AlreadyThere { anomalies, .. }) if !anomalies.is_empty() => {
                let places: BTreeSet<usize> = anomalies.into_iter().collect();
                let mut place = 0..;
                left.retain(|_| place.next().is_none_or(|place| !places.contains(&place)));
            }
            Err(CommitError::Store(error)) => return Err(error),
            Err(other) => return Err(StoreError::permanent("commit", "anomalies", other.to_string())),
        }
    }
    Ok(0)
}

impl Origin<'_> {
    fn expires_at(&self) -> i64 {
        (self.now.millis() + i64::from(self.ttl_days) * DAY_MS) / 1000
    }

    fn record(&self, told: &Told) -> AnomalyRecord {
        AnomalyRecord {
            anomaly: told.anomaly.clone(),
            detected_at: self.now,
            // Where a record of a stream has its sequence number, a row of a job has its number.
            seq: told.number.to_string().parse().unwrap_or(SequenceNumber::ZERO),
            shard: format!("{}{}", crate::job::PREFIX, self.id),
            profiles: self.profiles.to_owned(),
            expires_at: self.expires_at(),
        }
    }

    /// `false`: it has been there.
    async fn witness<W: ChangeEntries>(&self, world: &W, told: &Told, anomaly: &str) -> Result<bool, StoreError> {
        let own = &told.anomaly;
        let entry = Entry {
            key: EntryKey::new(format!("{}#{}", own.tenant, own.device), format!("{WITNESSES}{anomaly}#{}", own.id)),
            version: 1,
            due: None,
            day: None,
            expires_at: Some(self.expires_at()),
            body: serde_json::json!({
                "anomaly": anomaly,
                "model": self.job.model,
                "job": self.id.job,
                "onset": own.onset,
                "end": told.end,
                "rows": told.rows,
                "score": own.score,
                "summary": own.explanation.summary,
            }),
        };
        match world.change_entries(&[EntryChange { entry: &entry, expected: None }]).await {
            Ok(()) => Ok(true),
            Err(ChangeError::Moved(_)) => Ok(false),
            Err(ChangeError::Store(error)) => Err(error),
            Err(other @ ChangeError::Size(_)) => {
                Err(StoreError::permanent("change entries", entry.key.to_string(), other.to_string()))
            }
        }
    }
}
