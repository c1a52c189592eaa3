//! Where things lie in the lake. Every name is derived from what is stored, so that a retry finds the same name.

use anomaly_core::Timestamp;
use platform::model::{Checkpoint, ContentHash, Key, KeyError, ShardId};
use telemetry::sequence::SequenceNumber;

/// The layers that a batch writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Bronze,
    Silver,
    Quarantine,
}

impl Layer {
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Bronze => ("bronze", "ndjson.zst"),
            Self::Silver => ("silver", "parquet"),
            Self::Quarantine => ("quarantine", "ndjson.zst"),
        }
    }
}

/// Where the objects of one batch lie.
#[derive(Debug)]
pub(crate) struct BatchPlace<'s> {
    pub(crate) shard: &'s ShardId,
    /// What was committed before; `None` at the beginning of a shard.
    pub(crate) before: Option<&'s Checkpoint>,
    pub(crate) last: SequenceNumber,
    /// The version that the batch means to commit.
    pub(crate) version: u64,
    /// Newest arrival in the shard: it chooses the partition, because it never lies in the past of what was committed.
    pub(crate) stream_time: Timestamp,
    /// Identity of the batch ([`batch_id`]).
    pub(crate) id: String,
}

impl BatchPlace<'_> {
    /// `bronze/dt=2026-11-21/hour=07/{region}/{stream}/{shard}/{prev_seq}-{last_seq}.v{version}-{prev}-{id}{suffix}.ndjson.zst`.
    ///
    /// `0` stands for the beginning of a shard, as a sequence number and as an identity. Two processes may have scored
    /// different records, or the same ones otherwise, from one end to another of one version; the identity tells the
    /// committed batch from the orphan ([`crate::chain`]).
    pub(crate) fn key(&self, layer: Layer, suffix: &str) -> Result<Key, KeyError> {
        let (name, extension) = layer.parts();
        let Self { shard, last, version, id, .. } = self;
        let (date, hour) = (self.stream_time.date(), self.stream_time.hour().rem_euclid(24));
        let (previous, prev) = match self.before {
            Some(before) => (before.last_seq.to_string(), before.batch.as_str()),
            None => (BEGINNING.to_owned(), BEGINNING),
        };
        let file = format!("{previous}-{last}.v{version}-{prev}-{id}{suffix}.{extension}");
        Key::new(format!("{name}/dt={date}/hour={hour:02}/{shard}/{file}"))
    }
}

/// Stands for what comes before the first batch.
pub const BEGINNING: &str = "0";

/// Identity of a batch: 48 bits of a SHA-256 over the identity of the batch before, the version that it means to commit, and
/// the content of its own objects.
pub(crate) fn batch_id<'c>(
    before: Option<&Checkpoint>,
    version: u64,
    objects: impl IntoIterator<Item = Option<&'c ContentHash>>,
) -> String {
    if tooth!("names-without-identity") {
        return format!("{version:012}");
    }
    identity(before.map_or(BEGINNING, |before| before.batch.as_str()), version, objects)
}

/// The same, of the identity before.
pub(crate) fn identity<'c>(
    before: &str,
    version: u64,
    objects: impl IntoIterator<Item = Option<&'c ContentHash>>,
) -> String {
    let mut text = format!("{before} {version}");
    for object in objects {
        text.push(' ');
        text.push_str(object.map_or("-", ContentHash::as_str));
    }
    short(&ContentHash::of(text.as_bytes())).to_owned()
}

/// The first 48 bits.
fn short(content: &ContentHash) -> &str {
    &content.as_str()[..12]
}

/// `state/{region}/{stream}/{shard}/{last_seq}.v{version}{suffix}.snap`.
pub(crate) fn snapshot_key(shard: &ShardId, last: SequenceNumber, version: u64, suffix: &str) -> Result<Key, KeyError> {
    Key::new(format!("state/{shard}/{last}.v{version}{suffix}.snap"))
}

/// Goes behind a name that other bytes have taken: unique to the content.
pub(crate) fn suffix(content: &ContentHash) -> String {
    format!("-{}", short(content))
}

/// Prefix of the tenants' profiles.
pub(crate) const PROFILES: &str = "config/";

/// The tenant of a profile's key, `config/{tenant}/profile.toml`; `None` for other objects below the prefix.
pub(crate) fn profile_tenant(key: &Key) -> Option<&str> {
    key.as_str().strip_prefix(PROFILES)?.strip_suffix("/profile.toml").filter(|tenant| !tenant.contains('/'))
}

/// `state/profiles/{fingerprint}.json`: the profiles that were in force, by content.
pub(crate) fn bundle_key(fingerprint: &str) -> Result<Key, KeyError> {
    Key::new(format!("state/profiles/{fingerprint}.json"))
}
