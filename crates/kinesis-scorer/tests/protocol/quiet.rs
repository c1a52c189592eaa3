//! A plant that is cut off: nothing arrives but pulses.

use anomaly_core::DetectorId;
use platform::sim::SimWorld;
use telemetry::payload::PULSE;

use super::outcome::Outcome;
use super::workload::{Record, SHARD, block_on, deliver_all, message, raw, scorer, shard};

/// Two hours of three pumps that report every minute.
fn hours() -> Vec<Record> {
    let one = |index: usize| message(index, ["pump-1", "pump-2", "pump-3"][index % 3], index as i64 / 3, 50.0, 2.0);
    (0..PULSED).map(one).collect()
}

/// Records before the first pulse.
const PULSED: usize = 360;

/// The pulses of the hour after, one in five minutes.
fn pulses() -> Vec<Record> {
    (0..12).map(|index| raw(PULSED + index, "millrace-pulse", 125 + 5 * index as i64, PULSE.as_bytes())).collect()
}

#[test]
fn whoever_fell_silent_in_a_quiet_shard_is_found_at_a_pulse_and_once() {
    let world = SimWorld::new();
    block_on(async {
        deliver_all(&scorer(&world), SHARD, &hours(), 100).await;
        assert!(world.anomalies().is_empty());
        // A new process for each pulse: what is found comes from what was committed.
        for pulse in pulses() {
            deliver_all(&scorer(&world), SHARD, &[pulse], 1).await;
        }
    });
    let mut found: Vec<(String, i64)> = Vec::new();
    for record in world.anomalies() {
        assert_eq!(record.anomaly.detector, DetectorId::Silence, "{record:?}");
        found.push((record.anomaly.device.clone(), record.detected_at.millis()));
    }
    found.sort();
    let devices: Vec<&str> = found.iter().map(|(device, _)| device.as_str()).collect();
    assert_eq!(devices, ["pump-1", "pump-2", "pump-3"]);
    let checkpoint = world.checkpoint(&shard(SHARD)).unwrap();
    assert_eq!(checkpoint.stream_time, pulses().last().unwrap().arrived, "a pulse is heard of");
}

#[test]
fn pulses_leave_bronze_and_nothing_else_and_cuts_do_not_change_what_is_found() {
    let run = |cut: usize| {
        let world = SimWorld::new();
        let records = [hours(), pulses()].concat();
        block_on(async { deliver_all(&scorer(&world), SHARD, &records, cut).await });
        Outcome::of(&world)
    };
    let whole = run(500);
    assert_eq!(whole.bronze.len(), PULSED + 12);
    assert!(whole.quarantine.is_empty());
    for cut in [1, 7, 64] {
        assert_eq!(run(cut), whole, "batches of {cut}");
    }
}
