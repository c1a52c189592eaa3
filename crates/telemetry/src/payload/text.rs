//! Names that are borrowed from the payload where they stand in it as they are, and kept aside where they do not.
//!
//! A name with a JSON escape, or one that SenML makes of two parts, exists nowhere in the payload. It goes into one buffer
//! that is reused from message to message, so that decoding allocates nothing a reading.

use std::{fmt, fmt::Write as _, ops::Range};

/// Whether one of `bytes` is such. All are looked at: without an early exit the compiler compares many at once.
pub(crate) fn any_byte(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(0, |any, byte| any | u8::from(is(*byte))) != 0
}

/// A text of the payload, or a stretch of the [`Arena`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text<'p> {
    Borrowed(&'p str),
    Kept { start: usize, end: usize },
}

impl Text<'_> {
    pub(crate) const EMPTY: Self = Text::Borrowed("");

    /// The part of the text at `range`, which must lie on characters.
    pub(crate) fn part(self, range: Range<usize>) -> Self {
        match self {
            Text::Borrowed(text) => Text::Borrowed(text.get(range).unwrap_or_default()),
            Text::Kept { start, .. } => Text::Kept { start: start + range.start, end: start + range.end },
        }
    }
}

/// Where texts are kept that the payload does not hold.
#[derive(Debug, Default)]
pub(crate) struct Arena(String);

impl Arena {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn keep(&mut self, text: impl fmt::Display) -> Text<'static> {
        let start = self.0.len();
        let written = write!(self.0, "{text}");
        debug_assert!(written.is_ok(), "a string takes every text");
        Text::Kept { start, end: self.0.len() }
    }

    /// The text of `a` followed by that of `b`.
    pub(crate) fn join<'p>(&mut self, a: Text<'p>, b: Text<'p>) -> Text<'p> {
        match (self.get(a).is_empty(), self.get(b).is_empty()) {
            (true, _) => b,
            (_, true) => a,
            (false, false) => {
                let start = self.0.len();
                for part in [a, b] {
                    match part {
                        Text::Borrowed(text) => self.0.push_str(text),
                        Text::Kept { start, end } => self.0.extend_from_within(start..end),
                    }
                }
                Text::Kept { start, end: self.0.len() }
            }
        }
    }

    pub(crate) fn get<'t>(&'t self, text: Text<'t>) -> &'t str {
        match text {
            Text::Borrowed(text) => text,
            Text::Kept { start, end } => self.0.get(start..end).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_joins_read_as_their_text() {
        let mut arena = Arena::default();
        let kept = arena.keep("pump:temp");
        assert_eq!(arena.get(kept.part(5..9)), "temp");
        let both = arena.join(Text::Borrowed("line/"), kept);
        assert_eq!(arena.get(both), "line/pump:temp");
        let one = arena.join(Text::EMPTY, Text::Borrowed("x"));
        assert!(matches!(one, Text::Borrowed("x")));
    }
}
