//! What a run must come to: the same records, folded once, with nothing in between that could fail.
//!
//! Records are taken in the order in which they were committed, by the engine of their shard. A child's engine has the
//! devices that live in it, by the partition keys that the workload gave them; what Sparkplug nodes announce is known
//! everywhere in a region at once, since a node's messages are in one order however the stream was split and merged. The
//! profiles are those that each record's batch was committed with, since when a change takes effect depends on where batches
//! end. What a region that takes over goes on with is for [`super::adoption`].

use std::collections::BTreeMap;
use std::sync::Arc;

use anomaly_core::ProfileSet;
use kinesis_scorer::fold::{Batch, Fold, RawRecord, Tenancy};
use kinesis_scorer::state::ShardState;
use platform::embedded::stream::hash_key;
use platform::model::{AnomalyRecord, HashRange, ShardId, ShardInfo, StateRecord};
use telemetry::kinesis::KinesisEvent;
use telemetry::poison::Poison;
use telemetry::sequence::SequenceNumber;
use telemetry::sparkplug::Births;

use super::Findings;
use super::adoption::{self, Part, Saved};
use super::chain::{History, Step};
use super::lake::{Refused, Row, refused_of, rows_of};
use super::opinions::{Expected, Known, Recorded, Told};
use crate::run::{Rest, Sent, event_of};

/// The outcome without faults. Sequence numbers stand for the index of a record, counted from 1.
pub(super) struct Reference {
    pub(super) rows: Vec<Row>,
    pub(super) refused: Vec<Refused>,
    /// As they must be stored, by key; several where several find the same, of which any may stay.
    pub(super) anomalies: BTreeMap<(String, String), Vec<AnomalyRecord>>,
    /// As they must be stored, by device; several where both regions wrote the newest.
    pub(super) states: BTreeMap<String, Vec<StateRecord>>,
    /// Epoch and sequence number of those.
    newest: BTreeMap<String, (u64, SequenceNumber)>,
    /// The devices of every shard that is open, as the next process must know them, by region and shard.
    pub(super) known: BTreeMap<(usize, String), Known>,
    /// What must have been told because a second model said so.
    pub(super) told: Expected,
    pub(super) tenancy: Tenancy,
}

/// A shard while the records are taken.
struct Shard {
    state: ShardState,
    told: Told,
    epoch: u64,
}

impl Shard {
    fn known(&self) -> Known {
        Known { engine: self.state.engine.clone(), told: self.told.clone() }
    }
}

/// The shards while the records are taken, each with the epoch of its state, by region and shard.
struct Shards<'r> {
    rest: &'r Rest,
    infos: Vec<Vec<ShardInfo>>,
    states: BTreeMap<(usize, String), Shard>,
    /// By region.
    births: Vec<Births>,
    /// Hash key of each device, by tenant and name.
    devices: BTreeMap<(&'r str, &'r str), u128>,
    saved: Saved,
}

impl<'r> Shards<'r> {
    fn new(rest: &'r Rest, history: &History) -> Self {
        let mut devices = BTreeMap::new();
        for sent in &rest.sent {
            for device in &sent.meaning.devices {
                let names = (sent.meaning.tenant.as_str(), device.as_str());
                devices.insert(names, hash_key(&sent.record.partition_key));
            }
        }
        Self {
            rest,
            infos: rest.sites.iter().map(|site| site.stream.shards()).collect(),
            states: BTreeMap::new(),
            births: vec![Births::default(); rest.sites.len()],
            devices,
            saved: Saved::of(rest, &history.steps),
        }
    }

    /// The devices of a part that an ancestor knew.
    fn inherited(&self, region: usize, ancestor: &str, range: HashRange) -> Known {
        let shard = self.states.get(&(region, ancestor.to_owned()));
        let mut known = shard.map(Shard::known).unwrap_or_default();
        known.retain(|tenant, device| {
            let key = self.devices.get(&(tenant, device));
            key.is_some_and(|key| (range.first..=range.last).contains(key))
        });
        known
    }

    fn parts(&self, region: usize, shard: &str) -> Vec<Part> {
        let Some(info) = self.infos[region].iter().find(|info| info.shard == shard) else { return Vec::new() };
        let epoch_of = |shard: &str| self.states.get(&(region, shard.to_owned())).map(|shard| shard.epoch);
        adoption::parts(&self.infos[region], info, info.hash_range.into(), &epoch_of)
    }

    /// What a shard without a commit would begin with if its region does not take over.
    fn unopened(&self, region: usize, shard: &str) -> Known {
        let mut known = Known::default();
        for Part { range, ancestor } in self.parts(region, shard) {
            if let Some((ancestor, _)) = ancestor {
                known.absorb(self.inherited(region, &ancestor, range));
            }
        }
        known
    }

    /// What a shard has before a commit takes its records.
    fn begin(&mut self, step: &Step, findings: &mut Findings) {
        let (region, epoch) = (step.region, step.checkpoint.epoch);
        let key = (region, step.shard.clone());
        let own = self.states.get(&key).map(|shard| shard.epoch);
        let takes_over = epoch > own.unwrap_or(0);
        let Known { engine, told } = match own {
            Some(_) if !takes_over => return,
            None if !takes_over => self.unopened(region, &step.shard),
            _ => {
                let parts = match own {
                    Some(own) => {
                        let info = self.infos[region].iter().find(|info| info.shard == step.shard);
                        let range = info.map_or(HashRange::ALL, |info| info.hash_range.into());
                        vec![Part { range, ancestor: Some((step.shard.clone(), own)) }]
                    }
                    None => self.parts(region, &step.shard),
                };
                self.taken_over(step, parts, findings)
            }
        };
        let mut state = ShardState::default();
        state.engine = engine;
        self.states.insert(key, Shard { state, told, epoch });
    }

