//! A record for each shard in which nothing arrives any more.
//!
//! The scorer finds what fell silent when something else arrives in the same shard. When a whole plant is cut off nothing
//! does, and nobody would be told of the largest silence of all. So the tick puts a [`PULSE`] into each shard that was quiet
//! for a while: the scorer looks at the time with the state it has, and since the pulse is a record like any other, a replay
//! finds the same silence at the same place (`docs/adr/0012-a-pulse-for-quiet-shards.md`).
//!
//! What this does not do: say who is silent.

use std::time::Duration;

use anomaly_core::Timestamp;
use futures_util::future::join_all;
use platform::model::{ShardId, ShardInfo};
use platform::ports::{ListShards, LoadCheckpoint, PutRecord, StoreError};
use telemetry::payload::PULSE;

/// What pulses need: which shards are open, when each was last heard, and a way to put a record.
pub trait PulseWorld: LoadCheckpoint + ListShards + PutRecord + Send + Sync {}

impl<W: LoadCheckpoint + ListShards + PutRecord + Send + Sync> PulseWorld for W {}

/// How many shards are looked at at once.
const AT_ONCE: usize = 16;

/// The partition key of pulses. It is no topic, and no device's.
pub const KEY: &str = "millrace-pulse";

/// Puts pulses where they are needed, if anywhere.
pub trait PutPulses: Send + Sync {
    /// Looks at each shard once. Says how many pulses were put.
    fn put_pulses(&self, now: Timestamp) -> impl Future<Output = Result<usize, StoreError>> + Send;
}

/// Where there is no stream to put them into.
impl PutPulses for () {
    async fn put_pulses(&self, _: Timestamp) -> Result<usize, StoreError> {
        Ok(0)
    }
}

/// `None`: the configuration names no stream.
impl<P: PutPulses> PutPulses for Option<P> {
    async fn put_pulses(&self, now: Timestamp) -> Result<usize, StoreError> {
        match self {
            Some(pulses) => pulses.put_pulses(now).await,
            None => Ok(0),
        }
    }
}

/// The stream that pulses are put into, and after how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulses<W> {
    /// Where shards and checkpoints are.
    pub world: W,
    /// The region that this is.
    pub region: String,
    /// The stream.
    pub stream: String,
    /// How long a shard has been quiet when a pulse is put into it.
    pub quiet: Duration,
}

impl<W: PulseWorld> PutPulses for Pulses<W> {
    /// Puts a pulse into each open shard that has been quiet for long enough.
    ///
    /// A shard in which nothing was ever committed gets none, unless it was split or merged from one in which something was:
    /// its devices are then those of its parents. A pulse that the scorer has not yet taken does not count as heard, so that
    /// while a shard is behind, each tick adds one.
    ///
    /// # Errors
    /// The store's; the first of those of single shards, after the others had theirs.
    async fn put_pulses(&self, now: Timestamp) -> Result<usize, StoreError> {
        let shards = self.world.list_shards(&self.stream).await?;
        let open: Vec<&ShardInfo> = shards.iter().filter(|shard| is_open(shard, &shards)).collect();
        let (mut put, mut failed) = (0, None);
        for some in open.chunks(AT_ONCE) {
            let done = join_all(some.iter().map(|shard| self.put_one(shard, now))).await;
            for (shard, done) in some.iter().zip(done) {
                match done {
                    Ok(one) => put += usize::from(one),
                    Err(error) => {
                        let (stream, shard, cause) = (&self.stream, &shard.shard, &error as &dyn std::error::Error);
                        tracing::error!(stream, shard, error = cause, "no pulse in a shard that may be quiet");
                        failed.get_or_insert(error);
                    }
                }
            }
        }
        failed.map_or(Ok(put), Err)
    }
}

impl<W: PulseWorld> Pulses<W> {
    /// Puts a pulse into one shard if it has been quiet.
    async fn put_one(&self, shard: &ShardInfo, now: Timestamp) -> Result<bool, StoreError> {
        let is_quiet = self.last_heard(shard).await?.is_some_and(|at| self.is_long_ago(at, now));
        if is_quiet {
            self.world.put_record(&self.stream, shard, KEY, PULSE.as_bytes()).await?;
        }
        Ok(is_quiet)
    }

    /// The newest arrival that was committed in a shard or, before its first, in those that it came out of.
    async fn last_heard(&self, shard: &ShardInfo) -> Result<Option<Timestamp>, StoreError> {
        if let Some(at) = self.committed(&shard.shard).await? {
            return Ok(Some(at));
        }
        let mut newest = None;
        for parent in [&shard.parent, &shard.adjacent_parent].into_iter().flatten() {
            newest = newest.max(self.committed(parent).await?);
        }
        Ok(newest)
    }

    async fn committed(&self, shard: &str) -> Result<Option<Timestamp>, StoreError> {
        let (region, stream) = (self.region.clone(), self.stream.clone());
        let id = ShardId { region, stream, shard: shard.to_owned() };
        Ok(self.world.load_checkpoint(&id).await?.map(|checkpoint| checkpoint.stream_time))
    }

    fn is_long_ago(&self, at: Timestamp, now: Timestamp) -> bool {
        u128::try_from(now.millis() - at.millis()).is_ok_and(|quiet_ms| quiet_ms >= self.quiet.as_millis())
    }
}

