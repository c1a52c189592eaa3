//! Waiting for something to become true, with a bound: no test sleeps for a guessed time.

use std::time::Duration;

use anyhow::{Result, bail};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until `look` returns a value.
///
/// # Errors
/// That of `look`, or `bound` has passed; the message names what was waited for.
pub async fn until<T, F>(what: &str, bound: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let looking = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(bound, looking).await {
        Ok(found) => found,
        Err(_) => bail!("waited {} s in vain until {what}", bound.as_secs()),
    }
}
