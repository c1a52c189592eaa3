//! What a check reports to CloudWatch: lines of the embedded metric format, which need no call and no permission.
//!
//! Dimensions are bounded: the environment, and of lags what copies. What this does not do: decide what is too much; the alarms
//! of `infra/dr.yaml` do.

use std::io::{self, Write};

use anomaly_core::Timestamp;
use platform::metrics::NAMESPACE;
use serde_json::{Value, json};

use crate::canary::Channel;
use crate::check::Verdict;
use crate::run::Done;

/// Most values of one metric in a line (CloudWatch User Guide, "Embedded metric format specification").
const VALUES_MAX: usize = 100;

/// The lines of a check: one of counts, and one for each channel that has told a lag.
#[must_use]
pub fn lines(done: &Done, environment: &str) -> Vec<String> {
    let at = done.report.at;
    let count = |verdict| json!(done.report.count(verdict));
    let mut metrics = vec![
        ("ReplicationLate", "Count", count(Verdict::Late)),
        ("ReplicationUnknown", "Count", count(Verdict::Unknown)),
        ("ReplicationDrifted", "Count", count(Verdict::Drifted)),
        ("ReplicationMissing", "Count", count(Verdict::Missing)),
    ];
    if let Some(age_ms) = done.check_age_ms {
        metrics.push(("ReplicationCheckAge", "Seconds", json!(age_ms / 1_000)));
    }
    let mut lines = vec![line(at, &[("Environment", environment)], &metrics)];
    for (channel, lags_ms) in &done.lags_ms {
        if !lags_ms.is_empty() {
            let newest = &lags_ms[lags_ms.len().saturating_sub(VALUES_MAX)..];
            let dimensions = [("Environment", environment), ("Kind", copied(*channel))];
            lines.push(line(at, &dimensions, &[("ReplicationLag", "Milliseconds", json!(newest))]));
        }
    }
    lines
}

/// What a channel copies, as the dimension has it.
fn copied(channel: Channel) -> &'static str {
    match channel {
        Channel::Lake => "lake",
        Channel::Table(table) => table.word(),
    }
}

fn line(at: Timestamp, dimensions: &[(&str, &str)], metrics: &[(&str, &str, Value)]) -> String {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let defined: Vec<Value> = metrics.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": at.millis(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": defined}],
        },
    });
    for (name, value) in dimensions {
        line[name] = json!(value);
    }
    for (name, _, value) in metrics {
        line[name] = value.clone();
    }
    line.to_string()
}

/// Writes them.
///
/// # Errors
/// The writer's.
pub fn write(lines: &[String], mut out: impl Write) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}
