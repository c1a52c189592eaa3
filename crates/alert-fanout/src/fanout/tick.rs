//! What time alone brings: incidents that close, get worse, are escalated or may be told again; messages whose try failed or
//! whose sender was lost; digests; and, after a switch of regions, anomalies that nobody told.

use std::time::Duration;

use anomaly_core::Timestamp;
use anomaly_core::incident::Incident;
use platform::model::{Entry, EntryChange};
use platform::ports::{AlertWorld, AnomalyQuery, ChangeError, StoreError};
use tokio::time::Instant;

use super::commit::store_error;
use super::listen::is_overdue;
use super::ours::Say;
use super::{Done, Fanout, Heard};
use crate::active::{self, Known};
use crate::budget::TenantBudget;
use crate::delivery::{Claimed, later};
use crate::dispatch::Dispatch;
use crate::draft::Happening;
use crate::pulse::PutPulses;
use crate::tenants::Tenants;
use crate::{place, say};

/// Most that is due in one part of the index and is looked at in one tick; the next one goes on.
const DUE_MAX: usize = 500;
/// Most anomalies of a tenant's day that are looked at after a switch.
const SWEPT_MAX: usize = 10_000;
/// Days that are looked at after a switch. Anomalies are found by the day of their onset: one of the last day may have begun on
/// the day before, and a device's clock may be ahead.
const SWEPT_DAYS: [i64; 4] = [-2, -1, 0, 1];
const DAY_MS: i64 = 86_400_000;

