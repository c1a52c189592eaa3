//! The whole path of an event, from its bytes to the objects of its batch: what the handler does between its stores.

use anomaly_core::ProfileSet;
use kinesis_scorer::fold::{Batch, Fold, Objects, RawRecord, Tenancy};
use kinesis_scorer::state::ShardState;
use telemetry::kinesis::KinesisEvent;

use crate::plant::TENANT;

/// A process with what it keeps from batch to batch.
pub(crate) struct Whole {
    state: ShardState,
    fold: Fold,
    batch: Batch,
    payload: Vec<u8>,
    profiles: ProfileSet,
    tenancy: Tenancy,
}

impl Whole {
    /// One that remembers `state`.
    pub(crate) fn new(state: ShardState) -> Self {
        Self {
            state,
            fold: Fold::default(),
            batch: Batch::default(),
            payload: Vec::new(),
            profiles: ProfileSet::default(),
            tenancy: Tenancy::new(None, TENANT),
        }
    }

    /// Scores an event. `None` when it is no event or cannot be stored, which no event of a plant is.
    pub(crate) fn take(&mut self, event: &[u8]) -> Option<Objects> {
        let Self { state, fold, batch, payload, profiles, tenancy } = self;
        let event = KinesisEvent::parse(event).ok()?;
        batch.begin(None);
        for record in &event.records {
            let decoded = record.payload_bytes(payload);
            let raw = RawRecord {
                seq: record.sequence,
                arrived: record.arrived,
                partition_key: &record.partition_key,
                data: decoded.as_ref().map(|()| payload.as_slice()).map_err(|poison| (poison, record.data.as_bytes())),
            };
            let form = fold.take(state, &raw, profiles, tenancy, batch);
            batch.keep_raw(&raw, form);
        }
        batch.finish().ok()
    }

    /// Readings of the event that was taken last.
    pub(crate) fn readings(&self) -> u64 {
        self.batch.readings
    }

    /// What was found in it.
    pub(crate) fn findings(&self) -> usize {
        self.batch.found()
    }
}
