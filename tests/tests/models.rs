//! Batch inference on the emulator, with policies enforced: results put into the lake, the real zip woken by the last of them,
//! and what comes of it in the table and in the lake.

use std::time::Duration;

use anyhow::Result;
use e2e::{JOB, Stack, World, anomalies, fault_begins_ms, put_job, report, until};

const WITHIN: Duration = Duration::from_mins(1);

#[tokio::test]
async fn the_last_result_of_a_job_brings_its_findings_once() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let stack = Stack::deploy_models(&world).await?;
    put_job(&stack).await?;
    let report = until("the job has its report", WITHIN, || report(&stack, JOB)).await?;
    assert_eq!((report["rows"].as_u64(), report["alone"].as_u64()), (Some(1_200), Some(1)), "{report}");
    assert_eq!(report["refused"], serde_json::json!({ "no_score": 1 }));
    let found = anomalies(&stack).await?;
    let found: Vec<(&str, i64)> = found.iter().map(|one| (one.device.as_str(), one.onset_ms)).collect();
    assert_eq!(found, [("acme#pump-2", fault_begins_ms())]);
    Ok(())
}
