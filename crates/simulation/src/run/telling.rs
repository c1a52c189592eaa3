//! The fan-out's processes beside those of the scorer: which of them goes on, and what goes wrong.
//!
//! They have a gate and streams of chance of their own: at each step of the run some of their calls go on. The changes of a
//! region's table come in two parts, by device, as the shards of a table's stream do: a part's batches come one after the
//! other until each is done, and again from the first change that failed.

mod batch;
mod rest;
mod say;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Waker};

use alert_fanout::fanout::{Done, Fanout, Outcome};
use platform::model::{Change, Key};
use platform::ports::StoreError;
use platform::sim::Fault;

use super::faults::Faults;
use super::process::Flag;
use super::{Phase, Run};
use crate::chance::Chance;
use crate::gate::{Gate, Place, Waiting};
use crate::plan::{Plan, Trouble, purpose};
use crate::telling::{Desk, Sender, TellingWorld, Told};
use crate::workload::{START_MS, TENANTS};

/// Moves at a step of the run, when the fan-out goes on at all.
const MOVES: usize = 3;
/// Parts of a table's stream.
const PARTS: usize = 2;
/// How likely a trouble that needs no call is at a move, against one at a call.
const BETWEEN_WEIGHT: f64 = 0.1;
const MINUTE_MS: i64 = 60_000;

/// A process of the fan-out.
struct Teller {
    id: u32,
    region: usize,
    fanout: Arc<Fanout<TellingWorld, Sender>>,
    /// Whether its region had the say when its invocation began, as far as it could know.
    had_say: Arc<AtomicBool>,
    /// Stands still: a zombie.
    frozen: bool,
}

/// What an invocation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Changes of a part, from one place to another.
    Batch {
        part: usize,
        from: usize,
        to: usize,
        /// Whether the part waits for it; no more when it has been given up, and never when it comes again.
        is_awaited: bool,
    },
    /// The schedule.
    Tick,
}

enum Answer {
    Batch(Result<Outcome, StoreError>),
    Tick(Result<Done, StoreError>),
}

/// An invocation under way.
struct Task {
    process: u32,
    region: usize,
    work: Work,
    future: Pin<Box<dyn Future<Output = Answer>>>,
    flag: Arc<Flag>,
}

/// The changes of a region's table as they come to the fan-out.
#[derive(Default)]
struct Feed {
    /// The number of the last change that was read.
    read: u64,
    parts: [Vec<Change>; PARTS],
    /// So many changes of each part are done.
    done: [usize; PARTS],
    next_tick_ms: i64,
}

/// The fan-out of a run.
pub(super) struct Telling {
    order: Chance,
    faults: Faults,
    gate: Gate,
    desk: Desk,
    profiles: Arc<BTreeMap<Key, String>>,
    feeds: Vec<Feed>,
    tellers: Vec<Teller>,
    started: u32,
    tasks: Vec<Task>,
    /// The region that has the say, and the one that is to have it.
    say: usize,
    wanted: usize,
    told: Told,
}

impl Telling {
    pub(super) fn new(plan: &Plan, without: BTreeSet<usize>) -> Self {
        let profile = |tenant: &&str| {
            let key = Key::new(format!("config/{tenant}/profile.toml")).ok()?;
            Some((key, plan.telling.profile(tenant)))
        };
        let regions = 1 + usize::from(plan.pair.is_some());
        Self {
            order: Chance::new(plan.seed, purpose::TELLING_ORDER),
            faults: Faults::of_telling(plan, without),
            gate: Gate::default(),
            desk: Desk::default(),
            profiles: Arc::new(TENANTS.iter().filter_map(profile).collect()),
            feeds: (0..regions).map(|_| Feed::default()).collect(),
            tellers: Vec::new(),
            started: 0,
            tasks: Vec::new(),
            say: 0,
            wanted: 0,
            told: Told::default(),
        }
    }

    /// Troubles end here: no more faults, and every zombie wakes up.
    pub(super) fn calm(&mut self) {
        self.faults.end();
        self.tellers.iter_mut().for_each(|teller| teller.frozen = false);
    }

    /// The faults that happened.
    pub(super) fn faults(&self) -> Vec<(usize, String)> {
        self.faults.happened().to_vec()
    }

    /// What was told.
    pub(super) fn end(&mut self) -> Told {
        self.tasks.clear();
        Told { heard: self.desk.heard(), ..std::mem::take(&mut self.told) }
    }
}

impl Run {
    /// Lets the fan-out go on for a while, or not.
    pub(super) async fn tell(&mut self) {
        if !self.telling.order.happens(self.plan.telling.pace) {
            return;
        }
        self.read_changes().await;
        let since = self.now_ms - START_MS;
        let is_down = self.plan.telling.outage.is_some_and(|(from, long)| (from..from + long).contains(&since));
        self.telling.desk.set_down(is_down && self.phase == Phase::Troubled);
        self.move_say().await;
        for _ in 0..MOVES {
            if let Some(trouble) = self.telling.faults.draw(
                &[Trouble::Kill, Trouble::GiveUp, Trouble::Redeliver],
                BETWEEN_WEIGHT,
                "a move",
            ) {
                self.trouble_teller(trouble).await;
            }
            if !self.tell_once().await {
                return;
            }
        }
    }

