//! All that a shard remembers between batches, and how it is divided when a shard is.

use std::collections::BTreeMap;

use anomaly_core::{DeviceName, Engine, TenantName, Timestamp};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use telemetry::sequence::SequenceNumber;
use telemetry::snapshot::{self, Header, SnapshotError};
use telemetry::sparkplug::Births;

use crate::opinion::Episodes;

/// Version of a serialised [`ShardState`] without open episodes of a second opinion. Raised whenever the engine's version, the
/// aliases or the routes change.
pub const STATE_VERSION: u16 = 3;
const _: () =
    assert!(anomaly_core::STATE_VERSION == 2, "the engine's state changed: raise the shard's version with it");

/// Version of one with episodes: the same and, behind it, those.
pub const STATE_VERSION_WITH_EPISODES: u16 = 4;

/// The same two of the releases before runs of late readings were stored in full. What they wrote is read as what is written now.
const FORMER: [u16; 2] = [1, 2];

/// Largest snapshot that is decoded, in bytes before compression.
pub const SNAPSHOT_BYTES_MAX: usize = 1 << 30;

/// What a shard remembers: its devices' detectors, the names its Sparkplug nodes announced, under which partition keys its
/// devices send, and of which of them a second model has told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ShardState {
    /// Detectors of every device.
    pub engine: Engine,
    /// Aliases of Sparkplug metrics.
    pub births: Births,
    routes: Routes,
    /// Open episodes of a second opinion.
    #[serde(skip)]
    pub opinions: Episodes,
}

/// Partition keys of the devices whose partition key is not their name, by tenant and device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Routes(BTreeMap<String, BTreeMap<String, String>>);

impl Routes {
    fn get(&self, tenant: &str, device: &str) -> Option<&str> {
        self.0.get(tenant)?.get(device).map(String::as_str)
    }

    /// Remembers under which partition key a device sends: that decides where it lives after a split.
    pub(crate) fn note(&mut self, tenant: &str, device: &str, partition_key: &str) {
        if tooth!("routes-forgotten") {
            return;
        }
        // Nearly always the key is the device and nothing is kept: no search on the way there.
        if partition_key == device && self.0.is_empty() {
            return;
        }
        if self.get(tenant, device).unwrap_or(device) == partition_key {
            return;
        }
        let devices = self.0.entry(tenant.to_owned()).or_default();
        if partition_key == device {
            devices.remove(device);
        } else {
            devices.insert(device.to_owned(), partition_key.to_owned());
        }
        if devices.is_empty() {
            self.0.remove(tenant);
        }
    }

    /// Keeps those for which `stays(tenant, device, partition_key)` holds.
    fn retain(&mut self, stays: impl Fn(&str, &str, &str) -> bool) {
        for (tenant, devices) in &mut self.0 {
            devices.retain(|device, key| stays(tenant, device, key));
        }
        self.0.retain(|_, devices| !devices.is_empty());
    }
}

/// Hash key of a partition key: its MD5 as a 128-bit number (Amazon Kinesis API reference, `PutRecord`).
#[must_use]
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

impl ShardState {
    /// Its parts, for the fold: decoding changes the births while the engine takes what was decoded.
    pub(crate) fn parts(&mut self) -> (&mut Engine, &mut Births, &mut Routes) {
        (&mut self.engine, &mut self.births, &mut self.routes)
    }

    /// Takes over what another shard remembers. What both know stays as it is here; of a device that is known here, also that
    /// nothing has been told.
    pub fn absorb(&mut self, other: Self) {
        let Self { engine, opinions, .. } = self;
        opinions.absorb(other.opinions, |tenant, device| !has(engine, tenant, device));
        self.engine.absorb(other.engine);
        self.births.absorb(other.births);
        for (tenant, devices) in other.routes.0 {
            let mine = self.routes.0.entry(tenant).or_default();
            for (device, key) in devices {
                mine.entry(device).or_insert(key);
            }
        }
    }

