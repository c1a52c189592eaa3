//! One step: who goes on, and what goes wrong.

use std::sync::Arc;

use platform::embedded::stream::{Mapping, Outcome, Record};
use platform::sim::Fault;

use super::{Phase, Run};
use crate::gate::{Place, Waiting};
use crate::plan::{self, Trouble};
use crate::workload::Planned;

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// A call goes on.
    Call,
    /// Records are put.
    Put,
    /// The mapping is asked for a batch.
    Deliver,
    /// Time passes.
    Pass,
    /// A late write lands.
    Land,
    /// A zombie wakes up.
    Thaw,
}

/// Troubles that need no call.
const BETWEEN: [Trouble; 5] = [Trouble::GiveUp, Trouble::Kill, Trouble::ShutDown, Trouble::Redeliver, Trouble::Rewind];
/// How likely one of them is at a step, against one at a call.
const BETWEEN_WEIGHT: f64 = 0.3;

impl Run {
    /// Makes one move, and lets everybody go on who can.
    pub(super) async fn step(&mut self) {
        if let Some(trouble) = self.faults.draw(&BETWEEN, BETWEEN_WEIGHT, "a step") {
            self.between(trouble);
        }
        match self.next_move() {
            Move::Call => self.call(),
            Move::Put => self.put().await,
            Move::Deliver => self.poll_mapping(),
            Move::Pass => {
                let ms = if self.order.happens(0.05) { 60_000 } else { self.order.within(1, 400) };
                self.pass(ms).await;
            }
            Move::Land => {
                let index = self.order.below(self.late());
                self.land(index);
            }
            Move::Thaw => self.thaw(),
        }
        self.poll_tasks();
        self.note_commits();
        self.tell().await;
        self.replicate();
        self.look_whether_all_began();
    }

    /// Calls that may go on: those of processes that do not stand still.
    fn open_calls(&self) -> Vec<Waiting> {
        let stands = |process: &super::Process| process.frozen || self.regions[process.region].down;
        let frozen = |id: u32| self.processes.iter().any(|process| process.id == id && stands(process));
        self.gate.waiting().into_iter().filter(|call| !frozen(call.process)).collect()
    }

    fn next_move(&mut self) -> Move {
        let calls = !self.open_calls().is_empty();
        let records = self.put < self.records_open();
        let frozen = self.processes.iter().any(|process| process.frozen);
        let weights = [
            (Move::Call, if calls { 1.0 } else { 0.0 }),
            (Move::Put, if records { self.plan.eagerness } else { 0.0 }),
            (Move::Deliver, if self.may_deliver() { 0.3 } else { 0.0 }),
            (Move::Pass, if calls { 0.05 } else { 0.3 }),
            (Move::Land, if self.late() > 0 && self.phase == Phase::Troubled { 0.05 } else { 0.0 }),
            (Move::Thaw, if frozen { 0.02 } else { 0.0 }),
        ];
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let mut at = self.order.unit() * total;
        for (choice, weight) in weights {
            if at < weight {
                return choice;
            }
            at -= weight;
        }
        Move::Pass
    }

    /// Lets one call go on, as it is or with a fault.
    fn call(&mut self) {
        let open = self.open_calls();
        let Some(call) = self.order.pick(&open).cloned() else { return };
        let Waiting { id, process, verb, target, place } = call;
        let writes = matches!(verb, "commit" | "put object");
        let possible: &[Trouble] = match (place, writes) {
            (Place::Asks, true) => &[
                Trouble::Throttle,
                Trouble::Unavailable,
                Trouble::LostAnswer,
                Trouble::LandsLater,
                Trouble::CrashBefore,
                Trouble::CrashAfter,
                Trouble::Zombie,
            ],
            (Place::Asks, false) => {
                &[Trouble::Throttle, Trouble::Unavailable, Trouble::CrashBefore, Trouble::CrashAfter, Trouble::Zombie]
            }
            (Place::Hears, _) => &[Trouble::CrashBefore, Trouble::Zombie],
        };
        let on = format!("{verb} {target}");
        let trouble = self.faults.draw(possible, 1.0, &on);
        let stands = if place == Place::Asks { "happens" } else { "is answered" };
        let wrong = trouble.map_or_else(String::new, |trouble| format!(", {trouble:?}"));
        self.note(&format!("process {process}: {verb} {target} {stands}{wrong}"));
        self.counts.calls += u64::from(place == Place::Asks);
        let fault = match trouble {
            Some(Trouble::CrashBefore) => return self.kill(process),
            Some(Trouble::CrashAfter) => {
                self.gate.allow(id, None);
                self.poll_tasks();
                return self.kill(process);
            }
            Some(Trouble::Zombie) => return self.freeze(process),
            Some(Trouble::Throttle) => Some(Fault::Throttle),
            Some(Trouble::Unavailable) => Some(Fault::Unavailable),
            Some(Trouble::LostAnswer) => Some(Fault::UnavailableButLands),
            Some(Trouble::LandsLater) => Some(Fault::LandsLater),
            _ => None,
        };
        self.gate.allow(id, fault);
    }

    /// A process stands still; the mapping does not wait for it.
    fn freeze(&mut self, process: u32) {
        if let Some(found) = self.processes.iter_mut().find(|known| known.id == process) {
            found.frozen = true;
        }
        let its = self.tasks.iter_mut().filter(|task| task.process == process);
        let given_up: Vec<_> = its.map(|task| (task.region, task.invocation.take())).collect();
        for (region, invocation) in given_up {
            self.give_up(region, invocation);
        }
    }

