//! All devices of one shard: the fold over observations.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use foldhash::quality::RandomState;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Anomaly, Device, DeviceName, METRICS_MAX, Observation, ProfileSet, Scored, TenantName, Timestamp};

/// Most devices one engine holds; with [`METRICS_MAX`] metrics each this bounds memory and snapshots.
pub const DEVICES_MAX: usize = 20_000;

/// How often all devices are looked over for silence, in stream time, one minute.
const LOOK_EVERY_MS: i64 = 60_000;

/// Why an observation was refused as a whole. Nothing was changed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It would give the device more metrics than a device may have.
    #[error("the device would have more than {METRICS_MAX} metrics; split it into several devices")]
    TooManyMetrics,
    /// It would bring one device more than an engine may hold.
    #[error("there are {DEVICES_MAX} devices already; use more shards")]
    TooManyDevices,
}

/// A table by tenant or device. Each reading looks into it, so its hash is a quick one, with a seed of the process against
/// names that were chosen to collide; nothing follows its order.
type ByName<T> = HashMap<Box<str>, T, RandomState>;

/// The devices of one shard, and nothing else: no clock, no profile, no files.
///
/// Serialising writes devices in order of tenant and name, so that equal engines have equal bytes.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    tenants: ByName<ByName<Device>>,
    devices: usize,
    /// The minute of stream time in which the devices were last looked over for silence.
    looked: i64,
}

impl Engine {
    /// Takes one observation and writes what it means into `out`. Returns the device, for names and explanations.
    ///
    /// Observations of a device must come in the order in which they are to be scored; the order between devices does
    /// not matter.
    ///
    /// # Errors
    /// [`Refused`] when a bound would be broken; the engine is unchanged then.
    pub fn observe(
        &mut self,
        observation: &Observation<'_>,
        profiles: &ProfileSet,
        out: &mut Scored,
    ) -> Result<&Device, Refused> {
        let profile = profiles.of(observation.tenant);
        let (tenant, name) = (observation.tenant.as_str(), observation.device.as_str());
        // Nearly always the device is known and has room for any metric that may be new.
        let known = self.device(observation.tenant, observation.device).map(|device| device.all_series().len());
        if known.is_none_or(|known| known + observation.readings.len() > METRICS_MAX) {
            self.admits(std::slice::from_ref(observation), profiles)?;
        }
        if known.is_none() {
            self.tenants.entry(tenant.into()).or_default().insert(name.into(), Device::default());
            self.devices += 1;
        }
        let device = self.tenants.get_mut(tenant).and_then(|devices| devices.get_mut(name));
        // Present: found or inserted above.
        let device = device.ok_or(Refused::TooManyDevices)?;
        device.observe(observation, profile, profiles.fingerprint(), out);
        Ok(device)
    }

    /// Notices devices that have stopped reporting, as of the arrival of anything at `now`, and hands each to `found` once a
    /// silence, in order of tenant and name. Looks once a minute of stream time, so that the same arrivals find the same
    /// silences however they were cut into batches.
    pub fn look_for_silence(&mut self, now: Timestamp, profiles: &ProfileSet, mut found: impl FnMut(Anomaly, &Device)) {
        let minute = now.millis().div_euclid(LOOK_EVERY_MS);
        if minute <= self.looked {
            return;
        }
        self.looked = minute;
        let mut silent = Vec::new();
        for (tenant, devices) in &mut self.tenants {
            let profile = TenantName::new(tenant).map(|tenant| profiles.of(tenant));
            for (name, device) in devices.iter_mut().filter(|(_, device)| device.is_overdue(now)) {
                if let (Ok(profile), Ok(named)) = (&profile, DeviceName::new(name)) {
                    device.apply(profile, profiles.fingerprint(), named);
                    silent.extend(device.fall_silent(tenant, name, now));
                }
            }
        }
        silent.sort_unstable_by(|a, b| (&a.tenant, &a.device).cmp(&(&b.tenant, &b.device)));
        for anomaly in silent {
            let device = self.tenants.get(&*anomaly.tenant).and_then(|devices| devices.get(&*anomaly.device));
            if let Some(device) = device {
                found(anomaly, device);
            }
        }
    }