    fn taken_over(&mut self, step: &Step, parts: Vec<Part>, findings: &mut Findings) -> Known {
        let (region, epoch) = (step.region, step.checkpoint.epoch);
        let epoch_of = |part: &Part| part.ancestor.as_ref().map(|(_, epoch)| *epoch);
        let (current, stale): (Vec<Part>, Vec<Part>) =
            parts.into_iter().partition(|part| epoch_of(part) == Some(epoch));
        let mut known = Known::default();
        let open: Vec<_> = stale.iter().map(|part| (part.range, epoch_of(part))).collect();
        for Part { range, ancestor } in current {
            let Some((ancestor, _)) = ancestor else { continue };
            known.absorb(self.inherited(region, &ancestor, range));
        }
        let mut own = Known::default();
        for Part { range, ancestor } in stale {
            let Some((ancestor, _)) = ancestor else { continue };
            own.absorb(self.inherited(region, &ancestor, range));
        }
        let lives = |tenant: &str, device: &str| self.devices.get(&(tenant, device)).copied();
        if !open.is_empty() {
            adoption::check(self.rest, step, findings);
            self.saved.adopt(self.rest, step, (open, &own), lives, &mut known, &mut self.births[region]);
        }
        known.absorb(own);
        known
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
        let (mut fold, mut shards) = (Fold::default(), Shards::new(rest, history));
        let (recorded, mut told) = (Recorded::read(rest, findings), Expected::new());
        // States of a newer epoch win over those of an older one; sequence numbers say nothing across regions.
        let mut batches: BTreeMap<(u64, usize), Batch> = BTreeMap::new();
        for step in &history.steps {
            shards.begin(step, findings);
            let batch = batches.entry((step.checkpoint.epoch, step.region)).or_default();
            let Some(shard) = shards.states.get_mut(&(step.region, step.shard.clone())) else { continue };
            let state = &mut shard.state;
            let births = &mut shards.births[step.region];
            for index in &step.records {
                let Some(set) = sets.get(history.profiles[*index].as_str()) else {
                    findings.add("profiles", &format!("record {index} was scored with profiles that nobody stored"));
                    return None;
                };
                std::mem::swap(&mut state.births, births);
                take(&mut fold, state, *index, &rest.sent[*index], (set, &tenancy), batch);
                std::mem::swap(&mut state.births, births);
            }
            recorded.take(&rest.sites[step.region], step, &mut shard.told, &mut told);
            shards.saved.keep(step, || shard.known(), births);
        }
        let mut reference = Self {
            rows: Vec::new(),
            refused: Vec::new(),
            anomalies: BTreeMap::new(),
            states: BTreeMap::new(),
            newest: BTreeMap::new(),
            known: BTreeMap::new(),
            told,
            tenancy,
        };
        for ((epoch, _), batch) in &mut batches {
            reference.add(rest, history, *epoch, batch, findings)?;
        }
        for site in &rest.sites {
            for shard in site.shard_ids() {
                let key = (site.region, shard.shard);
                let known = shards.states.get(&key).map(Shard::known);
                let known = known.unwrap_or_else(|| shards.unopened(key.0, &key.1));
                reference.known.insert(key, known);
            }
        }
        Some(reference)
    }

    /// Adds what was found with the states of one epoch in one region.
    fn add(
        &mut self,
        rest: &Rest,
        history: &History,
        epoch: u64,
        batch: &mut Batch,
        findings: &mut Findings,
    ) -> Option<()> {
        let objects = match batch.finish() {
            Ok(objects) => objects,
            Err(error) => {
                findings.add("reference", &error.to_string());
                return None;
            }
        };
        let index = |_: &str, seq: SequenceNumber| Some(index_of(seq));
        self.rows.extend(rows_of(objects.silver, "the reference", &index, findings));
        self.refused.extend(refused_of(objects.quarantine.as_deref(), "the reference", &index, findings));
        let ttl_days = rest.plan.config.ttl_days;
        let nowhere = ShardId { region: String::new(), stream: String::new(), shard: String::new() };
        for mut record in batch.anomalies(&nowhere, "", ttl_days) {
            let index = index_of(record.seq);
            let Some(sent) = rest.sent.get(index) else { continue };
            record.seq = sent.record.sequence;
            record.shard = rest.sites[sent.region].shard_id(&sent.shard).to_string();
            record.profiles.clone_from(&history.profiles[index]);
            self.anomalies.entry((record.partition_key(), record.sort_key())).or_default().push(record);
        }
        for mut record in batch.states(epoch, ttl_days) {
            let Some(sent) = rest.sent.get(index_of(record.seq)) else { continue };
            record.seq = sent.record.sequence;
            let (device, place) = (record.partition_key(), (epoch, record.seq));
            let newest = self.newest.entry(device.clone()).or_insert(place);
            let states = self.states.entry(device).or_default();
            if place > *newest {
                *newest = place;
                states.clear();
            }
            if place == *newest {
                states.push(record);
            }
        }
        Some(())
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
    let event = event_of(sent.region, &sent.shard, std::slice::from_ref(record));
    let parsed = KinesisEvent::parse(&event).ok();
    if let Some(arrives) = parsed.as_ref().and_then(|event| event.records.first())
        && let Err(poison) = arrives.payload_bytes(&mut Vec::new())
    {
        one(Err((&poison, arrives.data.as_bytes())));
    }
}
