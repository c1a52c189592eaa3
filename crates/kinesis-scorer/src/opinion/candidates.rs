//! What a batch has to ask about: observations whose device is between watch and alarm, as JSON lines.
//!
//! The first ones of a batch, as many as the settings say; the rest is counted. Which observations they are follows from the
//! verdicts alone, so that a batch that comes again asks about the same.

use std::ops::Range;

use anomaly_core::{Anomaly, AnomalyId, DetectorId, Device, Explanation, Observation, Scored, Severity, Timestamp};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use telemetry::sequence::SequenceNumber;

use crate::fold::RawRecord;

/// Largest question, in bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Most metrics that an explanation lists, as the engine's do.
const CONTRIBUTIONS_MAX: usize = 8;

/// Observations to ask about.
#[derive(Debug)]
pub struct Candidates {
    watch: f64,
    rows_max: usize,
    found: Vec<Candidate>,
    body: Vec<u8>,
    left_out: u64,
}

/// One of them: readings of one device and instant.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Whose device it is.
    pub tenant: String,
    /// The device.
    pub device: String,
    /// When they were measured.
    pub at: Timestamp,
    /// The record they came in.
    pub seq: SequenceNumber,
    /// When it arrived.
    pub arrived: Timestamp,
    /// The rows of silver that they are.
    pub rows: Range<usize>,
    /// Which user record of an aggregate.
    sub: u32,
    /// The metrics that the model is told of.
    metrics: Vec<String>,
    /// What the engine makes of them.
    explanation: Explanation,
    score: f64,
}

/// A row as the model reads it.
struct Row<'r> {
    observation: &'r Observation<'r>,
    values: &'r [(&'r str, f64)],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("tenant", self.observation.tenant.as_str())?;
        map.serialize_entry("device", self.observation.device.as_str())?;
        map.serialize_entry("ts", &self.observation.at.millis())?;
        for (metric, value) in self.values {
            map.serialize_entry(metric, value)?;
        }
        map.end()
    }
}

impl Candidates {
    /// None yet. `watch` in units of the alarm line; with `rows_max` of 0 they are only counted.
    #[must_use]
    pub fn new(watch: f64, rows_max: usize) -> Self {
        Self { watch, rows_max, found: Vec::new(), body: Vec::new(), left_out: 0 }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many were too many.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The question: a line of JSON for each, in order.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// They themselves, in order.
    #[must_use]
    pub fn found(&self) -> &[Candidate] {
        &self.found
    }

    /// Looks whether readings are to be asked about. `rows` are those of silver that they have become.
    pub(crate) fn consider(
        &mut self,
        of: &RawRecord<'_>,
        sub: u32,
        observation: &Observation<'_>,
        scored: &Scored,
        device: &Device,
        rows: Range<usize>,
    ) {
        if scored.score < self.watch || scored.score >= 1.0 || scored.alert.is_some() {
            return;
        }
        let fit = scored.readings.iter().filter(|verdict| verdict.outcome.is_scored());
        let values = fit.map(|verdict| (device.series(verdict.series).name(), verdict.observed));
        // A metric of one of these names would be read as something else.
        let values: Vec<(&str, f64)> =
            values.filter(|(metric, _)| !matches!(*metric, "tenant" | "device" | "ts")).collect();
        if values.is_empty() {
            return;
        }
        let (tenant, name, at) = (observation.tenant.as_str(), observation.device.as_str(), observation.at);
        // In silver, neighbours of one device and instant in one message are told apart by nothing.
        let is_same = |last: &Candidate| {
            (last.seq, last.sub, last.at) == (of.seq, sub, at) && last.tenant == tenant && last.device == name
        };
        if self.found.len() == self.rows_max
            || self.found.last().is_some_and(is_same)
            || !self.push(observation, &values)
        {
            self.left_out += 1;
            return;
        }
        self.found.push(Candidate {
            tenant: tenant.to_owned(),
            device: name.to_owned(),
            at,
            seq: of.seq,
            arrived: of.arrived,
            rows,
            sub,
            metrics: values.iter().map(|(metric, _)| (*metric).to_owned()).collect(),
            explanation: device.explain(&scored.readings),
            score: scored.score,
        });
    }

    /// Appends a row to the question, unless it grows too large.
    fn push(&mut self, observation: &Observation<'_>, values: &[(&str, f64)]) -> bool {
        let before = self.body.len();
        let written = serde_json::to_writer(&mut self.body, &Row { observation, values });
        self.body.push(b'\n');
        let fits = written.is_ok() && self.body.len() <= BODY_BYTES_MAX;
        if !fits {
            self.body.truncate(before);
        }
        fits
    }
}

impl Candidate {
    /// The anomaly that begins with an opinion of this strength by `model`.
    pub(crate) fn anomaly(&self, strength: f32, model: &str) -> Anomaly {
        let Self { tenant, device, at, metrics, explanation, score, .. } = self;
        let strength = f64::from(strength);
        let mut contributions = explanation.contributions.clone();
        contributions.truncate(CONTRIBUTIONS_MAX);
        let summary = format!(
            "model `{model}` puts {device} at {:.0} % of its alarm line, the detectors at {:.0} % of theirs; {}",
            strength * 100.0,
            score * 100.0,
            explanation.summary
        );
        // Those that the detectors find most remarkable come first.
        let place = |metric: &String| explanation.contributions.iter().position(|one| one.metric == *metric);
        let mut metrics = metrics.clone();
        metrics.sort_by_key(place);
        let names: Vec<&str> = metrics.iter().map(String::as_str).collect();
        Anomaly {
            id: AnomalyId::of(tenant, device, &names, DetectorId::Model, *at),
            tenant: tenant.clone(),
            device: device.clone(),
            detector: DetectorId::Model,
            onset: *at,
            score: strength,
            severity: Severity::of_strength(strength),
            explanation: Explanation { score: strength, summary, contributions },
            metrics,
        }
    }
}
