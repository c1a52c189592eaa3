//! Rows in, a model out.
//!
//! The same rows and hyperparameters make the same model, to the byte: files are read in the order of their names, forests are
//! seeded, and nothing asks for the time. Memory does not grow with the rows: a state, or means and spreads, for each device,
//! a forest for each type of asset, and a bounded sample of scores. An engine reads the rows once, a forest three times: for what is usual, to
//! grow, and to see how it scores them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anomaly_core::{METRICS_MAX, Profile, ProfileSet, Scored, TenantName, Timestamp};
use telemetry::inference::Sample;
use telemetry::profile::ProfileErrors;

use crate::artifact::Artifact;
use crate::card::{Card, Kind, Scores};
use crate::data::{DataError, Recordings, Unused};
use crate::hyperparameters::Hyperparameters;
use crate::line::Lines;
use crate::model::{EngineModel, Forests, Loaded, Model, PlantError, ScoreError, StatisticsOf, asset_of, profiles};
use crate::row::Row;

/// Rows of which scores are kept for the card.
const SCORES_KEPT: usize = 20_000;
/// Devices that a card names.
const DEVICES_NAMED_MAX: usize = 256;
/// Of so many lines one may be no row. More, and the columns are told wrong.
const LINES_A_REFUSAL: u64 = 10;

/// What to learn from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the training is told.
    pub hyperparameters: Hyperparameters,
    /// The same as texts, for the card.
    pub texts: BTreeMap<String, String>,
    /// Files to learn from.
    pub train: Vec<PathBuf>,
    /// Files to score when all is learned; may be none.
    pub validation: Vec<PathBuf>,
    /// The tenant's profile.
    pub profile: Option<String>,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The profile has mistakes.
    #[error("the profile is refused: {0}")]
    Profile(#[from] ProfileErrors),
    /// The rows cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There are none.
    #[error(
        "there is no row to learn from: {refused} lines are no rows, {passed_over} rows are of another tenant or device{}",
        first(.first_refusal.as_deref())
    )]
    NoRows {
        /// Lines that are no rows.
        refused: u64,
        /// Rows of others.
        passed_over: u64,
        /// Why the first line is none.
        first_refusal: Option<String>,
    },
    /// Too many lines are none.
    #[error("{refused} of {lines} lines are no rows: are `columns` and `format` right?{}", first(.first_refusal.as_deref()))]
    Refused {
        /// Lines that are no rows.
        refused: u64,
        /// All lines.
        lines: u64,
        /// Why the first one is none.
        first_refusal: Option<String>,
    },
    /// There is no forest.
    #[error(transparent)]
    Plant(#[from] PlantError),
    /// A row cannot be learned.
    #[error("a row cannot be learned: {0}")]
    Learn(ScoreError),
}

fn first(refusal: Option<&str>) -> String {
    refusal.map_or_else(String::new, |refusal| format!("; the first: {refusal}"))
}

/// Trains.
///
/// # Errors
/// [`TrainError`].
pub fn train(plan: &Plan, stop: &AtomicBool) -> Result<Artifact, TrainError> {
    let Hyperparameters { tenant, .. } = &plan.hyperparameters;
    let (profiles, fingerprint) = profiles(tenant, plan.profile.as_deref())?;
    let default = Profile::default();
    let profile = TenantName::new(tenant).map_or(&default, |tenant| profiles.of(tenant));
    let mut learning = Learning { plan, stop, profile, profiles: &profiles, seen: Seen::default() };
    let (model, scores, lines) = match plan.hyperparameters.kind {
        Kind::Engine => learning.engine()?,
        Kind::Forest => learning.forest()?,
    };
    let card = learning.seen.card(plan, fingerprint, scores, lines);
    let mut artifact = Artifact { card, model };
    if !plan.validation.is_empty() {
        artifact.card.validation = validate(plan, stop, &artifact)?;
    }
    Ok(artifact)
}

/// A model, how its scores of the training data are spread, and the lines that they draw.
type Learned = (Model, Option<Scores>, BTreeMap<String, f64>);

/// What was seen of the rows while they were learned.
#[derive(Default)]
struct Seen {
    statistics: StatisticsOf,
    rows: u64,
    late: u64,
    passed_over: u64,
    unused: Unused,
    span: Option<(Timestamp, Timestamp)>,
    metrics: BTreeSet<String>,
}

struct Learning<'a> {
    plan: &'a Plan,
    stop: &'a AtomicBool,
    profile: &'a Profile,
    profiles: &'a ProfileSet,
    seen: Seen,
}

