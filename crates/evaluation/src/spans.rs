//! The truth about one device: the spans of time in which it was abnormal.

/// A span of time, both ends inside, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    start_ms: i64,
    end_ms: i64,
}

/// The end was before the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the span ends {} ms before it begins; exchange its start and its end", start_ms.abs_diff(*end_ms))]
pub struct EndsBeforeItBegins {
    /// The beginning, milliseconds.
    pub start_ms: i64,
    /// The end, milliseconds.
    pub end_ms: i64,
}

impl Span {
    /// A span; one instant is a span, too.
    ///
    /// # Errors
    /// [`EndsBeforeItBegins`].
    pub const fn new(start_ms: i64, end_ms: i64) -> Result<Self, EndsBeforeItBegins> {
        if end_ms < start_ms { Err(EndsBeforeItBegins { start_ms, end_ms }) } else { Ok(Self { start_ms, end_ms }) }
    }

    /// Its first instant.
    #[must_use]
    pub const fn start_ms(self) -> i64 {
        self.start_ms
    }

    /// Its last instant.
    #[must_use]
    pub const fn end_ms(self) -> i64 {
        self.end_ms
    }

    /// Whether the instant lies in it.
    #[must_use]
    pub const fn contains(self, at_ms: i64) -> bool {
        self.start_ms <= at_ms && at_ms <= self.end_ms
    }

    /// Whether the two share an instant.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.start_ms <= other.end_ms && other.start_ms <= self.end_ms
    }
}

/// Spans in the order of time, none of which shares an instant with another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans {
    spans: Vec<Span>,
    merged: usize,
}

impl Spans {
    /// Takes spans in any order; those that share an instant become one.
    #[must_use]
    pub fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable();
        let given = spans.len();
        let mut disjoint: Vec<Span> = Vec::with_capacity(given);
        for span in spans {
            match disjoint.last_mut() {
                Some(last) if last.overlaps(span) => last.end_ms = last.end_ms.max(span.end_ms),
                _ => disjoint.push(span),
            }
        }
        Self { merged: given - disjoint.len(), spans: disjoint }
    }

    /// How many spans went into one that was there before.
    #[must_use]
    pub fn merged(&self) -> usize {
        self.merged
    }

    /// The spans.
    #[must_use]
    pub fn as_slice(&self) -> &[Span] {
        &self.spans
    }

    /// The index of the last span that has begun by then.
    #[must_use]
    pub fn last_begun(&self, at_ms: i64) -> Option<usize> {
        self.spans.partition_point(|span| span.start_ms <= at_ms).checked_sub(1)
    }

    /// Whether the instant lies in a span.
    #[must_use]
    pub fn contain(&self, at_ms: i64) -> bool {
        self.last_begun(at_ms).is_some_and(|index| self.spans[index].contains(at_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(ends: &[(i64, i64)]) -> Spans {
        Spans::new(ends.iter().map(|(start, end)| Span::new(*start, *end).unwrap()).collect())
    }

    #[test]
    fn a_span_that_ends_before_it_begins_is_refused() {
        let error = Span::new(10, 4).unwrap_err().to_string();
        assert!(error.contains("6 ms before it begins") && error.contains("exchange"), "{error}");
        assert!(Span::new(4, 4).is_ok_and(|span| span.contains(4)));
    }

    #[test]
    fn spans_that_share_an_instant_become_one() {
        let joined = spans(&[(20, 30), (0, 5), (5, 8), (22, 24)]);
        assert_eq!(joined.as_slice(), spans(&[(0, 8), (20, 30)]).as_slice());
        assert_eq!(joined.merged(), 2);
        assert!(joined.contain(0) && joined.contain(8) && !joined.contain(9) && !joined.contain(-1));
    }

    proptest! {
        #[test]
        fn merging_changes_no_instant(ends in prop::collection::vec((0_i64..100, 0_i64..20), 0..12), at in -5_i64..130) {
            let all: Vec<Span> = ends.iter().map(|(start, length)| Span::new(*start, start + length).unwrap()).collect();
            let merged = Spans::new(all.clone());
            prop_assert_eq!(merged.contain(at), all.iter().any(|span| span.contains(at)));
            prop_assert_eq!(merged.as_slice().len() + merged.merged(), all.len());
            prop_assert!(merged.as_slice().windows(2).all(|pair| pair[0].end_ms() < pair[1].start_ms()));
        }
    }
}
