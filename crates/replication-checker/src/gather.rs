//! Calls to one Region with a bound: a few at a time, for its control planes allow few a second; and not for ever.

use account::{Kind, Trouble};
use futures_util::future::try_join_all;

use crate::limits::{AT_ONCE, Limits};
use crate::ports::Looked;

/// The answers in the order of the calls, or the first trouble; then no further calls are made.
pub(crate) async fn gather<T, F>(calls: impl IntoIterator<Item = F>) -> Looked<Vec<T>>
where
    F: Future<Output = Looked<T>>,
{
    let mut calls = calls.into_iter();
    let mut answers = Vec::new();
    loop {
        let some: Vec<F> = calls.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            return Ok(answers);
        }
        answers.extend(try_join_all(some).await?);
    }
}

/// A look that takes longer than [`Limits::look`] is a failure to look.
pub(crate) async fn within<T>(
    limits: &Limits,
    action: &'static str,
    subject: &str,
    looking: impl Future<Output = Looked<T>>,
) -> Looked<T> {
    tokio::time::timeout(limits.look, looking).await.unwrap_or_else(|_| {
        let message = format!("not done within {:?}", limits.look);
        Err(Trouble { action, subject: subject.to_owned(), kind: Kind::Transient, message })
    })
}
