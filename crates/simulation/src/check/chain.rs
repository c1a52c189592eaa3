//! The commits: chains of checkpoints without gap, and which profiles each record was scored with.

use std::collections::{BTreeMap, BTreeSet};

use kinesis_scorer::state::ShardState;
use platform::model::{Checkpoint, ContentHash, Key, ObjectRef};
use telemetry::profile::{ProfileBundle, parse_profile};
use telemetry::sequence::SequenceNumber;

use super::Findings;
use crate::run::{Committed, Placed, Rest, Site};

/// What the commits of a run tell.
pub(super) struct History {
    /// Fingerprint of the profiles that each record was scored with, by index.
    pub(super) profiles: Vec<String>,
    /// The profiles of each fingerprint.
    pub(super) bundles: BTreeMap<String, ProfileBundle>,
    /// Index of each record, by region, shard and sequence number.
    pub(super) indexes: BTreeMap<(usize, String, SequenceNumber), usize>,
    /// Bronze objects that checkpoints have named, and silver objects with opinions.
    pub(super) named: Vec<ObjectRef>,
    /// Commits that took records.
    pub(super) batches: u64,
    /// Every commit of a checkpoint, in order.
    pub(super) steps: Vec<Step>,
}

/// One commit of a checkpoint.
pub(super) struct Step {
    pub(super) region: usize,
    pub(super) shard: String,
    pub(super) checkpoint: Checkpoint,
    /// The newest epoch that was known to who committed.
    pub(super) known: u64,
    /// The records that it took, by index.
    pub(super) records: Vec<usize>,
}

/// The last checkpoint of a shard and how many of its records it covers.
#[derive(Default)]
struct Chain {
    checkpoint: Option<Checkpoint>,
    covered: usize,
}

impl History {
    pub(super) fn read(rest: &Rest, findings: &mut Findings) -> Self {
        type Place = (usize, String);
        let mut by_shard: BTreeMap<Place, Vec<(SequenceNumber, usize)>> = BTreeMap::new();
        for (index, sent) in rest.sent.iter().enumerate() {
            by_shard.entry((sent.region, sent.shard.to_string())).or_default().push((sent.record.sequence, index));
        }
        let mut history = Self {
            profiles: vec![String::new(); rest.sent.len()],
            bundles: BTreeMap::new(),
            indexes: BTreeMap::new(),
            named: Vec::new(),
            batches: 0,
            steps: Vec::new(),
        };
        let mut chains: BTreeMap<Place, Chain> = BTreeMap::new();
        for (number, committed) in rest.commits.iter().enumerate() {
            let Some((shard, _)) = &committed.commit.checkpoint else { continue };
            let key = (committed.region, shard.shard.clone());
            let records = by_shard.get(&key).map_or(&[][..], Vec::as_slice);
            let chain = chains.entry(key).or_default();
            history.follow(rest, chain, committed, records, number, findings);
        }
        for site in &rest.sites {
            for shard in site.shard_ids() {
                let key = (site.region, shard.shard.clone());
                let (count, chain) = (by_shard.get(&key).map_or(0, Vec::len), chains.remove(&key));
                let chain = chain.unwrap_or_default();
                findings.demand(chain.covered == count, "chain", || {
                    format!("{shard}: {count} records were put, {} are committed", chain.covered)
                });
                for store in rest.sites.iter().map(|site| &site.store) {
                    findings.demand(chain.checkpoint == store.checkpoint(&shard), "chain", || {
                        format!("{shard}: the stored checkpoint is not the one that was committed last")
                    });
                }
            }
        }
        history.indexes = by_shard
            .into_iter()
            .flat_map(|((region, shard), records)| {
                records.into_iter().map(move |(sequence, index)| ((region, shard.clone(), sequence), index))
            })
            .collect();
        history.check_last_profiles(rest, findings);
        history
    }

