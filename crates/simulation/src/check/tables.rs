//! Anomalies, states, what the next process would remember, and what was reported.

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::{DetectorId, Engine};
use kinesis_scorer::restore::restore;
use kinesis_scorer::state::ShardState;
use platform::model::{AnomalyRecord, ShardInfo};
use telemetry::sequence::SequenceNumber;

use super::chain::History;
use super::reference::Reference;
use super::{Findings, shard_ids};
use crate::plan::Trouble;
use crate::run::Rest;
use crate::workload::START_MS;

/// The tables against the reference.
pub(super) fn compare(rest: &Rest, history: &History, reference: &Reference, findings: &mut Findings) {
    let key = |record: &AnomalyRecord| (record.partition_key(), record.sort_key());
    let stored: BTreeMap<_, _> = rest.store.anomalies().into_iter().map(|record| (key(&record), record)).collect();
    let wanted: BTreeMap<_, _> = reference.anomalies.iter().map(|record| (key(record), record)).collect();
    for (key, record) in &wanted {
        match stored.get(key) {
            None => findings.add("anomalies", &format!("missing: {key:?} of {}", record.seq)),
            Some(found) => {
                findings.demand(found == *record, "anomalies", || format!("{key:?}: {found:?} instead of {record:?}"));
            }
        }
    }
    for (key, record) in &stored {
        findings.demand(wanted.contains_key(key), "anomalies", || format!("without reason: {key:?} of {}", record.seq));
        let shard = record.shard.rsplit('/').next().unwrap_or_default().to_owned();
        let index = history.indexes.get(&(shard, record.seq)).copied();
        // That a device is silent is found when a record of somebody else arrives.
        let silent = record.anomaly.detector == DetectorId::Silence;
        let before = index.map_or(&[][..], |index| &rest.sent[if silent { 0 } else { index }..=index]);
        let own = before.iter().any(|sent| {
            sent.meaning.tenant == record.anomaly.tenant.as_str()
                && sent.meaning.devices.iter().any(|device| device == record.anomaly.device.as_str())
        });
        findings.demand(own, "tenants", || format!("{key:?} was found in a record of somebody else"));
    }
    let mut written = BTreeSet::new();
    for record in rest.store.commits().iter().flat_map(|commit| &commit.anomalies) {
        findings.demand(written.insert(key(record)), "once", || format!("{:?} was written twice", key(record)));
    }
    let stored: BTreeMap<_, _> = rest.store.states().into_iter().map(|state| (state.partition_key(), state)).collect();
    let wanted: BTreeMap<_, _> = reference.states.iter().map(|state| (state.partition_key(), state.clone())).collect();
    for device in wanted.keys().chain(stored.keys()) {
        let (found, expected) = (stored.get(device), wanted.get(device));
        findings.demand(found == expected, "states", || format!("{device}: {found:?} instead of {expected:?}"));
    }
}

/// Devices as bytes: equal ones have equal bytes.
fn bytes_of(engine: &Engine) -> Vec<u8> {
    let mut state = ShardState::default();
    state.engine = engine.clone();
    let at = anomaly_core::Timestamp::from_millis(START_MS).unwrap_or(anomaly_core::Timestamp::MIN);
    state.to_snapshot(SequenceNumber::ZERO, at, "").unwrap_or_default()
}

/// What a new process would remember of each open shard is what the reference ends with.
pub(super) fn compare_memory(rest: &Rest, reference: &Reference, findings: &mut Findings) {
    let infos = rest.stream.shards();
    let is_parent = |info: &ShardInfo| {
        infos.iter().any(|other| {
            other.parent.as_ref() == Some(&info.shard) || other.adjacent_parent.as_ref() == Some(&info.shard)
        })
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return findings.add("memory", &error.to_string()),
    };
    rest.store.clear_faults();
    for info in infos.iter().filter(|info| !is_parent(info)) {
        let shard = rest.stream.shard_id(&info.shard);
        let restored = runtime.block_on(restore(&rest.store, &shard, &reference.tenancy));
        let found = match restored {
            Ok((warm, _)) => warm.state.engine,
            Err(error) => {
                findings.add("memory", &format!("{shard} cannot be restored: {error}"));
                continue;
            }
        };
        let Some(expected) = reference.engines.get(&info.shard) else { continue };
        findings.demand(bytes_of(&found) == bytes_of(expected), "memory", || {
            format!("{shard}: {} devices, not in the state that {} devices must be in", found.len(), expected.len())
        });
    }
}

/// Troubles under which two processes may make the very same commit at once; both report it then.
const TWINS: [Trouble; 5] =
    [Trouble::Zombie, Trouble::GiveUp, Trouble::Redeliver, Trouble::Rewind, Trouble::Concurrent];

/// Nothing is reported that was not committed.
pub(super) fn check_metrics(rest: &Rest, history: &History, findings: &mut Findings) {
    let (batches, readings) = rest.meter.total();
    let committed: u64 = rest.sent.iter().map(|sent| sent.meaning.readings as u64).sum();
    let twins = rest.plan.troubles.iter().any(|(trouble, _)| TWINS.contains(trouble));
    findings.demand(twins || (batches <= history.batches && readings <= committed), "metrics", || {
        format!("{batches} batches of {readings} readings reported, {} of {committed} committed", history.batches)
    });
    let unknown: Vec<String> = rest
        .store
        .commits()
        .iter()
        .filter_map(|commit| commit.checkpoint.as_ref())
        .map(|(shard, _)| shard.clone())
        .filter(|shard| !shard_ids(rest).contains(shard))
        .map(|shard| shard.to_string())
        .collect();
    findings.demand(unknown.is_empty(), "chain", || format!("commits of shards that never were: {unknown:?}"));
}
