//! Batch inference on the emulator, with policies enforced: results put into the lake, the real zip woken by the last of them,
//! and what comes of it in the table and in the lake.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_s3::primitives::ByteStream;
use e2e::{Stack, World, anomalies, until};
use serde_json::Value;

const WITHIN: Duration = Duration::from_mins(1);
const MINUTES: u32 = 600;
/// Noon of a day.
const BEGIN_MS: u64 = 1_793_534_400_000;

/// Rows and scores of two pumps, a row a minute; the second one breaks down for half an hour.
fn job() -> (String, String) {
    let (mut rows, mut scores) = (String::new(), String::new());
    for minute in 0..MINUTES {
        for pump in 1..=2 {
            let is_faulty = pump == 2 && (300..330).contains(&minute);
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
    (rows, scores)
}

async fn put(stack: &Stack, name: &str, body: String) -> Result<()> {
    let key = format!("inference/acme/week-47/{name}");
    let put = stack.world().s3.put_object().bucket(stack.output("LakeBucketName")).key(&key);
    put.body(ByteStream::from(body.into_bytes())).send().await.with_context(|| format!("cannot put {key}"))?;
    Ok(())
}

async fn report(stack: &Stack) -> Result<Option<Value>> {
    let get = stack.world().s3.get_object().bucket(stack.output("LakeBucketName"));
    match get.key("inference/acme/week-47/report.json").send().await {
        Ok(found) => Ok(Some(serde_json::from_slice(&found.body.collect().await?.into_bytes())?)),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(aws_sdk_s3::operation::get_object::GetObjectError::is_no_such_key) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn the_last_result_of_a_job_brings_its_findings_once() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let stack = Stack::deploy_models(&world).await?;
    let (rows, scores) = job();
    let description = r#"{"version":1,"model":"pumps-7","format":"csv","columns":["device","ts","temperature"],
        "parts":["a.csv","b.csv"]}"#;
    put(&stack, "job.json", description.to_owned()).await?;
    put(&stack, "input/a.csv", rows).await?;
    put(&stack, "input/b.csv", format!("pump-1,{},60\n", BEGIN_MS + 3_600_000_000)).await?;
    put(&stack, "output/a.csv.out", scores).await?;
    // The second part's result is no score: it costs itself.
    put(&stack, "output/b.csv.out", "model error\n".to_owned()).await?;

    let report = until("the job has its report", WITHIN, || report(&stack)).await?;
    assert_eq!((report["rows"].as_u64(), report["alone"].as_u64()), (Some(1_200), Some(1)), "{report}");
    assert_eq!(report["refused"], serde_json::json!({ "no_score": 1 }));
    let found = anomalies(&stack).await?;
    let devices: Vec<(&str, i64)> = found.iter().map(|one| (one.device.as_str(), one.onset_ms)).collect();
    assert_eq!(devices, [("acme#pump-2", (BEGIN_MS + 300 * 60_000) as i64)]);
    Ok(())
}
