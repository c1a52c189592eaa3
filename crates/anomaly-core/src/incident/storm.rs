//! How many messages a tenant gets: in a storm of openings one digest instead of thousands of messages, and never more in an
//! hour than the profile says.
//!
//! Somebody who can make readings up could otherwise make a tenant pay for a million messages. The counts are kept per tenant by
//! whoever stores them; two writers that race have to notice, or the bound is counted twice.

use serde::{Deserialize, Serialize};

use super::AlertSettings;
use crate::{Severity, Timestamp};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// How long after its first opening a digest is told: most of a storm is in it.
const FIRST_DIGEST_MS: i64 = 30_000;
/// How long after a digest the next one is told, while there is something to put in.
const NEXT_DIGEST_MS: i64 = 10 * MINUTE_MS;

/// How something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// In a message of its own.
    Singly,
    /// Held for the digest.
    Held,
}

/// What a tenant has been told lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Budget {
    /// The minute that is counted, since 1970.
    minute: i64,
    /// Openings in that minute.
    openings: u32,
    /// The hour that is counted, since 1970.
    hour: i64,
    /// Messages in that hour.
    messages: u32,
    /// What is held, while something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    storm: Option<Storm>,
}

/// A time in which something is held for a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storm {
    /// When the first was held.
    pub since: Timestamp,
    /// When the next digest is due.
    pub digest_at: Timestamp,
    /// How many are held that no digest has told.
    pub held: u32,
}

impl Budget {
    /// How the openings of one batch are told; `worst` is the most urgent of them. A batch that goes beyond
    /// `storm_openings` in its minute is held whole. While a storm lasts all are held, except that a batch with a critical one
    /// in it is told if its minute is not beyond the bound.
    #[must_use]
    pub fn take_openings(
        self,
        batch: u32,
        worst: Severity,
        settings: &AlertSettings,
        now: Timestamp,
    ) -> (Self, Manner) {
        let mut budget = self;
        let minute = now.millis().div_euclid(MINUTE_MS);
        if budget.minute != minute {
            (budget.minute, budget.openings) = (minute, 0);
        }
        budget.openings = budget.openings.saturating_add(batch);
        let is_calm = budget.storm.is_none() || worst == Severity::Critical;
        if budget.openings <= settings.storm_openings && is_calm {
            return (budget, Manner::Singly);
        }
        budget.hold(batch, now);
        (budget, Manner::Held)
    }

    /// How one message is told, whatever it is about: beyond `messages_per_hour` only what is critical is told singly.
    #[must_use]
    pub fn take_message(self, severity: Severity, settings: &AlertSettings, now: Timestamp) -> (Self, Manner) {
        let mut budget = self;
        let hour = now.millis().div_euclid(HOUR_MS);
        if budget.hour != hour {
            (budget.hour, budget.messages) = (hour, 0);
        }
        if budget.messages >= settings.messages_per_hour && severity != Severity::Critical {
            budget.hold(1, now);
            return (budget, Manner::Held);
        }
        budget.messages = budget.messages.saturating_add(1);
        (budget, Manner::Singly)
    }

    /// What is held.
    #[must_use]
    pub fn storm(&self) -> Option<Storm> {
        self.storm
    }

    /// When the next digest is due. [`Self::take_digest`] is called then, whether there is something in it or not.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.storm.map(|storm| storm.digest_at)
    }

    /// Takes what is held for a digest that is due: how many there are. The next is due ten minutes later; if nothing was held
    /// until then there is none, and the storm is over.
    #[must_use]
    pub fn take_digest(self, now: Timestamp) -> (Self, u32) {
        let Some(storm) = self.storm.filter(|storm| storm.digest_at <= now) else { return (self, 0) };
        let next = Storm { digest_at: millis_after(now, NEXT_DIGEST_MS), held: 0, ..storm };
        (Self { storm: (storm.held > 0).then_some(next), ..self }, storm.held)
    }

    fn hold(&mut self, count: u32, now: Timestamp) {
        let first = Storm { since: now, digest_at: millis_after(now, FIRST_DIGEST_MS), held: 0 };
        let storm = self.storm.get_or_insert(first);
        storm.held = storm.held.saturating_add(count);
    }
}

