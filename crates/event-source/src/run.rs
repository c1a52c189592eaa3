//! The loop: events to the target, answers to the mapping, and the account of it.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use platform::clock::{self, Stopwatch};
use platform::embedded::stream::{
    Consumer, DiscardReason, Discarded, Invocation, Mapping, Origin, Outcome, SettingsError, StartingPosition, drive,
};
use telemetry::sequence::SequenceNumber;
use tokio::sync::Notify;
use tokio::task::JoinError;

use crate::Report;
use crate::chance::Chance;
use crate::destination::FailureRecord;
use crate::rules::Checked;
use crate::source::Source;
use crate::target::{Answer, Call, Done, Target};

/// Failed requests whose identity is remembered for the on-failure destination.
const FAILURES_REMEMBERED: usize = 1_000;

/// What a run needs to know beside its rules.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// The ARN of the function, for the on-failure destination.
    pub function_arn: String,
    /// How long a target may be out of reach before the run is given up.
    pub unreachable_max: Duration,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            function_arn: "arn:aws:lambda:local:000000000000:function:function".to_owned(),
            unreachable_max: Duration::from_secs(30),
        }
    }
}

/// Who wants to know while it happens.
pub trait Observer {
    /// An invocation has ended.
    fn invoked(&mut self, invoked: &Invoked<'_>);
    /// Records were given up.
    fn discarded(&mut self, record: &FailureRecord);
}

/// An invocation that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Invoked<'i> {
    /// What was sent.
    pub invocation: &'i Invocation,
    /// Under which identity.
    pub request_id: &'i str,
    /// What it took.
    pub done: &'i Done,
    /// What the mapping makes of it.
    pub outcome: &'i Outcome,
}

/// The end of a run.
#[derive(Debug)]
pub struct Ended {
    /// What came of it.
    pub report: Report,
    /// What ended it before its time: a source that cannot be read on, a target out of reach.
    pub problem: Option<String>,
    /// Whether it was stopped from outside.
    pub was_stopped: bool,
}

/// Runs `target` on the records of `source` until the source has ended and every record is done or given up, or `stop` is
/// ready: then no event is begun, and those under way are waited for. Processes of the target are ended.
pub async fn run(
    source: Source,
    rules: &Checked,
    target: Target,
    settings: RunSettings,
    observer: &mut impl Observer,
    stop: impl Future<Output = ()>,
) -> Ended {
    let broken = Arc::new(Notify::new());
    let mut driver = Driver {
        target: target.clone(),
        rules,
        settings,
        name: source.stream().name(),
        origin: source.stream().origin(),
        chance: Chance::new(rules.seed),
        report: Report::default(),
        observer,
        broken: Arc::clone(&broken),
        problem: None,
        unreachable: None,
        failures: VecDeque::new(),
    };
    let (filtered, read, was_stopped) = consume(source, rules, &broken, stop, &mut driver).await;
    target.shut_down().await;
    let Driver { report, problem, .. } = driver;
    ended(report, problem, filtered, read, was_stopped)
}

/// A batch that would be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The shard.
    pub shard: Arc<str>,
    /// How many records.
    pub records: usize,
    /// Bytes of the event.
    pub event_bytes: usize,
    /// The first sequence number.
    pub first: SequenceNumber,
    /// The last.
    pub last: SequenceNumber,
}

/// Cuts the batches that a function would get whose every invocation works, and invokes nothing.
pub async fn plan(
    source: Source,
    rules: &Checked,
    on_batch: impl FnMut(Batch),
    stop: impl Future<Output = ()>,
) -> Ended {
    let stream = source.stream();
    let (name, origin) = (stream.name(), stream.origin());
    let mut planner = Planner { name, origin, on_batch, report: Report::default() };
    let (filtered, read, was_stopped) = consume(source, rules, &Notify::new(), stop, &mut planner).await;
    ended(planner.report, None, filtered, read, was_stopped)
}

type ReadResult = Option<Result<crate::source::Read, crate::source::SourceError>>;

fn ended(mut report: Report, problem: Option<String>, filtered: u64, read: ReadResult, was_stopped: bool) -> Ended {
    report.records_filtered = filtered;
    let mut problems: Vec<String> = problem.into_iter().collect();
    match read {
        Some(Ok(read)) => {
            report.records_read = read.records;
            report.records_repeated = read.repeated;
            report.records_unreadable = read.unreadable;
            report.unreadable = read.described;
        }
        Some(Err(error)) => problems.push(error.to_string()),
        // A stopped run counts what came through.
        None => report.records_read = report.records_done + filtered,
    }
    let problem = (!problems.is_empty()).then(|| problems.join("; "));
    Ended { report, problem, was_stopped }
}

