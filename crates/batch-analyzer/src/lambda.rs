//! The handler behind the Lambda runtime.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use function::deadline::Deadline;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use platform::clock;
use serde::Serialize;
use serde_json::value::RawValue;

pub use lambda_runtime::Error;

use crate::Config;
use crate::event::Event;
use crate::handler::{self, AnalyzerWorld, JobError, Outcome, Request};
use crate::job::JobId;

/// How much time an invocation is taken to have whose deadline is not told.
const UNTOLD: Duration = Duration::from_mins(15);
/// Time kept back for writing what was found.
const RESERVE: Duration = Duration::from_mins(1);

/// What the function answers: what became of each job that it looked at.
#[derive(Debug, Serialize)]
struct Answer {
    jobs: Vec<Answered>,
}

#[derive(Debug, Serialize)]
struct Answered {
    job: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve<W: AnalyzerWorld + 'static>(world: W, config: Config) -> Result<(), Error> {
    let parts = Arc::new((world, config));
    let handler = service_fn(|event: LambdaEvent<Box<RawValue>>| {
        let parts = Arc::clone(&parts);
        // Behind a pointer, so that what is laid out as one does not get deeper than the compiler follows.
        Box::pin(async move { respond(&parts.0, &parts.1, event).await })
    });
    Box::pin(lambda_runtime::run(handler)).await
}

async fn respond<W: AnalyzerWorld>(
    world: &W,
    config: &Config,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Answer, Diagnostic> {
    let now = clock::now();
    let deadline = Deadline::new(event.context.deadline, now, UNTOLD);
    let has_time = || deadline.remaining(clock::now()) > RESERVE;
    let failed = |kind: &str, error: &(dyn StdError + 'static)| {
        tracing::error!(request_id = event.context.request_id, error, "the invocation failed");
        Diagnostic { error_type: kind.to_owned(), error_message: error.to_string() }
    };
    let (jobs, accepts_missing) =
        match Event::parse(event.payload.get()).map_err(|error| failed("EventError", &error))? {
            Event::Elsewhere => (Vec::new(), false),
            Event::Created(id) => (vec![id], false),
            Event::Asked { id, accepts_missing } => (vec![id], accepts_missing),
            Event::Tick => (handler::unfinished(world).await.map_err(|error| failed("StoreError", &error))?, false),
        };
    let mut answer = Answer { jobs: Vec::with_capacity(jobs.len()) };
    for id in jobs {
        if !has_time() {
            // The schedule comes again.
            break;
        }
        let request = Request { id: &id, accepts_missing, ttl_days: config.ttl_days, now };
        match handler::run(world, &request, has_time).await {
            Ok(outcome) => answer.jobs.push(told(&id, &outcome)),
            // Asynchronous invocations come again twice, and go to the failure destination then.
            Err(error) if error.is_transient() => return Err(failed("StoreError", &error)),
            // It will be no better the next time, and must not keep others waiting.
            Err(error) => answer.jobs.push(refused(&id, &error)),
        }
    }
    Ok(answer)
}

fn told(id: &JobId, outcome: &Outcome) -> Answered {
    let mut answered = Answered { job: id.to_string(), outcome: "", findings: None, missing: None, error: None };
    match outcome {
        Outcome::Analyzed(report, recorded) => {
            answered.outcome = "analyzed";
            answered.findings = Some(report.alone + report.seen_twice);
            tracing::info!(
                tenant = id.tenant,
                job = id.job,
                rows = report.rows,
                bytes = report.plain_bytes,
                alone = report.alone,
                seen_twice = report.seen_twice,
                new_anomalies = recorded.anomalies,
                new_witnesses = recorded.witnesses,
                refused = report.refused.values().sum::<u64>(),
                "a job was analysed"
            );
        }
        Outcome::Done(report) => {
            answered.outcome = "done before";
            answered.findings = Some(report.alone + report.seen_twice);
        }
        Outcome::Waiting { missing, .. } => {
            answered.outcome = "waiting for results";
            answered.missing = Some(*missing);
        }
        Outcome::Undescribed => answered.outcome = "waiting for job.json",
    }
    answered
}

fn refused(id: &JobId, error: &JobError) -> Answered {
    tracing::error!(tenant = id.tenant, job = id.job, error = error as &dyn StdError, "a job cannot be analysed");
    Answered { job: id.to_string(), outcome: "refused", findings: None, missing: None, error: Some(error.to_string()) }
}
