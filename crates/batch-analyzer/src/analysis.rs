//! A job read twice: once for what is usual, once for what is not.
//!
//! Nothing is written here, and nothing is asked but the job's own parts; the same parts make the same analysis. Memory does
//! not grow with the rows: a bounded sample of scores for each type of asset, moments and a course for each device, and the
//! findings.

use std::collections::{BTreeMap, HashMap};

use anomaly_core::{DeviceName, Profile};
use foldhash::quality::RandomState;
use platform::ports::{ReadRange, StoreError};
use serde::Serialize;
use telemetry::inference::{MetricNames, Row};

use crate::episode::{Course, Episode, Step};
use crate::job::{Job, JobId};
use crate::line::Line;
use crate::lines::LinesError;
use crate::pairs::{Pair, PairReader, PartError};
use crate::refusal::{Reason, Refusal};
use crate::survey::Survey;

/// Findings that are kept. A model that finds more is no model; the rest are counted.
pub const FINDINGS_MAX: usize = 10_000;
/// Refused lines of which the places are kept; the rest are counted. They lie where they lay, in the job's parts.
pub const REFUSED_KEPT_MAX: usize = 10_000;
/// Rows between two looks at the time that is left.
const ROWS_PER_LOOK: u64 = 65_536;

/// Why there is no analysis.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part is being written.
    #[error("{0}: start the analysis when the inference is done")]
    Unsteady(LinesError),
    /// It takes longer than there is time.
    #[error("{rows} rows were read when the time was up, with nothing written yet: run it where there is more time")]
    OutOfTime {
        /// Rows, of both readings.
        rows: u64,
    },
}

impl AnalysisError {
    /// Whether the same again may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) | Self::Unsteady(LinesError::Store(error)) => error.is_transient(),
            Self::Unsteady(_) => true,
            Self::OutOfTime { .. } => false,
        }
    }
}

impl From<LinesError> for AnalysisError {
    fn from(error: LinesError) -> Self {
        match error {
            LinesError::Store(error) => Self::Store(error),
            other => Self::Unsteady(other),
        }
    }
}

/// What a job comes to.
#[derive(Debug)]
pub struct Analysis {
    /// What is known of all rows that count.
    pub survey: Survey,
    /// The alarm lines by type of asset.
    pub lines: BTreeMap<String, Option<Line>>,
    /// The metrics' names.
    pub names: MetricNames,
    /// By device and onset.
    pub findings: Vec<Finding>,
    /// Findings beyond [`FINDINGS_MAX`].
    pub findings_left_out: u64,
    /// Lines that count for nothing, by reason; a part that counts for nothing is one of them.
    pub refused: BTreeMap<Reason, u64>,
    /// Where the first of them are.
    pub refused_kept: Vec<RefusedLine>,
    /// Plain text that was read, in bytes, once of each part.
    pub plain_bytes: u64,
}

/// An episode of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The device.
    pub device: String,
    /// What happened.
    pub episode: Episode,
}

/// A line that counts for nothing, or a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedLine {
    /// The part.
    pub part: String,
    /// Number of the line, counted from 1, blank ones left out; none for the whole part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Why.
    pub reason: Reason,
    /// More of it.
    pub detail: String,
}

/// Reads a job.
///
/// # Errors
/// [`AnalysisError`].
pub async fn analyze<W: ReadRange>(
    world: &W,
    id: &JobId,
    job: &Job,
    profile: &Profile,
    has_time: impl Fn() -> bool,
) -> Result<Analysis, AnalysisError> {
    let mut reading = Reading { world, id, job, profile, has_time, reader: PairReader::new(id, job), rows: 0 };
    let mut survey = Survey::default();
    let mut sound = Vec::with_capacity(job.parts.len());
    let mut refused = Refused::default();
    let mut plain_bytes = 0;
    for (index, name) in job.parts.iter().enumerate() {
        match reading.survey(index, name).await? {
            Ok((part, bytes)) => {
                survey.merge(part);
                plain_bytes += bytes;
                sound.push((index, name));
            }
            Err(refusal) => refused.note(name, None, refusal),
        }
    }
    let lines = survey.lines(profile, &job.lines);
    let mut judge =
        Judge { survey: &survey, lines: &lines, courses: HashMap::default(), findings: Findings::default(), number: 0 };
    for (_, name) in sound {
        reading.judge(name, &mut judge, &mut refused).await?;
    }
    let Findings { mut kept, left_out } = judge.finish();
    kept.sort_by(|a, b| (&a.device, a.episode.onset).cmp(&(&b.device, b.episode.onset)));
    Ok(Analysis {
        lines,
        survey,
        names: reading.reader.names().clone(),
        findings: kept,
        findings_left_out: left_out,
        refused: refused.counts,
        refused_kept: refused.kept,
        plain_bytes,
    })
}

/// What is the same for every part.
struct Reading<'a, W, T> {
    world: &'a W,
    id: &'a JobId,
    job: &'a Job,
    profile: &'a Profile,
    has_time: T,
    reader: PairReader,
    rows: u64,
}

