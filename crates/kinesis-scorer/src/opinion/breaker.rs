//! When not to ask, because asking has failed again and again.
//!
//! A model that is down costs every batch its whole budget. After [`FAILURES_MAX`] failures in a row nobody asks for a
//! minute; then one batch tries, and each failed trial doubles the pause. Time is that of the invocations; what a process
//! knows dies with it.

use anomaly_core::Timestamp;

/// Failures in a row after which nobody asks.
pub const FAILURES_MAX: u32 = 3;
/// The first pause, milliseconds.
pub const PAUSE_MS: u64 = 60_000;
/// The longest pause, milliseconds.
pub const PAUSE_MS_MAX: u64 = 600_000;

/// What a result has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nobody asks from now on.
    Opened,
    /// A trial has succeeded: everybody asks again.
    Closed,
}

/// Closed at first: everybody asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    /// In a row, while closed.
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    /// When it opened, or the last trial began.
    since: Timestamp,
    pause_ms: u64,
}

impl Open {
    /// A clock that was set far back or forth ends the pause, too.
    fn is_over(&self, now: Timestamp) -> bool {
        now.millis().abs_diff(self.since.millis()) >= self.pause_ms
    }
}

impl Breaker {
    /// Whether one may ask now, without asking.
    #[must_use]
    pub fn admits(&self, now: Timestamp) -> bool {
        self.open.as_ref().is_none_or(|open| open.is_over(now))
    }

    /// The same for who does ask: where it is open, this is the trial, and the next one is a pause away whatever becomes
    /// of it.
    pub fn admit(&mut self, now: Timestamp) -> bool {
        let admits = self.admits(now);
        if let Some(open) = self.open.as_mut().filter(|_| admits) {
            open.since = now;
        }
        admits
    }

    /// An answer came.
    pub fn succeeded(&mut self) -> Option<Change> {
        let was_open = self.open.is_some();
        *self = Self::default();
        was_open.then_some(Change::Closed)
    }

    /// None came, or none that could be read.
    pub fn failed(&mut self, now: Timestamp) -> Option<Change> {
        if let Some(open) = &mut self.open {
            open.pause_ms = (open.pause_ms * 2).min(PAUSE_MS_MAX);
            return None;
        }
        self.failures += 1;
        if self.failures < FAILURES_MAX {
            return None;
        }
        self.open = Some(Open { since: now, pause_ms: PAUSE_MS });
        Some(Change::Opened)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000 + seconds * 1_000).unwrap()
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        let changes: Vec<_> = (0..3).map(|second| breaker.failed(at(second))).collect();
        assert_eq!(changes, [None, None, Some(Change::Opened)]);
        breaker
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_fewer_do_not() {
        let mut breaker = Breaker::default();
        for second in 0..10 {
            assert!(breaker.admit(at(second)));
            breaker.failed(at(second));
            breaker.failed(at(second));
            assert_eq!(breaker.succeeded(), None);
        }
        assert!(!opened().admits(at(3)));
    }

    #[test]
    fn after_a_minute_one_batch_tries_and_a_success_closes_it() {
        let mut breaker = opened();
        assert!(!breaker.admit(at(61)));
        assert!(breaker.admit(at(62)));
        assert!(!breaker.admit(at(62)), "one trial");
        assert_eq!(breaker.succeeded(), Some(Change::Closed));
        assert!(breaker.admit(at(62)));
    }

    #[test]
    fn each_failed_trial_doubles_the_pause_up_to_ten_minutes() {
        let (mut breaker, mut second) = (opened(), 2);
        for pause in [60, 120, 240, 480, 600, 600] {
            assert!(!breaker.admit(at(second + pause - 1)), "{pause}");
            second += pause;
            assert!(breaker.admit(at(second)), "{pause}");
            assert_eq!(breaker.failed(at(second)), None);
        }
    }

    proptest! {
        #[test]
        fn while_it_is_open_two_trials_are_never_closer_than_the_pause(
            steps in proptest::collection::vec((-700_i64..700, any::<bool>(), any::<bool>()), 1..200),
        ) {
            let (mut breaker, mut now, mut trial) = (opened(), 2, at(2));
            for (seconds, answers, succeeds) in steps {
                now += seconds;
                let pause_ms = breaker.open.as_ref().map(|open| open.pause_ms);
                let Some(pause_ms) = pause_ms else { break };
                if breaker.admit(at(now)) {
                    prop_assert!(at(now).millis().abs_diff(trial.millis()) >= pause_ms);
                    trial = at(now);
                    if answers {
                        if succeeds { breaker.succeeded() } else { breaker.failed(at(now)) };
                    }
                }
            }
        }
    }
}
