//! How much time an invocation has left.

use std::time::Duration;

use anomaly_core::Timestamp;

/// When an invocation is ended, whether it is done or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// Milliseconds since 1970.
    at_ms: i64,
}

impl Deadline {
    /// The deadline that the runtime tells, in milliseconds since 1970.
    ///
    /// An invocation cannot begin after its deadline: `cargo lambda watch` names ten minutes after 1970 whatever the time is.
    /// Before any time that a [`Timestamp`] can be, it counts as not told, and `untold` from now is taken in its place.
    #[must_use]
    pub fn new(told_ms: u64, now: Timestamp, untold: Duration) -> Self {
        let told_ms = i64::try_from(told_ms).unwrap_or(i64::MAX);
        if told_ms >= Timestamp::MIN.millis() {
            return Self { at_ms: told_ms };
        }
        let untold_ms = i64::try_from(untold.as_millis()).unwrap_or(i64::MAX);
        Self { at_ms: now.millis().saturating_add(untold_ms) }
    }

    /// How much time there is left; none once it has passed.
    #[must_use]
    pub fn remaining(self, now: Timestamp) -> Duration {
        let left_ms = self.at_ms.saturating_sub(now.millis());
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTOLD: Duration = Duration::from_mins(10);

    fn left_ms(told_ms: u64) -> u128 {
        let now = Timestamp::from_millis(1_790_000_000_000).unwrap();
        Deadline::new(told_ms, now, UNTOLD).remaining(now).as_millis()
    }

    #[test]
    fn what_is_left_is_what_was_told() {
        assert_eq!(left_ms(1_790_000_120_000), 120_000);
    }

    #[test]
    fn a_deadline_that_cannot_be_is_taken_as_unknown() {
        assert_eq!(left_ms(600_000), 600_000, "the ten minutes after 1970 of `cargo lambda watch`");
        assert_eq!(left_ms(0), 600_000);
    }

    #[test]
    fn a_real_deadline_that_has_passed_is_believed() {
        // Nothing is begun then.
        assert_eq!(left_ms(1_789_999_999_000), 0);
    }

    #[test]
    fn a_deadline_without_end_leaves_time() {
        assert!(left_ms(u64::MAX) > 1_000_000);
    }
}
