//! Objects of yesterday and today, how far their copying is, and profiles.

use std::collections::BTreeMap;

use anomaly_core::Timestamp;

use super::Eye;
use crate::gather::gather;
use crate::inventory::{Horizon, Inventory, Item};
use crate::limits::{LISTED_MAX, PROFILES_MAX, SAMPLED_MAX};
use crate::ports::{Listed, Looked, Object, Region, Sample};

/// What is written all the time, in folders of days.
const LAYERS: [&str; 3] = ["bronze", "silver", "quarantine"];
/// Profiles are below.
const PROFILES: &str = "config/";
/// What a profile's key ends with.
const PROFILE: &str = "/profile.toml";
const DAY_MS: i64 = 86_400_000;

/// The prefixes of yesterday and today.
pub(super) fn days(now: Timestamp) -> Vec<String> {
    let yesterday = Timestamp::from_millis(now.millis() - DAY_MS).unwrap_or(now);
    let prefixes = LAYERS.iter().flat_map(|layer| [yesterday, now].map(|day| format!("{layer}/dt={}/", day.date())));
    prefixes.collect()
}

/// A listing is in order of key: what is beyond the last one was not looked at.
fn inventory(listed: Listed<Object>, mut item: impl FnMut(Object) -> Option<(String, Item)>) -> Inventory {
    let last = listed.all.last().filter(|_| listed.is_cut).map(|object| object.key.clone());
    Inventory {
        horizon: last.map_or(Horizon::Whole, Horizon::UpTo),
        items: listed.all.into_iter().filter_map(&mut item).collect(),
    }
}

/// An object by its content. Objects of the lake are written once, so that a copy has the same tag.
fn by_content(object: Object) -> (String, Item) {
    let form = format!("{} bytes, tag {}", object.bytes, object.tag);
    (object.key, Item { form, since: Some(object.modified) })
}

/// So many of these, evenly spread.
fn spread<T>(all: &[T], count: usize) -> impl Iterator<Item = &T> {
    let step = all.len().div_ceil(count.max(1)).max(1);
    all.iter().step_by(step)
}

impl<R: Region> Eye<'_, R> {
    pub(super) async fn day(&self, prefix: &str) -> Looked<Inventory> {
        let listed = self.region.list(prefix, LISTED_MAX).await?;
        Ok(inventory(listed, |object| Some(by_content(object))))
    }

    /// Asks of some of today's and yesterday's raw objects that this Region has written itself.
    pub(super) async fn copying(&self, days: &BTreeMap<String, Looked<Inventory>>) -> Looked<Vec<Sample>> {
        let own = format!("/{}/", self.ground.region);
        let mut objects = Vec::new();
        for listed in days.iter().filter(|(prefix, _)| prefix.starts_with(LAYERS[0])).map(|(_, listed)| listed) {
            let items = &listed.as_ref().map_err(Clone::clone)?.items;
            objects.extend(items.iter().filter(|(key, _)| key.contains(&own)));
        }
        let asked = spread(&objects, SAMPLED_MAX).filter_map(|(key, item)| Some((key, item.since?)));
        let asked = asked.map(|(key, since)| async move {
            let copying = self.region.copying(key).await?;
            Ok(Sample { key: (*key).clone(), since, copying })
        });
        gather(asked).await
    }

    pub(super) async fn profiles(&self) -> Looked<Inventory> {
        // Three objects a tenant at most: the profile, the record of bringing it on, and what else a person has put there.
        let listed = self.region.list(PROFILES, 3 * PROFILES_MAX).await?;
        Ok(inventory(listed, |object| {
            let tenant = object.key.strip_prefix(PROFILES)?.strip_suffix(PROFILE)?.to_owned();
            Some((tenant, by_content(object).1))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_are_yesterday_and_today_of_utc() {
        let now = Timestamp::from_millis(1_700_000_000_123).unwrap();
        let days = days(now);
        assert_eq!(days.len(), 6);
        assert!(
            days.contains(&"bronze/dt=2023-11-13/".to_owned()) && days.contains(&"silver/dt=2023-11-14/".to_owned())
        );
    }

    #[test]
    fn a_sample_is_spread_and_bounded() {
        let all: Vec<u32> = (0..1_000).collect();
        let some: Vec<u32> = spread(&all, 8).copied().collect();
        assert_eq!((some.len(), some[0], some[7]), (8, 0, 875));
        assert_eq!(spread(&all[..3], 8).count(), 3);
        assert_eq!(spread::<u32>(&[], 8).count(), 0);
    }
}
