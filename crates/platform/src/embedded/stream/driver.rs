//! Drives a mapping in real time: polls, invokes, takes note of the answers, and lets go of what is done.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use anomaly_core::Timestamp;
use tokio::task::{Id, JoinError, JoinSet};

use super::{Discarded, Invocation, Mapping, Outcome, StreamHandle};

/// Runs `handler` on the events of `stream` until the stream has ended and every record is done.
///
/// `handler` takes the bytes of an event and gives the bytes of the answer, or what went wrong. It runs as a task of its
/// own, several at once where shards and the parallelization factor allow; a panic in it is a failure of the event.
/// `clock` says what time it is; it must move on by itself where windows or pauses are set. `on_discard` is the on-failure
/// destination. Dropping the future stops the tasks; nothing is lost, what was not answered comes again.
pub async fn run<H, F>(
    stream: &StreamHandle,
    mapping: &mut Mapping,
    clock: impl Fn() -> Timestamp,
    handler: H,
    mut on_discard: impl FnMut(Discarded),
) where
    H: Fn(Vec<u8>) -> F,
    F: Future<Output = Result<Vec<u8>, String>> + Send + 'static,
{
    let name = stream.look(|stream| stream.name().to_owned());
    let mut tasks = JoinSet::new();
    let mut under_way = HashMap::new();
    loop {
        let mut changed = std::pin::pin!(stream.changed());
        changed.as_mut().enable();
        while let Some(invocation) = stream.look(|stream| mapping.poll(stream, clock())) {
            let task = tasks.spawn(handler(invocation.event(&name)));
            under_way.insert(task.id(), invocation);
        }
        mapping.take_discarded().into_iter().for_each(&mut on_discard);
        trim(stream, mapping);
        if under_way.is_empty() && stream.look(|stream| stream.has_ended() && mapping.is_drained(stream)) {
            return;
        }
        let pause = mapping.wake_at().map(|at| at.millis().saturating_sub(clock().millis()).max(1));
        tokio::select! {
            Some(joined) = tasks.join_next_with_id() => settle(mapping, &mut under_way, joined, clock()),
            () = changed => {}
            () = sleep(pause) => {}
        }
    }
}

async fn sleep(millis: Option<i64>) {
    match millis {
        Some(millis) => tokio::time::sleep(Duration::from_millis(millis.unsigned_abs())).await,
        None => std::future::pending().await,
    }
}

fn settle(
    mapping: &mut Mapping,
    under_way: &mut HashMap<Id, Invocation>,
    joined: Result<(Id, Result<Vec<u8>, String>), JoinError>,
    now: Timestamp,
) {
    let (id, response) = match joined {
        Ok((id, response)) => (id, Ok(response)),
        Err(error) => (error.id(), Err(error)),
    };
    let Some(invocation) = under_way.remove(&id) else { return };
    let noted = match response {
        Ok(response) => mapping.complete_with(&invocation, now, &response),
        Err(error) => mapping.complete(&invocation, now, Outcome::Failure { error: error.to_string() }),
    };
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
