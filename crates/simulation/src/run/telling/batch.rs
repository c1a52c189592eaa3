//! Invocations of the fan-out: batches of changes, ticks, and what their answers mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use alert_fanout::config::Config;
use alert_fanout::fanout::Fanout;
use platform::model::Change;
use platform::ports::ReadChanges as _;

use super::super::process::Flag;
use super::super::{REGIONS, Run};
use super::{Answer, MINUTE_MS, PARTS, Task, Teller, Work};
use crate::plan::Trouble;
use crate::telling::{Sender, TellingWorld, who_tells};

/// Time of an invocation that has enough.
pub(super) const PLENTY: Duration = Duration::from_mins(2);
/// Time that is left when it runs out.
const LITTLE: Duration = Duration::from_millis(50);
/// Most changes that are delivered again at once.
const AGAIN_MAX: usize = 30;

/// What the filter of the table's stream lets through: anomalies and states.
fn is_told(change: &Change) -> bool {
    change.key.sk == "S" || change.key.sk.starts_with("A#")
}

/// All changes of a device are in one part (FNV-1a over its key).
fn part_of(change: &Change) -> usize {
    let hash =
        change.key.pk.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 7) as usize % PARTS
}

impl Run {
    /// Reads what has changed in the tables.
    pub(super) async fn read_changes(&mut self) {
        for (feed, region) in self.telling.feeds.iter_mut().zip(&self.regions) {
            // It fails only where a test lets it.
            for numbered in region.site.store.read_changes(feed.read, usize::MAX).await.unwrap_or_default() {
                feed.read = numbered.number;
                if is_told(&numbered.change) {
                    feed.parts[part_of(&numbered.change)].push(numbered.change);
                }
            }
        }
    }

    /// Begins an invocation, if there is work and a process for it.
    pub(super) async fn begin_invocation(&mut self) -> bool {
        let region = self.telling.order.below(self.regions.len());
        if self.regions[region].down || self.is_moving_from(region) {
            return false;
        }
        let ticks = |task: &Task| task.region == region && task.work == Work::Tick;
        let is_due = self.telling.feeds[region].next_tick_ms <= self.now_ms && !self.telling.tasks.iter().any(ticks);
        if is_due && self.telling.order.happens(0.5) {
            self.telling.feeds[region].next_tick_ms = (self.now_ms / MINUTE_MS + 1) * MINUTE_MS;
            return self.invoke(region, Work::Tick).await;
        }
        let part = self.telling.order.below(PARTS);
        let awaits = |task: &Task| {
            task.region == region && matches!(task.work, Work::Batch { part: of, is_awaited: true, .. } if of == part)
        };
        let feed = &self.telling.feeds[region];
        let (from, all) = (feed.done[part], feed.parts[part].len());
        if from >= all || self.telling.tasks.iter().any(awaits) {
            return false;
        }
        let to = (from + 1 + self.telling.order.below(self.plan.telling.batch)).min(all);
        self.invoke(region, Work::Batch { part, from, to, is_awaited: true }).await
    }

    /// Changes that were delivered come again, from anywhere, to any process.
    pub(super) async fn bring_again(&mut self) {
        let chance = self.telling.faults.chance();
        let (region, part) = (chance.below(self.regions.len()), chance.below(PARTS));
        let done = self.telling.feeds[region].done[part];
        if done == 0 || self.regions[region].down || self.is_moving_from(region) {
            return;
        }
        let chance = self.telling.faults.chance();
        let from = chance.below(done);
        let to = (from + 1 + chance.below(AGAIN_MAX)).min(self.telling.feeds[region].parts[part].len());
        self.invoke(region, Work::Batch { part, from, to, is_awaited: false }).await;
    }

