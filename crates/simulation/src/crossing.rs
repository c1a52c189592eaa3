//! Two processes and two batches of one shard: every place of a crash and of an interruption, enumerated.
//!
//! The first process is stopped at one of its stops (before or after the effect of one of its calls). The second one runs
//! from there to one of its own stops. Then the first goes on to its end, as a zombie does, or never again; then the second
//! goes on. At last a third one gets everything once more, as the mapping would deliver it. Every pair of stops is tried,
//! with the second process cutting the batches as the first or as one. [`merges`] goes further with less: it tries all
//! orders in which the stops of two processes with one batch can follow each other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use anomaly_core::Timestamp;
use kinesis_scorer::{Invocation, Scorer};
use platform::embedded::stream::{Record, Stream};
use platform::sim::SimWorld;

use crate::chance::Chance;
use crate::check::check;
use crate::flaw::{Flaws, PortFlaw};
use crate::gate::Gate;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::run::{Committed, Counts, Rest, STREAM, Sent, Site, event_of};
use crate::second::Sayings;
use crate::trace::{Trace, Violation};
use crate::workload::{self, Shape};
use crate::world::{Meter, World};

/// Records of one batch.
const SIZE: usize = 6;
/// More stops than two batches have.
const STOPS_MAX: usize = 200;

/// What an enumeration tried and found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many runs.
    pub runs: usize,
    /// What was violated, and where the processes were stopped.
    pub violations: Vec<(String, Violation)>,
}

/// The stage: a shard with two batches in it.
struct Stage {
    plan: Plan,
    store: SimWorld,
    gate: Gate,
    flaws: Flaws,
    stream: Stream,
    sent: Vec<Sent>,
    meter: Meter,
}

/// A process with its batches, which it takes one after the other.
struct Actor {
    process: u32,
    future: Pin<Box<dyn Future<Output = ()>>>,
    ended: bool,
}

impl Stage {
    fn new(flaw: Option<PortFlaw>) -> Self {
        let shape = Shape {
            records: 2 * SIZE,
            stream_tenant: None,
            gap_ms: 15_000,
            nights: 0.0,
            set_back: 0.0,
            poison: 0.15,
            skewed: false,
            storm: 0,
        };
        let mut plan = Plan::new(0, Some(0));
        plan.config.snapshot_seconds = 86_400;
        plan.config.profile_refresh_seconds = 86_400;
        plan.config.stream_tenant = None;
        let mut stage = Self {
            plan,
            store: SimWorld::new(),
            gate: Gate::default(),
            flaws: Flaws::new(flaw),
            stream: Stream::new(STREAM, 1, 1 << 20),
            sent: Vec::new(),
            meter: Meter::default(),
        };
        for planned in workload::records(&shape, &mut Chance::new(4, 0)) {
            let workload::Planned { key, data, arrived, meaning } = planned;
            if let Ok((shard, sequence)) = stage.stream.put(&key, &data, arrived) {
                let record = Record { sequence, partition_key: key.into(), data: data.into(), arrived };
                stage.sent.push(Sent { region: 0, shard, record, meaning });
            }
        }
        stage.store.define_shards(STREAM, &stage.stream.shards());
        stage
    }

    /// A process that takes the records of these ranges, a batch each.
    fn actor(&self, process: u32, batches: &[std::ops::Range<usize>]) -> Actor {
        let world = World::new(&self.store, &self.gate, process, &self.flaws, &Ledger::default());
        let scorer = Arc::new(Scorer::new(world, self.meter.clone(), self.plan.config.clone()));
        let shard = self.stream.shards().first().map(|info| info.shard.clone()).unwrap_or_default();
        let events: Vec<(Timestamp, Vec<u8>)> = batches
            .iter()
            .map(|range| {
                let records: Vec<Record> = self.sent[range.clone()].iter().map(|sent| sent.record.clone()).collect();
                let now = records.last().map_or(Timestamp::MIN, |record| record.arrived);
                (now, event_of(0, &shard, &records))
            })
            .collect();
        let future = Box::pin(async move {
            for (now, event) in events {
                let remaining = || Duration::from_mins(1);
                let invocation = Invocation { now, remaining: &remaining, request_id: "crossing" };
                // An answer that asks for records again is met by the third process, which gets everything.
                let _ = scorer.handle(&event, &invocation).await;
            }
        });
        let mut actor = Actor { process, future, ended: false };
        actor.poll();
        actor
    }

