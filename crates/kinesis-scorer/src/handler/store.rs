//! What a batch writes before its commit, and the checkpoint that names it.

use platform::model::{Checkpoint, ContentHash, Segment, ShardId, SnapshotRef};
use platform::ports::{ScorerWorld, StoreError};
use telemetry::sequence::SequenceNumber;

use super::{Progress, Scorer, unencodable};
use crate::commit;
use crate::fold::{Batch, Objects};
use crate::layout::{self, BatchPlace, Layer};
use crate::restore::Warm;

impl<W: ScorerWorld, M: Sync, A: Sync> Scorer<W, M, A> {
    /// Writes the batch's objects, all at once, and says what the checkpoint becomes.
    pub(super) async fn store(
        &self,
        shard: &ShardId,
        warm: &Warm,
        batch: &mut Batch,
        last_seq: SequenceNumber,
        fingerprint: &str,
        progress: &mut Progress,
    ) -> Result<Checkpoint, StoreError> {
        let before = warm.checkpoint.as_ref();
        let version = before.map_or(1, |checkpoint| checkpoint.version + u64::from(!tooth!("version-stays")));
        let stream_time = before
            .filter(|_| !tooth!("stream-time-goes-back"))
            .map_or(batch.newest, |checkpoint| checkpoint.stream_time.max(batch.newest));
        let has_opinions = batch.has_opinions();
        let Objects { bronze, silver, quarantine } = batch.finish().map_err(unencodable)?;
        let hashed = |bytes: Option<Vec<u8>>| bytes.map(|bytes| (ContentHash::of(&bytes), bytes));
        let (bronze, silver, quarantine) = (hashed(Some(bronze)), hashed(silver), hashed(quarantine));
        let contents = [&bronze, &silver, &quarantine].map(|object| object.as_ref().map(|(sha256, _)| sha256));
        let id = layout::batch_id(before, version, contents);
        let place = &BatchPlace { shard, before, last: last_seq, version, stream_time, id };
        let layer = |layer: Layer, object: Option<(ContentHash, Vec<u8>)>| async move {
            let Some((sha256, bytes)) = object else { return Ok((None, 0)) };
            let name = |suffix: &str| place.key(layer, suffix);
            let (object, calls) = commit::put(&self.world, &bytes, sha256, name).await?;
            Ok::<_, StoreError>((Some(object), calls))
        };
        let due = (warm.adopted && !tooth!("epoch-without-snapshot"))
            || commit::snapshot_is_due(before, batch.readings, stream_time.millis(), self.config.snapshot_seconds);
        let snapshot = async {
            if !due {
                return Ok((None, 0));
            }
            let bytes = warm.state.to_snapshot(last_seq, stream_time, fingerprint).map_err(unencodable)?;
            let name = |suffix: &str| layout::snapshot_key(shard, last_seq, version, suffix);
            let (object, calls) = commit::put(&self.world, &bytes, ContentHash::of(&bytes), name).await?;
            Ok((Some(SnapshotRef { object, at: stream_time }), calls))
        };
        let ((bronze, a), (silver, b), (_, c), (snapshot, d)) = tokio::try_join!(
            layer(Layer::Bronze, bronze),
            layer(Layer::Silver, silver),
            layer(Layer::Quarantine, quarantine),
            snapshot
        )?;
        progress.metrics.calls += a + b + c + d;
        let (snapshot, segments) = match (snapshot, bronze) {
            (None, Some(object)) => {
                let readings = u32::try_from(batch.readings).unwrap_or(u32::MAX);
                let profiles = if tooth!("profiles-not-noted") { "0000000000000000" } else { fingerprint };
                let opinions = silver.filter(|_| has_opinions && !tooth!("opinions-not-noted"));
                let segment = Segment { object, last_seq, readings, profiles: profiles.to_owned(), opinions };
                let segments = before.map_or(&[][..], |checkpoint| &checkpoint.segments);
                let segments = if tooth!("one-segment-only") { &[] } else { segments };
                (before.and_then(|checkpoint| checkpoint.snapshot.clone()), [segments, &[segment]].concat())
            }
            (snapshot, _) if tooth!("segments-stay") => {
                (snapshot, before.map_or_else(Vec::new, |checkpoint| checkpoint.segments.clone()))
            }
            (snapshot, _) => (snapshot, Vec::new()),
        };
        let epoch = if tooth!("epoch-not-noted") { before.map_or(0, |before| before.epoch) } else { warm.epoch };
        let (batch, hash_range) = (place.id.clone(), warm.hash_range);
        Ok(Checkpoint { version, last_seq, stream_time, batch, snapshot, segments, epoch, hash_range })
    }
}