    /// Hands work to an idle process or a new one. `false`: all are busy.
    async fn invoke(&mut self, region: usize, work: Work) -> bool {
        let busy = |id: u32| self.telling.tasks.iter().any(|task| task.process == id);
        let awake = self.telling.tellers.iter().filter(|teller| teller.region == region && !teller.frozen);
        let (idle, count) = (awake.clone().find(|teller| !busy(teller.id)).map(|teller| teller.id), awake.count());
        let process = match idle {
            Some(id) => id,
            None if count < self.plan.telling.processes => self.start_teller(region),
            None => return false,
        };
        let Some(teller) = self.telling.tellers.iter().find(|teller| teller.id == process) else { return false };
        let (fanout, had_say) = (Arc::clone(&teller.fanout), Arc::clone(&teller.had_say));
        let active = who_tells(&self.regions[region].site.store).await;
        had_say.store(active.is_none_or(|active| active == REGIONS[region]), Ordering::Relaxed);
        let short = self.telling.faults.draw(&[Trouble::Deadline], 3.0, "an invocation");
        let asks = if short.is_some() { 1 + self.telling.faults.chance().below(3) as u32 } else { u32::MAX };
        let in_time = if short.is_some() { ", with little time" } else { "" };
        let what = match work {
            Work::Tick => "ticks".to_owned(),
            Work::Batch { part, from, to, .. } => format!("takes changes {from} to {to} of part {part}"),
        };
        self.note(&format!("teller {process} in {} {what}{in_time}", REGIONS[region]));
        let changes = match work {
            Work::Batch { part, from, to, .. } => self.telling.feeds[region].parts[part][from..to].to_vec(),
            Work::Tick => Vec::new(),
        };
        let now = self.now();
        let future = async move {
            let asked = AtomicU32::new(0);
            let remaining = || if asked.fetch_add(1, Ordering::Relaxed) < asks { PLENTY } else { LITTLE };
            match work {
                Work::Batch { .. } => Answer::Batch(fanout.take(&changes, now, &remaining).await),
                Work::Tick => Answer::Tick(fanout.tick(now, &remaining).await),
            }
        };
        let future = Box::pin(tokio::task::coop::unconstrained(future));
        self.telling.tasks.push(Task { process, region, work, future, flag: Flag::set() });
        true
    }

    fn start_teller(&mut self, region: usize) -> u32 {
        let id = self.telling.started;
        self.telling.started += 1;
        let had_say = Arc::new(AtomicBool::new(false));
        let fanout = Arc::new(self.fanout(id, region, &had_say));
        self.note(&format!("teller {id} starts in {}", REGIONS[region]));
        self.telling.tellers.push(Teller { id, region, fanout, had_say, frozen: false });
        id
    }

    /// A fan-out that knows nothing yet.
    pub(super) fn fanout(
        &self,
        process: u32,
        region: usize,
        had_say: &Arc<AtomicBool>,
    ) -> Fanout<TellingWorld, Sender> {
        let (telling, store) = (&self.telling, &self.regions[region].site.store);
        let name = REGIONS[region];
        let stores = (store, &telling.gate, &self.flaws);
        let world = TellingWorld::new(stores, process, &telling.profiles, name, had_say);
        let sender = Sender::new((&telling.desk, &telling.gate, store), process, (region, name), had_say);
        // Every other process asks the other region. The rest are as where that does not answer.
        let asked = self.regions.iter().zip(REGIONS).find(|(_, other)| *other != name && process.is_multiple_of(2));
        let peer = asked.map(|(there, other)| {
            let stores = (&there.site.store, &telling.gate, &self.flaws);
            TellingWorld::new(stores, process, &telling.profiles, other, &Arc::default())
        });
        Fanout::new(world, sender, Config { region: name.to_owned(), ..Config::local("simulation") }).with_peer(peer)
    }

    /// An invocation has ended: its part goes on from the first change that failed.
    pub(super) fn answered(&mut self, task: &Task, answer: &Answer) {
        let process = task.process;
        let said = match answer {
            Answer::Tick(Ok(_)) => "its tick is done".to_owned(),
            Answer::Tick(Err(error)) => format!("its tick failed: {error}"),
            Answer::Batch(Err(error)) => format!("its batch failed: {error}"),
            Answer::Batch(Ok(outcome)) => format!("its batch is done, but for {} changes", outcome.failed.len()),
        };
        self.note(&format!("teller {process}: {said}"));
        if let (Work::Batch { part, from, to, is_awaited: true }, Answer::Batch(Ok(outcome))) = (task.work, answer) {
            let failed = outcome.failed.iter().map(|(place, _)| from + place).min();
            self.telling.feeds[task.region].done[part] = failed.unwrap_or(to);
        }
    }
}
