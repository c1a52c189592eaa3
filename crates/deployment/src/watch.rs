//! Waiting for CloudFormation: until an operation has ended, telling what happens on the way.
//!
//! The SDK already repeats a call that is throttled or not answered. An operation takes minutes, and its waiting must not end
//! because of one bad moment, so that here such a call is repeated some more.

use std::future::Future;
use std::time::Duration;

use crate::Attendant;
use crate::cloud::{Cloud, Event, Kind, Stack, Trouble};

/// Between two looks, at first and at most.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(3));
/// Looks in a row that may fail.
const BAD_LOOKS_MAX: u32 = 20;
/// Looks at an operation: about four hours. A replica of a large table is made in less.
const LOOKS_MAX: u32 = 5_000;

/// An operation that has ended.
pub(crate) struct Ended {
    /// The stack, unless there is none any more.
    pub(crate) stack: Option<Stack>,
    /// What happened in the operation, oldest first.
    pub(crate) events: Vec<Event>,
}

/// Why waiting ended before the operation did.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// AWS did not answer for too long, or refused.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// It takes too long.
    #[error("`{0}` is still under way after hours; the operation goes on, and `millrace deploy` waits for it again")]
    TooLong(String),
}

/// Waits until the operation that began after the event `after`, or else the newest one, has ended. `id` is the stack's ARN.
pub(crate) async fn until_ended(
    cloud: &impl Cloud,
    name: &str,
    id: &str,
    after: Option<&str>,
    attendant: &mut impl Attendant,
) -> Result<Ended, WatchError> {
    let mut told = 0;
    let mut pause = LOOK_EVERY.0;
    for _ in 0..LOOKS_MAX {
        // The stack before its events: of a stack that has settled, the last one is there.
        let stack = patiently(|| cloud.stack(id)).await?;
        let events = patiently(|| cloud.events(id, after)).await?;
        for event in events.iter().skip(told) {
            attendant.follow(name, event);
        }
        told = told.max(events.len());
        // Right after it was begun, an operation may not show yet: it has ended when the stack's own events say so, too.
        let newest = events.iter().rfind(|event| event.is_stack);
        let has_ended = newest.is_some_and(|event| !event.status.ends_with("_IN_PROGRESS"));
        if has_ended && !stack.as_ref().is_some_and(Stack::is_busy) {
            return Ok(Ended { stack, events });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_EVERY.1);
    }
    Err(WatchError::TooLong(name.to_owned()))
}

/// Asks until there is an answer that is not a passing trouble.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, Trouble>>>(ask: impl Fn() -> F) -> Result<T, Trouble> {
    let mut bad = 0;
    loop {
        match ask().await {
            Err(trouble) if trouble.kind == Kind::Transient && bad < BAD_LOOKS_MAX => bad += 1,
            answer => return answer,
        }
        tokio::time::sleep(LOOK_EVERY.1).await;
    }
}