/// Drives the mapping. Gives what the filter passed over, what the source gave, and whether it was stopped from outside.
async fn consume<C: Consumer>(
    mut source: Source,
    rules: &Checked,
    broken: &Notify,
    stop: impl Future<Output = ()>,
    consumer: &mut C,
) -> (u64, ReadResult, bool) {
    let filtered = Arc::new(AtomicU64::new(0));
    let mut was_stopped = false;
    let mut was_broken = false;
    {
        let mut stop = std::pin::pin!(stop);
        let may_begin = tokio::select! {
            () = source.primed() => true,
            () = &mut stop => false,
        };
        was_stopped |= !may_begin;
        if may_begin {
            // Checked before: the settings are good.
            if let Ok(mut mapping) = mapping(rules, source.positions_itself(), &filtered) {
                let stop = async {
                    tokio::select! {
                        () = stop => was_stopped = true,
                        () = broken.notified() => was_broken = true,
                    }
                };
                drive(source.stream(), &mut mapping, clock::now, stop, consumer).await;
            }
        }
    }
    let read = source.finish(was_stopped || was_broken).await;
    (filtered.load(Ordering::Relaxed), read, was_stopped)
}

fn mapping(rules: &Checked, takes_all: bool, filtered: &Arc<AtomicU64>) -> Result<Mapping, SettingsError> {
    let position = if takes_all { StartingPosition::TrimHorizon } else { rules.position };
    let mapping = Mapping::new(rules.settings.clone())?.starting_at(position);
    if rules.filter.is_empty() {
        return Ok(mapping);
    }
    let (filter, filtered) = (rules.filter.clone(), Arc::clone(filtered));
    Ok(mapping.with_filter(move |record| {
        let passes = filter.passes(record);
        filtered.fetch_add(u64::from(!passes), Ordering::Relaxed);
        passes
    }))
}

struct Driver<'r, O> {
    target: Target,
    rules: &'r Checked,
    settings: RunSettings,
    name: String,
    origin: Origin,
    chance: Chance,
    report: Report,
    observer: &'r mut O,
    /// The target is out of reach.
    broken: Arc<Notify>,
    problem: Option<String>,
    unreachable: Option<Stopwatch>,
    /// Failed requests: shard, last record, identity.
    failures: VecDeque<(Arc<str>, SequenceNumber, String)>,
}

impl<O: Observer> Consumer for Driver<'_, O> {
    type Answer = (String, Done);

    fn invoke(&mut self, invocation: &Invocation) -> impl Future<Output = Self::Answer> + Send + 'static {
        let report = &mut self.report;
        report.invocations += 1;
        report.retries += u64::from(invocation.comes_again);
        report.records_delivered += invocation.records.len() as u64;
        let last = invocation.records.last().map_or(0, |record| clock::now().millis() - record.arrived.millis());
        report.iterator_age_max = report.iterator_age_max.max(Duration::from_millis(u64::try_from(last).unwrap_or(0)));
        let event = invocation.event_from(&self.name, &self.origin);
        let call = Call { event, request_id: self.chance.uuid(), timeout: self.rules.timeout };
        let target = self.target.clone();
        async move { (call.request_id.clone(), target.invoke(call).await) }
    }

    fn settle(&mut self, invocation: &Invocation, answer: Result<Self::Answer, JoinError>) -> Outcome {
        let (request_id, done) = answer.unwrap_or_else(|error| {
            let answer = Answer::Crashed(error.to_string());
            (String::new(), Done { answer, duration: Duration::ZERO, init: None, memory_bytes_max: None })
        });
        let outcome = self.outcome(invocation, &done.answer);
        self.account(invocation, &done, &outcome);
        if matches!(outcome, Outcome::Failure { .. } | Outcome::FailedFrom(_))
            && let Some(last) = invocation.records.last()
        {
            self.failures.truncate(FAILURES_REMEMBERED - 1);
            self.failures.push_front((Arc::clone(&invocation.shard), last.sequence, request_id.clone()));
        }
        self.observer.invoked(&Invoked { invocation, request_id: &request_id, done: &done, outcome: &outcome });
        outcome
    }

    fn discard(&mut self, discarded: Discarded) {
        self.report.records_discarded += discarded.records.len() as u64;
        let last = discarded.range().1;
        let of_batch = |failure: &&(Arc<str>, SequenceNumber, String)| {
            failure.0 == discarded.shard && (failure.1 == last || discarded.reason == DiscardReason::RecordAgeExceeded)
        };
        let known = self.failures.iter().find(of_batch).map(|failure| failure.2.clone());
        let request_id = known.unwrap_or_else(|| self.chance.uuid());
        let arn = &self.settings.function_arn;
        let record = FailureRecord::new(&discarded, &self.name, &self.origin, arn, &request_id, clock::now());
        self.observer.discarded(&record);
    }
}

