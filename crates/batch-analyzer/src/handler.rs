//! A job from its first byte to its report.
//!
//! 1. A job that has its report is done.
//! 2. Its description is read, and all its results must be there; else it waits for the next event.
//! 3. It is analysed ([`crate::analysis`]), and its findings compared with the warm path's. The warm path goes on meanwhile, so
//!    what came of that is written to gold first, and whoever begins again goes by it.
//! 4. Anomalies and witnesses go into the table, scores to gold, refused lines beside the job.
//! 5. The report is written last. It is what says that all the rest is there.
//!
//! Each write is refused where the same was written before, so that a job that is begun again, or twice at once, comes to the
//! same.

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::{Profile, Timestamp};
use platform::model::Key;
use platform::ports::{
    ChangeEntries, CommitTransaction, FindAnomalies, GetObject, ListFolders, ListObjects, PutError, PutIfAbsent,
    ReadRange, StoreError,
};
use serde::Serialize;
use telemetry::profile::{EMPTY_FINGERPRINT, PROFILE_BYTES_MAX, ProfileBundle, parse_profile};

use crate::analysis::{Analysis, AnalysisError, analyze};
use crate::job::{JOB_BYTES_MAX, Job, JobErrors, JobId, PARTS_MAX, PREFIX};
use crate::record::{Origin, Recorded, Told, compare, record};
use crate::report::Report;

/// Tenants, and jobs of one, that the schedule looks through.
const FOLDERS_MAX: usize = 1_000;
/// Compression of what is written.
const ZSTD_LEVEL: i32 = 3;
/// Largest report, in bytes.
const REPORT_BYTES_MAX: usize = 4 << 20;
/// Largest list of findings, in bytes, packed or not: with 64 metrics each, [`crate::analysis::FINDINGS_MAX`] of them have
/// less.
const FINDINGS_BYTES_MAX: usize = 256 << 20;

/// All that is asked of the world.
pub trait AnalyzerWorld:
    GetObject
    + ReadRange
    + ListObjects
    + ListFolders
    + PutIfAbsent
    + FindAnomalies
    + CommitTransaction
    + ChangeEntries
    + Send
    + Sync
{
}

impl<W> AnalyzerWorld for W where
    W: GetObject
        + ReadRange
        + ListObjects
        + ListFolders
        + PutIfAbsent
        + FindAnomalies
        + CommitTransaction
        + ChangeEntries
        + Send
        + Sync
{
}

/// Why a job was not analysed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The description has mistakes.
    #[error("`{PREFIX}{id}/job.json`: {source}")]
    Description {
        /// The job.
        id: JobId,
        /// All of them.
        source: JobErrors,
    },
    /// The tenant's profile has mistakes. A job is not judged by another one than the tenant's.
    #[error("the profile of `{tenant}` is refused: {reason}")]
    Profile {
        /// Whose it is.
        tenant: String,
        /// Every mistake.
        reason: String,
    },
    /// It could not be read.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// What was written before is other than what would be written now: its parts or its description were changed.
    #[error(
        "`{0}` is there with other content: the job was changed after it had been analysed in part; give it a new name"
    )]
    Changed(Key),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError {
    /// Whether the same again may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Analysis(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::Description { .. } | Self::Profile { .. } | Self::Changed(_) => false,
        }
    }
}

impl From<PutError> for JobError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Conflict(key) => Self::Changed(key),
            PutError::Store(error) => Self::Store(error),
        }
    }
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was analysed now.
    Analyzed(Box<Report>, Recorded),
    /// It had its report.
    Done(Box<Report>),
    /// So many results are not there yet.
    Waiting {
        /// Parts without results.
        missing: u64,
        /// All parts.
        parts: u64,
    },
    /// There is no description yet.
    Undescribed,
}

/// What the caller decides.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The job.
    pub id: &'a JobId,
    /// Analyse what is there, and report parts without results as missing.
    pub accepts_missing: bool,
    /// How long findings stay in the table.
    pub ttl_days: u32,
    /// Now.
    pub now: Timestamp,
}

