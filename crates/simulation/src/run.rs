//! One run: a scheduler that owns time, order and failure, and the processes, stores, stream and mapping under it.
//!
//! Everything happens on one thread, one step at a time, and every choice is drawn from the plan's seed: which call goes
//! on, what goes wrong with it, when time passes. Nothing reads a clock and no choice depends on the order of a hash map,
//! so the same plan makes the same trace, byte for byte. After the troubles the run comes to rest: no more faults, all
//! zombies awake, all late writes landed, all records delivered. What must be true then is for [`crate::check`].

mod change;
mod faults;
mod process;
mod replication;
mod site;
mod step;
mod stores;
mod switch;
mod telling;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use anomaly_core::Timestamp;
use platform::embedded::stream::{Mapping, MappingSettings, Record, Stream};
use platform::sim::SimWorld;

use crate::chance::Chance;
use crate::flaw::{Flaws, PortFlaw};
use crate::gate::Gate;
use crate::ledger::Ledger;
use crate::plan::{Plan, purpose};
use crate::second::{self, Sayings};
use crate::telling::Told;
use crate::trace::{Trace, Violation};
use crate::workload::Meaning;
use crate::world::Meter;
use faults::Faults;
use process::{Process, Task};
use replication::Replication;
use site::Region;
pub use site::{Committed, REGIONS, Site, Switch};

pub(crate) use process::event_of;
use telling::Telling;

/// Name of the stream.
pub const STREAM: &str = "plant";
/// Most bytes of records that the stream holds.
const STREAM_BYTES_MAX: usize = 256 << 20;
/// Most steps with troubles; then they end.
const STEPS_MAX: usize = 20_000;
/// Most steps without troubles: more, and the run does not come to rest.
const REST_STEPS_MAX: usize = 60_000;
/// How long nothing happens before the last records are put: longer than any process may keep to old profiles.
const QUIET_MS: i64 = 3_600_000;

/// How a run may differ from its plan.
#[derive(Debug, Clone, Default)]
pub struct Variation {
    /// Only so many records.
    pub records: Option<usize>,
    /// Faults that do not happen, by number.
    pub without: BTreeSet<usize>,
    /// A bug seeded at a port.
    pub flaw: Option<PortFlaw>,
}

/// A record that was put.
#[derive(Debug, Clone)]
pub struct Sent {
    /// In which region.
    pub region: usize,
    /// Which shard took it.
    pub shard: Arc<str>,
    /// As the stream holds it.
    pub record: Record,
    /// What must become of it.
    pub meaning: Meaning,
}

/// A profile that was written or taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// So many records had been put before.
    pub records: usize,
    /// So many transactions had been made before.
    pub commits: usize,
    /// Every shard had a checkpoint, and nothing was under way that had begun before.
    pub after_all_began: bool,
    /// Whose.
    pub tenant: String,
    /// `None`: taken away.
    pub text: Option<String>,
}

/// Counts of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches handed to a process.
    pub deliveries: u64,
    /// Transactions that changed something.
    pub commits: u64,
    /// Calls to stores.
    pub calls: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Records put.
    pub records: u64,
    /// Readings in them.
    pub readings: u64,
    /// Anomalies stored.
    pub anomalies: u64,
    /// Messages that somebody heard, repetitions included.
    pub messages: u64,
    /// Milliseconds that passed in the simulation.
    pub simulated_ms: u64,
}

/// All that is left of a run when it is at rest.
pub struct Rest {
    /// The plan.
    pub plan: Plan,
    /// The regions: one, or two.
    pub sites: Vec<Site>,
    /// Every transaction that changed something, in order.
    pub commits: Vec<Committed>,
    /// Every move of the stream, in order.
    pub switches: Vec<Switch>,
    /// What was adopted.
    pub ledger: Ledger,
    /// Every record that was put, in order.
    pub sent: Vec<Sent>,
    /// Every change of a profile, in order.
    pub placed: Vec<Placed>,
    /// Index of the first record that was put after everything else was at rest.
    pub tail_from: usize,
    /// What the processes reported.
    pub meter: Meter,
    /// What the second model said.
    pub sayings: Sayings,
    /// What people were told, where somebody was there to tell it.
    pub told: Option<Told>,
    /// What was wrong on the way.
    pub violations: Vec<Violation>,
    /// The faults that happened, by number.
    pub faults: Vec<(usize, String)>,
    /// What happened, step by step.
    pub trace: Trace,
    /// How much.
    pub counts: Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Troubles happen.
    Troubled,
    /// They do not any more; what is under way comes to its end.
    Calming,
    /// The last records are put.
    Last,
}

