//! Processes with their memory, and the invocations that run in them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use anomaly_core::Timestamp;
use base64_simd::STANDARD;
use kinesis_scorer::{Config, Scorer};
use platform::embedded::stream::{self, Outcome, Record};
use telemetry::kinesis::{BatchResponse, EventError, RecordOut, Source, write_event};
use telemetry::sequence::SequenceNumber;

use super::site::{REGIONS, origin};
use super::{Phase, Run, STREAM};
use crate::plan::Trouble;
use crate::workload::BROKEN_ENVELOPE;
use crate::world::{Meter, World};

/// Time of an invocation that has enough.
const PLENTY: Duration = Duration::from_mins(1);
/// Time that is left when it runs out: less than the reserve.
const LITTLE: Duration = Duration::from_millis(50);

/// A process.
pub(super) struct Process {
    pub(super) id: u32,
    pub(super) region: usize,
    scorer: Arc<Scorer<World, Meter, World>>,
    /// How wrong its clock is.
    skew_ms: i64,
    /// Stands still: a zombie.
    pub(super) frozen: bool,
    /// Was told to end.
    ending: bool,
}

/// What came of an invocation.
pub(super) enum Answer {
    Batch(Result<BatchResponse, EventError>),
    /// The process has ended as it was told.
    Ended,
}

/// Set when a task can go on.
pub(super) struct Flag(AtomicBool);

impl Flag {
    /// One that is set: a task that has not begun can go on.
    pub(super) fn set() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An invocation under way, or the end of a process.
pub(super) struct Task {
    /// Counts tasks.
    pub(super) number: u64,
    pub(super) process: u32,
    pub(super) region: usize,
    /// What the mapping waits for; `None` when it has given up or never asked.
    pub(super) invocation: Option<stream::Invocation>,
    pub(super) shard: Arc<str>,
    records: Vec<SequenceNumber>,
    future: Pin<Box<dyn Future<Output = Answer>>>,
    flag: Arc<Flag>,
}

impl Task {
    pub(super) fn is_woken(&self) -> bool {
        self.flag.is_set()
    }

    pub(super) fn flag(&self) -> Arc<Flag> {
        Arc::clone(&self.flag)
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Option<Answer> {
        self.flag.clear();
        match self.future.as_mut().poll(context) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }
}

/// The event that Lambda would hand over. Records that are marked so arrive with an envelope that is no base64.
pub(crate) fn event_of(region: usize, shard: &str, records: &[Record]) -> Vec<u8> {
    let origin = origin(region);
    let source = Source {
        partition: &origin.partition,
        region: &origin.region,
        account: &origin.account,
        stream: STREAM,
        shard,
    };
    let mut event = Vec::new();
    let out = records.iter().map(|record| RecordOut {
        sequence: record.sequence,
        partition_key: &record.partition_key,
        data: &record.data,
        arrived: record.arrived,
    });
    write_event(out, &source, &mut event);
    let broken: Vec<&Record> =
        records.iter().filter(|record| record.data.starts_with(BROKEN_ENVELOPE.as_bytes())).collect();
    if broken.is_empty() {
        return event;
    }
    let mut text = String::from_utf8_lossy(&event).into_owned();
    for record in broken {
        let sound = format!("\"{}\"", STANDARD.encode_to_string(&record.data));
        text = text.replace(&sound, &format!("\"*{}*\"", String::from_utf8_lossy(&record.data)));
    }
    text.into_bytes()
}

impl Run {
    /// A process for the next invocation: an idle one or a new one; none when all are busy.
    pub(super) fn find_process(&mut self, region: usize) -> Option<u32> {
        let busy = |id: u32| self.tasks.iter().any(|task| task.process == id);
        let usable = |process: &&Process| process.region == region && !process.frozen && !process.ending;
        let idle: Vec<u32> = self.processes.iter().filter(usable).map(|p| p.id).filter(|id| !busy(*id)).collect();
        let awake = self.processes.iter().filter(usable).count();
        let room = awake < self.plan.processes;
        if let Some(id) = self.order.pick(&idle).copied()
            && !(room && self.order.happens(0.2))
        {
            return Some(id);
        }
        if room {
            return Some(self.start_process(region));
        }
        let awake: Vec<u32> = self.processes.iter().filter(usable).map(|p| p.id).collect();
        self.faults.draw(&[Trouble::Concurrent], 10.0, "a busy process")?;
        self.order.pick(&awake).copied()
    }

    fn start_process(&mut self, region: usize) -> u32 {
        let id = self.started;
        self.started += 1;
        let store = &self.regions[region].site.store;
        let world = World::new(store, &self.gate, id, &self.flaws, &self.ledger);
        let peer_region = self.plan.pair.as_ref().map(|_| REGIONS[1 - region].to_owned());
        let config = Config { peer_region, ..self.plan.config.clone() };
        let scorer = Scorer::new(world.clone(), self.meter.clone(), config).with_second_opinion(Some(world));
        let scorer = Arc::new(scorer);
        let skew_ms = self.order.within(-self.plan.skew_ms, self.plan.skew_ms);
        self.note(&format!("process {id} starts in {}, its clock is off by {} s", REGIONS[region], skew_ms / 1_000));
        self.processes.push(Process { id, region, scorer, skew_ms, frozen: false, ending: false });
        id
    }