    /// One commit more of a shard.
    fn follow(
        &mut self,
        rest: &Rest,
        chain: &mut Chain,
        committed: &Committed,
        records: &[(SequenceNumber, usize)],
        number: usize,
        findings: &mut Findings,
    ) {
        let Some((shard, next)) = &committed.commit.checkpoint else { return };
        let (site, place) = (&rest.sites[committed.region], &format!("{shard} version {}", next.version));
        let before = chain.checkpoint.replace(next.clone());
        let before = before.as_ref();
        check_epoch(site, place, before, committed, findings);
        let expected = before.map_or(1, |before| before.version + 1);
        findings.demand(next.version == expected, "chain", || format!("{place}: expected version {expected}"));
        let through = records.partition_point(|(sequence, _)| *sequence <= next.last_seq);
        findings.demand(
            through > 0 && records.get(through - 1).is_some_and(|(last, _)| *last == next.last_seq),
            "chain",
            || format!("{place}: {} is no record of the shard", next.last_seq),
        );
        findings.demand(through >= chain.covered, "chain", || {
            format!("{place}: {} lies before what was committed", next.last_seq)
        });
        findings.demand(before.is_none_or(|before| before.stream_time <= next.stream_time), "chain", || {
            format!("{place}: the stream's time goes back to {}", next.stream_time)
        });
        if let Some(profiles) = self.segments(site, place, before, next, findings) {
            if through > chain.covered {
                self.batches += 1;
                self.check_profiles(rest, place, &profiles, number, findings);
            }
            for (_, index) in records.get(chain.covered..through).unwrap_or_default() {
                self.profiles[*index].clone_from(&profiles);
            }
        }
        let taken = records.get(chain.covered..through).unwrap_or_default();
        self.steps.push(Step {
            region: committed.region,
            shard: shard.shard.clone(),
            checkpoint: next.clone(),
            known: committed.commit.epoch.unwrap_or(0),
            records: taken.iter().map(|(_, index)| *index).collect(),
        });
        chain.covered = through;
    }

    /// What replay would start from: the segments before and one more, or a new snapshot and none. Gives the profiles.
    fn segments(
        &mut self,
        site: &Site,
        place: &str,
        before: Option<&Checkpoint>,
        next: &Checkpoint,
        findings: &mut Findings,
    ) -> Option<String> {
        let old = before.map_or(&[][..], |before| &before.segments);
        let begins = next.epoch > before.map_or(0, |before| before.epoch);
        findings.demand(!begins || next.segments.is_empty(), "segments", || {
            format!("{place}: the first of epoch {} and no snapshot", next.epoch)
        });
        if let Some((last, rest_of)) = next.segments.split_last() {
            let grows = rest_of == old && next.snapshot == before.and_then(|before| before.snapshot.clone());
            findings.demand(grows && last.last_seq == next.last_seq, "segments", || {
                format!("{place}: its segments are not those before and one that ends at {}", next.last_seq)
            });
            for object in [&last.object].into_iter().chain(&last.opinions) {
                check_object(site, place, object, findings);
                self.named.push(object.clone());
            }
            return Some(last.profiles.clone());
        }
        let Some(snapshot) = &next.snapshot else {
            findings.add("segments", &format!("{place}: neither a snapshot nor a segment"));
            return None;
        };
        let bytes = check_object(site, place, &snapshot.object, findings)?;
        match ShardState::from_snapshot(&bytes) {
            Ok((header, _)) => {
                findings.demand(header.last_seq == Some(next.last_seq), "segments", || {
                    format!("{place}: its snapshot is of {:?}, not of {}", header.last_seq, next.last_seq)
                });
                Some(header.profiles)
            }
            Err(error) => {
                findings.add("segments", &format!("{place}: its snapshot cannot be read: {error}"));
                None
            }
        }
    }

    /// The profiles of a batch are a mixture of texts that were written before it, each of them valid.
    fn check_profiles(&mut self, rest: &Rest, place: &str, fingerprint: &str, number: usize, findings: &mut Findings) {
        let bundle = match self.bundles.get(fingerprint) {
            Some(bundle) => bundle.clone(),
            None => match load(rest, fingerprint) {
                Ok(bundle) => bundle,
                Err(problem) => return findings.add("profiles", &format!("{place}: profiles {fingerprint} {problem}")),
            },
        };
        let tenants: BTreeSet<&str> =
            bundle.tenants().chain(rest.placed.iter().map(|placed| placed.tenant.as_str())).collect();
        for tenant in tenants {
            let of = || rest.placed.iter().filter(|placed| placed.tenant == tenant);
            let fits = bundle.text(tenant).map_or_else(
                || may_be_missed(of().filter(|placed| placed.commits <= number)),
                |text| {
                    is_good(text) && of().any(|placed| placed.commits <= number && placed.text.as_deref() == Some(text))
                },
            );
            findings.demand(fits, "profiles", || {
                format!("{place}: scored with {:?} as the profile of {tenant}", bundle.text(tenant))
            });
        }
        self.bundles.insert(fingerprint.to_owned(), bundle);
    }

