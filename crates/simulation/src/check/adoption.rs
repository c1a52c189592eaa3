//! What a shard must begin with: what its parents knew, and, when its region takes over, what the other one knew.
//!
//! Which of the other region's commits had arrived is taken from the ledger. Which of its shards speaks for a device is
//! worked out from how its stream was really divided, not from what its checkpoints say of that.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use platform::model::{Checkpoint, HashRange, Key, ShardInfo};
use telemetry::sparkplug::Births;

use super::Findings;
use super::chain::Step;
use super::opinions::Known;
use crate::ledger::Basis;
use crate::run::Rest;

/// What a shard of the other region knew after one of its commits.
#[derive(Default)]
pub(super) struct Saved(BTreeMap<(usize, String, u64), Option<(Known, Births)>>);

/// A part of a shard and the ancestor that knew of it, with the epoch of its state.
pub(super) struct Part {
    pub(super) range: HashRange,
    pub(super) ancestor: Option<(String, u64)>,
}

/// What is adopted of one shard of the other region.
struct Taken<'b> {
    shard: &'b str,
    /// The version whose state it is: that of the checkpoint, or an older one where a piece is missing.
    version: u64,
    ranges: Vec<HashRange>,
}

/// The version of the state that is whole of what a checkpoint stands for; `None` where the snapshot is missing.
fn whole_version(checkpoint: &Checkpoint, missing: &BTreeSet<Key>) -> Option<u64> {
    if checkpoint.snapshot.as_ref().is_some_and(|snapshot| missing.contains(&snapshot.object.key)) {
        return None;
    }
    let bundle = |profiles: &str| Key::new(format!("state/profiles/{profiles}.json"));
    let whole = checkpoint.segments.iter().take_while(|segment| {
        let profiles_there = bundle(&segment.profiles).is_ok_and(|key| !missing.contains(&key));
        let opinions_there = segment.opinions.as_ref().is_none_or(|silver| !missing.contains(&silver.key));
        !missing.contains(&segment.object.key) && profiles_there && opinions_there
    });
    Some(checkpoint.version - (checkpoint.segments.len() - whole.count()) as u64)
}

/// Which states are adopted for the open parts of a shard, in the order in which they go.
fn plan<'b>(peers: &[ShardInfo], basis: &'b Basis, mut open: Vec<(HashRange, Option<u64>)>) -> Vec<Taken<'b>> {
    // A child's name has a higher number than its parents'.
    let mut deepest_first: Vec<_> = basis.checkpoints.iter().collect();
    deepest_first.sort_by_key(|(shard, _)| Reverse(&shard.shard));
    let mut taken = Vec::new();
    for (shard, checkpoint) in deepest_first {
        let Some(info) = peers.iter().find(|info| info.shard == shard.shard) else { continue };
        let held = HashRange::from(info.hash_range);
        let wanted = open.iter().filter(|(_, own)| own.is_none_or(|own| own <= checkpoint.epoch));
        let ranges: Vec<HashRange> = wanted.filter_map(|(range, _)| range.overlap(held)).collect();
        let Some(version) = whole_version(checkpoint, &basis.missing).filter(|_| !ranges.is_empty()) else { continue };
        taken.push(Taken { shard: &shard.shard, version, ranges });
        open = open.into_iter().flat_map(|(range, own)| range.without(held).map(move |rest| (rest, own))).collect();
    }
    taken
}

impl Saved {
    /// Makes room for what will be needed.
    pub(super) fn of(rest: &Rest, steps: &[Step]) -> Self {
        let mut saved = Self::default();
        let mut epochs: BTreeMap<(usize, &str), u64> = BTreeMap::new();
        for step in steps {
            let before = epochs.insert((step.region, &step.shard), step.checkpoint.epoch).unwrap_or(0);
            let begins = step.checkpoint.epoch > before;
            // Where there are several, they came to the same state and the same verdicts.
            let Some(basis) = bases(rest, step).into_iter().next().filter(|_| begins) else { continue };
            for (shard, checkpoint) in &basis.checkpoints {
                if let Some(version) = whole_version(checkpoint, &basis.missing) {
                    saved.0.insert((1 - step.region, shard.shard.clone(), version), None);
                }
            }
        }
        saved
    }

    /// Keeps a state if it will be needed.
    pub(super) fn keep(&mut self, step: &Step, known: impl FnOnce() -> Known, births: &Births) {
        let key = (step.region, step.shard.clone(), step.checkpoint.version);
        if let Some(slot) = self.0.get_mut(&key) {
            *slot = Some((known(), births.clone()));
        }
    }

