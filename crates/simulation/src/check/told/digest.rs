//! What the changes of a table tell that its end does not: that no two incidents of a device were open at a time, and that a
//! digest has counted each opening that was held, once.

use std::collections::BTreeMap;

use alert_fanout::message::News;
use alert_fanout::place;
use anomaly_core::incident::Incident;
use platform::model::Image;

use super::{Book, Findings};
use crate::run::{Rest, Site};

fn incident(image: Option<&Image>) -> Option<Incident> {
    match image {
        Some(Image::Entry(entry)) => serde_json::from_value(entry.body.clone()).ok(),
        _ => None,
    }
}

/// Whether an opening was held with this change.
fn is_holding(old: Option<&Incident>, new: &Incident) -> bool {
    let Some(told) = new.told.as_ref().filter(|told| told.is_held) else { return false };
    let before = old.and_then(|old| old.told.as_ref());
    before.is_none_or(|before| !before.is_held || before.at != told.at)
}

/// Of the changes of one region alone: what comes from another one comes in any order.
pub(super) fn check(rest: &Rest, site: &Site, book: &Book, findings: &mut Findings) {
    let mut open: BTreeMap<String, String> = BTreeMap::new();
    let mut held: BTreeMap<String, u64> = BTreeMap::new();
    for change in site.store.changes().into_iter().map(|numbered| numbered.change) {
        if !change.key.sk.starts_with(place::INCIDENTS) {
            continue;
        }
        let Some(new) = incident(change.new.as_ref()) else { continue };
        let old = incident(change.old.as_ref());
        let other = open.get(&change.key.pk).filter(|other| **other != new.id.as_str());
        findings.demand(old.is_some() || other.is_none(), "incident", || {
            format!("{} has a second incident, {}, while {other:?} is open", change.key.pk, new.id)
        });
        if is_holding(old.as_ref(), &new) {
            *held.entry(new.tenant.clone()).or_default() += 1;
        }
        if new.is_open() {
            open.insert(change.key.pk, new.id.to_string());
        } else if open.get(&change.key.pk).is_some_and(|known| *known == new.id.as_str()) {
            open.remove(&change.key.pk);
        }
    }
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for delivery in book.deliveries.values().filter(|delivery| delivery.channel == "ops") {
        if let News::Digest(digest) = &delivery.message.news {
            *counted.entry(delivery.message.tenant.clone()).or_default() += digest.count;
        }
    }
    let routed = |tenant: &String| rest.plan.telling.tenants.get(tenant.as_str()).is_some_and(|plan| plan.is_routed);
    held.retain(|tenant, _| routed(tenant));
    findings.demand(held == counted, "digest", || format!("{held:?} openings were held, digests tell of {counted:?}"));
}