impl<O: Observer> Driver<'_, O> {
    fn outcome(&mut self, invocation: &Invocation, answer: &Answer) -> Outcome {
        let failure = |error: &str| Outcome::Failure { error: error.to_owned() };
        let outcome = match answer {
            Answer::Answered(body) => {
                let reports = self.rules.settings.report_batch_item_failures;
                self.report.failures_ignored += u64::from(!reports && names_failures(body));
                Outcome::of_response(&Ok(body.clone()), &invocation.records, reports)
            }
            Answer::FunctionError(error) | Answer::Crashed(error) => failure(error),
            Answer::TimedOut => {
                failure(&format!("Task timed out after {:.2} seconds", self.rules.timeout.as_secs_f64()))
            }
            Answer::NotInvoked(why) => {
                let since = self.unreachable.get_or_insert_with(Stopwatch::start).elapsed();
                if since >= self.settings.unreachable_max {
                    self.give_up(format!("the target was out of reach for {} s: {why}", since.as_secs()));
                }
                return Outcome::NotInvoked;
            }
            Answer::Broken(why) => {
                self.give_up(why.clone());
                return Outcome::NotInvoked;
            }
        };
        self.unreachable = None;
        if outcome == Outcome::Success && self.chance.happens(self.rules.duplicate_rate) {
            return Outcome::Unnoted;
        }
        outcome
    }

    fn give_up(&mut self, why: String) {
        self.problem.get_or_insert(why);
        self.broken.notify_one();
    }

    fn account(&mut self, invocation: &Invocation, done: &Done, outcome: &Outcome) {
        let report = &mut self.report;
        let count = invocation.records.len();
        match &done.answer {
            Answer::FunctionError(_) => report.function_errors += 1,
            Answer::TimedOut => report.timeouts += 1,
            Answer::Crashed(_) => report.crashes += 1,
            Answer::NotInvoked(_) | Answer::Broken(_) => report.not_invoked += 1,
            Answer::Answered(_) => {
                report.function_errors += u64::from(matches!(outcome, Outcome::Failure { .. }));
            }
        }
        match outcome {
            Outcome::Success => report.records_done += count as u64,
            Outcome::FailedFrom(first) => {
                report.partial_failures += 1;
                let done = invocation.records.partition_point(|record| record.sequence < *first);
                report.records_done += done as u64;
                // Nothing of it is done: that is a failure of the whole batch, and it is halved as one.
                report.bisects += u64::from(done == 0 && count > 1 && self.rules.settings.bisect_on_error);
            }
            Outcome::Failure { .. } => {
                report.bisects += u64::from(count > 1 && self.rules.settings.bisect_on_error);
            }
            Outcome::Unnoted => report.duplicates += 1,
            Outcome::NotInvoked => {}
        }
        report.duration_total += done.duration;
        report.duration_max = report.duration_max.max(done.duration);
        report.cold_starts += u64::from(done.init.is_some());
        report.init_max = report.init_max.max(done.init);
        report.memory_bytes_max = report.memory_bytes_max.max(done.memory_bytes_max);
    }
}

/// Whether an answer names failed records, whatever the rules say.
fn names_failures(answer: &[u8]) -> bool {
    let answer = serde_json::from_slice::<serde_json::Value>(answer).unwrap_or_default();
    answer.get("batchItemFailures").and_then(serde_json::Value::as_array).is_some_and(|failures| !failures.is_empty())
}

struct Planner<F> {
    name: String,
    origin: Origin,
    on_batch: F,
    report: Report,
}

impl<F: FnMut(Batch)> Consumer for Planner<F> {
    type Answer = ();

    fn invoke(&mut self, invocation: &Invocation) -> impl Future<Output = ()> + Send + 'static {
        let sequence = |record: Option<&platform::embedded::stream::Record>| {
            record.map_or(SequenceNumber::ZERO, |record| record.sequence)
        };
        self.report.invocations += 1;
        self.report.records_delivered += invocation.records.len() as u64;
        (self.on_batch)(Batch {
            shard: Arc::clone(&invocation.shard),
            records: invocation.records.len(),
            event_bytes: invocation.event_from(&self.name, &self.origin).len(),
            first: sequence(invocation.records.first()),
            last: sequence(invocation.records.last()),
        });
        std::future::ready(())
    }

    fn settle(&mut self, invocation: &Invocation, _: Result<(), JoinError>) -> Outcome {
        self.report.records_done += invocation.records.len() as u64;
        Outcome::Success
    }

    fn discard(&mut self, discarded: Discarded) {
        self.report.records_discarded += discarded.records.len() as u64;
    }
}
