//! What a check has found, for programs and for people. There is no time of day in it but the one that was given.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anomaly_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::check::{Check, Verdict};

/// Version of the form.
pub const VERSION: u32 = 1;
/// Where reports and ledgers are.
pub const PREFIX: &str = "reports/replication/";
/// What the times of a report are worth.
pub const CLOCKS: &str = "Lags are from the writer's clock before writing to the reader's after reading, and both are the checker's \
                          own: a lag is too high by at most `error_ms`, never too low. Ages of objects are the checker's clock \
                          against that of S3, which tells whole seconds.";

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the form.
    pub version: u32,
    /// Who checked.
    pub checker: String,
    /// When the check began.
    pub at: Timestamp,
    /// How long it took, milliseconds.
    pub took_ms: i64,
    /// The Region of the checker.
    pub here: String,
    /// The other Region.
    pub there: String,
    /// The worst of all checks.
    pub verdict: Verdict,
    /// How many checks came to which verdict.
    pub counts: BTreeMap<Verdict, usize>,
    /// What was left out by setting.
    pub skipped: Vec<String>,
    /// What the times are worth.
    pub clocks: String,
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// Of checks.
    #[must_use]
    pub fn of(checker: &str, [here, there]: [&str; 2], at: Timestamp, took_ms: i64, checks: Vec<Check>) -> Self {
        let mut counts: BTreeMap<Verdict, usize> = Verdict::ALL.map(|verdict| (verdict, 0)).into();
        for check in &checks {
            *counts.entry(check.verdict).or_default() += 1;
        }
        // Who has looked at nothing has seen nothing.
        let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Unknown);
        Self {
            version: VERSION,
            checker: checker.to_owned(),
            at,
            took_ms,
            here: here.to_owned(),
            there: there.to_owned(),
            verdict,
            counts,
            skipped: Vec::new(),
            clocks: CLOCKS.to_owned(),
            checks,
        }
    }

    /// How many came to this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.counts.get(&verdict).copied().unwrap_or_default()
    }

    /// The newest report of a checker, without its ending.
    #[must_use]
    pub fn latest(checker: &str) -> String {
        format!("{PREFIX}{checker}/latest")
    }

    /// The one that is kept, without its ending: `reports/replication/{checker}/dt={date}/{time}`.
    #[must_use]
    pub fn kept(&self) -> String {
        let time: String = self.at.to_string().chars().filter(char::is_ascii_digit).skip(8).collect();
        format!("{PREFIX}{}/dt={}/{time}", self.checker, self.at.date())
    }

    /// For people: the worst first.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# {} and {}: {}\n\n", self.here, self.there, self.verdict);
        // Writing to a string cannot fail.
        let _ = write!(text, "Checked by `{}` at {} in {} ms:", self.checker, self.at, self.took_ms);
        for (verdict, count) in self.counts.iter().rev() {
            let _ = write!(text, " {count} {verdict}{}", if *verdict == Verdict::Ok { ".\n" } else { "," });
        }
        text.push_str("\n| verdict | what | from → to | p50 ms | p99 ms | oldest missing | evidence |\n|---|---|---|---|---|---|---|\n");
        let mut checks: Vec<&Check> = self.checks.iter().collect();
        checks.sort_by_key(|check| std::cmp::Reverse(check.verdict));
        for check in checks {
            let what = if check.subject.is_empty() {
                check.kind.to_string()
            } else {
                format!("{} {}", check.kind, check.subject)
            };
            let number = |of: fn(&crate::check::Lag) -> i64| {
                check.lag.as_ref().map(of).map(|ms| ms.to_string()).unwrap_or_default()
            };
            let (p50, p99) = (number(|lag| lag.p50_ms), number(|lag| lag.p99_ms));
            let oldest = check.oldest_missing.as_ref().map_or_else(String::new, |oldest| match oldest.since {
                Some(since) => format!("{} since {since}", oldest.name),
                None => oldest.name.clone(),
            });
            let mut evidence = check.evidence.clone();
            if let Some(cut) = &check.cut {
                let _ = write!(evidence, " — {cut}");
            }
            let cells = [&what, &check.direction.to_string(), &p50, &p99, &oldest, &evidence].map(|cell| escaped(cell));
            let _ = writeln!(text, "| **{}** | {} |", check.verdict, cells.join(" | "));
        }
        if !self.skipped.is_empty() {
            let _ = writeln!(text, "\nNot looked at, by setting: {}.", self.skipped.join(", "));
        }
        let _ = writeln!(text, "\n{}", self.clocks);
        text
    }
}

/// What others have written must not end a cell or a line.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Direction, Kind};

    fn report(verdicts: &[Verdict]) -> Report {
        let check = |verdict: &Verdict| Check::new(Kind::Rule, "", Direction::mutual("a", "b"), *verdict, "x | y\nz");
        let at = Timestamp::from_millis(1_700_000_000_123).unwrap();
        Report::of("a", ["a", "b"], at, 7, verdicts.iter().map(check).collect())
    }

    #[test]
    fn the_worst_check_is_the_verdict_and_comes_first() {
        let report = report(&[Verdict::Ok, Verdict::Drifted, Verdict::Unknown]);
        assert_eq!((report.verdict, report.count(Verdict::Unknown)), (Verdict::Drifted, 1));
        let text = report.markdown();
        assert!(text.contains("0 missing, 1 drifted, 1 unknown, 0 late, 1 ok."), "{text}");
        assert!(text.find("**drifted**") < text.find("**unknown**") && text.contains(r"x \| y z |"), "{text}");
    }

    #[test]
    fn who_has_looked_at_nothing_says_so() {
        assert_eq!(report(&[]).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_report_is_found_by_day_and_time() {
        assert_eq!(report(&[]).kept(), "reports/replication/a/dt=2023-11-14/221320123");
    }

    #[test]
    fn what_was_written_is_what_is_read() {
        let report = report(&Verdict::ALL);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