    /// Adopts for the open parts of a shard, except for the devices of which `own` has taken more. `lives` tells the hash key of a device.
    pub(super) fn adopt(
        &self,
        rest: &Rest,
        step: &Step,
        (open, own): (Vec<(HashRange, Option<u64>)>, &Known),
        lives: impl Fn(&str, &str) -> Option<u128>,
        known: &mut Known,
        births: &mut Births,
    ) {
        let (Some(basis), peer) = (bases(rest, step).into_iter().next(), 1 - step.region) else { return };
        for Taken { shard, version, ranges } in plan(&rest.sites[peer].stream.shards(), &basis, open) {
            let Some(Some((theirs, born))) = self.0.get(&(peer, shard.to_owned(), version)) else { continue };
            let wanted = |tenant: &str, device: &str| {
                let key = lives(tenant, device);
                ranges.iter().any(|range| key.is_some_and(|key| (range.first..=range.last).contains(&key)))
                    && !own.is_ahead(tenant, device, theirs)
            };
            let (mut adopted, mut born) = (theirs.clone(), born.clone());
            adopted.retain(wanted);
            known.absorb(adopted);
            born.retain(wanted);
            let mut nodes = BTreeSet::new();
            born.clone().retain(|tenant, device| nodes.insert((tenant.to_owned(), device.to_owned())));
            births.retain(|tenant, device| !nodes.contains(&(tenant.to_owned(), device.to_owned())));
            births.absorb(born);
        }
    }
}

/// What a commit may have adopted from; nothing where it has not.
fn bases(rest: &Rest, step: &Step) -> Vec<Basis> {
    if rest.sites.len() < 2 || step.checkpoint.epoch == 0 {
        return Vec::new();
    }
    rest.ledger.bases(&rest.sites[step.region].shard_id(&step.shard), &step.checkpoint)
}

/// The nearest ancestors of a shard that have committed, each with the part of it that they held.
pub(super) fn parts(
    infos: &[ShardInfo],
    info: &ShardInfo,
    range: HashRange,
    epoch_of: &impl Fn(&str) -> Option<u64>,
) -> Vec<Part> {
    let mut parts = Vec::new();
    for parent in info.parent.iter().chain(&info.adjacent_parent) {
        let Some(parent) = infos.iter().find(|info| info.shard == *parent) else { continue };
        let Some(within) = range.overlap(parent.hash_range.into()) else { continue };
        match epoch_of(&parent.shard) {
            Some(epoch) => parts.push(Part { range: within, ancestor: Some((parent.shard.clone(), epoch)) }),
            None => parts.extend(self::parts(infos, parent, within, epoch_of)),
        }
    }
    if parts.is_empty() {
        parts.push(Part { range, ancestor: None });
    }
    parts
}

/// What must be true of an adoption beside the states: it has waited for what was missing, and after a calm move it began
/// with all there was.
pub(super) fn check(rest: &Rest, step: &Step, findings: &mut Findings) {
    let bases = bases(rest, step);
    let wrong: Vec<String> = bases.iter().filter_map(|basis| wrong_with(rest, step, basis)).collect();
    findings.demand(bases.is_empty() || wrong.len() < bases.len(), "adoption", || {
        let shard = rest.sites[step.region].shard_id(&step.shard);
        format!("{shard} version {}: {}", step.checkpoint.version, wrong.join("; "))
    });
}

fn wrong_with(rest: &Rest, step: &Step, basis: &Basis) -> Option<String> {
    let switch = rest.switches.iter().find(|switch| switch.epoch == step.known)?;
    let is_whole = |checkpoint: &Checkpoint| whole_version(checkpoint, &basis.missing) == Some(checkpoint.version);
    let whole = basis.checkpoints.iter().all(|(_, checkpoint)| is_whole(checkpoint));
    let patience_ms = i64::from(rest.plan.config.adopt_patience_seconds) * 1_000;
    if !whole && basis.at_ms + rest.plan.skew_ms - switch.at_ms < patience_ms {
        return Some(format!("{:?} was not waited for", basis.missing));
    }
    if !switch.calm || switch.to != step.region {
        return None;
    }
    // What went astray after the move may be on its way.
    if !whole && rest.sent[switch.records..].iter().all(|sent| sent.region == step.region) {
        return Some(format!("{:?} had not arrived at a calm move", basis.missing));
    }
    rest.sites[1 - step.region].shard_ids().iter().find_map(|shard| {
        let mut before = rest.sent[..switch.records].iter();
        let last = before.rfind(|sent| sent.region != step.region && *sent.shard == shard.shard)?;
        let listed = basis.checkpoints.iter().find(|(listed, _)| listed == shard);
        let through = listed.map(|(_, checkpoint)| checkpoint.last_seq);
        let short = through < Some(last.record.sequence);
        short.then(|| format!("adopted from {shard} up to {through:?}, not {}", last.record.sequence))
    })
}