    /// One move. `false`: there is none to make.
    async fn tell_once(&mut self) -> bool {
        let open = self.open_tellings();
        let frozen = self.telling.tellers.iter().any(|teller| teller.frozen);
        if frozen && self.telling.order.happens(0.02) {
            self.thaw_teller();
        }
        if open.is_empty() || self.telling.order.happens(0.1) {
            let began = self.begin_invocation().await;
            self.poll_tellers();
            return began || !open.is_empty();
        }
        if let Some(call) = self.telling.order.pick(&open).cloned() {
            self.call_of_telling(&call);
            self.poll_tellers();
        }
        true
    }

    /// Calls that may go on: those of processes that do not stand still.
    fn open_tellings(&self) -> Vec<Waiting> {
        let stands = |teller: &Teller| teller.frozen || self.regions[teller.region].down;
        let tellers = &self.telling.tellers;
        let frozen = |id: u32| tellers.iter().any(|teller| teller.id == id && stands(teller));
        self.telling.gate.waiting().into_iter().filter(|call| !frozen(call.process)).collect()
    }

    /// Lets one call go on, as it is or with a fault.
    fn call_of_telling(&mut self, call: &Waiting) {
        let Waiting { id, process, verb, target, place } = call;
        let writes = matches!(*verb, "change entries" | "send");
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
            (Place::Asks, false) => &[Trouble::Throttle, Trouble::Unavailable, Trouble::CrashBefore, Trouble::Zombie],
            (Place::Hears, _) => &[Trouble::CrashBefore, Trouble::Zombie],
        };
        let trouble = self.telling.faults.draw(possible, 1.0, verb);
        if writes || trouble.is_some() {
            let stands = if *place == Place::Asks { "happens" } else { "is answered" };
            let wrong = trouble.map_or_else(String::new, |trouble| format!(", {trouble:?}"));
            self.note(&format!("teller {process}: {verb} {target} {stands}{wrong}"));
        }
        let fault = match trouble {
            Some(Trouble::CrashBefore) => return self.kill_teller(*process),
            Some(Trouble::CrashAfter) => {
                self.telling.gate.allow(*id, None);
                self.poll_tellers();
                return self.kill_teller(*process);
            }
            Some(Trouble::Zombie) => return self.freeze_teller(*process),
            Some(Trouble::Throttle) => Some(Fault::Throttle),
            Some(Trouble::Unavailable) => Some(Fault::Unavailable),
            Some(Trouble::LostAnswer) => Some(Fault::UnavailableButLands),
            // A message does not arrive on its own hours later.
            Some(Trouble::LandsLater) if *verb == "send" => Some(Fault::UnavailableButLands),
            Some(Trouble::LandsLater) => Some(Fault::LandsLater),
            _ => None,
        };
        self.telling.gate.allow(*id, fault);
    }

    /// Lets everybody who can go on do so.
    fn poll_tellers(&mut self) {
        loop {
            let telling = &mut self.telling;
            let frozen = |id: u32| telling.tellers.iter().any(|teller| teller.id == id && teller.frozen);
            let ready = telling.tasks.iter().position(|task| task.flag.is_set() && !frozen(task.process));
            let Some(index) = ready else { return };
            let task = &mut telling.tasks[index];
            let waker = Waker::from(Arc::clone(&task.flag));
            task.flag.clear();
            if let Poll::Ready(answer) = task.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                let task = telling.tasks.remove(index);
                self.answered(&task, &answer);
            }
        }
    }

    /// A trouble that needs no call.
    async fn trouble_teller(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Kill => {
                let ids: Vec<u32> = self.telling.tellers.iter().map(|teller| teller.id).collect();
                if let Some(id) = self.telling.faults.chance().pick(&ids).copied() {
                    self.kill_teller(id);
                }
            }
            Trouble::GiveUp => {
                let awaited = |task: &&mut Task| matches!(task.work, Work::Batch { is_awaited: true, .. });
                let Some(task) = self.telling.tasks.iter_mut().find(awaited) else { return };
                let process = task.process;
                task.give_up();
                self.note(&format!("nobody waits for teller {process} any more"));
            }
            _ => self.bring_again().await,
        }
    }

    /// A process stands still; nobody waits for it.
    fn freeze_teller(&mut self, process: u32) {
        let telling = &mut self.telling;
        telling.tellers.iter_mut().filter(|teller| teller.id == process).for_each(|teller| teller.frozen = true);
        telling.tasks.iter_mut().filter(|task| task.process == process).for_each(Task::give_up);
    }

    fn thaw_teller(&mut self) {
        let frozen: Vec<u32> =
            self.telling.tellers.iter().filter(|teller| teller.frozen).map(|teller| teller.id).collect();
        let Some(id) = self.telling.order.pick(&frozen).copied() else { return };
        self.note(&format!("teller {id} goes on"));
        self.telling.tellers.iter_mut().filter(|teller| teller.id == id).for_each(|teller| teller.frozen = false);
    }

    /// A process is gone, with all that it was doing.
    fn kill_teller(&mut self, process: u32) {
        self.note(&format!("teller {process} dies"));
        self.telling.tellers.retain(|teller| teller.id != process);
        self.telling.tasks.retain(|task| task.process != process);
    }
}

impl Task {
    fn give_up(&mut self) {
        if let Work::Batch { is_awaited, .. } = &mut self.work {
            *is_awaited = false;
        }
    }
}