    /// Whether all of these observations, one after the other, would keep within the bounds. Changes nothing.
    ///
    /// # Errors
    /// [`Refused`] names the bound that would be broken.
    pub fn admits(&self, observations: &[Observation<'_>], profiles: &ProfileSet) -> Result<(), Refused> {
        let mut new_devices = BTreeSet::new();
        let mut new_metrics = BTreeMap::<_, BTreeSet<&str>>::new();
        for observation in observations {
            let device = self.device(observation.tenant, observation.device);
            let known = device.map_or(0, |device| device.all_series().len());
            if known + observation.readings.len() <= METRICS_MAX && observations.len() == 1 && device.is_some() {
                return Ok(());
            }
            let profile = profiles.of(observation.tenant);
            let fresh = new_metrics.entry((observation.tenant, observation.device)).or_default();
            for reading in observation.readings {
                let name = profile.canonical(observation.device, reading.metric);
                if !device.is_some_and(|device| device.has_series(name)) {
                    fresh.insert(name);
                }
            }
            if known + fresh.len() > METRICS_MAX {
                return Err(Refused::TooManyMetrics);
            }
            if device.is_none() {
                new_devices.insert((observation.tenant, observation.device));
            }
        }
        if self.devices + new_devices.len() > DEVICES_MAX { Err(Refused::TooManyDevices) } else { Ok(()) }
    }

    /// One device.
    #[must_use]
    pub fn device(&self, tenant: TenantName<'_>, device: DeviceName<'_>) -> Option<&Device> {
        self.tenants.get(tenant.as_str())?.get(device.as_str())
    }

    /// How many devices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.devices
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices == 0
    }

    /// Keeps the devices for which `keep(tenant, device)` holds: a child shard drops those that now live elsewhere.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        for (tenant, devices) in &mut self.tenants {
            devices.retain(|device, _| keep(tenant, device));
        }
        self.tenants.retain(|_, devices| !devices.is_empty());
        self.devices = self.tenants.values().map(HashMap::len).sum();
    }

    /// Takes over the devices of another engine: a shard that two parents were merged into. A device that both know keeps
    /// the state of `self`.
    pub fn absorb(&mut self, other: Self) {
        let other_looked = other.looked;
        for (tenant, devices) in other.tenants {
            let mine = self.tenants.entry(tenant).or_default();
            for (name, device) in devices {
                mine.entry(name).or_insert(device);
            }
        }
        self.devices = self.tenants.values().map(HashMap::len).sum();
        self.looked = self.looked.max(other_looked);
    }

    /// Tenant and name of each device of which `other` knows as well and this engine has taken more ([`Device::is_ahead_of`]).
    #[must_use]
    pub fn ahead_of(&self, other: &Self) -> HashSet<(&str, &str)> {
        let all = self.tenants.iter().flat_map(|(tenant, devices)| devices.iter().map(move |known| (tenant, known)));
        let ahead = all.filter(|(tenant, (name, device))| {
            let theirs = other.tenants.get(*tenant).and_then(|devices| devices.get(*name));
            theirs.is_some_and(|theirs| device.is_ahead_of(theirs))
        });
        ahead.map(|(tenant, (name, _))| (&**tenant, &**name)).collect()
    }

    fn in_order(&self) -> Vec<(&str, &str, &Device)> {
        let mut all: Vec<_> = self
            .tenants
            .iter()
            .flat_map(|(tenant, devices)| devices.iter().map(move |(name, device)| (&**tenant, &**name, device)))
            .collect();
        all.sort_unstable_by_key(|(tenant, name, _)| (*tenant, *name));
        all
    }
}

impl Serialize for Engine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.looked, self.in_order()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Engine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (looked, devices) = <(i64, Vec<(Box<str>, Box<str>, Device)>)>::deserialize(deserializer)?;
        let mut engine = Self { looked, ..Self::default() };
        for (tenant, name, device) in devices {
            engine.tenants.entry(tenant).or_default().insert(name, device);
        }
        engine.devices = engine.tenants.values().map(HashMap::len).sum();
        Ok(engine)
    }
}
