//! Waiting, within a bound, for what the Region that is left has committed: first its checkpoints, then the objects that they
//! stand on. What has not arrived by then is named, and the move goes on without it.

use std::collections::BTreeMap;
use std::time::Duration;

use anomaly_core::Timestamp;
use platform::ports::StoreError;
use tokio::time::Instant;

use super::{Evidence, done, warned};
use crate::error::MoveError;
use crate::mover::Mover;
use crate::pieces::{self, Seen};
use crate::record::Move;
use crate::side::{Reach, Stores};

/// From the time at which a device sends a reading, by its clock, to that at which the stream has it, by its own: what was sent
/// so long before what is known to be there is sent once more, too.
const ON_THE_WAY: Duration = Duration::from_secs(10);

/// Versions of checkpoints by shard.
type Versions = BTreeMap<String, u64>;

impl<S: Stores, R: Reach> Mover<'_, S, R> {
    /// Waits until the checkpoints that the Region had at the first look are here. One that does not answer has sent what it
    /// had when nothing more arrives for a while.
    pub(super) async fn drain(&self) -> Result<Evidence, MoveError> {
        let from = &self.from.region;
        let wanted = self.ask_from("list checkpoints", self.from.stores.list_checkpoints(from, &self.stream)).await;
        let wanted =
            wanted.map(|found| versions(found.iter().map(|(shard, checkpoint)| (&*shard.shard, checkpoint.version))));
        let began = Instant::now();
        let (mut last, mut changed) = (self.arrived().await?, began);
        loop {
            let behind = wanted.as_ref().ok().map(|wanted| behind(wanted, &last));
            let shards = last.len();
            match (&behind, &wanted) {
                (Some(0), _) => return Ok(done(format!("all {shards} checkpoints of {from} are here"))),
                (None, Err(cause)) if changed.elapsed() >= self.bounds.quiet => {
                    return Ok(warned(format!(
                        "{from} does not answer ({cause}); {shards} checkpoints are here, nothing new for {} ms",
                        self.bounds.quiet.as_millis()
                    )));
                }
                _ => {}
            }
            if began.elapsed() >= self.bounds.drain {
                return Ok(warned(match behind {
                    Some(behind) => format!(
                        "{behind} of {shards} checkpoints of {from} are not here in their newest version: what they add is not adopted"
                    ),
                    None if changed == began => format!("{from} does not answer, {shards} checkpoints are here"),
                    None => format!("{from} does not answer, and still something arrives from it"),
                }));
            }
            tokio::time::sleep(self.bounds.look).await;
            let now = self.arrived().await?;
            if now != last {
                (last, changed) = (now, Instant::now());
            }
        }
    }

    async fn arrived(&self) -> Result<Versions, StoreError> {
        let found = self.to.stores.list_checkpoints(&self.from.region, &self.stream).await?;
        Ok(versions(found.iter().map(|(shard, checkpoint)| (&*shard.shard, checkpoint.version))))
    }

    /// Waits until every object is here with its bytes, and says which are not; and notes from when on devices have to send
    /// once more what they have sent.
    pub(super) async fn pieces(&self, record: &mut Move) -> Result<Evidence, MoveError> {
        let counted = self.peer_checkpoints().await?;
        let mut seen = Seen { shards: counted.len(), ..Seen::default() };
        let (mut wanted, deadline) = (pieces::of(&counted), Instant::now() + self.bounds.drain);
        loop {
            pieces::look(&self.to.stores, std::mem::take(&mut wanted), deadline, &mut seen).await;
            let known =
                pieces::known_until(&counted, &seen).map(|known| known.millis() - ON_THE_WAY.as_millis() as i64);
            record.resend_from = known.and_then(|from| Timestamp::from_millis(from).ok());
            if seen.is_whole() {
                return Ok(done(format!("{seen}: {} adopts all that was replicated", self.to.region)));
            }
            let (missing, unseen) = (seen.missing.len(), seen.unseen.len());
            if Instant::now() >= deadline || missing + unseen == 0 {
                return Ok(warned(format!("{seen}; {} adopts what is whole", self.to.region)));
            }
            wanted = std::mem::take(&mut seen.missing);
            wanted.append(&mut seen.unseen);
            tokio::time::sleep(self.bounds.look).await;
        }
    }
}

fn versions<'c>(found: impl Iterator<Item = (&'c str, u64)>) -> Versions {
    found.map(|(shard, version)| (shard.to_owned(), version)).collect()
}

/// How many are not here in the version that is wanted, or a newer one.
fn behind(wanted: &Versions, here: &Versions) -> usize {
    wanted.iter().filter(|(shard, version)| here.get(*shard).is_none_or(|there| there < *version)).count()
}