struct Run {
    plan: Plan,
    phase: Phase,
    /// True time, in milliseconds since 1970.
    now_ms: i64,
    regions: Vec<Region>,
    /// Which of them has the say.
    live: usize,
    epoch: u64,
    switches: Vec<Switch>,
    commits: Vec<Committed>,
    replication: Replication,
    /// Decides where records go.
    pairing: Chance,
    ledger: Ledger,
    gate: Gate,
    flaws: Flaws,
    processes: Vec<Process>,
    started: u32,
    tasks: Vec<Task>,
    next_task: u64,
    /// The first task after every shard had a checkpoint.
    all_began: Option<u64>,
    /// How many of the plan's records were put.
    put: usize,
    /// The same as they were put, some of them in both regions, and the first of them in the last phase.
    sent: Vec<Sent>,
    tail_from: usize,
    next_change: usize,
    placed: Vec<Placed>,
    order: Chance,
    faults: Faults,
    meter: Meter,
    sayings: Sayings,
    telling: Telling,
    violations: Vec<Violation>,
    trace: Trace,
    counts: Counts,
}

/// Runs a plan to its rest.
///
/// # Errors
/// When the runtime cannot be built or the plan's settings are refused: mistakes of the simulation itself.
pub fn run(plan: Plan, variation: &Variation) -> anyhow::Result<Rest> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let mut run = Run::new(plan, variation)?;
    runtime.block_on(run.go());
    Ok(run.rest())
}

