//! From when on something is late or missing, and how much is looked at.

use std::time::Duration;

use anomaly_core::Timestamp;

use crate::check::Verdict;

/// Canaries of one table or the lake in one direction that are kept: some eight hours at one every five minutes.
pub const CANARIES_KEPT: u64 = 100;
/// Objects of one prefix that are listed.
pub const LISTED_MAX: usize = 10_000;
/// Objects of a Region whose replication status is asked.
pub const SAMPLED_MAX: usize = 8;
/// Tenants whose profiles are compared.
pub const PROFILES_MAX: usize = 1_000;
/// Objects below `models/` that are listed.
pub const SHELF_MAX: usize = 5_000;
/// Published models whose `model.json` is read.
pub const ARTIFACTS_MAX: usize = 200;
/// Models, and endpoint configurations, of an account and Region that are described.
pub const MODELS_MAX: usize = 100;
/// Things of an environment.
pub const THINGS_MAX: usize = 5_000;
/// Things whose certificates are asked for in one check; the next check goes on with the next ones.
pub const ATTACHMENTS_MAX: usize = 50;
/// Certificates of an account and Region, and holders of one policy.
pub const CERTIFICATES_MAX: usize = 10_000;
/// Policies, and rules, of an environment.
pub const POLICIES_MAX: usize = 200;
/// Calls that are under way at once to one Region.
pub const AT_ONCE: usize = 8;
/// Names that the evidence of one check has.
pub const NAMED_MAX: usize = 5;

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What is on its way for longer is late.
    pub late_after: Duration,
    /// What is on its way for longer is missing; not shorter than `late_after`.
    pub missing_after: Duration,
    /// How long a check waits for the canaries that it has written. Those that come later are found by the next one.
    pub watch: Duration,
    /// How long between two looks at a canary.
    pub poll: Duration,
    /// How long looking at one kind of thing may take.
    pub look: Duration,
    /// The other Region's checker is missing when it has not checked for so long.
    pub check_age: Duration,
}

impl Default for Limits {
    /// Five minutes are the loss that was promised not to be exceeded, 15 those that S3 promises (Amazon S3 User Guide, "Meeting
    /// compliance requirements with S3 Replication Time Control").
    fn default() -> Self {
        Self {
            late_after: Duration::from_mins(5),
            missing_after: Duration::from_mins(15),
            watch: Duration::from_secs(20),
            poll: Duration::from_millis(500),
            look: Duration::from_secs(45),
            check_age: Duration::from_mins(20),
        }
    }
}

impl Limits {
    /// What to make of something that is on its way for this long, in milliseconds. Less than nothing is nothing: clocks differ.
    #[must_use]
    pub fn of_age(&self, age_ms: i64) -> Verdict {
        let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
        if age > self.missing_after {
            Verdict::Missing
        } else if age > self.late_after {
            Verdict::Late
        } else {
            Verdict::Ok
        }
    }

    /// The same, of something that is there since.
    #[must_use]
    pub fn since(&self, since: Timestamp, now: Timestamp) -> Verdict {
        self.of_age(now.millis() - since.millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_missing_before_the_patience_is_over() {
        let limits = Limits::default();
        for (age_ms, expected) in [
            (-5_000, Verdict::Ok),
            (300_000, Verdict::Ok),
            (300_001, Verdict::Late),
            (900_000, Verdict::Late),
            (900_001, Verdict::Missing),
        ] {
            assert_eq!(limits.of_age(age_ms), expected, "{age_ms}");
        }
    }
}