/// Whether no other shard came out of this one.
#[must_use]
pub fn is_open(shard: &ShardInfo, all: &[ShardInfo]) -> bool {
    let name = Some(shard.shard.as_str());
    !all.iter().any(|other| other.parent.as_deref() == name || other.adjacent_parent.as_deref() == name)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use platform::model::Checkpoint;
    use platform::ports::StoreErrorKind;

    use super::*;

    const MINUTE_MS: i64 = 60_000;

    /// Shards of which each is known by its name's last letter, and what was put into them.
    #[derive(Default)]
    struct Shards {
        heard_ms: Vec<(&'static str, i64)>,
        described: Vec<(&'static str, Option<&'static str>, Option<&'static str>)>,
        broken: Option<&'static str>,
        put: Mutex<Vec<String>>,
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + millis).unwrap()
    }

    impl LoadCheckpoint for Shards {
        async fn load_checkpoint(&self, id: &ShardId) -> Result<Option<Checkpoint>, StoreError> {
            assert_eq!((&*id.region, &*id.stream), ("eu-west-1", "plant"));
            let of = |&(_, heard_ms): &(&str, i64)| Checkpoint {
                version: 1,
                last_seq: "1".parse().unwrap(),
                stream_time: at(heard_ms),
                batch: String::new(),
                snapshot: None,
                segments: Vec::new(),
                epoch: 0,
                hash_range: None,
            };
            Ok(self.heard_ms.iter().find(|(shard, _)| *shard == id.shard).map(of))
        }
    }

    impl ListShards for Shards {
        async fn list_shards(&self, _: &str) -> Result<Vec<ShardInfo>, StoreError> {
            let one = |&(shard, parent, adjacent): &(&str, Option<&str>, Option<&str>)| ShardInfo {
                shard: shard.to_owned(),
                parent: parent.map(str::to_owned),
                adjacent_parent: adjacent.map(str::to_owned),
                hash_range: (0, u128::MAX),
            };
            Ok(self.described.iter().map(one).collect())
        }
    }

    impl PutRecord for Shards {
        async fn put_record(&self, _: &str, shard: &ShardInfo, key: &str, data: &[u8]) -> Result<(), StoreError> {
            assert_eq!((key, data), (KEY, PULSE.as_bytes()));
            if self.broken == Some(shard.shard.as_str()) {
                let (verb, target, remedy) = ("put record", shard.shard.clone(), "try again".to_owned());
                return Err(StoreError { kind: StoreErrorKind::Throttled, verb, target, remedy, source: None });
            }
            self.put.lock().unwrap().push(shard.shard.clone());
            Ok(())
        }
    }

    async fn pulses(world: Shards) -> (Result<usize, StoreError>, Vec<String>) {
        let (region, stream) = ("eu-west-1".to_owned(), "plant".to_owned());
        let pulses = Pulses { world, region, stream, quiet: Duration::from_mins(5) };
        let result = pulses.put_pulses(at(60 * MINUTE_MS)).await;
        (result, pulses.world.put.into_inner().unwrap())
    }

    #[tokio::test]
    async fn a_shard_that_was_quiet_for_the_time_gets_a_pulse_and_a_busy_one_none() {
        let world = Shards {
            heard_ms: vec![("a", 55 * MINUTE_MS), ("b", 55 * MINUTE_MS + 1)],
            described: vec![("a", None, None), ("b", None, None)],
            ..Shards::default()
        };
        let (put, into) = pulses(world).await;
        assert_eq!((put.unwrap(), into), (1, vec!["a".to_owned()]));
    }

    #[tokio::test]
    async fn a_closed_shard_gets_none_and_its_children_get_theirs_before_their_first_record() {
        let world = Shards {
            heard_ms: vec![("a", 0), ("b", 59 * MINUTE_MS), ("merged", 58 * MINUTE_MS)],
            described: vec![
                ("a", None, None),
                ("b", None, None),
                ("left", Some("a"), None),
                ("right", Some("a"), None),
                ("merged", Some("b"), Some("a")),
                ("unheard", Some("b"), Some("a")),
            ],
            ..Shards::default()
        };
        let (put, into) = pulses(world).await;
        assert_eq!((put.unwrap(), into), (2, vec!["left".to_owned(), "right".to_owned()]));
    }

    #[tokio::test]
    async fn a_shard_in_which_nothing_was_ever_committed_gets_none() {
        let world = Shards {
            heard_ms: vec![("a", 0)],
            described: vec![("a", None, None), ("new", None, None)],
            ..Shards::default()
        };
        assert_eq!(pulses(world).await.1, ["a"]);
        assert_eq!(pulses(Shards { described: vec![("new", None, None)], ..Shards::default() }).await.0.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_shard_that_takes_none_does_not_keep_it_from_the_others() {
        let world = Shards {
            heard_ms: vec![("a", 0), ("b", 0)],
            described: vec![("a", None, None), ("b", None, None)],
            broken: Some("a"),
            ..Shards::default()
        };
        let (put, into) = pulses(world).await;
        assert_eq!((put.unwrap_err().target, into), ("a".to_owned(), vec!["b".to_owned()]));
    }
}
