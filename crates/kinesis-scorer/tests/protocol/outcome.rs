//! What a world holds in the end, by the documented rule for what is committed, in a form that can be compared.

use std::collections::{BTreeMap, BTreeSet};

use kinesis_scorer::chain::committed;
use kinesis_scorer::fold::Tenancy;
use kinesis_scorer::restore::restore;
use kinesis_scorer::state::ShardState;
use platform::model::{AnomalyRecord, StateRecord};
use platform::sim::SimWorld;
use telemetry::bronze::BronzeReader;
use telemetry::quarantine::QuarantineReader;
use telemetry::sequence::SequenceNumber;
use telemetry::silver::SilverReader;

use super::workload::{Record, SHARD, at, block_on, deliver_all, scorer, shard};

const BYTES_MAX: usize = 64 << 20;

/// Everything that must not depend on what went wrong on the way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    anomalies: Vec<AnomalyRecord>,
    states: Vec<StateRecord>,
    /// Raw records by sequence number.
    pub(crate) bronze: BTreeMap<SequenceNumber, Vec<u8>>,
    /// Scored readings by sequence number, user record and metric, printed to the bit.
    silver: BTreeSet<String>,
    /// Refused messages by sequence number and user record.
    pub(crate) quarantine: BTreeMap<(SequenceNumber, u32), (String, Vec<u8>)>,
    last_seq: Option<SequenceNumber>,
    /// The state that the next process would start from.
    state: Vec<u8>,
}

/// State as a snapshot's bytes: equal states have equal bytes.
pub(crate) fn bytes_of(state: &ShardState) -> Vec<u8> {
    state.to_snapshot(SequenceNumber::ZERO, at(0), "").unwrap()
}

impl Outcome {
    pub(crate) fn of(world: &SimWorld) -> Self {
        Self::of_shard(world, SHARD)
    }

    pub(crate) fn of_shard(world: &SimWorld, name: &str) -> Self {
        let (mut bronze, mut silver, mut quarantine) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let objects = world.objects();
        let checkpoint = world.checkpoint(&shard(name));
        let committed = checkpoint.as_ref().map(|checkpoint| {
            let (keys, whole) = committed(objects.keys(), &shard(name), checkpoint);
            assert!(whole, "the chain of {name} has a gap");
            keys
        });
        for key in committed.unwrap_or_default() {
            let (bytes, key) = (objects[key].clone(), key.as_str());
            if key.starts_with("bronze/") {
                for record in BronzeReader::new(&bytes, BYTES_MAX).unwrap().records() {
                    let record = record.unwrap();
                    let before = bronze.insert(record.seq, record.data.to_vec());
                    assert!(before.is_none(), "{key}: {} is committed twice", record.seq);
                }
            } else if key.starts_with("silver/") {
                for row in SilverReader::new(bytes, BYTES_MAX).unwrap().rows() {
                    assert!(silver.insert(format!("{row:?}")), "{key}: a row is committed twice");
                }
            } else if key.starts_with("quarantine/") {
                for record in QuarantineReader::new(&bytes, BYTES_MAX).unwrap().records() {
                    let record = record.unwrap();
                    let refused = (record.reason.into_owned(), record.data.into_owned());
                    let before = quarantine.insert((record.seq, record.sub), refused);
                    assert!(before.is_none(), "{key}: {} is committed twice", record.seq);
                }
            }
        }
        world.clear_faults();
        let (warm, _) = block_on(restore(&world.copy(), &shard(name), &Tenancy::new(None, "default"))).unwrap();
        Self {
            anomalies: world.anomalies(),
            states: world.states(),
            bronze,
            silver,
            quarantine,
            last_seq: checkpoint.map(|checkpoint| checkpoint.last_seq),
            state: bytes_of(&warm.state),
        }
    }

    /// The outcome without any fault, in one batch.
    pub(crate) fn fault_free(records: &[Record]) -> Self {
        let world = SimWorld::new();
        block_on(deliver_all(&scorer(&world), SHARD, records, records.len().max(1)));
        let outcome = Self::of(&world);
        let sent: BTreeMap<_, _> = records.iter().map(|record| (record.seq, record.data.clone())).collect();
        assert_eq!(outcome.bronze, sent, "bronze is what was sent");
        outcome
    }

    /// The scored readings, one a line.
    pub(crate) fn silver_text(&self) -> String {
        self.silver.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// How many anomalies and refused messages there are: a test of nothing would prove nothing.
    pub(crate) fn found(&self) -> (usize, usize) {
        (self.anomalies.len(), self.quarantine.len())
    }
}

/// The checkpoints of a shard form a chain: every commit raises the version by one and never moves back.
pub(crate) fn assert_unbroken(world: &SimWorld, name: &str) {
    let commits = world.commits();
    let chain: Vec<_> =
        commits.iter().filter_map(|c| c.checkpoint.as_ref()).filter(|(id, _)| *id == shard(name)).collect();
    for (index, (_, checkpoint)) in chain.iter().enumerate() {
        assert_eq!(checkpoint.version, index as u64 + 1);
    }
    assert!(chain.windows(2).all(|pair| pair[0].1.last_seq <= pair[1].1.last_seq));
    let mut ids: Vec<_> = commits.iter().flat_map(|c| &c.anomalies).map(|record| record.anomaly.id.clone()).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "an anomaly was written twice");
}