    /// An hour after the last change, everybody has seen it.
    fn check_last_profiles(&self, rest: &Rest, findings: &mut Findings) {
        for index in rest.tail_from..rest.sent.len() {
            // A change that came with the last records may have been seen or not.
            let Some(bundle) = self.bundles.get(&self.profiles[index]) else { continue };
            let tenants: BTreeSet<&str> = rest.placed.iter().map(|placed| placed.tenant.as_str()).collect();
            for tenant in tenants {
                let last = rest.placed.iter().rfind(|placed| placed.tenant == tenant);
                let Some(last) = last.filter(|last| last.records <= rest.tail_from) else { continue };
                let fits = match &last.text {
                    None => bundle.text(tenant).is_none(),
                    Some(text) => parse_profile(text).is_err() || bundle.text(tenant) == Some(text),
                };
                findings.demand(fits, "profiles", || {
                    format!("record {index}: scored with {:?} an hour after {last:?}", bundle.text(tenant))
                });
            }
        }
    }
}

/// A region that has the say commits in the newest epoch that its stores know of, another one in that of its states.
fn check_epoch(site: &Site, place: &str, before: Option<&Checkpoint>, committed: &Committed, findings: &mut Findings) {
    let Some((_, next)) = &committed.commit.checkpoint else { return };
    let fits = match (&committed.epoch, before) {
        (None, _) => next.epoch == 0,
        (Some(epoch), _) if epoch.active == site.name() => next.epoch == epoch.epoch,
        (Some(_), Some(before)) => next.epoch == before.epoch,
        (Some(epoch), None) => next.epoch < epoch.epoch,
    };
    findings.demand(fits, "epoch", || {
        format!("{place}: of epoch {} after {:?} while {:?}", next.epoch, before.map(|b| b.epoch), committed.epoch)
    });
}

fn is_good(text: &str) -> bool {
    parse_profile(text).is_ok()
}

/// Whether a batch may be scored without a tenant's profile, given all that was written of it before.
///
/// Not if there was a good one before any process looked and it was never taken away; also not when a bad one has come since,
/// unless that came when a process could start with a shard of no history and so know of no good one.
fn may_be_missed<'p>(early: impl Iterator<Item = &'p Placed> + Clone) -> bool {
    let at_the_start = early.clone().take_while(|placed| placed.records == 0).last();
    let from_the_start = at_the_start.and_then(|placed| placed.text.as_deref()).is_some_and(is_good);
    let lost = |placed: &Placed| match &placed.text {
        Some(text) => !is_good(text) && !placed.after_all_began,
        None => true,
    };
    !from_the_start || early.filter(|placed| placed.records > 0).any(lost)
}

fn load(rest: &Rest, fingerprint: &str) -> Result<ProfileBundle, String> {
    let empty = ProfileBundle::default();
    if empty.fingerprint() == fingerprint {
        return Ok(empty);
    }
    let key = Key::new(format!("state/profiles/{fingerprint}.json")).map_err(|error| error.to_string())?;
    let bytes = rest.sites.iter().find_map(|site| site.store.object(&key)).ok_or("are not in the lake")?;
    let bundle = ProfileBundle::from_bytes(&bytes).map_err(|error| error.to_string())?;
    if bundle.fingerprint() == fingerprint { Ok(bundle) } else { Err("have another fingerprint".to_owned()) }
}

/// An object that a checkpoint names is there and has the content that it had.
fn check_object(site: &Site, place: &str, object: &ObjectRef, findings: &mut Findings) -> Option<Vec<u8>> {
    let found = site.store.object(&object.key);
    let whole = found.as_ref().is_some_and(|bytes| ContentHash::of(bytes) == object.sha256);
    findings.demand(whole, "objects", || {
        let what = if found.is_some() { "has other content than was committed" } else { "is not there" };
        format!("{place}: {} {what}", object.key)
    });
    found.filter(|_| whole)
}