impl Run {
    fn new(plan: Plan, variation: &Variation) -> anyhow::Result<Self> {
        let seed = plan.seed;
        let sayings = Sayings::default();
        let region = |index: usize, shards: u32, settings: &MappingSettings| -> anyhow::Result<Region> {
            let store = if plan.pair.is_some() { SimWorld::replicated() } else { SimWorld::new() };
            let answers = Chance::new(seed, purpose::ANSWERS + index as u64);
            store.define_model(second::model(answers, sayings.clone()));
            let site = Site::new(index, store, Stream::new(STREAM, shards, STREAM_BYTES_MAX));
            let mapping = Mapping::new(settings.clone())?;
            Ok(Region { site, mapping, read: BTreeSet::new(), down: false, commits_seen: 0 })
        };
        let mut regions = vec![region(0, plan.shards, &plan.mapping)?];
        if let Some(pair) = &plan.pair {
            regions.push(region(1, pair.shards, &pair.mapping)?);
        }
        let late_ms = plan.pair.as_ref().map_or(0, |pair| pair.late_ms);
        let mut run = Self {
            phase: Phase::Troubled,
            now_ms: crate::workload::START_MS,
            regions,
            live: 0,
            epoch: 0,
            switches: Vec::new(),
            commits: Vec::new(),
            replication: Replication::new(Chance::new(seed, purpose::REPLICATION), late_ms),
            pairing: Chance::new(seed, purpose::PAIRING),
            ledger: Ledger::default(),
            gate: Gate::default(),
            flaws: Flaws::new(variation.flaw),
            processes: Vec::new(),
            started: 0,
            tasks: Vec::new(),
            next_task: 0,
            all_began: None,
            put: 0,
            sent: Vec::new(),
            tail_from: usize::MAX,
            next_change: 0,
            placed: Vec::new(),
            order: Chance::new(seed, purpose::ORDER),
            faults: Faults::new(&plan, variation.without.clone()),
            meter: Meter::default(),
            sayings: sayings.clone(),
            telling: Telling::new(&plan, variation.without.clone()),
            violations: Vec::new(),
            trace: Trace::default(),
            counts: Counts::default(),
            plan,
        };
        if run.plan.pair.as_ref().is_some_and(|pair| pair.begun) {
            run.begin_epoch(false);
        }
        Ok(run)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms).unwrap_or(Timestamp::MAX)
    }

    fn note(&mut self, what: &str) {
        self.trace.note(self.now_ms, what);
    }

    fn violate(&mut self, check: &'static str, what: String) {
        self.trace.note(self.now_ms, &format!("VIOLATION of {check}: {what}"));
        self.violations.push(Violation { check, what });
    }

    /// Lets time pass, for the pauses of whoever waits too.
    async fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        tokio::time::advance(Duration::from_millis(u64::try_from(ms).unwrap_or(0))).await;
    }

    /// How many of the plan's records may be put in this phase.
    fn records_open(&self) -> usize {
        self.plan.records.len() - if self.phase == Phase::Last { 0 } else { self.plan.tail }
    }

    /// A region that is lost is not waited for.
    fn everything_is_put_and_done(&self) -> bool {
        let drained = |region: &Region| region.down || region.mapping.is_drained(&region.site.stream);
        self.put == self.records_open() && self.regions.iter().all(drained)
    }

    async fn go(&mut self) {
        self.begin_telling().await;
        for _ in 0..STEPS_MAX {
            if self.everything_is_put_and_done() || !self.violations.is_empty() {
                break;
            }
            self.step().await;
        }
        self.calm();
        // Late writes land now, or hours after everything else.
        let early = self.order.happens(0.5);
        for _ in 0..REST_STEPS_MAX {
            if !self.violations.is_empty() {
                return;
            }
            let landed = if early { self.late() == 0 } else { true };
            let arrived = self.replication.is_idle();
            if self.everything_is_put_and_done() && self.tasks.is_empty() && landed && arrived {
                if self.phase == Phase::Last {
                    self.land_everything();
                    self.note_commits();
                    self.replicate_everything();
                    return self.tell_to_the_end().await;
                }
                self.phase = Phase::Last;
                self.tail_from = self.sent.len();
                self.note("everything is at rest; an hour later the last records are put");
                self.pass(QUIET_MS).await;
            }
            if early {
                self.land_everything();
            }
            self.step().await;
        }
        let under_way: Vec<String> =
            self.gate.waiting().iter().map(|call| format!("{} {}", call.verb, call.target)).collect();
        let what = format!(
            "after {REST_STEPS_MAX} steps without faults {} of {} records are put, {} invocations are under way, waiting: {under_way:?}",
            self.put,
            self.plan.records.len(),
            self.tasks.len(),
        );
        self.violate("progress", what);
    }

    /// Troubles end here: no more faults, and every zombie wakes up.
    fn calm(&mut self) {
        self.phase = Phase::Calming;
        self.faults.end();
        self.telling.calm();
        self.note("no more faults from here on");
        for process in &mut self.processes {
            process.frozen = false;
        }
        for region in &mut self.regions {
            region.down = false;
        }
    }

    fn rest(mut self) -> Rest {
        let started = crate::workload::START_MS;
        self.counts.simulated_ms = u64::try_from(self.now_ms - started).unwrap_or(0);
        self.counts.records = self.sent.len() as u64;
        self.counts.readings = self.sent.iter().map(|sent| sent.meaning.readings as u64).sum();
        let mut faults = self.faults.happened().to_vec();
        faults.extend(self.telling.faults());
        self.counts.faults = faults.len() as u64;
        self.note_commits();
        self.counts.commits = self.commits.len() as u64;
        let anomalies = |region: &Region| region.site.store.anomalies().len() as u64;
        self.counts.anomalies = self.regions.iter().map(anomalies).max().unwrap_or(0);
        self.tasks.clear();
        let told = self.telling.end();
        self.counts.messages = told.heard.len() as u64;
        Rest {
            plan: self.plan,
            sites: self.regions.into_iter().map(|region| region.site).collect(),
            commits: self.commits,
            switches: self.switches,
            ledger: self.ledger,
            tail_from: self.tail_from.min(self.sent.len()),
            sent: self.sent,
            placed: self.placed,
            meter: self.meter,
            sayings: self.sayings,
            told: Some(told),
            violations: self.violations,
            faults,
            trace: self.trace,
            counts: self.counts,
        }
    }

    /// Lets everybody who can go on do so, until all wait for the gate, for time, or are frozen.
    fn poll_tasks(&mut self) {
        loop {
            let ready = self.tasks.iter().position(|task| {
                let frozen = self.processes.iter().any(|process| process.id == task.process && process.frozen);
                task.is_woken() && !frozen
            });
            let Some(index) = ready else { return };
            let waker = Waker::from(self.tasks[index].flag());
            let Task { number, process, shard, .. } = &self.tasks[index];
            self.ledger.goes_on(*number, *process, shard, self.now_ms);
            if let Some(answer) = self.tasks[index].poll(&mut Context::from_waker(&waker)) {
                let task = self.tasks.remove(index);
                self.ledger.ends(task.number, task.process, &task.shard);
                self.ended(task, answer);
            }
        }
    }
}
