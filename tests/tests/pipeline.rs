//! The whole path on the emulator: `infra/storage.yaml` and `infra/pipeline.yaml` with the real zip, records in, lake and
//! tables out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{
    Accepted, Anomaly, Line, Plant, Settings, Stack, World, anomalies, bronze, checkpoints, device_states, kill,
    quarantine, until,
};

const COMMITTED_WITHIN: Duration = Duration::from_mins(2);
const KILLS_MIN: usize = 3;
const KILLS_MAX: usize = 10;

/// Waits until each shard's checkpoint stands at the last record that was put into it.
async fn until_committed(stack: &Stack, accepted: &[Accepted]) -> Result<()> {
    let last: BTreeMap<&str, &str> =
        accepted.iter().map(|record| (record.shard.as_str(), record.sequence.as_str())).collect();
    until(&format!("the checkpoints stand at {last:?}"), COMMITTED_WITHIN, || async {
        let reached = checkpoints(stack).await?;
        let all = last.iter().all(|(shard, sequence)| reached.get(*shard).map(String::as_str) == Some(*sequence));
        Ok(all.then_some(()))
    })
    .await
}

/// The lake's lines by shard and sequence number. A line that is there twice must be there twice alike.
fn once(lines: Vec<Line>) -> BTreeMap<(String, String), Line> {
    let mut unique: BTreeMap<(String, String), Line> = BTreeMap::new();
    for line in lines {
        let (place, key) = ((line.shard.clone(), line.sequence.clone()), line.key.clone());
        let content = |line: &Line| (line.payload.clone(), line.partition_key.clone(), line.reason.clone());
        let now = content(&line);
        if let Some(before) = unique.insert(place, line) {
            assert_eq!(content(&before), now, "{} and {key} disagree about record {}", before.key, before.sequence);
        }
    }
    unique
}

/// Every record is in bronze byte for byte, every poisoned one in quarantine, and nothing else is in either.
async fn assert_every_record_is_kept(stack: &Stack, accepted: &[Accepted]) -> Result<()> {
    let (mut kept, mut apart) = (once(bronze(stack).await?), once(quarantine(stack).await?));
    for Accepted { record, shard, sequence } in accepted {
        let place = (shard.clone(), sequence.clone());
        let sent = String::from_utf8_lossy(&record.payload);
        let line = kept.remove(&place).with_context(|| format!("{sent} ({place:?}) is not in bronze"))?;
        assert_eq!(line.payload, record.payload, "{sent} became {}", String::from_utf8_lossy(&line.payload));
        assert_eq!(line.partition_key, record.partition_key, "{sent}");

        let quarantined = apart.remove(&place);
        assert_eq!(quarantined.as_ref().map(|line| line.reason.as_str()), record.poison, "{sent}");
        if let Some(line) = quarantined {
            assert_eq!(line.payload, record.payload, "{sent} became {}", String::from_utf8_lossy(&line.payload));
            assert!(!line.detail.is_empty(), "quarantine does not say what is wrong with {sent}");
        }
    }
    assert!(kept.is_empty(), "bronze holds what was never sent: {kept:?}");
    assert!(apart.is_empty(), "quarantine holds what was never sent: {apart:?}");
    Ok(())
}

/// Kills the function whenever it has committed something since the last kill, so that each time it is at work on the
/// next batch, up to [`KILLS_MAX`] times while records are left.
async fn kill_between_commits(stack: &Stack, last: &Accepted) -> Result<()> {
    let mut kills = 0;
    let mut seen = BTreeMap::new();
    while kills < KILLS_MAX && seen.get(&last.shard) != Some(&last.sequence) {
        seen = until("the checkpoint moves", COMMITTED_WITHIN, || async {
            let reached = checkpoints(stack).await?;
            Ok((reached != seen).then_some(reached))
        })
        .await?;
        kills += kill(stack.output("ScorerName"))?;
    }
    assert!(kills >= KILLS_MIN, "only {kills} processes were killed: the test has lost its point");
    Ok(())
}

