//! Anomalies, states, what the next process would remember, and what was reported.

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::{DetectorId, Engine};
use kinesis_scorer::restore::restore;
use kinesis_scorer::state::ShardState;
use platform::model::{AnomalyRecord, ShardId, ShardInfo};
use telemetry::sequence::SequenceNumber;

use super::Findings;
use super::chain::History;
use super::opinions::{self, Told};
use super::reference::Reference;
use crate::plan::Trouble;
use crate::run::{REGIONS, Rest, Site};
use crate::workload::START_MS;

/// The tables against the reference.
pub(super) fn compare(rest: &Rest, history: &History, reference: &Reference, findings: &mut Findings) {
    for site in &rest.sites {
        compare_anomalies(rest, site, history, reference, findings);
        let stored: BTreeMap<_, _> =
            site.store.states().into_iter().map(|state| (state.partition_key(), state)).collect();
        for device in reference.states.keys().chain(stored.keys()) {
            let (found, expected) = (stored.get(device), reference.states.get(device));
            // Where both regions wrote the newest one, either may stay.
            let fits = found.zip(expected).is_some_and(|(found, expected)| expected.contains(found));
            findings.demand(fits, "states", || format!("{device}: {found:?} instead of {expected:?}"));
        }
        let mut written = BTreeSet::new();
        let own = rest.commits.iter().filter(|committed| committed.region == site.region);
        for record in own.flat_map(|committed| &committed.commit.anomalies) {
            findings.demand(written.insert(key(record)), "once", || format!("{:?} was written twice", key(record)));
        }
    }
}

fn key(record: &AnomalyRecord) -> (String, String) {
    (record.partition_key(), record.sort_key())
}

fn compare_anomalies(rest: &Rest, site: &Site, history: &History, reference: &Reference, findings: &mut Findings) {
    let stored = site.store.anomalies();
    opinions::compare(&stored, &reference.told, findings);
    let stored: BTreeMap<_, _> = stored.into_iter().map(|record| (key(&record), record)).collect();
    let wanted = &reference.anomalies;
    for (key, records) in wanted {
        match stored.get(key) {
            None => findings.add("anomalies", &format!("missing: {key:?} of {}", records[0].seq)),
            // What both regions found is of the one that wrote it.
            Some(found) => findings
                .demand(records.contains(found), "anomalies", || format!("{key:?}: {found:?} instead of {records:?}")),
        }
    }
    for (key, record) in &stored {
        let is_told = record.anomaly.detector == DetectorId::Model;
        findings.demand(is_told || wanted.contains_key(key), "anomalies", || {
            format!("without reason: {key:?} of {}", record.seq)
        });
        let mut place = record.shard.split('/');
        let named = place.next();
        let region = REGIONS.iter().position(|region| named == Some(region));
        let shard = record.shard.rsplit('/').next().unwrap_or_default().to_owned();
        let index = region.and_then(|region| history.indexes.get(&(region, shard, record.seq)).copied());
        // That a device is silent is found when a record of somebody else arrives; of two regions the one may take its
        // records after those of the other.
        let silent = record.anomaly.detector == DetectorId::Silence;
        let before = index.map_or(&[][..], |index| match (silent, rest.sites.len() > 1) {
            (true, true) => &rest.sent[..],
            (true, false) => &rest.sent[..=index],
            (false, _) => &rest.sent[index..=index],
        });
        let own = before.iter().any(|sent| {
            sent.meaning.tenant == record.anomaly.tenant.as_str()
                && sent.meaning.devices.iter().any(|device| device == record.anomaly.device.as_str())
        });
        findings.demand(own, "tenants", || format!("{key:?} was found in a record of somebody else"));
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
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return findings.add("memory", &error.to_string()),
    };
    for site in &rest.sites {
        let infos = site.stream.shards();
        let is_parent = |info: &ShardInfo| {
            infos.iter().any(|other| {
                other.parent.as_ref() == Some(&info.shard) || other.adjacent_parent.as_ref() == Some(&info.shard)
            })
        };
        site.store.clear_faults();
        for info in infos.iter().filter(|info| !is_parent(info)) {
            let shard = site.shard_id(&info.shard);
            let restored = runtime.block_on(restore(&site.store, &shard, &reference.tenancy));
            let found = match restored {
                Ok((warm, _)) => warm.state,
                Err(error) => {
                    findings.add("memory", &format!("{shard} cannot be restored: {error}"));
                    continue;
                }
            };
            let Some(expected) = reference.known.get(&(site.region, info.shard.clone())) else { continue };
            findings.demand(bytes_of(&found.engine) == bytes_of(&expected.engine), "memory", || {
                let (found, expected) = (found.engine.len(), expected.engine.len());
                format!("{shard}: {found} devices, not in the state that {expected} devices must be in")
            });
            let told = Told::of(&found.opinions);
            findings.demand(told == expected.told, "memory", || {
                format!("{shard}: of its devices this has been told: {told:?} instead of {:?}", expected.told)
            });
        }
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
    let known: BTreeSet<ShardId> = rest.sites.iter().flat_map(Site::shard_ids).collect();
    let committed = rest.commits.iter().filter_map(|committed| committed.commit.checkpoint.as_ref());
    let unknown: BTreeSet<String> =
        committed.map(|(shard, _)| shard).filter(|shard| !known.contains(shard)).map(ToString::to_string).collect();
    findings.demand(unknown.is_empty(), "chain", || format!("commits of shards that never were: {unknown:?}"));
}
