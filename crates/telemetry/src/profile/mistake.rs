//! Mistakes in a profile: collected with their place, reported together.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

/// Most mistakes that are written out; the others are counted.
const SHOWN_MAX: usize = 50;

/// One mistake in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileMistake {
    /// Counted from 1.
    pub line: usize,
    /// Character of the line, counted from 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for ProfileMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profile.toml:{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Every mistake in a profile, one a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ProfileErrors {
    mistakes: Vec<ProfileMistake>,
}

impl ProfileErrors {
    /// A mistake of the profile as a whole.
    pub(super) fn one(message: String) -> Self {
        Self { mistakes: vec![ProfileMistake { line: 1, column: 1, message }] }
    }

    /// The mistakes, in the order of the lines; at least one.
    #[must_use]
    pub fn mistakes(&self) -> &[ProfileMistake] {
        &self.mistakes
    }
}

impl fmt::Display for ProfileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().take(SHOWN_MAX).enumerate() {
            write!(f, "{}{mistake}", if index == 0 { "" } else { "\n" })?;
        }
        match self.mistakes.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more mistakes"),
        }
    }
}

/// Mistakes as they are found.
#[derive(Default)]
pub(super) struct Mistakes {
    found: Vec<Found>,
}

struct Found {
    byte: usize,
    /// The text there is not TOML: what was recovered from that line is not worth judging.
    syntax: bool,
    message: String,
}

impl Mistakes {
    /// Notes a mistake at a place.
    pub(super) fn at(&mut self, place: &Range<usize>, message: String) {
        self.found.push(Found { byte: place.start, syntax: false, message });
    }

    /// Notes text that is not TOML.
    pub(super) fn syntax(&mut self, place: Option<Range<usize>>, message: &str) {
        let message = format!("this is not TOML: {}", message.replace('\n', ", "));
        self.found.push(Found { byte: place.unwrap_or_default().start, syntax: true, message });
    }

    /// `value`, unless there was a mistake in `text`. Linear in the text, however many there are.
    pub(super) fn into_result<T>(mut self, text: &str, value: T) -> Result<T, ProfileErrors> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort_by_key(|found| found.byte);
        let mut characters = text.char_indices().peekable();
        let (mut line, mut column) = (1, 1);
        let mut broken = BTreeSet::new();
        let mut placed = Vec::with_capacity(self.found.len());
        for Found { byte, syntax, message } in self.found {
            while let Some((_, character)) = characters.next_if(|(at, _)| *at < byte) {
                (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            if syntax {
                broken.insert(line);
            }
            placed.push((syntax, ProfileMistake { line, column, message }));
        }
        placed.retain(|(syntax, mistake)| *syntax || !broken.contains(&mistake.line));
        Err(ProfileErrors { mistakes: placed.into_iter().map(|(_, mistake)| mistake).collect() })
    }
}

/// The start of a text of the profile, escaped and in quotes: a message never carries raw input.
pub(super) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let start: String = text.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
    let rest = if text.chars().nth(CHARS_MAX).is_some() { "…" } else { "" };
    format!("`{start}{rest}`")
}

/// What to write instead of `found`: the one it is nearly, or all.
pub(super) fn instead(found: &str, known: &[&str]) -> String {
    let near = known.iter().map(|name| (distance(found, name), *name)).min();
    match near {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("did you mean `{name}`?"),
        _ => format!("known are `{}`", known.join("`, `")),
    }
}

/// How many characters must be changed, added, left out or swapped with their neighbour (optimal string alignment; see
/// Boytsov, "Indexing methods for approximate dictionary searching", 2011).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(left != right)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_offered_and_a_far_one_gets_the_list() {
        let known = ["low", "high", "detectors"];
        assert_eq!(instead("hihg", &known), "did you mean `high`?");
        assert_eq!(instead("detector", &known), "did you mean `detectors`?");
        assert_eq!(instead("colour", &known), "known are `low`, `high`, `detectors`");
    }

    #[test]
    fn distance_counts_a_swap_once() {
        for (a, b, expected) in [("", "abc", 3), ("abc", "abc", 0), ("acb", "abc", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