impl<W: AlertWorld, D: Dispatch> Fanout<W, D> {
    /// Looks at everything that is due. What fails is due again with the next tick.
    ///
    /// # Errors
    /// The store's, when it cannot be told what is due; or the first of those that made something wait for the next tick.
    pub async fn tick(&self, now: Timestamp, remaining: &(dyn Fn() -> Duration + Sync)) -> Result<Done, StoreError> {
        let (began, mut done) = (Instant::now(), Done::default());
        let known = self.known().await?;
        if self.say_of(&known) == Say::Theirs {
            return Ok(done);
        }
        let mut due = self.due(now).await?;
        let left = self.claimed_before(&known, now).await?;
        if self.say_of(&known) == Say::Ours && !(due.is_empty() && left.is_empty()) {
            let since = due.iter().filter_map(|entry| Some(entry.due.as_ref()?.at));
            match self.ask(&known, now, remaining()).await {
                Some(true) => {}
                // Who has claimed the rest is gone.
                None if self.is_ours_still(is_overdue(since, now), now, remaining).await? => due.extend(left),
                _ => return Ok(done),
            }
        }
        self.confirmed.confirm(began, now);
        let (mut claimed, mut failed) = (Vec::new(), None);
        for entry in due {
            match self.look_at(&entry, now, &mut done).await {
                Ok(more) => claimed.extend(more),
                Err(error) => {
                    let cause: &dyn std::error::Error = &error;
                    tracing::error!(pk = entry.key.pk, sk = entry.key.sk, error = cause, "due, but not done");
                    failed.get_or_insert(error);
                }
            }
        }
        match self.sweep(now).await {
            Ok((of_sweep, more)) => {
                done.add(of_sweep);
                claimed.extend(more);
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "anomalies from before the switch not all told"
                );
                failed.get_or_insert(error);
            }
        }
        done.add(self.send(claimed, now, remaining).await);
        failed.map_or(Ok(done), Err)
    }

    /// Puts pulses into quiet shards if this region has the say: where another has it, its devices would seem silent.
    ///
    /// # Errors
    /// The store's, or those of [`PutPulses::put_pulses`].
    pub async fn pulse(&self, pulses: &impl PutPulses, now: Timestamp) -> Result<usize, StoreError> {
        if self.say().await? == Say::Theirs { Ok(0) } else { pulses.put_pulses(now).await }
    }

    /// What is due at a time, in every part of the index.
    async fn due(&self, at: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let mut due = Vec::new();
        for queue in place::queues() {
            due.extend(self.world.find_due(&queue, at, DUE_MAX).await?);
        }
        Ok(due)
    }

    /// After a move: messages whose claims hold still and are of the time before it, so that the other region has made them. Where
    /// that is gone nobody else sends them, and they need not wait until the claims run out.
    async fn claimed_before(&self, known: &Known, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let last = known.since.filter(|_| self.peer.is_some()).map(|since| later(since, self.config.claim()));
        let Some(last) = last.filter(|last| *last > now) else { return Ok(Vec::new()) };
        let is_claim = |entry: &Entry| {
            entry.key.sk.starts_with(place::DELIVERIES) && entry.due.as_ref().is_some_and(|due| due.at > now)
        };
        Ok(self.due(last).await?.into_iter().filter(is_claim).collect())
    }

    /// One thing that is due, read anew: the index may be late.
    async fn look_at(&self, listed: &Entry, now: Timestamp, done: &mut Done) -> Result<Vec<Claimed>, StoreError> {
        let Some(entry) = self.world.load_entry(&listed.key).await? else { return Ok(Vec::new()) };
        // Whoever has put it off since then has it.
        let listed_at = listed.due.as_ref().map_or(now, |due| due.at.max(now));
        if entry.due.as_ref().is_none_or(|due| due.at > listed_at) {
            return Ok(Vec::new());
        }
        if entry.key.sk.starts_with(place::INCIDENTS) {
            return self.look_at_incident(&entry, now, done).await;
        }
        if entry.key.sk.starts_with(place::DELIVERIES) {
            return self.claim(&entry, listed_at, now).await;
        }
        if entry.key.sk == place::BUDGET {
            return self.tell_digest(&entry, now, done).await;
        }
        let remedy = "nothing of this release is due under such a key; was it written by a newer one?";
        Err(StoreError::permanent("tick", format!("{} {}", entry.key.pk, entry.key.sk), remedy))
    }

    async fn look_at_incident(
        &self,
        entry: &Entry,
        now: Timestamp,
        done: &mut Done,
    ) -> Result<Vec<Claimed>, StoreError> {
        let incident: Incident = serde_json::from_value(entry.body.clone()).map_err(|error| broken(entry, &error))?;
        let holds = self.tenants.of(&self.world, &incident.tenant, now).await?;
        let happenings = [Happening::Ticked];
        let wanted = self.want_of(&incident.tenant, &incident.device, &happenings, Some(entry), &holds, now).await?;
        let (of_one, claimed) = self.commit(&incident.tenant, vec![wanted], &holds, now).await?;
        done.add(of_one);
        Ok(claimed)
    }

    /// A message whose try failed, or whose sender was lost.
    async fn claim(&self, entry: &Entry, due: Timestamp, now: Timestamp) -> Result<Vec<Claimed>, StoreError> {
        let again = Claimed::again(entry, due).map_err(|error| broken(entry, &error))?;
        let Some(claimed) = again else { return Ok(Vec::new()) };
        let stored = claimed.entry(now, self.config.claim())?;
        if tooth!("claimed-anew-unwritten") {
            return Ok(vec![claimed]);
        }
        match self.world.change_entries(&[EntryChange { entry: &stored, expected: Some(entry.version) }]).await {
            Ok(()) => Ok(vec![claimed]),
            // Another tick has it.
            Err(ChangeError::Moved(_)) => Ok(Vec::new()),
            Err(error) => Err(store_error(error, &claimed.delivery.message.tenant)),
        }
    }

    async fn tell_digest(&self, entry: &Entry, now: Timestamp, done: &mut Done) -> Result<Vec<Claimed>, StoreError> {
        let tenant = entry.key.pk.as_str();
        let holds = self.tenants.of(&self.world, tenant, now).await?;
        let mut budget = TenantBudget::new(tenant, Some(entry));
        (budget.kept.budget, _) = budget.kept.budget.take_digest(now);
        let told = budget.kept.held.take().filter(|_| !tooth!("digest-without-message"));
        let (stored, expected) = budget.entry(now)?;
        let beside = (stored.key.clone(), stored.version);
        let claimed: Vec<Claimed> = told.map_or_else(Vec::new, |held| {
            let message = say::digest(&held, now, self.config.link.as_deref());
            let channels = holds.settings().channels_for_digest(say::worst(&held));
            let one = |channel: &str| {
                let key = place::digest(tenant, now, channel);
                Claimed::new(key, channel, message.clone(), beside.clone(), now)
            };
            channels.into_iter().map(one).collect()
        });
        let mut entries = vec![(stored, expected)];
        for claimed in &claimed {
            entries.push((claimed.entry(now, self.config.claim())?, None));
        }
        let changes: Vec<EntryChange<'_>> =
            entries.iter().map(|(entry, expected)| EntryChange { entry, expected: *expected }).collect();
        match self.world.change_entries(&changes).await {
            Ok(()) => {
                done.commits += 1;
                Ok(claimed)
            }
            // More has been held meanwhile: it is due still.
            Err(ChangeError::Moved(_)) => Ok(Vec::new()),
            Err(error) => Err(store_error(error, tenant)),
        }
    }

    /// After a switch: what was found while nobody here was to tell it. Done once for each epoch.
    async fn sweep(&self, now: Timestamp) -> Result<(Done, Vec<Claimed>), StoreError> {
        let (mut done, mut claimed) = (Done::default(), Vec::new());
        let Some((active, _)) = active::load(&self.world).await? else { return Ok((done, claimed)) };
        let place = place::swept(&self.config.region);
        let stored = self.world.load_entry(&place).await?;
        let swept = stored.as_ref().and_then(|entry| entry.body["epoch"].as_u64()).unwrap_or(0);
        if swept >= active.epoch {
            return Ok((done, claimed));
        }
        for tenant in Tenants::with_profile(&self.world).await? {
            if tooth!("sweep-only-noted") {
                continue;
            }
            for days in SWEPT_DAYS {
                let day = Timestamp::from_millis(now.millis() + days * DAY_MS).unwrap_or(now).date();
                let query = AnomalyQuery::Day { tenant: tenant.clone(), day };
                let mut devices = std::collections::BTreeMap::<String, Heard>::new();
                // The newest come first; they are told in the order in which they happened.
                for record in self.world.find_anomalies(&query, SWEPT_MAX).await?.into_iter().rev() {
                    if now.millis() - record.detected_at.millis() <= DAY_MS {
                        let heard = devices.entry(record.anomaly.device.clone()).or_default();
                        heard.happenings.push(Happening::Found(Box::new(record.anomaly)));
                    }
                }
                let (of_day, more) = self.follow(&tenant, &devices, now).await?;
                done.add(of_day);
                claimed.extend(more);
            }
        }
        let entry = Entry {
            key: place,
            version: stored.as_ref().map_or(1, |stored| stored.version + 1),
            due: None,
            day: None,
            expires_at: None,
            body: serde_json::json!({ "epoch": active.epoch, "at": now }),
        };
        let expected = stored.map(|stored| stored.version);
        match self.world.change_entries(&[EntryChange { entry: &entry, expected }]).await {
            // Another tick has swept too: every anomaly has its witness, so that nothing is told twice.
            Ok(()) | Err(ChangeError::Moved(_)) => Ok((done, claimed)),
            Err(error) => Err(store_error(error, "#alerts")),
        }
    }
}

fn broken(entry: &Entry, error: &serde_json::Error) -> StoreError {
    let target = format!("{} {}", entry.key.pk, entry.key.sk);
    StoreError::permanent("tick", target, format!("{error}; restore the item, or delete it"))
}