fn millis_after(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.millis() + millis).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a minute and of an hour, and seconds after it.
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_002_800_000 + seconds * 1_000).unwrap()
    }

    /// Tells batches of openings at so many seconds, and says how each was told.
    fn check(batches: &[(i64, u32, Severity)], expected: &[Manner]) -> Budget {
        let mut budget = Budget::default();
        for (&(seconds, batch, worst), expected) in batches.iter().zip(expected) {
            let (next, manner) = budget.take_openings(batch, worst, &AlertSettings::default(), at(seconds));
            assert_eq!(manner, *expected, "{batch} at {seconds} s");
            budget = next;
        }
        budget
    }

    #[test]
    fn ten_openings_a_minute_are_told_singly_and_the_next_minute_again() {
        use Manner::Singly;
        let budget = check(
            &[(0, 6, Severity::Warning), (59, 4, Severity::Warning), (60, 10, Severity::Warning)],
            &[Singly, Singly, Singly],
        );
        assert_eq!(budget.due(), None);
    }

    #[test]
    fn a_batch_that_goes_beyond_the_bound_is_held_whole_and_so_is_what_follows() {
        use Manner::{Held, Singly};
        let budget = check(
            &[(0, 6, Severity::Warning), (1, 5, Severity::Critical), (61, 1, Severity::Warning)],
            &[Singly, Held, Held],
        );
        assert_eq!(budget.storm(), Some(Storm { since: at(1), digest_at: at(31), held: 6 }));
    }

    #[test]
    fn a_single_critical_opening_is_told_though_a_storm_lasts() {
        use Manner::{Held, Singly};
        check(&[(0, 10_000, Severity::Critical), (120, 1, Severity::Critical)], &[Held, Singly]);
    }

    #[test]
    fn ten_thousand_openings_are_one_digest_and_then_it_is_over() {
        let batches: Vec<_> = (0..100).map(|batch| (batch / 10, 100, Severity::Warning)).collect();
        let budget = check(&batches, &[Manner::Held; 100]);
        assert_eq!(budget.take_digest(at(29)).1, 0);
        let (budget, told) = budget.take_digest(at(30));
        assert_eq!((told, budget.due()), (10_000, Some(at(630))));
        let (budget, told) = budget.take_digest(at(630));
        assert_eq!((told, budget.due()), (0, None));
    }

    #[test]
    fn a_storm_that_goes_on_is_told_every_ten_minutes() {
        let (budget, _) = check(&[(0, 11, Severity::Info)], &[Manner::Held]).take_digest(at(30));
        let (budget, _) = budget.take_openings(3, Severity::Info, &AlertSettings::default(), at(300));
        let (budget, told) = budget.take_digest(at(630));
        assert_eq!((told, budget.due()), (3, Some(at(1230))));
    }

    #[test]
    fn beyond_the_messages_of_an_hour_only_what_is_critical_is_told() {
        let settings = AlertSettings { messages_per_hour: 2, ..AlertSettings::default() };
        let mut budget = Budget::default();
        let mut told = |severity, seconds| {
            let (next, manner) = budget.take_message(severity, &settings, at(seconds));
            budget = next;
            manner
        };
        assert_eq!(told(Severity::Warning, 0), Manner::Singly);
        assert_eq!(told(Severity::Info, 1), Manner::Singly);
        assert_eq!(told(Severity::Warning, 2), Manner::Held);
        assert_eq!(told(Severity::Critical, 3), Manner::Singly);
        assert_eq!(told(Severity::Warning, 3600), Manner::Singly);
    }
}