/// Analyses a job, if it is complete and has not been analysed.
///
/// # Errors
/// [`JobError`].
pub async fn run<W: AnalyzerWorld>(
    world: &W,
    request: &Request<'_>,
    has_time: impl Fn() -> bool,
) -> Result<Outcome, JobError> {
    let id = request.id;
    if let Some(report) = report(world, id).await? {
        return Ok(Outcome::Done(Box::new(report)));
    }
    let Some(job) = describe(world, id).await? else { return Ok(Outcome::Undescribed) };
    if !request.accepts_missing {
        let missing = missing(world, id, &job).await?;
        if missing > 0 {
            return Ok(Outcome::Waiting { missing, parts: job.parts.len() as u64 });
        }
    }
    let (profile, profiles) = profile(world, &id.tenant).await?;
    let analysis = analyze(world, id, &job, &profile, has_time).await?;
    let told = tell(world, id, &job, &profile, &analysis).await?;
    let origin = Origin { id, job: &job, profiles: &profiles, ttl_days: request.ttl_days, now: request.now };
    let recorded = record(world, &origin, &told).await?;
    let report = Report::of(id, &job, &profiles, &analysis, &told);
    write_scores(world, id, &analysis, &told, &report).await?;
    write_report(world, id, &report, &told).await?;
    Ok(Outcome::Analyzed(Box::new(report), recorded))
}

/// The report of a job that is done.
///
/// # Errors
/// The store's; a report that cannot be read is a permanent one.
pub async fn report<W: GetObject>(world: &W, id: &JobId) -> Result<Option<Report>, StoreError> {
    let key = key(id, "report.json")?;
    let Some(bytes) = world.get_object(&key, REPORT_BYTES_MAX).await? else { return Ok(None) };
    let report = serde_json::from_slice(&bytes).map_err(|error| {
        StoreError::permanent(
            "read report",
            key.as_str(),
            format!("{error}; it is not of this release: remove it to analyse the job again"),
        )
    })?;
    Ok(Some(report))
}

/// Jobs that have no report, in order.
///
/// # Errors
/// The store's.
pub async fn unfinished<W: ListFolders + GetObject>(world: &W) -> Result<Vec<JobId>, StoreError> {
    let mut found = Vec::new();
    for tenant in world.list_folders(PREFIX, FOLDERS_MAX).await? {
        for job in world.list_folders(&format!("{PREFIX}{tenant}/"), FOLDERS_MAX).await? {
            // People make folders, too.
            let Ok(id) = JobId::new(&tenant, &job) else { continue };
            if world.get_object(&key(&id, "report.json")?, REPORT_BYTES_MAX).await?.is_none() {
                found.push(id);
            }
        }
    }
    Ok(found)
}

async fn describe<W: GetObject>(world: &W, id: &JobId) -> Result<Option<Job>, JobError> {
    let Some(bytes) = world.get_object(&key(id, "job.json")?, JOB_BYTES_MAX).await? else { return Ok(None) };
    Job::parse(&bytes).map(Some).map_err(|source| JobError::Description { id: id.clone(), source })
}

async fn missing<W: ListObjects>(world: &W, id: &JobId, job: &Job) -> Result<u64, StoreError> {
    let prefix = format!("{PREFIX}{id}/output/");
    // SageMaker puts manifests beside results.
    let listed = world.list_objects(&prefix, 2 * PARTS_MAX).await?;
    let there: BTreeSet<&str> =
        listed.iter().filter_map(|one| one.key.as_str().strip_prefix(&prefix)?.strip_suffix(".out")).collect();
    Ok(job.parts.iter().filter(|part| !there.contains(part.as_str())).count() as u64)
}

async fn profile<W: GetObject>(world: &W, tenant: &str) -> Result<(Profile, String), JobError> {
    let refused = |reason: String| JobError::Profile { tenant: tenant.to_owned(), reason };
    let key = Key::new(format!("config/{tenant}/profile.toml")).map_err(|error| refused(error.to_string()))?;
    let Some(bytes) = world.get_object(&key, PROFILE_BYTES_MAX).await? else {
        return Ok((Profile::default(), EMPTY_FINGERPRINT.to_owned()));
    };
    let text = String::from_utf8(bytes).map_err(|error| refused(error.to_string()))?;
    let profile = parse_profile(&text).map_err(|errors| refused(errors.to_string()))?;
    let mut bundle = ProfileBundle::default();
    bundle.replace(tenant, &text).map_err(|errors| refused(errors.to_string()))?;
    Ok((profile, bundle.fingerprint()))
}

/// The findings beside the warm path's: as they were told before, else as they are now, which is then how they are told.
async fn tell<W: AnalyzerWorld>(
    world: &W,
    id: &JobId,
    job: &Job,
    profile: &Profile,
    analysis: &Analysis,
) -> Result<Vec<Told>, JobError> {
    let Some(last) = analysis.survey.last() else { return Ok(Vec::new()) };
    let key = gold(id, "model_findings", last)?;
    if let Some(told) = told_before(world, &key).await? {
        return Ok(told);
    }
    let told = compare(world, id, job, profile, analysis).await?;
    let findings = told.iter().map(|told| FindingOfJob { job: &id.job, model: &job.model, told });
    match world.put_if_absent(&key, &packed(&lines(findings)?)?).await {
        Ok(_) => Ok(told),
        // Another one was quicker, and saw something else of the warm path.
        Err(PutError::Conflict(_)) => Ok(told_before(world, &key).await?.unwrap_or(told)),
        Err(PutError::Store(error)) => Err(error.into()),
    }
}

