//! What the lake holds by the documented rule for readers, against what was sent and what a fault-free reading gives.

use std::collections::{BTreeMap, BTreeSet};

use kinesis_scorer::chain;
use platform::model::Key;
use telemetry::bronze::BronzeReader;
use telemetry::poison::PoisonReason;
use telemetry::quarantine::QuarantineReader;
use telemetry::sequence::SequenceNumber;
use telemetry::silver::SilverReader;

use super::Findings;
use super::chain::History;
use super::reference::Reference;
use crate::run::Rest;
use crate::workload::Meaning;

const BYTES_MAX: usize = 64 << 20;

/// A scored reading, numbers to the bit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    index: usize,
    sub: u32,
    tenant: String,
    device: String,
    metric: String,
    at_ms: i64,
    value: u64,
    score: u32,
    alert: u32,
    expected: u64,
    outcome: String,
    arrived_ms: i64,
}

/// A refused message: of which record, which message in it, why, and its bytes.
pub(super) type Refused = (usize, u32, String, Vec<u8>);

/// Tells the index of a record, given where it was read and its sequence number.
type IndexOf<'i> = &'i dyn Fn(&str, SequenceNumber) -> Option<usize>;

/// Readings of a silver object.
pub(super) fn rows_of(object: Option<Vec<u8>>, place: &str, index: IndexOf<'_>, findings: &mut Findings) -> Vec<Row> {
    let Some(object) = object else { return Vec::new() };
    let reader = match SilverReader::new(object, BYTES_MAX) {
        Ok(reader) => reader,
        Err(error) => {
            findings.add("objects", &format!("{place}: {error}"));
            return Vec::new();
        }
    };
    let mut rows = Vec::with_capacity(reader.len());
    for row in reader.rows() {
        let Some(index) = index(place, row.seq) else {
            findings.add("verdicts", &format!("{place}: {} was never sent", row.seq));
            continue;
        };
        rows.push(Row {
            index,
            sub: row.sub,
            tenant: row.tenant.to_owned(),
            device: row.device.to_owned(),
            metric: row.metric.to_owned(),
            at_ms: row.at.millis(),
            value: row.value.to_bits(),
            score: row.score.to_bits(),
            alert: row.alert.to_bits(),
            expected: row.expected.to_bits(),
            outcome: row.outcome.as_str().to_owned(),
            arrived_ms: row.arrived.millis(),
        });
    }
    rows
}

/// Messages of a quarantine object.
pub(super) fn refused_of(
    object: Option<&[u8]>,
    place: &str,
    index: IndexOf<'_>,
    findings: &mut Findings,
) -> Vec<Refused> {
    let Some(object) = object else { return Vec::new() };
    let reader = match QuarantineReader::new(object, BYTES_MAX) {
        Ok(reader) => reader,
        Err(error) => {
            findings.add("objects", &format!("{place}: {error}"));
            return Vec::new();
        }
    };
    let mut refused = Vec::new();
    for record in reader.records() {
        match record.map(|record| (index(place, record.seq), record)) {
            Ok((Some(index), record)) => {
                refused.push((index, record.sub, record.reason.into_owned(), record.data.into_owned()));
            }
            Ok((None, record)) => findings.add("quarantine", &format!("{place}: {} was never sent", record.seq)),
            Err(error) => findings.add("objects", &format!("{place}: {error}")),
        }
    }
    refused
}

/// The committed part of the lake.
#[derive(Default)]
pub(super) struct Lake {
    rows: Vec<Row>,
    refused: Vec<Refused>,
    /// Bytes in bronze, by index of the record.
    raw: BTreeMap<usize, Vec<u8>>,
}

impl Lake {
    pub(super) fn read(rest: &Rest, history: &History, findings: &mut Findings) -> Self {
        let (mut lake, mut committed) = (Self::default(), BTreeSet::new());
        for site in &rest.sites {
            let objects = site.store.objects();
            for shard in site.shard_ids() {
                let Some(checkpoint) = site.store.checkpoint(&shard) else { continue };
                let (keys, whole) = chain::committed(objects.keys(), &shard, &checkpoint);
                findings.demand(whole, "objects", || {
                    format!("{shard}: the committed objects do not reach back to its beginning")
                });
                let index = |_: &str, seq: SequenceNumber| {
                    history.indexes.get(&(site.region, shard.shard.clone(), seq)).copied()
                };
                for key in keys {
                    let Some(bytes) = objects.get(key) else { continue };
                    lake.take(rest, key, bytes, &index, findings);
                    committed.insert(key.clone());
                }
            }
        }
        for object in &history.named {
            findings.demand(committed.contains(&object.key), "objects", || {
                format!("{}: a checkpoint named it, a reader of the lake passes over it", object.key)
            });
        }
        lake.rows.sort();
        lake.refused.sort();
        lake
    }

