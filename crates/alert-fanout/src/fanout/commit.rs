//! Writing drafts: as many devices in a transaction as fit, and one by one where somebody else was quicker.

use std::collections::HashMap;

use anomaly_core::incident::Manner;
use anomaly_core::{Severity, Timestamp};
use platform::model::{Entry, EntryChange, EntryKey, TRANSACTION_ITEMS_MAX};
use platform::ports::{AlertWorld, ChangeError, StoreError};

use super::{Done, Fanout, Wanted};
use crate::budget::TenantBudget;
use crate::delivery::{Claimed, Delivery};
use crate::dispatch::Dispatch;
use crate::draft::Draft;
use crate::place;
use crate::tenants::Tenant;

/// Tries at one device that somebody else changes at the same time.
const TRIES_MAX: usize = 8;
/// Items of a transaction that deliveries may be; the budget is one more.
const ROOM: usize = TRANSACTION_ITEMS_MAX - 1;

/// Devices that go into one transaction, with what was decided of them.
struct Pack {
    drafts: Vec<Draft>,
    budget: Option<TenantBudget>,
    claimed: Vec<Claimed>,
    held: u64,
}

/// Deliveries that are there already, and where this one goes instead; `None`: nowhere, it is told.
type There = HashMap<EntryKey, Option<EntryKey>>;

impl Pack {
    fn make_room(&mut self, there: &There) {
        self.claimed.retain_mut(|claimed| {
            while let Some(place) = there.get(&claimed.key) {
                match place {
                    Some(elsewhere) => claimed.key = elsewhere.clone(),
                    None => return false,
                }
            }
            true
        });
    }
}

impl<W: AlertWorld, D: Dispatch> Fanout<W, D> {
    /// Writes what is wanted of the devices of a tenant, and gives the deliveries that are claimed with it.
    pub(super) async fn commit(
        &self,
        tenant: &str,
        wanted: Vec<Wanted<'_>>,
        holds: &Tenant,
        now: Timestamp,
    ) -> Result<(Done, Vec<Claimed>), StoreError> {
        let (mut done, mut claimed) = (Done::default(), Vec::new());
        let mut waiting: Vec<Wanted<'_>> = Vec::new();
        let mut items = 0;
        for next in wanted.into_iter().filter(|wanted| !wanted.draft.is_empty()) {
            let more = most_items(&next.draft, holds);
            if items + more > ROOM && !waiting.is_empty() {
                self.write(tenant, std::mem::take(&mut waiting), holds, now, (&mut done, &mut claimed)).await?;
                items = 0;
            }
            items += more;
            waiting.push(next);
        }
        if !waiting.is_empty() {
            self.write(tenant, waiting, holds, now, (&mut done, &mut claimed)).await?;
        }
        Ok((done, claimed))
    }

    async fn write(
        &self,
        tenant: &str,
        wanted: Vec<Wanted<'_>>,
        holds: &Tenant,
        now: Timestamp,
        (done, claimed): (&mut Done, &mut Vec<Claimed>),
    ) -> Result<(), StoreError> {
        let drafts = wanted.iter().map(|wanted| wanted.draft.clone()).collect();
        let pack = self.pack(tenant, drafts, holds, now).await?;
        match self.try_pack(&pack, holds, now).await {
            Ok(()) => {
                let left = pack.drafts.iter().map(Draft::has_more).collect::<Vec<_>>();
                written(pack, done, claimed);
                for (one, _) in wanted.iter().zip(left).filter(|(_, left)| *left) {
                    self.empty_box(tenant, one.device, holds, now, (done, claimed)).await?;
                }
                Ok(())
            }
            Err(ChangeError::Moved(_)) => {
                // Somebody was quicker with one of them. Which one does not matter: each is looked at anew.
                for one in &wanted {
                    self.write_one(tenant, one, holds, now, (done, claimed)).await?;
                }
                Ok(())
            }
            Err(error) => Err(store_error(error, tenant)),
        }
    }

    /// One device, from what is stored now.
    async fn write_one(
        &self,
        tenant: &str,
        one: &Wanted<'_>,
        holds: &Tenant,
        now: Timestamp,
        (done, claimed): (&mut Done, &mut Vec<Claimed>),
    ) -> Result<(), StoreError> {
        let mut happenings = one.happenings.to_vec();
        let mut there = There::new();
        for _ in 0..TRIES_MAX {
            let again = self.want(tenant, one.device, &happenings, holds, now).await?;
            if again.draft.is_empty() {
                return Ok(());
            }
            let mut pack = self.pack(tenant, vec![again.draft.clone()], holds, now).await?;
            pack.make_room(&there);
            match self.try_pack(&pack, holds, now).await {
                Ok(()) => {
                    written(pack, done, claimed);
                    return self.empty_box(tenant, one.device, holds, now, (done, claimed)).await;
                }
                Err(ChangeError::Moved(moved)) => {
                    let gone = again.draft.witnessed(&moved);
                    happenings.retain(|happening| !happening.is_any_of(&gone));
                    self.look_at_deliveries(&pack, &moved, holds, now, &mut there).await?;
                }
                Err(error) => return Err(store_error(error, tenant)),
            }
        }
        let remedy = "others change it all the time; it is tried again";
        Err(StoreError {
            kind: platform::ports::StoreErrorKind::Throttled,
            ..StoreError::permanent("store incident", place::of_device(tenant, one.device), remedy)
        })
    }