#[tokio::test]
async fn every_record_is_kept_and_a_hot_device_is_reported_once() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    let stack = Stack::deploy(&world, Settings { shards: 2, batch_records: 10_000 }).await?;
    let plant = Plant::new()?;

    let accepted = Plant::send(&stack, plant.records()).await?;
    let shards: BTreeSet<&str> = accepted.iter().map(|record| record.shard.as_str()).collect();
    assert_eq!(shards.len(), 2, "the devices are meant to spread over both shards");
    until_committed(&stack, &accepted).await?;

    assert_every_record_is_kept(&stack, &accepted).await?;

    let found = anomalies(&stack).await?;
    let of = |device: &str| found.iter().filter(|anomaly| anomaly.device == device).collect::<Vec<&Anomaly>>();
    for device in Plant::hot_devices() {
        let of_hot = of(device);
        let [anomaly] = of_hot.as_slice() else { panic!("one anomaly of {device} is expected, there are {of_hot:?}") };
        assert_eq!(anomaly.metrics.first().map(String::as_str), Some("temperature"));
        assert_eq!(anomaly.detector, "limit");
        assert_eq!(anomaly.onset_ms, plant.hot_from_ms(), "{anomaly:?}");
        assert!(anomaly.score >= 1.0, "{anomaly:?}");
        assert!(anomaly.why.contains("95") && anomaly.why.contains("80"), "{anomaly:?}");
    }
    for device in Plant::quiet_devices() {
        assert!(of(device).is_empty(), "{device} is fine, but {:?}", of(device));
    }

    // Each hot device was written as abnormal, and the heat is over by the end of the plant's run.
    let states = device_states(&stack).await?;
    for device in Plant::hot_devices() {
        let state = states.get(device).with_context(|| format!("{device} has no state: {states:?}"))?;
        assert_ne!(state, "abnormal", "{device}: {states:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_function_that_is_killed_again_and_again_loses_and_doubles_nothing() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    // Small batches: many commits, and a kill may fall before, between and after any of their calls.
    let settings = Settings { shards: 1, batch_records: 3 };
    let killed = Stack::deploy(&world, settings).await?;
    let undisturbed = Stack::deploy(&world, settings).await?;
    let plant = Plant::new()?;

    let accepted = Plant::send(&killed, plant.records()).await?;
    kill_between_commits(&killed, accepted.last().context("the plant sends something")?).await?;
    until_committed(&killed, &accepted).await?;

    let reference = Plant::send(&undisturbed, plant.records()).await?;
    until_committed(&undisturbed, &reference).await?;

    assert_every_record_is_kept(&killed, &accepted).await?;
    let (found, expected) = (anomalies(&killed).await?, anomalies(&undisturbed).await?);
    assert_eq!(found, expected, "a killed run and an undisturbed one came to different results");
    for device in Plant::hot_devices() {
        assert_eq!(found.iter().filter(|anomaly| anomaly.device == device).count(), 1, "{device}: {found:?}");
    }
    assert_eq!(device_states(&killed).await?, device_states(&undisturbed).await?);
    Ok(())
}

#[tokio::test]
async fn deleting_the_stack_keeps_the_data() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    let stack = Stack::deploy(&world, Settings { shards: 1, batch_records: 100 }).await?;
    let accepted = Plant::send(&stack, &Plant::new()?.records()[..40]).await?;
    until_committed(&stack, &accepted).await?;

    stack.delete().await?;

    let stream = world.kinesis.describe_stream_summary().stream_name(stack.output("StreamName")).send().await;
    assert!(stream.is_err(), "the stream is still there");
    assert_every_record_is_kept(&stack, &accepted).await?;
    assert!(!checkpoints(&stack).await?.is_empty(), "the checkpoints are gone");
    Ok(())
}