    fn thaw(&mut self) {
        let frozen: Vec<u32> =
            self.processes.iter().filter(|process| process.frozen).map(|process| process.id).collect();
        let Some(id) = self.order.pick(&frozen).copied() else { return };
        self.note(&format!("process {id} goes on"));
        for process in self.processes.iter_mut().filter(|process| process.id == id) {
            process.frozen = false;
        }
    }

    /// Puts some records, each when its time has come.
    async fn put(&mut self) {
        let count = 1 + self.order.below(8);
        for _ in 0..count {
            if !self.make_changes() || self.put >= self.records_open() {
                return;
            }
            let Some(planned) = self.plan.records.get(self.put).cloned() else { return };
            self.put += 1;
            let wait = planned.arrived.millis() - self.now_ms;
            if wait > 0 {
                self.pass(wait).await;
            }
            for region in self.targets() {
                self.put_one(region, &planned);
            }
        }
    }

    fn put_one(&mut self, region: usize, planned: &Planned) {
        let Planned { key, data, arrived, meaning } = planned.clone();
        match self.regions[region].site.stream.put(&key, &data, arrived) {
            Ok((shard, sequence)) => {
                let record = Record { sequence, partition_key: key.into(), data: data.into(), arrived };
                self.sent.push(super::Sent { region, shard, record, meaning });
            }
            Err(error) => self.violate("stream", error.to_string()),
        }
    }

    fn poll_mapping(&mut self) {
        let (index, now) = (self.any_region(), self.now());
        let region = &mut self.regions[index];
        if region.down {
            return;
        }
        let Some(invocation) = region.mapping.poll(&region.site.stream, now) else { return };
        let Some(process) = self.find_process(index) else {
            // No process is free: the invocation is throttled and comes again.
            let _ = self.regions[index].mapping.complete(&invocation, now, Outcome::NotInvoked);
            return;
        };
        let (shard, records) = (Arc::clone(&invocation.shard), invocation.records.clone());
        self.deliver(process, &shard, &records, Some(invocation));
    }

    fn any_region(&mut self) -> usize {
        if self.regions.len() > 1 { self.order.below(self.regions.len()) } else { 0 }
    }

    /// A trouble that needs no call.
    fn between(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::GiveUp => {
                let waited: Vec<usize> =
                    (0..self.tasks.len()).filter(|index| self.tasks[*index].invocation.is_some()).collect();
                let Some(index) = self.faults.chance().pick(&waited).copied() else { return };
                let task = &mut self.tasks[index];
                let (process, region, invocation) = (task.process, task.region, task.invocation.take());
                self.note(&format!("the mapping gives up waiting for process {process}"));
                self.give_up(region, invocation);
            }
            Trouble::Kill => {
                let ids: Vec<u32> = self.processes.iter().map(|process| process.id).collect();
                if let Some(id) = self.faults.chance().pick(&ids).copied() {
                    self.kill(id);
                }
            }
            Trouble::ShutDown => self.shut_down(),
            Trouble::Redeliver => self.redeliver(),
            Trouble::Rewind => self.rewind(),
            _ => {}
        }
    }

    /// Records of one shard, in order.
    fn records_of(&self, region: usize, shard: &str) -> Vec<Record> {
        let of = |sent: &&super::Sent| sent.region == region && *sent.shard == *shard;
        self.sent.iter().filter(of).map(|sent| sent.record.clone()).collect()
    }

    /// Records that were delivered before come again. They begin where everything before is done: the mapping never
    /// leaves a gap.
    fn redeliver(&mut self) {
        let region = self.any_region();
        if self.regions[region].down {
            return;
        }
        let read: Vec<Arc<str>> = self.regions[region].read.iter().cloned().collect();
        let Some(shard) = self.faults.chance().pick(&read).cloned() else { return };
        let records = self.records_of(region, &shard);
        let done = self.regions[region].mapping.checkpoint(&shard);
        let done = records.iter().filter(|record| done.is_some_and(|done| record.sequence <= done)).count();
        let from = self.faults.chance().below(done + 1);
        let most = if self.plan.mapping.batch_size > 100 { 400 } else { 60 };
        let to = (from + 1 + self.faults.chance().below(most)).min(records.len());
        if from >= to {
            return;
        }
        if let Some(process) = self.find_process(region) {
            self.deliver(process, &shard, &records[from..to], None);
        }
    }

    /// The mapping is made anew: it knows positions that are older than what was done, and cuts otherwise.
    fn rewind(&mut self) {
        let settings = plan::mapping(self.faults.chance(), self.plan.mapping.batch_size > 300);
        let Ok(mut mapping) = Mapping::new(settings) else { return };
        let region = self.any_region();
        for info in self.regions[region].site.stream.shards() {
            let Some(done) = self.regions[region].mapping.checkpoint(&info.shard) else { continue };
            let records = self.records_of(region, &info.shard);
            let count = records.iter().filter(|record| record.sequence <= done).count();
            let back = self.faults.chance().below(40);
            if let Some(record) = count.checked_sub(back + 1).and_then(|index| records.get(index)) {
                mapping = mapping.starting_after(&info.shard, record.sequence);
            }
        }
        self.note("the mapping starts over from earlier positions");
        self.regions[region].mapping = mapping;
        for task in self.tasks.iter_mut().filter(|task| task.region == region) {
            task.invocation = None;
        }
    }
}
