//! Hours of arrival: the partitions of the lake.

use std::fmt;

use anomaly_core::Timestamp;

const HOUR_MS: i64 = 3_600_000;

/// An hour of UTC. What arrived in it lies under `dt=…/hour=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(Timestamp);

impl Hour {
    /// The hour that an instant is in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self::at(at.hour())
    }

    /// So many hours since 1970, at the ends of what an instant can be.
    fn at(hours: i64) -> Self {
        let within = |millis: i64| Timestamp::from_millis(millis).ok();
        let end = if hours > 0 { Timestamp::MAX } else { Timestamp::MIN };
        Self(hours.checked_mul(HOUR_MS).and_then(within).unwrap_or(end))
    }

    /// Reads what stands behind `dt=` and `hour=`.
    #[must_use]
    pub fn parse(date: &str, hour: &str) -> Option<Self> {
        if hour.len() != 2 {
            return None;
        }
        let instant: jiff::Timestamp = format!("{date}T{hour}:00:00Z").parse().ok()?;
        Timestamp::from_millis(instant.as_millisecond()).ok().map(Self)
    }

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        Self::at(self.0.hour() + 1)
    }

    /// So many hours earlier.
    #[must_use]
    pub fn before(self, hours: i64) -> Self {
        Self::at(self.0.hour() - hours)
    }

    /// `YYYY-MM-DD` of UTC.
    #[must_use]
    pub fn date(self) -> String {
        self.0.date()
    }

    /// 0 to 23.
    #[must_use]
    pub fn of_day(self) -> i64 {
        self.0.hour().rem_euclid(24)
    }

    /// `dt=2026-11-22`.
    #[must_use]
    pub fn day(self) -> String {
        format!("dt={}", self.date())
    }

    /// `dt=2026-11-22/hour=07`.
    #[must_use]
    pub fn partition(self) -> String {
        format!("dt={}/hour={:02}", self.date(), self.of_day())
    }
}

/// `2026-11-22T07`.
impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{:02}", self.date(), self.of_day())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_read_as_it_is_written() {
        let hour = Hour::parse("2026-12-31", "23").unwrap();
        assert_eq!((hour.to_string(), hour.partition()), ("2026-12-31T23".into(), "dt=2026-12-31/hour=23".into()));
        assert_eq!(hour.next(), Hour::parse("2027-01-01", "00").unwrap());
        for (date, hour) in [("2026-13-01", "00"), ("2026-12-31", "24"), ("2026-12-31", "7"), ("", "")] {
            assert_eq!(Hour::parse(date, hour), None, "{date} {hour}");
        }
    }
}
