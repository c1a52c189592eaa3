//! Where things lie in the lake. Every name is derived from what is stored, so that a retry finds the same name.

use anomaly_core::Timestamp;
use platform::model::{ContentHash, Key, KeyError, ShardId};
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

/// `bronze/dt=2026-11-21/hour=07/{region}/{stream}/{shard}/{prev_seq}-{last_seq}.v{version}{suffix}.ndjson.zst`.
///
/// The partition is that of the newest arrival in the shard, because arrival never lies in the past of what was committed
/// before. `0` stands for the beginning of a shard. The version is the one that the batch means to commit: it tells an
/// object of a process whose memory was out of date from the one that was committed ([`crate::chain`]).
pub(crate) fn batch_key(
    layer: Layer,
    shard: &ShardId,
    (previous, last): (Option<SequenceNumber>, SequenceNumber),
    (version, newest): (u64, Timestamp),
    suffix: &str,
) -> Result<Key, KeyError> {
    let (name, extension) = layer.parts();
    let hour = newest.hour().rem_euclid(24);
    let previous = previous.map_or_else(|| "0".to_owned(), |seq| seq.to_string());
    let date = newest.date();
    Key::new(format!("{name}/dt={date}/hour={hour:02}/{shard}/{previous}-{last}.v{version}{suffix}.{extension}"))
}

/// `state/{region}/{stream}/{shard}/{last_seq}.v{version}{suffix}.snap`.
pub(crate) fn snapshot_key(shard: &ShardId, last: SequenceNumber, version: u64, suffix: &str) -> Result<Key, KeyError> {
    Key::new(format!("state/{shard}/{last}.v{version}{suffix}.snap"))
}

/// Goes behind a name that other bytes have taken: unique to the content.
pub(crate) fn suffix(content: &ContentHash) -> String {
    format!("-{}", &content.as_str()[..12])
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
