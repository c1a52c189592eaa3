//! Drives a mapping in real time: polls, invokes, takes note of the answers, and lets go of what is done.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use anomaly_core::Timestamp;
use tokio::task::{Id, JoinError, JoinSet};

use super::{Discarded, Invocation, Mapping, Outcome, StreamHandle};

/// Who takes the events of a mapping.
pub trait Consumer {
    /// What an invocation ends with.
    type Answer: Send + 'static;

    /// Begins an invocation. It runs as a task of its own, several at once where shards and the parallelization factor
    /// allow.
    fn invoke(&mut self, invocation: &Invocation) -> impl Future<Output = Self::Answer> + Send + 'static;

    /// Says what became of an invocation; an error is a panic in it.
    fn settle(&mut self, invocation: &Invocation, answer: Result<Self::Answer, JoinError>) -> Outcome;

    /// The on-failure destination.
    fn discard(&mut self, discarded: Discarded);
}

/// Runs `consumer` on the events of `stream` until the stream has ended and every record is done, or `stop` is ready; then
/// no event is begun, and those under way are waited for.
///
/// `clock` says what time it is; it must move on by itself where windows or pauses are set. Dropping the future stops the
/// tasks; nothing is lost, what was not answered comes again.
pub async fn drive<C: Consumer>(
    stream: &StreamHandle,
    mapping: &mut Mapping,
    clock: impl Fn() -> Timestamp,
    stop: impl Future<Output = ()>,
    consumer: &mut C,
) {
    let mut tasks = JoinSet::new();
    let mut under_way = HashMap::new();
    let mut stop = std::pin::pin!(stop);
    let mut stopping = false;
    loop {
        let mut changed = std::pin::pin!(stream.changed());
        changed.as_mut().enable();
        while !stopping && let Some(invocation) = stream.look(|stream| mapping.poll(stream, clock())) {
            let task = tasks.spawn(consumer.invoke(&invocation));
            under_way.insert(task.id(), invocation);
        }
        mapping.take_discarded().into_iter().for_each(|discarded| consumer.discard(discarded));
        trim(stream, mapping);
        let done = || stream.look(|stream| stream.has_ended() && mapping.is_drained(stream));
        if under_way.is_empty() && (stopping || done()) {
            return;
        }
        let pause = mapping.wake_at().map(|at| at.millis().saturating_sub(clock().millis()).max(1));
        tokio::select! {
            Some(joined) = tasks.join_next_with_id() => settle(mapping, consumer, &mut under_way, joined, &clock),
            () = changed, if !stopping => {}
            () = sleep(pause), if !stopping => {}
            () = &mut stop, if !stopping => stopping = true,
        }
    }
}

/// Runs `handler` on the events of `stream` until the stream has ended and every record is done.
///
/// `handler` takes the bytes of an event and gives the bytes of the answer, or what went wrong; a panic in it is a failure
/// of the event. For the rest see [`drive`].
pub async fn run<H, F>(
    stream: &StreamHandle,
    mapping: &mut Mapping,
    clock: impl Fn() -> Timestamp,
    handler: H,
    on_discard: impl FnMut(Discarded),
) where
    H: Fn(Vec<u8>) -> F,
    F: Future<Output = Result<Vec<u8>, String>> + Send + 'static,
{
    let name = stream.look(|stream| stream.name().to_owned());
    let reports = mapping.settings().report_batch_item_failures;
    let mut consumer = Handler { name, reports, invoke: handler, on_discard };
    drive(stream, mapping, clock, std::future::pending(), &mut consumer).await;
}

/// A function of bytes, as [`run`] takes it.
struct Handler<H, D> {
    name: String,
    reports: bool,
    invoke: H,
    on_discard: D,
}

impl<H, F, D> Consumer for Handler<H, D>
where
    H: Fn(Vec<u8>) -> F,
    F: Future<Output = Result<Vec<u8>, String>> + Send + 'static,
    D: FnMut(Discarded),
{
    type Answer = Result<Vec<u8>, String>;

    fn invoke(&mut self, invocation: &Invocation) -> impl Future<Output = Self::Answer> + Send + 'static {
        (self.invoke)(invocation.event(&self.name))
    }

    fn settle(&mut self, invocation: &Invocation, answer: Result<Self::Answer, JoinError>) -> Outcome {
        match answer {
            Ok(answer) => Outcome::of_response(&answer, &invocation.records, self.reports),
            Err(error) => Outcome::Failure { error: error.to_string() },
        }
    }

    fn discard(&mut self, discarded: Discarded) {
        (self.on_discard)(discarded);
    }
}

async fn sleep(millis: Option<i64>) {
    match millis {
        Some(millis) => tokio::time::sleep(Duration::from_millis(millis.unsigned_abs())).await,
        None => std::future::pending().await,
    }
}

fn settle<C: Consumer>(
    mapping: &mut Mapping,
    consumer: &mut C,
    under_way: &mut HashMap<Id, Invocation>,
    joined: Result<(Id, C::Answer), JoinError>,
    clock: impl Fn() -> Timestamp,
) {
    let (id, answer) = match joined {
        Ok((id, answer)) => (id, Ok(answer)),
        Err(error) => (error.id(), Err(error)),
    };
    let Some(invocation) = under_way.remove(&id) else { return };
    let outcome = consumer.settle(&invocation, answer);
    let noted = mapping.complete(&invocation, clock(), outcome);
    debug_assert!(noted.is_ok(), "an invocation is settled once");
}

/// Makes room: what is done is not read again in this run.
fn trim(stream: &StreamHandle, mapping: &Mapping) {
    for shard in stream.shards() {
        if let Some(done) = mapping.checkpoint(&shard.shard) {
            stream.trim(&shard.shard, done);
        }
    }
}
