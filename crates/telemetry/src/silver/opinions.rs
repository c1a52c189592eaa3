//! The column of second opinions: nothing in nearly all rows.

use std::ops::Range;

use super::encode::Runs;

/// Strengths and the rows that each is about.
#[derive(Debug, Default)]
pub(super) struct Opinions {
    /// In order, none of them in two.
    rows: Vec<Range<usize>>,
    /// One a row that has any.
    strengths: Vec<f32>,
}

impl Opinions {
    pub(super) fn push(&mut self, rows: Range<usize>, strength: f32) {
        debug_assert!(self.rows.last().is_none_or(|last| last.end <= rows.start), "opinions out of order");
        self.strengths.extend(std::iter::repeat_n(strength, rows.len()));
        self.rows.push(rows);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.strengths.is_empty()
    }

    pub(super) fn strengths(&self) -> &[f32] {
        &self.strengths
    }

    /// Which of `rows` rows have one.
    pub(super) fn levels(&self, rows: usize) -> Runs {
        let (mut levels, mut at) = (Runs::default(), 0);
        let mut run = |value: u32, count: usize| {
            if count > 0 {
                levels.push(value, count as u32);
            }
        };
        for Range { start, end } in &self.rows {
            run(0, start - at);
            run(1, end - start);
            at = *end;
        }
        run(0, rows - at);
        levels
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.strengths.clear();
    }
}