    /// Drops the devices whose partition key hashes outside of `range` (both ends included).
    ///
    /// What a Sparkplug node has announced goes with its device: the shard where it lives may learn better, and two that
    /// know of it cannot be merged. A node that never sent a number stays, since nothing tells where it lives.
    pub fn keep_range(&mut self, range: (u128, u128)) {
        let within = |key: &str| (range.0..=range.1).contains(&hash_key(key));
        let routes = std::mem::take(&mut self.routes);
        self.keep(|tenant, device| within(routes.get(tenant, device).unwrap_or(device)));
        self.routes = routes;
        self.routes.retain(|_, _, key| within(key));
    }

    /// Drops the devices of which `other` has taken more: what is known of them there is to be taken.
    pub fn leave_to(&mut self, other: &Self) {
        let ahead = other.engine.ahead_of(&self.engine);
        let stays = |tenant: &str, device: &str| !ahead.contains(&(tenant, device));
        self.keep(stays);
        self.routes.retain(|tenant, device, _| stays(tenant, device));
    }

    /// Keeps the devices for which `stays(tenant, device)` holds, their routes apart.
    fn keep(&mut self, stays: impl Fn(&str, &str) -> bool) {
        let Self { engine, births, opinions, .. } = self;
        births.retain(|tenant, device| tooth!("births-stay") || stays(tenant, device) || !has(engine, tenant, device));
        if !tooth!("episodes-stay") {
            opinions.retain(&stays);
        }
        engine.retain(&stays);
    }

    /// Encodes a snapshot. Equal states give equal bytes.
    ///
    /// # Errors
    /// [`SnapshotError`] when the state is larger than a snapshot may be.
    pub fn to_snapshot(&self, last: SequenceNumber, at: Timestamp, profiles: &str) -> Result<Vec<u8>, SnapshotError> {
        let header = Header { last_seq: Some(last), at, profiles: profiles.to_owned() };
        if self.opinions.is_empty() || tooth!("episodes-not-in-snapshot") {
            return snapshot::encode(&header, STATE_VERSION, self);
        }
        snapshot::encode(&header, STATE_VERSION_WITH_EPISODES, &(self, &self.opinions))
    }

    /// Decodes a snapshot.
    ///
    /// # Errors
    /// [`SnapshotError`] for anything that is not a whole snapshot of a version that was ever written.
    pub fn from_snapshot(bytes: &[u8]) -> Result<(Header, Self), SnapshotError> {
        match snapshot::decode(bytes, STATE_VERSION, SNAPSHOT_BYTES_MAX) {
            Err(SnapshotError::StateVersion { found, .. }) if found == FORMER[0] => {
                snapshot::decode(bytes, found, SNAPSHOT_BYTES_MAX)
            }
            Err(SnapshotError::StateVersion { found, .. })
                if [FORMER[1], STATE_VERSION_WITH_EPISODES].contains(&found) =>
            {
                let (header, (state, opinions)): (_, (Self, Episodes)) =
                    snapshot::decode(bytes, found, SNAPSHOT_BYTES_MAX)?;
                Ok((header, Self { opinions, ..state }))
            }
            decoded => decoded,
        }
    }
}

fn has(engine: &Engine, tenant: &str, device: &str) -> bool {
    let names = TenantName::new(tenant).ok().zip(DeviceName::new(device).ok());
    names.is_some_and(|(tenant, device)| engine.device(tenant, device).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_key_is_the_md5_as_kinesis_computes_it() {
        // RFC 1321, appendix A.5: MD5("abc").
        assert_eq!(hash_key("abc"), 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72);
    }

    #[test]
    fn only_partition_keys_that_differ_from_the_device_are_kept() {
        let mut routes = Routes::default();
        routes.note("t", "d", "d");
        assert_eq!(routes, Routes::default());
        routes.note("t", "d", "line-1");
        assert_eq!(routes.get("t", "d"), Some("line-1"));
        routes.note("t", "d", "d");
        assert_eq!(routes, Routes::default());
    }
}
