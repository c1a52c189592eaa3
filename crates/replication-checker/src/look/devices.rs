//! Things, certificates, what hangs on what, policies and rules.

use std::collections::BTreeSet;

use super::Eye;
use crate::check::Kind;
use crate::gather::gather;
use crate::inventory::{Horizon, Inventory, Item};
use crate::limits::{ATTACHMENTS_MAX, CERTIFICATES_MAX, POLICIES_MAX, THINGS_MAX};
use crate::ports::{Listed, Looked, Region, Rule, Thing};

/// The attribute of a thing that names its environment.
const ENVIRONMENT: &str = "env";

/// What is looked at by turns: the part of `all` that comes now.
fn window<T>(all: &[T], turn: u64, size: usize) -> impl Iterator<Item = &T> {
    let windows = all.len().div_ceil(size).max(1) as u64;
    let first = usize::try_from(turn % windows).unwrap_or(0) * size;
    all.iter().skip(first).take(size)
}

impl<R: Region> Eye<'_, R> {
    pub(super) async fn devices(&self) -> Vec<(Kind, Looked<Inventory>)> {
        let wants = |kind| self.scope.has(kind);
        let things = async {
            if !wants(Kind::Thing) && !wants(Kind::Attachment) {
                return Vec::new();
            }
            let environment = &self.scope.names.environment;
            let listing = self.region.things(ENVIRONMENT, environment, THINGS_MAX);
            let listed = self.within("ListThings", environment, listing).await;
            let attachments = self.inventory(Kind::Attachment, self.attachments(&listed)).await;
            let things = wants(Kind::Thing).then(|| (Kind::Thing, listed.map(|listed| self.things(listed))));
            things.into_iter().chain(attachments).collect()
        };
        let policies = async {
            if !wants(Kind::Policy) && !wants(Kind::Certificate) {
                return Vec::new();
            }
            let prefix = self.scope.names.prefix();
            let listed = self.within("GetPolicy", &prefix, self.region.policies(&prefix, POLICIES_MAX)).await;
            let certificates = self.inventory(Kind::Certificate, self.certificates(&listed)).await;
            let plain = |(name, document): (String, String)| {
                (name, Item { form: self.ground.plain_json(&document), since: None })
            };
            let policies =
                wants(Kind::Policy).then(|| (Kind::Policy, listed.map(|listed| Inventory::of(listed, plain))));
            policies.into_iter().chain(certificates).collect::<Vec<_>>()
        };
        let rules = self.inventory(Kind::Rule, self.rules());
        let (things, policies, rules) = tokio::join!(things, policies, rules);
        things.into_iter().chain(policies).chain(rules).collect()
    }

    /// Of the tenant's own where it has a pipeline of its own, for others have theirs.
    fn is_own(&self, thing: &Thing) -> bool {
        self.scope.names.tenant.as_ref().is_none_or(|tenant| thing.attributes.get("tenant") == Some(tenant))
    }

    fn things(&self, listed: Listed<Thing>) -> Inventory {
        let is_cut = listed.is_cut;
        let own = listed.all.into_iter().filter(|thing| self.is_own(thing)).collect();
        Inventory::of(Listed { all: own, is_cut }, |thing| {
            let attributes: Vec<String> =
                thing.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
            (thing.name, Item { form: attributes.join(" "), since: None })
        })
    }

    /// The certificates of some things. The same ones on both sides as long as both have the same things; what is not among
    /// them is looked at another time.
    async fn attachments(&self, listed: &Looked<Listed<Thing>>) -> Looked<Inventory> {
        let listed = listed.as_ref().map_err(Clone::clone)?;
        let mut names: Vec<&str> =
            listed.all.iter().filter(|thing| self.is_own(thing)).map(|thing| thing.name.as_str()).collect();
        names.sort_unstable();
        let some: Vec<&str> = window(&names, self.scope.turn, ATTACHMENTS_MAX).copied().collect();
        let horizon = if listed.is_cut || some.len() < names.len() { Horizon::Part } else { Horizon::Whole };
        let asked = gather(some.iter().map(|thing| self.region.principals(thing))).await?;
        let items = some.into_iter().zip(asked).map(|(thing, mut ids)| {
            ids.sort_unstable();
            let form = if ids.is_empty() { "no certificate".to_owned() } else { ids.join(" ") };
            (thing.to_owned(), Item { form, since: None })
        });
        Ok(Inventory { items: items.collect(), horizon })
    }

    /// The certificates that hold a policy of this environment, each with its status.
    async fn certificates(&self, policies: &Looked<Listed<(String, String)>>) -> Looked<Inventory> {
        let policies = policies.as_ref().map_err(Clone::clone)?;
        let mut is_cut = policies.is_cut;
        let mut holders = BTreeSet::new();
        let asked = policies.all.iter().map(|(policy, _)| self.region.holders(policy, CERTIFICATES_MAX));
        for listed in gather(asked).await? {
            is_cut |= listed.is_cut;
            holders.extend(listed.all);
        }
        if holders.is_empty() {
            return Ok(Inventory {
                horizon: if is_cut { Horizon::Part } else { Horizon::Whole },
                ..Inventory::default()
            });
        }
        let Listed { mut all, is_cut: is_short } = self.region.certificates(CERTIFICATES_MAX).await?;
        all.retain(|(id, _)| holders.contains(id));
        let listed = Listed { all, is_cut: is_cut || is_short };
        Ok(Inventory::of(listed, |(id, status)| (id, Item { form: status, since: None })))
    }

    /// Whether a rule is enabled is not compared: where nobody sends, rules may rest until a fail-over.
    async fn rules(&self) -> Looked<Inventory> {
        let listed = self.region.rules(&self.scope.names.rules_prefix(), POLICIES_MAX).await?;
        Ok(Inventory::of(listed, |Rule { name, sql, actions, is_disabled: _ }| {
            let mut actions: Vec<String> = actions.iter().map(|action| self.ground.plain_json(action)).collect();
            actions.sort_unstable();
            let form = format!("{} | {}", self.ground.plain(sql.trim()), actions.join(" | "));
            (name, Item { form, since: None })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_turns_everything_is_looked_at() {
        let all: Vec<u32> = (0..120).collect();
        let turns: BTreeSet<u32> = (7..10).flat_map(|turn| window(&all, turn, 50)).copied().collect();
        assert_eq!(turns.len(), 120);
        assert!(window(&all, 2, 50).count() == 20 && window(&all[..10], 99, 50).count() == 10);
        assert_eq!(window::<u32>(&[], 3, 50).count(), 0);
    }
}