impl Learning<'_> {
    fn engine(&mut self) -> Result<Learned, TrainError> {
        let Hyperparameters { tenant, .. } = &self.plan.hyperparameters;
        let (mut model, mut scored) = (EngineModel::default(), Scored::default());
        let (mut sample, mut late) = (Sample::new(SCORES_KEPT, 0), 0);
        self.read(|row, profiles| {
            match model.learn(row, tenant, profiles, &mut scored) {
                Ok(score) => sample.push(score),
                Err(ScoreError::Late) => late += 1,
                Err(ScoreError::Warming) => {}
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        self.seen.late = late;
        let lines = self.seen.statistics.assets().into_keys().map(|asset| (asset, 1.0)).collect();
        Ok((Model::Engine(Box::new(model)), spread(&sample), lines))
    }

    fn forest(&mut self) -> Result<Learned, TrainError> {
        self.read(|_, _| Ok(()))?;
        let settings = self.plan.hyperparameters.forest;
        let mut forests = Forests::plant(&self.seen.statistics, settings, self.profile)?;
        let mut failed = None;
        let recordings = recordings(self.plan, &self.plan.train);
        recordings.for_each(self.stop, |row| {
            if self.plan.hyperparameters.covers(&row.device) {
                failed = failed.take().or(forests.learn(&row).err());
            }
        })?;
        if let Some(error) = failed {
            return Err(TrainError::Learn(error));
        }
        let model = forests.finish();
        let mut session = model.session(&self.plan.hyperparameters.tenant, self.profiles);
        let (mut sample, mut lines) = (Sample::new(SCORES_KEPT, 0), Lines::default());
        recordings.for_each(self.stop, |row| {
            if !self.plan.hyperparameters.covers(&row.device) {
                return;
            }
            if let Ok(score) = session.score(&row) {
                sample.push(score);
                lines.add(asset_of(&row.device, self.profile), &row.device, row.at, score);
            }
        })?;
        let lines = lines.finish(self.profile.sensitivity);
        Ok((Model::Forest(Box::new(model)), spread(&sample), lines))
    }

    /// Reads all rows once, and sees what they are.
    fn read(&mut self, mut learn: impl FnMut(&Row, &ProfileSet) -> Result<(), ScoreError>) -> Result<(), TrainError> {
        let Self { plan, seen, profile, profiles, .. } = self;
        let mut failed = None;
        let unused = recordings(plan, &plan.train).for_each(self.stop, |row| {
            if failed.is_some() {
                return;
            }
            if !plan.hyperparameters.covers(&row.device) {
                seen.passed_over += 1;
                return;
            }
            seen.take(&row, profile);
            failed = learn(&row, profiles).err();
        })?;
        if let Some(error) = failed {
            return Err(TrainError::Learn(error));
        }
        seen.passed_over += unused.foreign;
        seen.unused = unused;
        let Unused { refused, first_refusal, .. } = seen.unused.clone();
        if seen.rows == 0 {
            return Err(TrainError::NoRows { refused, passed_over: seen.passed_over, first_refusal });
        }
        let lines = seen.rows + seen.passed_over + refused;
        if refused > lines / LINES_A_REFUSAL {
            return Err(TrainError::Refused { refused, lines, first_refusal });
        }
        Ok(())
    }
}

impl Seen {
    fn take(&mut self, row: &Row, profile: &Profile) {
        self.rows += 1;
        let (first, last) = self.span.unwrap_or((row.at, row.at));
        self.span = Some((first.min(row.at), last.max(row.at)));
        self.statistics.add(row, profile);
        for (metric, _) in &row.values {
            // One more than can be columns tells that there are too many.
            if self.metrics.len() <= METRICS_MAX && !self.metrics.contains(&**metric) {
                self.metrics.insert(metric.to_string());
            }
        }
    }

    fn card(
        &self,
        plan: &Plan,
        profile_fingerprint: String,
        scores: Option<Scores>,
        lines: BTreeMap<String, f64>,
    ) -> Card {
        let told = &plan.hyperparameters;
        let known: Vec<&String> = self.statistics.devices().collect();
        let devices = if !told.devices.is_empty() {
            told.devices.clone()
        } else if known.len() <= DEVICES_NAMED_MAX {
            known.iter().map(|name| (*name).clone()).collect()
        } else {
            Vec::new()
        };
        let columns = match &told.columns {
            Some(columns) => columns.names().map(str::to_owned).collect(),
            None if self.metrics.len() > METRICS_MAX => Vec::new(),
            None => ["device", "ts"].into_iter().map(str::to_owned).chain(self.metrics.iter().cloned()).collect(),
        };
        let (first, last) = self.span.unwrap_or((Timestamp::MIN, Timestamp::MIN));
        Card {
            kind: told.kind,
            model: told.model.clone(),
            version: told.version.clone(),
            tenant: told.tenant.clone(),
            hyperparameters: plan.texts.clone(),
            profile: plan.profile.clone(),
            profile_fingerprint,
            columns,
            rows: self.rows,
            refused: self.unused.refused,
            passed_over: self.passed_over + self.statistics.left_out,
            late: self.late,
            first,
            last,
            device_count: known.len() as u64,
            devices,
            statistics: self.statistics.assets(),
            lines,
            scores,
            validation: None,
        }
    }
}

fn recordings(plan: &Plan, paths: &[PathBuf]) -> Recordings {
    let Hyperparameters { format, columns, tenant, .. } = &plan.hyperparameters;
    Recordings { paths: paths.to_owned(), format: *format, columns: columns.clone(), tenant: tenant.clone() }
}

/// Scores of the channel `validation`, which may be of any time.
fn validate(plan: &Plan, stop: &AtomicBool, artifact: &Artifact) -> Result<Option<Scores>, TrainError> {
    let loaded = Loaded::new(artifact.clone())?;
    let mut session = loaded.session();
    let mut sample = Sample::new(SCORES_KEPT, 0);
    recordings(plan, &plan.validation).for_each(stop, |row| {
        if let Ok(score) = session.score(&row) {
            sample.push(score);
        }
    })?;
    Ok(spread(&sample))
}

fn spread(sample: &Sample) -> Option<Scores> {
    let sorted = sample.sorted();
    let last = sorted.len().checked_sub(1)?;
    let at = |share: f64| sorted[(share * last as f64).round() as usize];
    let [p50, p90, p99, p999, max] = [0.5, 0.9, 0.99, 0.999, 1.0].map(at);
    Some(Scores { p50, p90, p99, p999, max })
}