    /// Lets an actor pass so many stops, or come to its end. Says how many it passed.
    fn pass(&self, actor: &mut Actor, stops: usize) -> usize {
        for passed in 0..stops {
            let next = self.gate.waiting().into_iter().find(|call| call.process == actor.process);
            let Some(call) = next.filter(|_| !actor.ended) else { return passed };
            self.gate.allow(call.id, None);
            actor.poll();
        }
        stops
    }

    /// Everything is delivered once more to a new process, and what came of it is checked.
    fn finish(self) -> Vec<Violation> {
        let mut last = self.actor(9, &[0..SIZE, SIZE..2 * SIZE]);
        self.pass(&mut last, STOPS_MAX);
        let commits = self.store.commits().into_iter();
        let rest = Rest {
            plan: self.plan,
            commits: commits.map(|commit| Committed { region: 0, commit, at_ms: 0, epoch: None }).collect(),
            sites: vec![Site { region: 0, store: self.store, stream: self.stream }],
            switches: Vec::new(),
            ledger: Ledger::default(),
            tail_from: self.sent.len(),
            sent: self.sent,
            placed: Vec::new(),
            meter: Meter::default(),
            sayings: Sayings::default(),
            violations: Vec::new(),
            told: None,
            faults: Vec::new(),
            trace: Trace::default(),
            counts: Counts::default(),
        };
        check(&rest)
    }
}

impl Actor {
    fn poll(&mut self) {
        if let Poll::Ready(()) = self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.ended = true;
        }
    }
}

/// Every pair of stops of two processes.
#[must_use]
pub fn pairs(flaw: Option<PortFlaw>) -> Outcome {
    let mut outcome = Outcome::default();
    let (one, two) = (0..SIZE, SIZE..2 * SIZE);
    let both = 0..2 * SIZE;
    for cut in [vec![one.clone(), two.clone()], vec![both]] {
        for returns in [true, false] {
            for first_stop in 0..STOPS_MAX {
                let mut first_was_there = false;
                for second_stop in 0..STOPS_MAX {
                    let stage = Stage::new(flaw);
                    let mut first = stage.actor(1, &[one.clone(), two.clone()]);
                    let there = stage.pass(&mut first, first_stop) == first_stop;
                    if !there {
                        break;
                    }
                    first_was_there = true;
                    let mut second = stage.actor(2, &cut);
                    let stopped = stage.pass(&mut second, second_stop) == second_stop;
                    if returns {
                        stage.pass(&mut first, STOPS_MAX);
                    }
                    drop(first);
                    stage.pass(&mut second, STOPS_MAX);
                    drop(second);
                    outcome.runs += 1;
                    let place = format!(
                        "{} batches, the first process {} at stop {first_stop}, the second stopped at {second_stop}",
                        cut.len(),
                        if returns { "held up" } else { "crashed" },
                    );
                    outcome.violations.extend(stage.finish().into_iter().map(|violation| (place.clone(), violation)));
                    if !stopped {
                        break;
                    }
                }
                if !first_was_there {
                    break;
                }
            }
        }
    }
    outcome
}

/// All orders in which the stops of two processes with the second batch, both of whom know the first, can follow each
/// other.
#[must_use]
pub fn merges(flaw: Option<PortFlaw>) -> Outcome {
    let mut outcome = Outcome::default();
    // Which process goes next, at each point where both can; the last choice is changed first.
    let mut choices: Vec<bool> = Vec::new();
    let first = 0..SIZE;
    loop {
        let stage = Stage::new(flaw);
        let mut zero = stage.actor(0, std::slice::from_ref(&first));
        stage.pass(&mut zero, STOPS_MAX);
        let batch = SIZE..2 * SIZE;
        let mut actors = [stage.actor(1, std::slice::from_ref(&batch)), stage.actor(2, std::slice::from_ref(&batch))];
        let mut at = 0;
        // Reading what was committed happens before either writes.
        for actor in &mut actors {
            while stage.gate.waiting().iter().any(|call| call.process == actor.process && call.verb != "put object") {
                stage.pass(actor, 1);
            }
        }
        while !(actors[0].ended && actors[1].ended) {
            let second = if actors[0].ended || actors[1].ended {
                actors[0].ended
            } else {
                if at == choices.len() {
                    choices.push(false);
                }
                at += 1;
                choices[at - 1]
            };
            stage.pass(&mut actors[usize::from(second)], 1);
        }
        drop(actors);
        outcome.runs += 1;
        let place: String = choices.iter().map(|second| if *second { '2' } else { '1' }).collect();
        outcome.violations.extend(stage.finish().into_iter().map(|violation| (place.clone(), violation)));
        choices.truncate(at);
        while choices.pop_if(|second| *second).is_some() {}
        match choices.last_mut() {
            Some(last) => *last = true,
            None => return outcome,
        }
    }
}
