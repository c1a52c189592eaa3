//! The rim at which the clock is read. Everything inward takes time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anomaly_core::Timestamp;

/// Now, by this machine's clock; the ends of [`Timestamp`]'s span where the clock is outside them.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the rim: the one place that reads the wall clock")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(millis.clamp(Timestamp::MIN.millis(), Timestamp::MAX.millis())).unwrap_or(Timestamp::MIN)
}

/// A running stopwatch.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the rim: the one place that reads the monotonic clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
