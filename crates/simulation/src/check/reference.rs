//! What a run must come to: the same records in the same order, folded once, with nothing in between that could fail.
//!
//! Every record is taken in the order in which it was put, by the engine of its shard. A child's engine has the devices that
//! live in it, by the partition keys that the workload gave them; what Sparkplug nodes announce is known everywhere at once,
//! since a node's messages are in one order however the stream was split and merged. The profiles are those that each
//! record's batch was committed with, since when a change takes effect depends on where batches end.

use std::collections::BTreeMap;
use std::sync::Arc;

use anomaly_core::{Engine, ProfileSet};
use kinesis_scorer::fold::{Batch, Fold, RawRecord, Tenancy};
use kinesis_scorer::state::ShardState;
use platform::embedded::stream::hash_key;
use platform::model::{AnomalyRecord, ShardId, ShardInfo, StateRecord};
use telemetry::kinesis::KinesisEvent;
use telemetry::poison::Poison;
use telemetry::sequence::SequenceNumber;
use telemetry::sparkplug::Births;

use super::Findings;
use super::chain::History;
use super::lake::{Refused, Row, refused_of, rows_of};
use crate::run::{Rest, Sent, event_of};

/// The outcome without faults. Sequence numbers stand for the index of a record, counted from 1.
pub(super) struct Reference {
    pub(super) rows: Vec<Row>,
    pub(super) refused: Vec<Refused>,
    /// As they must be stored.
    pub(super) anomalies: Vec<AnomalyRecord>,
    /// As they must be stored.
    pub(super) states: Vec<StateRecord>,
    /// The devices of every shard that is open, as the next process must know them.
    pub(super) engines: BTreeMap<String, Engine>,
    pub(super) tenancy: Tenancy,
}

/// The shards while the records are taken.
struct Shards<'r> {
    infos: Vec<ShardInfo>,
    states: BTreeMap<String, ShardState>,
    births: Births,
    /// Hash key of each device, by tenant and name.
    devices: BTreeMap<(&'r str, &'r str), u128>,
}

impl Shards<'_> {
    /// What a shard starts with: what its parents end with, as far as it lives here.
    fn open(&mut self, shard: &str) {
        if self.states.contains_key(shard) {
            return;
        }
        let mut state = ShardState::default();
        if let Some(info) = self.infos.iter().find(|info| info.shard == shard).cloned() {
            for parent in info.parent.iter().chain(&info.adjacent_parent) {
                self.open(parent);
                let Some(mut engine) = self.states.get(parent).map(|state| state.engine.clone()) else { continue };
                let (first, last) = info.hash_range;
                engine.retain(|tenant, device| {
                    self.devices.get(&(tenant, device)).is_some_and(|key| (first..=last).contains(key))
                });
                state.engine.absorb(engine);
            }
        }
        self.states.insert(shard.to_owned(), state);
    }
}

/// The sequence number that stands for an index.
fn number(index: usize) -> SequenceNumber {
    format!("{}", index + 1).parse().unwrap_or(SequenceNumber::ZERO)
}

/// The index that a sequence number stands for.
fn index_of(sequence: SequenceNumber) -> usize {
    sequence.trimmed().parse::<usize>().map_or(usize::MAX, |number| number - 1)
}

impl Reference {
    pub(super) fn fold(rest: &Rest, history: &History, findings: &mut Findings) -> Option<Self> {
        let config = &rest.plan.config;
        let tenancy = Tenancy::new(config.stream_tenant.as_deref(), &config.default_tenant);
        let mut sets: BTreeMap<&str, Arc<ProfileSet>> = BTreeMap::new();
        for (fingerprint, bundle) in &history.bundles {
            match bundle.compile() {
                Ok(set) => _ = sets.insert(fingerprint, Arc::new(set)),
                Err(error) => {
                    findings.add("profiles", &format!("{fingerprint} does not compile: {error}"));
                    return None;
                }
            }
        }
        let (mut fold, mut batch) = (Fold::default(), Batch::default());
        let (infos, births) = (rest.stream.shards(), Births::default());
        let mut shards = Shards { infos, states: BTreeMap::new(), births, devices: BTreeMap::new() };
        for (index, sent) in rest.sent.iter().enumerate() {
            for device in &sent.meaning.devices {
                shards.devices.insert((&sent.meaning.tenant, device), hash_key(&sent.record.partition_key));
            }
            let Some(set) = sets.get(history.profiles[index].as_str()) else {
                findings.add("profiles", &format!("record {index} was scored with profiles that nobody stored"));
                return None;
            };
            shards.open(&sent.shard);
            let Some(state) = shards.states.get_mut(&*sent.shard) else { continue };
            std::mem::swap(&mut state.births, &mut shards.births);
            take(&mut fold, state, index, sent, (set, &tenancy), &mut batch);
            std::mem::swap(&mut state.births, &mut shards.births);
        }
        let names: Vec<String> = shards.infos.iter().map(|info| info.shard.clone()).collect();
        for shard in &names {
            shards.open(shard);
        }
        let objects = match batch.finish() {
            Ok(objects) => objects,
            Err(error) => {
                findings.add("reference", &error.to_string());
                return None;
            }
        };
        let nowhere = ShardId { region: String::new(), stream: String::new(), shard: String::new() };
        let stored_as = |seq: &mut SequenceNumber| {
            let index = index_of(*seq);
            let sent = rest.sent.get(index)?;
            *seq = sent.record.sequence;
            Some((index, sent))
        };
        let anomaly = |mut record: AnomalyRecord| {
            let (index, sent) = stored_as(&mut record.seq)?;
            record.shard = rest.stream.shard_id(&sent.shard).to_string();
            record.profiles.clone_from(&history.profiles[index]);
            Some(record)
        };
        let device = |mut record: StateRecord| stored_as(&mut record.seq).map(|_| record);
        Some(Self {
            rows: rows_of(objects.silver, "the reference", &|_, seq| Some(index_of(seq)), findings),
            refused: refused_of(
                objects.quarantine.as_deref(),
                "the reference",
                &|_, seq| Some(index_of(seq)),
                findings,
            ),
            anomalies: batch.anomalies(&nowhere, "", config.ttl_days).into_iter().filter_map(anomaly).collect(),
            states: batch.states(config.ttl_days).into_iter().filter_map(device).collect(),
            engines: shards.states.into_iter().map(|(shard, state)| (shard, state.engine)).collect(),
            tenancy,
        })
    }
}

fn take(
    fold: &mut Fold,
    state: &mut ShardState,
    index: usize,
    sent: &Sent,
    (profiles, tenancy): (&ProfileSet, &Tenancy),
    batch: &mut Batch,
) {
    let record = &sent.record;
    let mut one = |data: Result<&[u8], (&Poison, &[u8])>| {
        let (arrived, partition_key) = (record.arrived, &*record.partition_key);
        fold.take(state, &RawRecord { seq: number(index), arrived, partition_key, data }, profiles, tenancy, batch);
    };
    if !sent.meaning.broken_envelope {
        one(Ok(&record.data));
        return;
    }
    // What is wrong with an envelope is said by the one who reads it.
    let event = event_of(&sent.shard, std::slice::from_ref(record));
    let parsed = KinesisEvent::parse(&event).ok();
    if let Some(arrives) = parsed.as_ref().and_then(|event| event.records.first())
        && let Err(poison) = arrives.payload_bytes(&mut Vec::new())
    {
        one(Err((&poison, arrives.data.as_bytes())));
    }
}
