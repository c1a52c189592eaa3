//! What happened, line by line, and what should not have.

use std::fmt::Write as _;

/// Something that must be true and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which check found it.
    pub check: &'static str,
    /// Keys and values.
    pub what: String,
}

/// The steps of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace(Vec<String>);

impl Trace {
    /// Adds a line: the time of the simulation since its beginning, and what happened.
    pub fn note(&mut self, now_ms: i64, what: &str) {
        let since = now_ms - crate::workload::START_MS;
        let (seconds, ms) = (since / 1_000, since % 1_000);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let mut line = format!("{:>5} {hours:02}:{minutes:02}:{seconds:02}.{ms:03} ", self.0.len());
        shorten(what, &mut line);
        self.0.push(line);
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

/// Writes sequence numbers as `#shard.count`: 56 digits hide what differs.
fn shorten(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let digits = from.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = from.split_at(digits);
        match (digits, number.get(2..16), number.get(16..)) {
            (56, Some(shard), Some(count)) => {
                let (shard, count) = (shard.trim_start_matches('0'), count.trim_start_matches('0'));
                let zero = |digits: &str| if digits.is_empty() { "0".to_owned() } else { digits.to_owned() };
                // Writing to a String cannot fail.
                let _ = write!(out, "#{}.{}", zero(shard), zero(count));
            }
            _ => out.push_str(number),
        }
        rest = after;
    }
    out.push_str(rest);
}

/// [`shorten`] for a message.
#[must_use]
pub fn shortened(text: &str) -> String {
    let mut out = String::new();
    shorten(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_are_short_and_other_numbers_stay() {
        let number = format!("49{:014}{:040}", 3, 120);
        assert_eq!(shortened(&format!("bronze/dt=2026/0-{number}.v12.x")), "bronze/dt=2026/0-#3.120.v12.x");
    }
}
