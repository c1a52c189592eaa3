//! A tenant's rule: what a device publishes reaches the stream as the scorer needs it, under the right tenant.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_kinesis::primitives::Blob;
use e2e::{Bridge, Settings, Stack, World, anomalies, until};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_mins(2);

#[tokio::test]
async fn what_a_device_publishes_is_scored_as_its_tenants_whatever_it_says() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    let pipeline = Stack::deploy(&world, Settings { shards: 1, batch_records: 100 }).await?;
    let alerts = Stack::deploy_alerts(&pipeline, 120).await?;
    let observability = Stack::deploy_observability(&pipeline, &alerts).await?;
    let tenant = Stack::deploy_tenant(&pipeline, &observability, "acme").await?;

    let rule = Bridge::rule(&world, tenant.output("TelemetryRuleName"))?;
    assert_eq!(rule["actions"][0]["kinesis"]["streamName"], pipeline.output("StreamName"), "{rule}");
    assert_eq!(rule["actions"][0]["kinesis"]["partitionKey"], "${topic(4)}", "the fourth level is the device");
    assert_eq!(rule["errorAction"]["sqs"]["queueUrl"], tenant.output("RuleFailuresUrl"), "{rule}");

    let bridge = Bridge::new(&world, &rule, &format!("bridge-{}", std::process::id()))?;
    let topic = "tenants/acme/devices/pump-7/telemetry";
    let hot = json!({ "ts": 1_793_534_400, "temperature": 95, "topic": "tenants/globex/devices/pump-7/telemetry" });
    bridge.publish("tenants/globex/devices/pump-7/telemetry", &hot.to_string())?;
    bridge.publish("tenants/acme/devices/pump-7/commands", &hot.to_string())?;
    let made = bridge.publish(topic, &hot.to_string())?;
    let [message] = made.as_slice() else { panic!("the rule is for one topic, and made {made:?}") };
    let read: Value = serde_json::from_str(message).context("what the rule makes is JSON")?;
    assert_eq!(read, json!({ "ts": 1_793_534_400, "temperature": 95, "topic": topic }));

    let put = world.kinesis.put_record().stream_name(pipeline.output("StreamName")).partition_key("pump-7");
    put.data(Blob::new(message.as_bytes())).send().await.context("put a record")?;
    let found = until("the heat is found", WITHIN, || async {
        let found = anomalies(&pipeline).await?;
        Ok((!found.is_empty()).then_some(found))
    })
    .await?;
    let devices: Vec<&str> = found.iter().map(|anomaly| anomaly.device.as_str()).collect();
    assert_eq!(devices, ["acme#pump-7"]);
    assert_eq!(found[0].onset_ms, 1_793_534_400_000, "the device's own time holds");
    Ok(())
}
