//! What is seen while a check goes on: a line for each kind, which has its verdict as soon as that is known.
//!
//! Canaries are waited for, so that all the rest is told before them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar};
use replication_checker::{Check, Kind, Verdict};

use crate::ui::Ui;

const TICK: Duration = Duration::from_millis(100);
const LINE: &str = "{spinner} {prefix:18} {wide_msg}";

/// The lines.
pub(super) struct Board {
    board: MultiProgress,
    lines: BTreeMap<Kind, ProgressBar>,
}

impl Board {
    /// A line for each of the kinds; none where nobody looks.
    pub(super) fn new(ui: &Ui, kinds: &BTreeSet<Kind>) -> Self {
        let board = ui.board();
        let mut lines = BTreeMap::new();
        for kind in kinds {
            let line = board.add(ui.progress(None, LINE)).with_prefix(kind.word());
            line.set_message("…");
            line.enable_steady_tick(TICK);
            lines.insert(*kind, line);
        }
        Self { board, lines }
    }

    /// Says what became of these.
    pub(super) fn tell(&self, checks: &[Check]) {
        let mut told: BTreeMap<Kind, Vec<&Check>> = BTreeMap::new();
        for check in checks {
            told.entry(check.kind).or_default().push(check);
        }
        for (kind, checks) in told {
            if let Some(line) = self.lines.get(&kind) {
                line.finish_with_message(words(&checks));
            }
        }
    }

    /// Takes the lines away: the whole table comes in their place.
    pub(super) fn clear(self) {
        for line in self.lines.values() {
            line.finish_and_clear();
        }
        drop(self.board);
    }
}

/// How many came to which verdict, the worst first, and what the worst goes by.
fn words(checks: &[&Check]) -> String {
    let mut words: Vec<String> = Vec::new();
    for verdict in Verdict::ALL.into_iter().rev() {
        match checks.iter().filter(|check| check.verdict == verdict).count() {
            0 => {}
            count if count == checks.len() && count == 1 => words.push(verdict.word().to_owned()),
            count => words.push(format!("{count} {verdict}")),
        }
    }
    let mut words = words.join(", ");
    if let Some(worst) = checks.iter().max_by_key(|check| check.verdict).filter(|worst| worst.verdict != Verdict::Ok) {
        words.push_str(": ");
        if !worst.subject.is_empty() {
            words.push_str(&worst.subject);
            words.push_str(": ");
        }
        words.push_str(&worst.evidence);
    }
    words
}

#[cfg(test)]
mod tests {
    use replication_checker::check::Direction;

    use super::*;

    fn check(subject: &str, verdict: Verdict, evidence: &str) -> Check {
        Check::new(Kind::Policy, subject, Direction::mutual("a", "b"), verdict, evidence)
    }

    #[test]
    fn a_line_counts_the_verdicts_and_says_what_is_worst() {
        let fine = check("", Verdict::Ok, "3 of 3");
        let odd = check("acme", Verdict::Drifted, "`a` has x, `b` has y");
        let dark = check("", Verdict::Unknown, "AccessDenied");
        assert_eq!(words(&[&fine]), "ok");
        assert_eq!(words(&[&fine, &fine]), "2 ok");
        assert_eq!(words(&[&dark]), "unknown: AccessDenied");
        assert_eq!(words(&[&fine, &odd, &dark]), "1 drifted, 1 unknown, 1 ok: acme: `a` has x, `b` has y");
    }
}