    /// Hands a batch to a process.
    pub(super) fn deliver(
        &mut self,
        process: u32,
        shard: &Arc<str>,
        records: &[Record],
        invocation: Option<stream::Invocation>,
    ) {
        let Some(found) = self.processes.iter().find(|known| known.id == process) else { return };
        let (scorer, region) = (Arc::clone(&found.scorer), found.region);
        let now = Timestamp::from_millis(self.now_ms + found.skew_ms).unwrap_or(Timestamp::MAX);
        let (first, last) = (records.first().map(|r| r.sequence), records.last().map(|r| r.sequence));
        let span = format!("{first:?} to {last:?}");
        let short = self.faults.draw(&[Trouble::Deadline], 5.0, "an invocation");
        let asks = if short.is_some() { 1 + self.faults.chance().below(5) as u32 } else { u32::MAX };
        let asked = AtomicU32::new(0);
        let event = event_of(region, shard, records);
        let request_id = format!("request-{}", self.next_task);
        let future = async move {
            let remaining = || if asked.fetch_add(1, Ordering::Relaxed) < asks { PLENTY } else { LITTLE };
            let invocation = kinesis_scorer::Invocation { now, remaining: &remaining, request_id: &request_id };
            Answer::Batch(scorer.handle(&event, &invocation).await)
        };
        let by = if invocation.is_some() { "delivers" } else { "delivers again" };
        let in_time = if short.is_some() { ", with little time" } else { "" };
        self.note(&format!(
            "mapping {by} {} records of {shard} in {}, {span}, to process {process}{in_time}",
            records.len(),
            REGIONS[region]
        ));
        self.counts.deliveries += 1;
        self.regions[region].read.insert(Arc::clone(shard));
        let sequences = records.iter().map(|record| record.sequence).collect();
        self.push((process, region), Arc::clone(shard), sequences, invocation, future);
    }

    fn push(
        &mut self,
        (process, region): (u32, usize),
        shard: Arc<str>,
        records: Vec<SequenceNumber>,
        invocation: Option<stream::Invocation>,
        future: impl Future<Output = Answer> + 'static,
    ) {
        let flag = Flag::set();
        // The runtime's budget is for tasks that share it; here the scheduler alone says who goes on.
        let future = Box::pin(tokio::task::coop::unconstrained(future));
        self.tasks.push(Task { number: self.next_task, process, region, invocation, shard, records, future, flag });
        self.next_task += 1;
    }

    /// Tells an idle process to end.
    pub(super) fn shut_down(&mut self) {
        let busy = |id: u32| self.tasks.iter().any(|task| task.process == id);
        let idle = |process: &&mut Process| !process.frozen && !process.ending && !busy(process.id);
        let Some(process) = self.processes.iter_mut().find(idle) else { return };
        process.ending = true;
        let (id, region, scorer) = (process.id, process.region, Arc::clone(&process.scorer));
        self.note(&format!("process {id} is told to end"));
        let future = async move {
            scorer.shut_down().await;
            Answer::Ended
        };
        self.push((id, region), Arc::from("-"), Vec::new(), None, future);
    }

    /// A process is gone, with all that it was doing.
    pub(super) fn kill(&mut self, process: u32) {
        self.note(&format!("process {process} dies"));
        self.processes.retain(|known| known.id != process);
        let (gone, left): (Vec<Task>, Vec<Task>) =
            std::mem::take(&mut self.tasks).into_iter().partition(|task| task.process == process);
        self.tasks = left;
        for task in gone {
            self.give_up(task.region, task.invocation);
        }
    }

    /// The mapping counts an invocation as failed.
    pub(super) fn give_up(&mut self, region: usize, invocation: Option<stream::Invocation>) {
        let Some(invocation) = invocation else { return };
        let failure = Outcome::Failure { error: "no answer in time".to_owned() };
        // One that a rewound mapping does not know is of no interest to it.
        let now = self.now();
        let _ = self.regions[region].mapping.complete(&invocation, now, failure);
    }

    /// An invocation has ended: the mapping learns of it, and what it says must be true.
    pub(super) fn ended(&mut self, task: Task, answer: Answer) {
        let Task { process, region, invocation, shard, records, .. } = task;
        let answer = match answer {
            Answer::Batch(answer) => answer,
            Answer::Ended => {
                self.note(&format!("process {process} has ended"));
                self.processes.retain(|known| known.id != process);
                return;
            }
        };
        let bytes = match &answer {
            Ok(response) => {
                let open = response.batch_item_failures.first().map(|failure| failure.item_identifier.clone());
                let said = open.as_deref().map_or_else(|| "success".to_owned(), |open| format!("again from {open}"));
                self.note(&format!("process {process} answers for {shard}: {said}"));
                self.check_answer(region, &shard, &records, open.as_deref());
                serde_json::to_vec(response).map_err(|error| error.to_string())
            }
            Err(error) => {
                self.note(&format!("process {process} cannot read its event: {error}"));
                Err(error.to_string())
            }
        };
        if let Some(invocation) = invocation {
            let now = self.now();
            let _ = self.regions[region].mapping.complete_with(&invocation, now, &bytes);
        }
    }

    /// What an answer calls done must be committed: nobody sends it again.
    fn check_answer(&mut self, region: usize, shard: &str, records: &[SequenceNumber], open: Option<&str>) {
        let open = open.and_then(|text| text.parse::<SequenceNumber>().ok());
        let done = records.iter().filter(|sequence| open.is_none_or(|open| **sequence < open)).max();
        let site = &self.regions[region].site;
        let committed = site.store.checkpoint(&site.shard_id(shard)).map(|checkpoint| checkpoint.last_seq);
        if let Some(done) = done
            && committed.is_none_or(|committed| committed < *done)
        {
            let what = format!("{shard}: {done} was called done, committed is {committed:?}");
            self.violate("answer", what);
        }
    }

    /// Whether invocations may go to a process now.
    pub(super) fn may_deliver(&self) -> bool {
        self.phase >= Phase::Calming || self.tasks.len() < 3 * self.plan.processes * self.regions.len()
    }
}