    /// Deliveries of a pack that are there already: another region has told a notice of that number, and what it wrote of the
    /// incident was lost to what this one wrote. The same notice is told; another one needs another place.
    async fn look_at_deliveries(
        &self,
        pack: &Pack,
        moved: &[usize],
        holds: &Tenant,
        now: Timestamp,
        there: &mut There,
    ) -> Result<(), StoreError> {
        let mut before = 0;
        for draft in &pack.drafts {
            before += draft.entries(holds, now, self.config.kept_days)?.len();
        }
        for claimed in moved.iter().filter_map(|index| pack.claimed.get(index.checked_sub(before)?)) {
            let Some(entry) = self.world.load_entry(&claimed.key).await? else { continue };
            let told = serde_json::from_value::<Delivery>(entry.body).ok();
            let is_same = told.is_some_and(|told| told.message.state() == claimed.delivery.message.state());
            let elsewhere = EntryKey::new(claimed.key.pk.clone(), format!("{}~", claimed.key.sk));
            there.insert(claimed.key.clone(), (!is_same).then_some(elsewhere));
        }
        Ok(())
    }

    /// Delivers what a full transaction left in the incident's box.
    async fn empty_box(
        &self,
        tenant: &str,
        device: &str,
        holds: &Tenant,
        now: Timestamp,
        (done, claimed): (&mut Done, &mut Vec<Claimed>),
    ) -> Result<(), StoreError> {
        for _ in 0..TRIES_MAX {
            let again = self.want(tenant, device, &[], holds, now).await?;
            if !again.draft.has_more() {
                return Ok(());
            }
            let pack = self.pack(tenant, vec![again.draft], holds, now).await?;
            match self.try_pack(&pack, holds, now).await {
                Ok(()) => written(pack, done, claimed),
                Err(ChangeError::Moved(_)) => {}
                Err(error) => return Err(store_error(error, tenant)),
            }
        }
        // It is due at once: the tick goes on.
        Ok(())
    }

    /// Decides how what there is to tell is told.
    async fn pack(
        &self,
        tenant: &str,
        mut drafts: Vec<Draft>,
        holds: &Tenant,
        now: Timestamp,
    ) -> Result<Pack, StoreError> {
        if !drafts.iter().any(Draft::has_more) {
            return Ok(Pack { drafts, budget: None, claimed: Vec::new(), held: 0 });
        }
        let stored = self.world.load_entry(&place::budget(tenant)).await?;
        let mut budget = TenantBudget::new(tenant, stored.as_ref());
        let (openings, worst) = drafts
            .iter()
            .map(Draft::openings)
            .fold((0, None), |(sum, worst), (count, of_one)| (sum + count, worst.max(of_one)));
        let mut held = 0;
        if openings > 0 {
            let worst = worst.unwrap_or(Severity::Info);
            let (next, manner) = budget.kept.budget.take_openings(openings, worst, holds.settings(), now);
            budget.kept.budget = next;
            if manner == Manner::Held {
                for digest in drafts.iter_mut().filter_map(|draft| draft.hold(now)) {
                    held += u64::from(digest.count);
                    budget.hold(digest);
                }
            }
        }
        let mut room = ROOM.saturating_sub(drafts.iter().map(Draft::items).sum());
        let link = self.config.link.as_deref();
        let mut claimed = Vec::new();
        for draft in &mut drafts {
            let more = draft.deliver(holds, room, link, now, |incident, notice| {
                let (next, manner) = budget.kept.budget.take_message(notice.severity, holds.settings(), now);
                budget.kept.budget = next;
                if manner == Manner::Held {
                    held += 1;
                    budget.hold(anomaly_core::incident::Digest::of(incident, now));
                }
                manner == Manner::Singly
            });
            room = room.saturating_sub(more.len());
            claimed.extend(more);
        }
        Ok(Pack { drafts, budget: Some(budget), claimed, held })
    }

    async fn try_pack(&self, pack: &Pack, holds: &Tenant, now: Timestamp) -> Result<(), ChangeError> {
        self.is_ours_yet().await?;
        let kept_days = self.config.kept_days;
        let mut entries: Vec<(Entry, Option<u64>)> = Vec::new();
        for draft in &pack.drafts {
            entries.extend(draft.entries(holds, now, kept_days)?);
        }
        for claimed in pack.claimed.iter().filter(|_| !tooth!("claim-not-written")) {
            entries.push((claimed.entry(now, self.config.claim())?, None));
        }
        if let Some(budget) = &pack.budget {
            entries.push(budget.entry(now)?);
        }
        let changes: Vec<EntryChange<'_>> =
            entries.iter().map(|(entry, expected)| EntryChange { entry, expected: *expected }).collect();
        self.world.change_entries(&changes).await
    }
}

fn written(pack: Pack, done: &mut Done, claimed: &mut Vec<Claimed>) {
    done.commits += 1;
    done.held += pack.held;
    claimed.extend(pack.claimed);
}

/// The most items that a device can take: each of its notices over every channel that there is.
fn most_items(draft: &Draft, holds: &Tenant) -> usize {
    draft.items() + draft.notices() * holds.settings().channels.len()
}

pub(super) fn store_error(error: ChangeError, tenant: &str) -> StoreError {
    match error {
        ChangeError::Store(error) => error,
        other => StoreError::permanent("store incidents", tenant.to_owned(), other.to_string()),
    }
}
