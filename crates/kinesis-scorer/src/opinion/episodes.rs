//! Opinions in, episodes out: which devices have been told of.
//!
//! A model that is worried says so again and again; that is one finding. An episode begins with an opinion at the alarm line
//! and lasts until ten opinions in a row are below half of it, or until none has been at least that for six hours of the
//! device's time. It is a fold of the recorded opinions alone: neither the engine nor a clock has a part in it.

use std::collections::BTreeMap;

use anomaly_core::Timestamp;
use serde::{Deserialize, Serialize};

/// From this strength on an opinion supports an episode.
pub const SUPPORTS_FROM: f32 = 0.5;
/// Opinions in a row without support that end an episode.
pub const DOUBTS_MAX: u8 = 10;
/// Time without support that ends an episode, milliseconds.
pub const PAUSE_MS_MAX: i64 = 6 * 3_600_000;

/// An episode that has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Episode {
    /// The device's time of the last opinion that supported it.
    supported_at: Timestamp,
    /// Opinions since then.
    doubts: u8,
}

/// The open episodes, by tenant and device: at most one a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episodes(BTreeMap<String, BTreeMap<String, Episode>>);

impl Episodes {
    /// Whether an opinion would begin an episode.
    #[must_use]
    pub fn begins(&self, tenant: &str, device: &str, at: Timestamp, strength: f32) -> bool {
        let open = self.0.get(tenant).and_then(|devices| devices.get(device));
        strength >= 1.0 && open.is_none_or(|open| open.is_over(at))
    }

    /// Takes an opinion. Says whether an episode begins with it.
    pub fn take(&mut self, tenant: &str, device: &str, at: Timestamp, strength: f32) -> bool {
        let begins = self.begins(tenant, device, at, strength);
        if begins {
            let devices = self.0.entry(tenant.to_owned()).or_default();
            devices.insert(device.to_owned(), Episode { supported_at: at, doubts: 0 });
            return true;
        }
        let Some(devices) = self.0.get_mut(tenant) else { return false };
        let goes_on = devices.get_mut(device).is_none_or(|open| open.goes_on(at, strength));
        if !goes_on {
            devices.remove(device);
        }
        if devices.is_empty() {
            self.0.remove(tenant);
        }
        false
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tenant and device of each, the time of its last support and the opinions since, in order.
    pub fn open(&self) -> impl Iterator<Item = (&str, &str, Timestamp, u8)> {
        self.0.iter().flat_map(|(tenant, devices)| {
            devices.iter().map(|(device, open)| (tenant.as_str(), device.as_str(), open.supported_at, open.doubts))
        })
    }

    /// Keeps those of the devices for which `keep(tenant, device)` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        for (tenant, devices) in &mut self.0 {
            devices.retain(|device, _| keep(tenant, device));
        }
        self.0.retain(|_, devices| !devices.is_empty());
    }

    /// Takes over the others' that `wants(tenant, device)`.
    pub(crate) fn absorb(&mut self, other: Self, wants: impl Fn(&str, &str) -> bool) {
        for (tenant, devices) in other.0 {
            for (device, open) in devices.into_iter().filter(|(device, _)| wants(&tenant, device)) {
                self.0.entry(tenant.clone()).or_default().entry(device).or_insert(open);
            }
        }
    }
}

impl Episode {
    fn is_over(self, at: Timestamp) -> bool {
        at.millis() - self.supported_at.millis() >= PAUSE_MS_MAX
    }

    /// Whether it goes on after an opinion.
    fn goes_on(&mut self, at: Timestamp, strength: f32) -> bool {
        if self.is_over(at) {
            return false;
        }
        if strength >= SUPPORTS_FROM {
            *self = Self { supported_at: self.supported_at.max(at), doubts: 0 };
        } else {
            self.doubts += 1;
        }
        self.doubts < DOUBTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opinions of one device as minutes and strengths, and the minutes at which an episode begins.
    fn check(opinions: &[(i64, f32)], expected: &[i64]) {
        let mut episodes = Episodes::default();
        let at = |minute: i64| Timestamp::from_millis(1_790_000_000_000 + minute * 60_000).unwrap();
        let begins = opinions.iter().filter(|(minute, strength)| episodes.take("t", "d", at(*minute), *strength));
        assert_eq!(begins.map(|(minute, _)| *minute).collect::<Vec<_>>(), expected, "{opinions:?}");
    }

    #[test]
    fn an_episode_is_told_once() {
        check(&[(0, 0.9), (1, 1.0), (2, 3.0), (3, 0.1), (4, 1.2)], &[1]);
        check(&[(0, f32::NAN), (1, -1.0), (2, 0.99)], &[]);
    }

    #[test]
    fn ten_opinions_without_support_end_it_and_nine_do_not() {
        let doubts = |count| (1..=count).map(|minute| (minute, 0.4));
        let opinions = |count| [(0, 1.0)].into_iter().chain(doubts(count)).chain([(50, 1.0)]).collect::<Vec<_>>();
        check(&opinions(10), &[0, 50]);
        check(&opinions(9), &[0]);
        let supported = [(0, 1.0)].into_iter().chain(doubts(9)).chain([(20, 0.5), (21, 0.0), (22, 1.0)]);
        check(&supported.collect::<Vec<_>>(), &[0]);
    }

    #[test]
    fn six_hours_without_support_end_it() {
        check(&[(0, 1.0), (359, 1.0), (718, 1.0), (1_078, 1.0)], &[0, 1_078]);
        check(&[(0, 1.0), (300, 0.4), (360, 1.0)], &[0, 360]);
        check(&[(0, 1.0), (360, 0.7), (361, 1.0)], &[0, 361]);
    }

    #[test]
    fn a_clock_that_is_set_back_neither_ends_nor_prolongs_it() {
        check(&[(400, 1.0), (0, 1.0), (1, 1.0), (760, 1.0)], &[400, 760]);
    }

    #[test]
    fn one_that_is_over_leaves_nothing_behind() {
        let mut episodes = Episodes::default();
        episodes.take("t", "d", Timestamp::MIN, 2.0);
        assert!(!episodes.is_empty());
        for _ in 0..10 {
            episodes.take("t", "d", Timestamp::MIN, 0.0);
        }
        assert_eq!(episodes, Episodes::default());
    }
}
