//! How the telling comes to rest: nothing goes wrong any more, everything comes, and time passes until nothing is due. Then
//! everything comes once more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alert_fanout::fanout::Fanout;
use alert_fanout::place;
use platform::model::{AnomalyRecord, EntryKey};

use super::super::{REGIONS, Run};
use super::batch::PLENTY;
use super::{MINUTE_MS, PARTS};
use crate::telling::{Sender, TellingWorld, who_tells};

/// Most ticks until nothing is due.
const TICKS_MAX: usize = 2_000;
/// Seconds until all that waits for time has ended.
const WAITS_MAX: usize = 60;
const SECOND_MS: i64 = 1_000;
/// Ticks after everything has come once more.
const TICKS_AFTER: usize = 60;

impl Run {
    /// Tells all there is to tell, and lets it come once more.
    pub(in super::super) async fn tell_to_the_end(&mut self) {
        self.note("everything is at rest; what is left is told");
        self.telling.desk.set_down(false);
        self.telling.gate.open();
        self.poll_tellers();
        // Some wait for time: who listens who has the say, before it tells.
        for _ in 0..WAITS_MAX {
            if self.telling.tasks.is_empty() {
                break;
            }
            self.pass(SECOND_MS).await;
            self.poll_tellers();
        }
        if !self.telling.tasks.is_empty() {
            return self.violate("telling", "invocations do not end although nobody stops them".to_owned());
        }
        self.telling.tellers.clear();
        self.replicate_everything();
        self.land_everything();
        self.replicate_everything();
        self.move_say().await;
        self.replicate_everything();
        for _ in 0..TICKS_MAX {
            self.take_everything().await;
            self.tick_everywhere().await;
            let Some(wait_ms) = self.next_due_ms().filter(|_| self.violations.is_empty()) else { break };
            self.pass(wait_ms).await;
        }
        if self.next_due_ms().is_some() {
            self.violate("telling", format!("after {TICKS_MAX} ticks something is due"));
        }
        self.telling.told.say = self.telling.say;
        self.telling.told.before_again = self.telling.desk.count();
        self.telling.told.untold = self.untold();
        self.note("everything comes once more");
        for feed in &mut self.telling.feeds {
            feed.done = [0; PARTS];
        }
        self.take_everything().await;
        for _ in 0..TICKS_AFTER {
            self.pass(MINUTE_MS).await;
            self.tick_everywhere().await;
        }
    }

    /// The anomalies that no incident has.
    fn untold(&self) -> Vec<AnomalyRecord> {
        let store = &self.regions[self.telling.say].site.store;
        let keys: BTreeSet<EntryKey> = store.entries().into_iter().map(|entry| entry.key).collect();
        let has_witness = |record: &AnomalyRecord| {
            keys.contains(&place::witness(&record.anomaly.tenant, &record.anomaly.device, &record.anomaly.id))
        };
        store.anomalies().into_iter().filter(|record| !has_witness(record)).collect()
    }

    /// How long until the minute in which something is due in the region that tells; `None`: nothing ever is.
    fn next_due_ms(&self) -> Option<i64> {
        let entries = self.regions[self.telling.say].site.store.entries();
        let due = entries.iter().filter_map(|entry| entry.due.as_ref()).map(|due| due.at.millis()).min()?;
        let wait = (due - self.now_ms).max(1);
        Some((wait + MINUTE_MS - 1) / MINUTE_MS * MINUTE_MS)
    }

    async fn take_everything(&mut self) {
        self.read_changes().await;
        for region in 0..self.regions.len() {
            let fanout = self.last_fanout(region).await;
            for part in 0..PARTS {
                let feed = &mut self.telling.feeds[region];
                let from = std::mem::replace(&mut feed.done[part], feed.parts[part].len());
                let (changes, now) = (feed.parts[part][from..].to_vec(), self.now());
                for batch in changes.chunks(self.plan.telling.batch.max(10)) {
                    let wrong = match fanout.take(batch, now, &|| PLENTY).await {
                        Ok(outcome) => outcome.failed.first().map(|(_, error)| error.to_string()),
                        Err(error) => Some(error.to_string()),
                    };
                    if let Some(error) = wrong {
                        self.violate("telling", format!("at rest changes fail: {error}"));
                    }
                }
            }
        }
        self.replicate_everything();
    }

    async fn tick_everywhere(&mut self) {
        for region in 0..self.regions.len() {
            let (fanout, now) = (self.last_fanout(region).await, self.now());
            if let Err(error) = fanout.tick(now, &|| PLENTY).await {
                self.violate("telling", format!("at rest a tick fails: {error}"));
            }
        }
        self.replicate_everything();
    }

    async fn last_fanout(&self, region: usize) -> Fanout<TellingWorld, Sender> {
        let active = who_tells(&self.regions[region].site.store).await;
        let had_say = Arc::new(AtomicBool::new(active.is_none_or(|active| active == REGIONS[region])));
        self.fanout(u32::MAX, region, &had_say)
    }
}
