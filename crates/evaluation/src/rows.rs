//! Row by row: how many alarmed rows are abnormal, and how many abnormal rows are alarmed.

use crate::incidents::ratio;

/// Rows, by what is true of them and what was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Abnormal and alarmed.
    pub hits: u64,
    /// Normal and alarmed.
    pub false_alarms: u64,
    /// Abnormal and not alarmed.
    pub misses: u64,
    /// Normal and not alarmed.
    pub correct_silences: u64,
}

impl RowCounts {
    /// Counts a row.
    pub fn count(&mut self, is_abnormal: bool, is_alarmed: bool) {
        *match (is_abnormal, is_alarmed) {
            (true, true) => &mut self.hits,
            (false, true) => &mut self.false_alarms,
            (true, false) => &mut self.misses,
            (false, false) => &mut self.correct_silences,
        } += 1;
    }

    /// Adds the rows of another device.
    pub fn absorb(&mut self, other: Self) {
        self.hits += other.hits;
        self.false_alarms += other.false_alarms;
        self.misses += other.misses;
        self.correct_silences += other.correct_silences;
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.abnormal() + self.false_alarms + self.correct_silences
    }

    /// Rows that are abnormal.
    #[must_use]
    pub fn abnormal(&self) -> u64 {
        self.hits + self.misses
    }

    /// The share of abnormal rows among those that are alarmed; none where none is.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        ratio(self.hits, self.hits + self.false_alarms)
    }

    /// The share of alarmed rows among those that are abnormal; none where none is.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        ratio(self.hits, self.abnormal())
    }

    /// The harmonic mean of precision and recall, 0 where no row is hit; none where no row is abnormal or alarmed.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)
    }

    /// False alarm rate: the share of alarmed rows among those that are normal; none where none is.
    #[must_use]
    pub fn false_alarm_rate(&self) -> Option<f64> {
        ratio(self.false_alarms, self.false_alarms + self.correct_silences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_those_of_the_textbook() {
        let mut counts = RowCounts::default();
        for (is_abnormal, is_alarmed, times) in
            [(true, true, 6), (false, true, 2), (true, false, 4), (false, false, 18)]
        {
            (0..times).for_each(|_| counts.count(is_abnormal, is_alarmed));
        }
        assert_eq!((counts.rows(), counts.abnormal()), (30, 10));
        assert_eq!((counts.precision(), counts.recall()), (Some(0.75), Some(0.6)));
        assert_eq!((counts.f1(), counts.false_alarm_rate()), (Some(12.0 / 18.0), Some(0.1)));
        let mut twice = counts;
        twice.absorb(counts);
        assert_eq!((twice.rows(), twice.f1()), (60, counts.f1()));
    }

    #[test]
    fn without_rows_there_is_no_share() {
        let none = RowCounts::default();
        assert_eq!([none.precision(), none.recall(), none.f1(), none.false_alarm_rate()], [None; 4]);
    }
}
