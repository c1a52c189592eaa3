//! Batch inference on the emulator, with policies enforced: results put into the lake, the real zip woken by the last of them,
//! and what comes of it in the table and in the lake.

use std::time::Duration;

use anyhow::Result;
use aws_sdk_s3::operation::get_object::GetObjectError;
use e2e::{JOB, Stack, World, anomalies, fault_begins_ms, put_job, until};
use serde_json::Value;

const WITHIN: Duration = Duration::from_mins(1);

async fn report(stack: &Stack) -> Result<Option<Value>> {
    let get = stack.world().s3.get_object().bucket(stack.output("LakeBucketName"));
    match get.key(format!("inference/{JOB}/report.json")).send().await {
        Ok(found) => Ok(Some(serde_json::from_slice(&found.body.collect().await?.into_bytes())?)),
        Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn the_last_result_of_a_job_brings_its_findings_once() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let stack = Stack::deploy_models(&world).await?;
    put_job(&stack).await?;
    let report = until("the job has its report", WITHIN, || report(&stack)).await?;
    assert_eq!((report["rows"].as_u64(), report["alone"].as_u64()), (Some(1_200), Some(1)), "{report}");
    assert_eq!(report["refused"], serde_json::json!({ "no_score": 1 }));
    let found = anomalies(&stack).await?;
    let found: Vec<(&str, i64)> = found.iter().map(|one| (one.device.as_str(), one.onset_ms)).collect();
    assert_eq!(found, [("acme#pump-2", fault_begins_ms())]);
    Ok(())
}
