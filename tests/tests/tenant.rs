//! A tenant's rule: what a device publishes reaches the stream as the scorer needs it, under the right tenant.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Settings, Stack, World, anomalies, records, until};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_mins(2);

fn publish(world: &World, topic: &str, payload: &Value) -> Result<()> {
    let path = format!("/topics/{}?qos=1", topic.replace('/', "%2F"));
    world.rest("iotdata", "POST", &path, &[], &payload.to_string()).map(drop)
}

#[tokio::test]
async fn what_a_device_publishes_is_scored_as_its_tenants_whatever_it_says() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let pipeline = Stack::deploy(&world, Settings { shards: 1, batch_records: 100 }).await?;
    let alerts = Stack::deploy_alerts(&pipeline, 120).await?;
    let observability = Stack::deploy_observability(&pipeline, &alerts).await?;
    let tenant = Stack::deploy_tenant(&pipeline, &observability, "acme").await?;

    let described = world.rest("iot", "GET", &format!("/rules/{}", tenant.output("TelemetryRuleName")), &[], "")?;
    let rule = serde_json::from_str::<Value>(&described).context("a rule is described in JSON")?["rule"].take();
    assert_eq!(rule["errorAction"]["sqs"]["queueUrl"], tenant.output("RuleFailuresUrl"), "{rule}");

    let topic = "tenants/acme/devices/pump-7/telemetry";
    let hot = json!({ "ts": 1_793_534_400, "temperature": 95, "topic": "tenants/globex/devices/pump-7/telemetry" });
    publish(&world, "tenants/globex/devices/pump-7/telemetry", &hot)?;
    publish(&world, "tenants/acme/devices/pump-7/commands", &hot)?;
    publish(&world, topic, &hot)?;
    publish(&world, topic, &json!({ "temperature": 96 }))?;
    publish(
        &world,
        "sensor/boiler-1/data",
        &json!({ "deviceId": "boiler-1", "sensorType": "temperature", "value": 60 }),
    )?;

    let arrived = records(&pipeline).await?;
    let keys: Vec<&str> = arrived.iter().map(|record| record.partition_key.as_str()).collect();
    assert_eq!(keys, ["pump-7", "pump-7", "boiler-1"], "the rules are for these topics and no others: {arrived:?}");
    let payload =
        |index: usize| serde_json::from_str::<Value>(&arrived[index].payload).context("what the rule makes is JSON");
    assert_eq!(
        payload(0)?,
        json!({ "ts": 1_793_534_400, "temperature": 95, "topic": topic }),
        "the device's own time holds"
    );
    let ts = payload(1)?["ts"].as_i64().context("a reading without a time gets that of its arrival")?;
    assert!(ts > 1_793_534_400_000 - 366 * 86_400_000, "{ts} is no time in milliseconds");
    assert_eq!(payload(2)?["topic"], "sensor/boiler-1/data");

    let found = until("the heat is found", WITHIN, || async {
        let found = anomalies(&pipeline).await?;
        Ok((!found.is_empty()).then_some(found))
    })
    .await?;
    assert!(found.iter().all(|anomaly| anomaly.device == "acme#pump-7"), "{found:?}");
    assert_eq!(found[0].onset_ms, 1_793_534_400_000);
    Ok(())
}
