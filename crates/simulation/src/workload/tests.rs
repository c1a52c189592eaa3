//! The workload is what it says it is.

use std::collections::BTreeSet;

use kinesis_scorer::fold::{Batch, Fold, RawRecord, Tenancy};
use kinesis_scorer::state::ShardState;
use telemetry::sequence::SequenceNumber;

use super::*;

fn shape() -> Shape {
    Shape {
        records: 400,
        stream_tenant: None,
        gap_ms: 2_000,
        nights: 0.01,
        set_back: 0.01,
        poison: 0.2,
        skewed: true,
        storm: 0,
    }
}

#[test]
fn every_record_becomes_what_it_is_meant_to_become() {
    let mut formats_seen = BTreeSet::new();
    for seed in 0..20 {
        let (mut state, mut fold) = (ShardState::default(), Fold::default());
        for planned in records(&shape(), &mut Chance::new(seed, 0)) {
            if planned.meaning.broken_envelope {
                continue;
            }
            let mut batch = Batch::default();
            let raw = RawRecord {
                seq: SequenceNumber::ZERO,
                arrived: planned.arrived,
                partition_key: &planned.key,
                data: Ok(&planned.data),
            };
            fold.take(
                &mut state,
                &raw,
                &anomaly_core::ProfileSet::default(),
                &Tenancy::new(None, TENANTS[0]),
                &mut batch,
            );
            let text = String::from_utf8_lossy(&planned.data).into_owned();
            assert_eq!(batch.readings, planned.meaning.readings as u64, "{text}");
            assert_eq!(batch.quarantined, planned.meaning.refused.len() as u64, "{text}");
            formats_seen.extend(planned.meaning.refused.iter().map(|(_, reason)| *reason));
        }
    }
    assert!(poison::REASONS_MADE.iter().all(|reason| formats_seen.contains(reason)), "{formats_seen:?}");
}

#[test]
fn the_same_seed_makes_the_same_records() {
    let made = |seed| records(&shape(), &mut Chance::new(seed, 0));
    let bytes = |records: &[Planned]| records.iter().map(|planned| planned.data.clone()).collect::<Vec<_>>();
    assert_eq!(bytes(&made(7)), bytes(&made(7)));
    assert_ne!(bytes(&made(7)), bytes(&made(8)));
}
