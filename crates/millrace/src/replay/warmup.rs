//! History before the recording: in which order, and how far back it has to be moved.
//!
//! Detectors take readings in the order of time, and a late one teaches them nothing. Recordings of machines that run in
//! campaigns often bear the same dates, so history that does not end before what follows begins is moved back, by whole
//! days: the time of day keeps its meaning.

use std::path::{Path, PathBuf};

use anomaly_core::Timestamp;
use anyhow::Context as _;
use telemetry::history::{Defaults, History, HistoryRow};

const DAY_MS: i64 = 86_400_000;

/// One file of history and the days that it is moved back by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shift<'a> {
    pub(super) file: &'a Path,
    pub(super) days: i64,
}

impl Shift<'_> {
    /// Moves a row.
    pub(super) fn apply(&self, row: HistoryRow) -> anyhow::Result<HistoryRow> {
        let moved = |at: Timestamp| Timestamp::from_millis(at.millis() - self.days * DAY_MS);
        let at = moved(row.at);
        let at = at.with_context(|| format!("`{}` cannot be moved back by {} days", self.file.display(), self.days))?;
        Ok(HistoryRow { at, arrived: moved(row.arrived).unwrap_or(at), ..row })
    }
}

/// Says how far each file is moved, so that it ends before the next one begins, and the last before `begins`. Reads every
/// file once, for its first and last time.
///
/// # Errors
/// A file that cannot be read, with the place.
pub(super) fn plan<'a>(
    files: &'a [PathBuf],
    begins: Timestamp,
    defaults: &Defaults<'_>,
) -> anyhow::Result<Vec<Shift<'a>>> {
    let mut shifts = Vec::with_capacity(files.len());
    let mut next = begins.millis();
    for file in files.iter().rev() {
        let (first, last) = span(file, defaults)?;
        let days = days_back(last, next);
        next = first - days * DAY_MS;
        shifts.push(Shift { file, days });
    }
    shifts.reverse();
    Ok(shifts)
}

/// Whole days by which `last` has to move to be before `next`.
fn days_back(last: i64, next: i64) -> i64 {
    if last < next { 0 } else { (last - next) / DAY_MS + 1 }
}

/// The first and the last time in a file, milliseconds.
fn span(file: &Path, defaults: &Defaults<'_>) -> anyhow::Result<(i64, i64)> {
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for row in History::open(file, defaults)? {
        let at = row?.at.millis();
        (first, last) = (first.min(at), last.max(at));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_moves_by_the_fewest_whole_days_that_end_it_before_what_follows() {
        for (last, next, days) in
            [(9, 10, 0), (10, 10, 1), (11, 10, 1), (10 + DAY_MS - 1, 10, 1), (10 + DAY_MS, 10, 2), (-5, 10, 0)]
        {
            let found = days_back(last, next);
            assert_eq!(found, days, "{last} {next}");
            assert!(last - found * DAY_MS < next);
        }
    }
}