impl<W: ReadRange, T: Fn() -> bool> Reading<'_, W, T> {
    /// What a part's rows look like, and how many bytes they are; or why the part counts for nothing.
    async fn survey(&mut self, index: usize, name: &str) -> Result<Result<(Survey, u64), Refusal>, AnalysisError> {
        let mut part = self.reader.open(self.world, self.id, name)?;
        let mut survey = Survey::default();
        loop {
            self.look()?;
            match self.reader.next(&mut part).await {
                Ok(Pair::Row { line, row, score }) => {
                    if is_known(self.job, row) {
                        // Too many devices: the row is refused, and counted, when it is judged.
                        let _ = survey.add((index, line), row, score, self.profile);
                    }
                }
                Ok(Pair::Refused { .. }) => {}
                Ok(Pair::End) => return Ok(Ok((survey, part.plain_bytes()))),
                Err(PartError::Refused(refusal)) => return Ok(Err(refusal)),
                Err(PartError::Failed(error)) => return Err(error.into()),
            }
        }
    }

    async fn judge(&mut self, name: &str, judge: &mut Judge<'_>, refused: &mut Refused) -> Result<(), AnalysisError> {
        let mut part = self.reader.open(self.world, self.id, name)?;
        loop {
            self.look()?;
            let (line, refusal) = match self.reader.next(&mut part).await {
                Ok(Pair::Row { line, row, score }) => match judge.take(self.job, row, score) {
                    Ok(()) => continue,
                    Err(refusal) => (line, refusal),
                },
                Ok(Pair::Refused { line, refusal }) => (line, refusal),
                Ok(Pair::End) => return Ok(()),
                // It was whole a moment ago: somebody writes it.
                Err(PartError::Refused(refusal)) => {
                    let remedy = format!("it was whole when it was read first, now {}", refusal.detail);
                    return Err(StoreError::permanent("read part", format!("{}/{name}", self.id), remedy).into());
                }
                Err(PartError::Failed(error)) => return Err(error.into()),
            };
            refused.note(name, Some(line), refusal);
        }
    }

    fn look(&mut self) -> Result<(), AnalysisError> {
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_PER_LOOK) && !(self.has_time)() {
            return Err(AnalysisError::OutOfTime { rows: self.rows });
        }
        Ok(())
    }
}

/// Whether the model was trained on the device.
fn is_known(job: &Job, row: &Row) -> bool {
    let matches = |device| job.devices.iter().any(|pattern| anomaly_core::profile::matches_pattern(pattern, device));
    job.devices.is_empty() || DeviceName::new(&row.device).is_ok_and(|device| matches(device.as_str()))
}

/// The second reading.
struct Judge<'a> {
    survey: &'a Survey,
    lines: &'a BTreeMap<String, Option<Line>>,
    courses: HashMap<String, Course, RandomState>,
    findings: Findings,
    number: u64,
}

#[derive(Default)]
struct Findings {
    kept: Vec<Finding>,
    left_out: u64,
}

impl Findings {
    fn push(&mut self, device: &str, episode: Episode) {
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(Finding { device: device.to_owned(), episode });
        } else {
            self.left_out += 1;
        }
    }
}

impl Judge<'_> {
    fn take(&mut self, job: &Job, row: &Row, score: f64) -> Result<(), Refusal> {
        self.number += 1;
        let device = &row.device;
        if !is_known(job, row) {
            let what = format_args!("the model was not trained on `{device}`");
            return Err(Refusal::new(Reason::UnknownDevice, what));
        }
        let Some(known) = self.survey.device(device) else {
            let what = format_args!("the device `{device}`: a job has at most {}", anomaly_core::DEVICES_MAX);
            return Err(Refusal::new(Reason::TooMany, what));
        };
        let line = self.lines.get(&known.asset).and_then(Option::as_ref);
        let strength = line.map_or(0.0, |line| line.strength(score));
        if !self.courses.contains_key(device) {
            self.courses.insert(device.clone(), Course::default());
        }
        let Some(course) = self.courses.get_mut(device) else { return Ok(()) };
        match course.take(self.number, row, score, strength) {
            Step::Goes => Ok(()),
            Step::Ended(episode) => {
                self.findings.push(device, episode);
                Ok(())
            }
            Step::OutOfOrder => {
                let what = format_args!("`{device}` at {} comes after a newer row of it", row.at);
                Err(Refusal::new(Reason::OutOfOrder, what))
            }
        }
    }

    fn finish(mut self) -> Findings {
        // By name, so that what is left out is the same each time.
        let open: BTreeMap<String, Course> = self.courses.drain().collect();
        for (device, course) in open {
            if let Some(episode) = course.finish() {
                self.findings.push(&device, episode);
            }
        }
        self.findings
    }
}

#[derive(Default)]
struct Refused {
    counts: BTreeMap<Reason, u64>,
    kept: Vec<RefusedLine>,
}

impl Refused {
    fn note(&mut self, part: &str, line: Option<u64>, refusal: Refusal) {
        *self.counts.entry(refusal.reason).or_default() += 1;
        if self.kept.len() < REFUSED_KEPT_MAX {
            let Refusal { reason, detail } = refusal;
            self.kept.push(RefusedLine { part: part.to_owned(), line, reason, detail });
        }
    }
}
