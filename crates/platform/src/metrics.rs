//! What a batch reports of itself, and the log line that CloudWatch turns into metrics.
//!
//! The embedded metric format needs no call: a JSON line on standard output becomes metrics (Amazon CloudWatch User Guide,
//! "Embedding metrics within logs"). Dimensions are bounded by design: `Environment` alone, never a device.

use std::future::Future;
use std::io::Write;
use std::ops::AddAssign;
use std::sync::Arc;

use anomaly_core::Timestamp;
use serde_json::json;

/// Namespace of all metrics.
pub const NAMESPACE: &str = "IoT/Manufacturing";

/// Counts of the rows about which a second model could be asked in one committed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpinionMetrics {
    /// Rows that it was asked about.
    pub asked: u64,
    /// Those that it gave an opinion of.
    pub answered: u64,
    /// Those that it gave none of: no answer in time, or none that could be read.
    pub failed: u64,
    /// Rows that it was not asked about: too many, no time left, or not after so many failures.
    pub skipped: u64,
}

impl OpinionMetrics {
    /// Name, unit and value of each metric.
    #[must_use]
    pub fn entries(&self) -> [(&'static str, &'static str, f64); 4] {
        [
            ("OpinionsAsked", "Count", self.asked as f64),
            ("OpinionsAnswered", "Count", self.answered as f64),
            ("OpinionsFailed", "Count", self.failed as f64),
            ("OpinionsSkipped", "Count", self.skipped as f64),
        ]
    }
}

impl AddAssign for OpinionMetrics {
    fn add_assign(&mut self, more: Self) {
        self.asked += more.asked;
        self.answered += more.answered;
        self.failed += more.failed;
        self.skipped += more.skipped;
    }
}

/// Counts of one committed batch.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BatchMetrics {
    /// Readings that were taken in.
    pub readings: u64,
    /// Anomalies found.
    pub anomalies: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Readings that were late, repeated, from the future, or marked bad.
    pub unscored: u64,
    /// Commits that somebody else had made first.
    pub conflicts: u64,
    /// Age of the newest record when its batch was begun, milliseconds.
    pub lag_ms: u64,
    /// Calls to stores that the batch took.
    pub calls: u64,
    /// Time from the invocation's start to its commit, milliseconds. Not a metric of its own: Lambda's `Duration` is.
    pub elapsed_ms: u64,
    /// What the batch cost on AWS without Kinesis and storage, millionths of a US dollar, as [`crate::cost`] estimates it;
    /// 0 where nobody counts.
    pub cost_microdollars: f64,
    /// What came of asking a second model; `None` where there is none, and then these are no metrics at all.
    pub opinions: Option<OpinionMetrics>,
}

impl BatchMetrics {
    /// Name, unit and value of each metric.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'static str, &'static str, f64)> {
        let mut entries = vec![
            ("SensorReadingsProcessed", "Count", self.readings as f64),
            ("AnomaliesDetected", "Count", self.anomalies as f64),
            ("RecordsQuarantined", "Count", self.quarantined as f64),
            ("ReadingsUnscored", "Count", self.unscored as f64),
            ("CommitConflicts", "Count", self.conflicts as f64),
            ("CommitLag", "Milliseconds", self.lag_ms as f64),
            ("StoreCalls", "Count", self.calls as f64),
            ("EstimatedCostMicrodollars", "None", self.cost_microdollars),
        ];
        entries.extend(self.opinions.iter().flat_map(OpinionMetrics::entries));
        entries
    }
}

/// Takes the metrics of a batch that was committed. Never fails the batch: what cannot be delivered is logged.
pub trait EmitMetrics {
    /// Called once a committed batch.
    fn emit(&self, metrics: &BatchMetrics, environment: &str, at: Timestamp) -> impl Future<Output = ()> + Send;
}

/// Writes metrics as one line of the embedded metric format.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmfStdout;

/// The line: one JSON document, no line break inside.
#[must_use]
pub fn emf_line(metrics: &BatchMetrics, environment: &str, at: Timestamp) -> String {
    let definitions: Vec<_> =
        metrics.entries().iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": at.millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Environment"]],
                "Metrics": definitions,
            }],
        },
        "Environment": environment,
    });
    for (name, _, value) in metrics.entries() {
        line[name] = json!(value);
    }
    line.to_string()
}

impl EmitMetrics for EmfStdout {
    async fn emit(&self, metrics: &BatchMetrics, environment: &str, at: Timestamp) {
        let line = emf_line(metrics, environment, at);
        if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
            tracing::warn!(error = &error as &dyn std::error::Error, "metrics could not be written");
        }
    }
}

/// Shared: who emits and who sums up hold the same.
impl<M: EmitMetrics + Send + Sync> EmitMetrics for Arc<M> {
    async fn emit(&self, metrics: &BatchMetrics, environment: &str, at: Timestamp) {
        (**self).emit(metrics, environment, at).await;
    }
}

/// Drops metrics: for commands that print a summary of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMetrics;

impl EmitMetrics for NoMetrics {
    async fn emit(&self, _: &BatchMetrics, _: &str, _: Timestamp) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_valid_embedded_metric_format() {
        let metrics = BatchMetrics { readings: 7_700, anomalies: 2, ..BatchMetrics::default() };
        let at = Timestamp::from_millis(1_700_000_000_000).unwrap();
        let line = emf_line(&metrics, "prod", at);
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let declared = value["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
        assert_eq!(value["_aws"]["CloudWatchMetrics"][0]["Namespace"], "IoT/Manufacturing");
        assert_eq!(value["Environment"], "prod");
        assert_eq!(value["SensorReadingsProcessed"], 7_700.0);
        for metric in declared {
            assert!(value[metric["Name"].as_str().unwrap()].is_number());
        }
    }

    #[test]
    fn opinions_are_metrics_only_where_there_is_a_second_model() {
        let names = |metrics: &BatchMetrics| metrics.entries().iter().map(|(name, ..)| *name).collect::<Vec<_>>();
        let mut metrics = BatchMetrics::default();
        assert!(names(&metrics).iter().all(|name| !name.starts_with("Opinions")));
        metrics.opinions = Some(OpinionMetrics { asked: 7, answered: 4, failed: 3, skipped: 1 });
        assert_eq!(names(&metrics)[8..], ["OpinionsAsked", "OpinionsAnswered", "OpinionsFailed", "OpinionsSkipped"]);
        let line = emf_line(&metrics, "prod", Timestamp::from_millis(1_700_000_000_000).unwrap());
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["OpinionsAsked"], &value["OpinionsFailed"]), (&json!(7.0), &json!(3.0)));
        assert_eq!(value["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len(), 12);
    }

    #[test]
    fn the_line_leaves_room_in_what_an_invocation_is_assumed_to_log() {
        let at = Timestamp::from_millis(1_700_000_000_000).unwrap();
        let metrics =
            BatchMetrics { readings: 38_000, cost_microdollars: 58.123_456_789_012, ..BatchMetrics::default() };
        let bytes = emf_line(&metrics, "production", at).len() as f64;
        let assumed = crate::cost::Prices::built_in().unwrap().assumed.log_bytes_per_invocation.get();
        // The rest: START, END, REPORT and the line of the batch, some 700 bytes.
        assert!(bytes <= assumed - 700.0, "{bytes} of {assumed}");
    }
}