    fn take(&mut self, rest: &Rest, key: &Key, bytes: &[u8], index: IndexOf<'_>, findings: &mut Findings) {
        let place = key.as_str();
        if place.starts_with("silver/") {
            self.rows.extend(rows_of(Some(bytes.to_vec()), place, index, findings));
        } else if place.starts_with("quarantine/") {
            self.refused.extend(refused_of(Some(bytes), place, index, findings));
        } else if place.starts_with("bronze/") {
            let reader = match BronzeReader::new(bytes, BYTES_MAX) {
                Ok(reader) => reader,
                Err(error) => return findings.add("objects", &format!("{place}: {error}")),
            };
            for record in reader.records() {
                let record = match record {
                    Ok(record) => record,
                    Err(error) => return findings.add("objects", &format!("{place}: {error}")),
                };
                let Some(index) = index(place, record.seq) else {
                    findings.add("bronze", &format!("{place}: {} was never sent", record.seq));
                    continue;
                };
                let sent = rest.sent.get(index).map(|sent| &sent.record);
                let same = sent.is_some_and(|sent| {
                    *sent.data == *record.data
                        && *sent.partition_key == *record.partition_key
                        && sent.arrived == record.arrived
                });
                findings.demand(same, "bronze", || format!("{place}: {} is not as it was sent", record.seq));
                let twice = self.raw.insert(index, record.data.to_vec()).is_some();
                findings.demand(!twice, "bronze", || format!("{place}: {} is there twice", record.seq));
            }
        }
    }

    pub(super) fn compare(&self, rest: &Rest, reference: &Reference, findings: &mut Findings) {
        let mut expected = reference.rows.clone();
        expected.sort();
        differ(&self.rows, &expected, "verdicts", findings);
        let mut expected = reference.refused.clone();
        expected.sort();
        differ(&self.refused, &expected, "quarantine", findings);
        for (index, sent) in rest.sent.iter().enumerate() {
            let kept = self.raw.contains_key(&index);
            findings.demand(kept != sent.meaning.broken_envelope, "bronze", || {
                format!("record {index} {} of {}: in bronze: {kept}", sent.record.sequence, sent.shard)
            });
        }
        self.compare_meaning(rest, findings);
    }

    /// What the records were made to mean, told by whoever made them.
    fn compare_meaning(&self, rest: &Rest, findings: &mut Findings) {
        let mut readings = vec![0; rest.sent.len()];
        for row in &self.rows {
            readings[row.index] += 1;
            let meaning = &rest.sent[row.index].meaning;
            let own = meaning.tenant == row.tenant && meaning.devices.contains(&row.device);
            findings.demand(own, "tenants", || {
                format!(
                    "{}/{} has a reading of record {}, which is of {}/{:?}",
                    row.tenant, row.device, row.index, meaning.tenant, meaning.devices
                )
            });
        }
        let mut refused: Vec<Vec<(u32, String)>> = vec![Vec::new(); rest.sent.len()];
        for (index, sub, reason, _) in &self.refused {
            refused[*index].push((*sub, reason.clone()));
        }
        for (index, sent) in rest.sent.iter().enumerate() {
            let meaning = &sent.meaning;
            // A region that has not seen a node's BIRTH cannot read what follows it.
            let unborn = [(0, PoisonReason::UnknownAlias.as_str().to_owned())];
            if rest.sites.len() > 1 && is_of_a_node(meaning) && readings[index] == 0 && refused[index] == unborn {
                continue;
            }
            findings.demand(readings[index] == meaning.readings, "meaning", || {
                format!("record {index} holds {} readings, silver has {}", meaning.readings, readings[index])
            });
            let meant: Vec<(u32, String)> =
                meaning.refused.iter().map(|(sub, reason)| (*sub, reason.as_str().to_owned())).collect();
            findings.demand(refused[index] == meant, "meaning", || {
                format!("record {index} is to be refused as {meant:?}, quarantine has {:?}", refused[index])
            });
        }
    }
}

fn is_of_a_node(meaning: &Meaning) -> bool {
    meaning.devices.iter().any(|device| device.contains(":node-"))
}

/// Names what is on one side only.
pub(super) fn differ<T: Ord + std::fmt::Debug>(
    found: &[T],
    expected: &[T],
    check: &'static str,
    findings: &mut Findings,
) {
    if found == expected {
        return;
    }
    let (there, wanted): (BTreeSet<&T>, BTreeSet<&T>) = (found.iter().collect(), expected.iter().collect());
    for one in wanted.difference(&there).take(2) {
        findings.add(check, &format!("missing: {one:?}"));
    }
    for one in there.difference(&wanted).take(2) {
        findings.add(check, &format!("without reason: {one:?}"));
    }
    for pair in found.windows(2).filter(|pair| pair[0] == pair[1]).take(2) {
        findings.add(check, &format!("twice: {:?}", pair[0]));
    }
}
