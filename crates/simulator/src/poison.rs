//! Payloads that no reader may accept, one kind per way of being wrong.
//!
//! Which emissions are poisoned follows from a hash of seed, device and step; the readings of the others do not change.

use serde::{Deserialize, Serialize};

use crate::random::{Purpose, chance_at};

/// Why a payload cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoisonKind {
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// Text that breaks off: not JSON.
    NotJson,
    /// JSON nested 300 levels deep.
    TooDeep,
    /// Nothing says which device it is.
    MissingDevice,
    /// A value of `1e999`, which no finite number can hold.
    NotFinite,
    /// A metric whose name has 400 bytes.
    NameTooLong,
    /// A time 31 million years ahead.
    ImpossibleTime,
    /// It names a tenant other than the plant's: the tenant's name with `-other` behind it.
    OtherTenant,
}

impl PoisonKind {
    /// Every kind of poison.
    pub const ALL: [Self; 8] = [
        Self::NotUtf8,
        Self::NotJson,
        Self::TooDeep,
        Self::MissingDevice,
        Self::NotFinite,
        Self::NameTooLong,
        Self::ImpossibleTime,
        Self::OtherTenant,
    ];

    /// The name in tables and in the truth, for example `not_utf8`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::TooDeep => "too_deep",
            Self::MissingDevice => "missing_device",
            Self::NotFinite => "not_finite",
            Self::NameTooLong => "name_too_long",
            Self::ImpossibleTime => "impossible_time",
            Self::OtherTenant => "other_tenant",
        }
    }

    /// The poison of a device's step, if it is poisoned.
    pub(crate) fn at(per_million: u32, seed: u64, device: u32, step: i64) -> Option<Self> {
        if per_million == 0 {
            return None;
        }
        let chance = chance_at(seed, device, Purpose::Poison, step);
        let (draw, kind) = (((chance >> 32) * 1_000_000) >> 32, chance & 0xffff);
        (draw < u64::from(per_million)).then(|| Self::ALL[kind as usize % Self::ALL.len()])
    }
}