async fn told_before<W: GetObject>(world: &W, key: &Key) -> Result<Option<Vec<Told>>, StoreError> {
    let Some(bytes) = world.get_object(key, FINDINGS_BYTES_MAX).await? else { return Ok(None) };
    let unreadable = |reason: String| {
        StoreError::permanent("read findings", key.as_str(), format!("{reason}; remove the object to compare anew"))
    };
    let text = zstd::bulk::decompress(&bytes, FINDINGS_BYTES_MAX).map_err(|error| unreadable(error.to_string()))?;
    let told: Result<Vec<Told>, _> =
        text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice).collect();
    told.map(Some).map_err(|error| unreadable(error.to_string()))
}

/// `gold/{table}/dt=…/{tenant}/{job}.ndjson.zst`, on the day of the newest row.
fn gold(id: &JobId, table: &str, last: Timestamp) -> Result<Key, StoreError> {
    let name = format!("gold/{table}/dt={}/{id}.ndjson.zst", last.date());
    Key::new(&name).map_err(|error| StoreError::permanent("put object", name, error.to_string()))
}

/// A device's scores in a job, as gold keeps them.
#[derive(Serialize)]
struct Scores<'a> {
    tenant: &'a str,
    job: &'a str,
    model: &'a str,
    device: &'a str,
    asset: &'a str,
    rows: u64,
    first: Timestamp,
    last: Timestamp,
    mean: f64,
    low: f64,
    high: f64,
    deviation: f64,
    anomalies: u64,
}

/// A finding, as gold keeps it.
#[derive(Serialize)]
struct FindingOfJob<'a> {
    job: &'a str,
    model: &'a str,
    #[serde(flatten)]
    told: &'a Told,
}

/// Scores by device, and the places of refused lines.
async fn write_scores<W: PutIfAbsent>(
    world: &W,
    id: &JobId,
    analysis: &Analysis,
    told: &[Told],
    report: &Report,
) -> Result<(), JobError> {
    let kept = lines(analysis.refused_kept.iter())?;
    if !kept.is_empty() {
        world.put_if_absent(&key(id, "refused.ndjson.zst")?, &packed(&kept)?).await?;
    }
    let Some(last) = analysis.survey.last() else { return Ok(()) };
    let (tenant, job, model) = (&id.tenant, id.job.as_str(), report.model.as_str());
    let mut anomalies: BTreeMap<&str, u64> = BTreeMap::new();
    for one in told {
        *anomalies.entry(&one.anomaly.device).or_default() += 1;
    }
    let scores = analysis.survey.devices().into_iter().map(|(device, known)| Scores {
        tenant,
        job,
        model,
        device,
        asset: &known.asset,
        rows: known.rows,
        first: known.first,
        last: known.last,
        mean: known.scores.mean,
        low: known.scores.low,
        high: known.scores.high,
        deviation: known.scores.deviation(),
        anomalies: anomalies.get(device).copied().unwrap_or_default(),
    });
    world.put_if_absent(&gold(id, "model_scores", last)?, &packed(&lines(scores)?)?).await?;
    Ok(())
}

async fn write_report<W: PutIfAbsent>(world: &W, id: &JobId, report: &Report, told: &[Told]) -> Result<(), JobError> {
    world.put_if_absent(&key(id, "report.md")?, report.markdown(told).as_bytes()).await?;
    let json = serde_json::to_vec_pretty(report)
        .map_err(|error| StoreError::permanent("write report", id.to_string(), error.to_string()))?;
    world.put_if_absent(&key(id, "report.json")?, &json).await?;
    Ok(())
}

fn key(id: &JobId, name: &str) -> Result<Key, StoreError> {
    id.key(name).map_err(|error| StoreError::permanent("name object", id.to_string(), error.to_string()))
}

/// One JSON object a line. Numbers that JSON has no form for are `null`.
fn lines<T: Serialize>(rows: impl Iterator<Item = T>) -> Result<String, StoreError> {
    let mut text = String::new();
    for row in rows {
        let line = serde_json::to_string(&row);
        text.push_str(&line.map_err(|error| StoreError::permanent("write as JSON", "gold", error.to_string()))?);
        text.push('\n');
    }
    Ok(text)
}

fn packed(text: &str) -> Result<Vec<u8>, StoreError> {
    zstd::bulk::compress(text.as_bytes(), ZSTD_LEVEL)
        .map_err(|error| StoreError::permanent("compress", "gold", error.to_string()))
}
