//! The rules of a mapping as options. Their limits are checked together by `event_source::rules`, not one by one by clap.

use std::time::Duration;

use event_source::rules::{Rules, TIMEOUT_DEFAULT, TIMEOUT_MAX};
use platform::embedded::stream::StartingPosition;

use super::target::{TargetKind, TargetOptions};
use crate::options;

/// The rules, with AWS's defaults.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Rules")]
pub(crate) struct RuleOptions {
    /// Most records of an event: 1 to 10000; an event has at most 6 MB whatever this is
    #[arg(long, value_name = "N", default_value = "100")]
    batch_size: u64,
    /// How long an event that is not full waits for more records: up to 300s
    #[arg(long, value_name = "SPAN", default_value = "0s", value_parser = span)]
    batch_window: Duration,
    /// Halve an event that has failed, which uses up no retry
    #[arg(long)]
    bisect: bool,
    /// Read `batchItemFailures` of the answer; without this every answer is a success
    #[arg(long)]
    report_batch_item_failures: bool,
    /// How often a failed event comes again: 0 to 10000, or -1 for until its records expire
    #[arg(long, value_name = "N", default_value = "-1", allow_negative_numbers = true)]
    retries: i64,
    /// Give up records that are older: 60s to 7d [default: none]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    maximum_record_age: Option<Duration>,
    /// Events of one shard at a time: 1 to 10; a partition key stays in order
    #[arg(long, value_name = "N", default_value = "1")]
    parallelization: u64,
    /// Pass over records that this pattern does not match, such as `{"data":{"metric":["temperature"]}}`; up to five, one
    /// match is enough
    #[arg(long, value_name = "PATTERN")]
    filter: Vec<String>,
    /// How long an invocation may take, up to 900s [default: 3s for --bootstrap, 120s for --in-process, 900s for --invoke-url,
    /// where the first may compile]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    timeout: Option<Duration>,
    /// Pause before what failed comes again; it doubles up to 64 times this. AWS does not document its own
    #[arg(long, value_name = "SPAN", default_value = "100ms", value_parser = span)]
    retry_pause: Duration,
    /// Rehearse at-least-once: how often an event that was done comes again all the same, from 0 to below 1
    #[arg(long, value_name = "RATE", default_value = "0")]
    duplicate: f64,
    /// What chance starts from
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
}

impl RuleOptions {
    /// The rules, not yet checked.
    pub(super) fn rules(&self, target: &TargetOptions, position: StartingPosition) -> Rules {
        let timeout = self.timeout.unwrap_or(match target.kind() {
            TargetKind::InvokeUrl => TIMEOUT_MAX,
            // What `infra/pipeline.yaml` gives the scorer.
            TargetKind::InProcess => Duration::from_mins(2),
            TargetKind::Bootstrap | TargetKind::Nothing => TIMEOUT_DEFAULT,
        });
        Rules {
            batch_size: self.batch_size,
            batch_window: self.batch_window,
            bisect: self.bisect,
            report_batch_item_failures: self.report_batch_item_failures,
            retries: self.retries,
            record_age_max: self.maximum_record_age,
            parallelization: self.parallelization,
            filters: self.filter.clone(),
            position,
            timeout,
            retry_pause: self.retry_pause,
            duplicate_rate: self.duplicate,
            seed: self.seed,
        }
    }
}

/// A span of time, none included.
fn span(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s" | "0ms") {
        return Ok(Duration::ZERO);
    }
    options::span_ms(text).map(|millis| Duration::from_millis(millis.unsigned_abs()))
}
