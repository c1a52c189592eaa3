//! A job of batch inference in the lake: its description, its rows, what a model made of them, and what became of it.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::Value;

use crate::stack::Stack;

/// Which job it is.
pub const JOB: &str = "acme/week-47";
/// Rows of each of the two pumps, a row a minute.
const MINUTES: u32 = 600;
/// The first row of the fault of the second pump, and the first that is well again.
const FAULT: std::ops::Range<u32> = 300..330;
/// Noon of a day.
const BEGIN_MS: u64 = 1_793_534_400_000;

/// When the fault begins, in milliseconds since 1970.
#[must_use]
pub fn fault_begins_ms() -> i64 {
    (BEGIN_MS + u64::from(FAULT.start) * 60_000) as i64
}

/// Puts a job of two parts into the lake, the results last. The only row of the second part has no score.
///
/// # Errors
/// A call fails.
pub async fn put_job(stack: &Stack) -> Result<()> {
    let (mut rows, mut scores) = (String::new(), String::new());
    for minute in 0..MINUTES {
        for pump in 1..=2 {
            let is_faulty = pump == 2 && FAULT.contains(&minute);
            // What a quiet plant scores has a tail, too: the share of rows above falls with the logarithm.
            let share = (f64::from(minute * 2 + pump) * 0.618_034).fract();
            let score = if is_faulty { 6.0 } else { 0.8 - 0.1 * (1.0 - share).ln() };
            let temperature = if is_faulty { 95.0 } else { 60.0 + share };
            let ts = BEGIN_MS + u64::from(minute) * 60_000;
            // Writing to a string cannot fail.
            let _ = writeln!(rows, "pump-{pump},{ts},{temperature}");
            let _ = writeln!(scores, "{score}");
        }
    }
    let description = r#"{"version":1,"model":"pumps-7","format":"csv","columns":["device","ts","temperature"],
        "parts":["a.csv","b.csv"]}"#;
    put(stack, "job.json", description.to_owned()).await?;
    put(stack, "input/a.csv", rows).await?;
    put(stack, "input/b.csv", format!("pump-1,{},60\n", BEGIN_MS + 3_600_000_000)).await?;
    put(stack, "output/a.csv.out", scores).await?;
    put(stack, "output/b.csv.out", "model error\n".to_owned()).await
}

async fn put(stack: &Stack, name: &str, body: String) -> Result<()> {
    let key = format!("inference/{JOB}/{name}");
    let put = stack.world().s3.put_object().bucket(stack.output("LakeBucketName")).key(&key);
    put.body(ByteStream::from(body.into_bytes())).send().await.with_context(|| format!("cannot put {key}"))?;
    Ok(())
}

/// The report of a job; `None`: there is none yet.
///
/// # Errors
/// A call fails, or the report is none.
pub async fn report(stack: &Stack, job: &str) -> Result<Option<Value>> {
    let get = stack.world().s3.get_object().bucket(stack.output("LakeBucketName"));
    match get.key(format!("inference/{job}/report.json")).send().await {
        Ok(found) => Ok(Some(serde_json::from_slice(&found.body.collect().await?.into_bytes())?)),
        Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
