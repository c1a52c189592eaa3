//! The checker behind the Lambda runtime.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use aws_types::SdkConfig;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use platform::aws::in_region;
use platform::clock;
use serde::Serialize;
use serde_json::value::RawValue;

pub use lambda_runtime::Error;

use crate::aws::{Aws, Tables};
use crate::check::{Kind, Verdict};
use crate::event::Event;
use crate::ground::Ground;
use crate::metrics;
use crate::run::{Checker, Done, Side};
use crate::{Config, report};

/// What the function answers.
#[derive(Debug, Serialize)]
struct Answer {
    verdict: Verdict,
    ok: usize,
    late: usize,
    unknown: usize,
    drifted: usize,
    missing: usize,
    report: String,
}

/// What is the same in every check.
struct Parts {
    config: Config,
    here: Aws,
    there: Aws,
}

/// Clients of both Regions. Nothing is called yet.
fn parts(config: Config, sdk: &SdkConfig) -> Parts {
    let tables = Tables { results: config.results_table.clone(), checkpoints: config.checkpoints_table.clone() };
    let own = in_region(sdk, &config.region, None);
    let here = Aws::new(&own, &config.bucket, tables.clone(), config.s3_path_style);
    let across = in_region(sdk, &config.peer_region, config.peer_endpoint.as_deref());
    let there = Aws::new(&across, &config.peer_bucket, tables, config.s3_path_style);
    Parts { config, here, there }
}

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve(config: Config, sdk: SdkConfig) -> Result<(), Error> {
    let parts = Arc::new(parts(config, &sdk));
    let handler = service_fn(|event: LambdaEvent<Box<RawValue>>| {
        let parts = Arc::clone(&parts);
        // Behind a pointer, so that what is laid out as one does not get deeper than the compiler follows.
        Box::pin(async move { respond(&parts, event).await })
    });
    Box::pin(lambda_runtime::run(handler)).await
}

async fn respond(parts: &Parts, event: LambdaEvent<Box<RawValue>>) -> Result<Answer, Diagnostic> {
    let failed = |kind: &str, error: &(dyn StdError + 'static)| {
        tracing::error!(request_id = event.context.request_id, error, "the invocation failed");
        Diagnostic { error_type: kind.to_owned(), error_message: error.to_string() }
    };
    let asked = Event::parse(event.payload.get()).map_err(|error| failed("EventError", &error))?;
    let account = account(&event.context.invoked_function_arn);
    let done = Box::pin(checker(parts, &asked, account.as_deref()).check(clock::now, |_| {})).await;
    // A part of the checks must not pass for all of them: it has no metrics.
    if asked == Event::Tick {
        let lines = metrics::lines(&done, &parts.config.names.environment);
        metrics::write(&lines, io::stdout().lock()).map_err(|error| failed("MetricsError", &error))?;
    }
    tell(&done);
    // Without its report a check has told nobody why; the next one comes soon.
    if let Some(trouble) = done.unstored.first() {
        return Err(failed("StoreError", trouble));
    }
    let count = |verdict| done.report.count(verdict);
    Ok(Answer {
        verdict: done.report.verdict,
        ok: count(Verdict::Ok),
        late: count(Verdict::Late),
        unknown: count(Verdict::Unknown),
        drifted: count(Verdict::Drifted),
        missing: count(Verdict::Missing),
        report: format!("{}.md", report::Report::latest(&done.report.checker)),
    })
}

/// The account is the fifth part of an ARN.
fn account(function_arn: &str) -> Option<String> {
    function_arn.split(':').nth(4).map(str::to_owned).filter(|account| !account.is_empty())
}

fn checker(parts: &Parts, asked: &Event, account: Option<&str>) -> Checker<Aws> {
    let config = &parts.config;
    let side = |region: &str, bucket: &str, aws: &Aws| Side {
        ground: Ground { region: region.to_owned(), account: account.map(str::to_owned), bucket: bucket.to_owned() },
        region: aws.clone(),
    };
    // Who asks for something else than the schedule uses places and a ledger of his own: they may check at the same time.
    let name = match asked {
        Event::Tick => config.region.clone(),
        Event::Asked(_) => format!("{}-asked", config.region),
    };
    Checker {
        name,
        here: side(&config.region, &config.bucket, &parts.here),
        there: side(&config.peer_region, &config.peer_bucket, &parts.there),
        names: config.names.clone(),
        stream: config.stream.clone(),
        limits: config.limits,
        kinds: asked.of(&config.kinds),
        has_peer: config.has_peer,
        is_dry: false,
    }
}

fn tell(done: &Done) {
    let report = &done.report;
    for check in report.checks.iter().filter(|check| check.verdict != Verdict::Ok) {
        let (kind, verdict) = (Kind::word(check.kind), check.verdict.word());
        let (from, to) = (&check.direction.from, &check.direction.to);
        tracing::warn!(kind, verdict, subject = check.subject, from, to, evidence = check.evidence, "not in sync");
    }
    let (verdict, checks) = (report.verdict.word(), report.checks.len());
    tracing::info!(verdict, checks, took_ms = report.took_ms, "checked");
    for trouble in &done.unstored {
        tracing::error!(error = trouble as &dyn StdError, "what came of the check could not be stored");
    }
}
