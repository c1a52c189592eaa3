//! Names that are safe wherever they travel: as DynamoDB keys, S3 prefixes, topic levels, and in an operator's terminal.
//!
//! The types borrow, so that checking a name on the hot path allocates nothing; what is kept is kept as the checked text.

use std::fmt;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} name `{shown}` {problem}")]
pub struct NameError {
    what: &'static str,
    shown: String,
    problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    Empty,
    TooLong { bytes: usize, max: usize },
    Character(char, &'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "is empty"),
            Self::TooLong { bytes, max } => write!(f, "has {bytes} bytes, the limit is {max}"),
            Self::Character(c, allowed) => write!(f, "has the character {c:?}; allowed are {allowed}"),
        }
    }
}

/// The start of a refused name, escaped: error messages and logs never carry raw input.
fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        out.push('…');
    }
    out
}

/// What a name is of, how long it may be, and what it may hold, in words.
struct Kind {
    what: &'static str,
    bytes_max: usize,
    allowed: &'static str,
}

/// Checks a name by what its first, its other and its last characters may be. `plain` is the bit of [`PLAIN`] for the bytes
/// that may stand anywhere, `start` for those that may stand first.
fn check(
    text: &str,
    Kind { what, bytes_max, allowed }: Kind,
    [start, plain]: [u8; 2],
    first: impl Fn(char) -> bool,
    rest: impl Fn(char) -> bool,
    last: impl Fn(char) -> bool,
) -> Result<(), NameError> {
    // Nearly every name is of plain bytes.
    let bytes = text.as_bytes();
    if bytes.len() <= bytes_max
        && bytes.first().is_some_and(|byte| PLAIN[usize::from(*byte)] & start != 0)
        && bytes.iter().fold(plain, |left, byte| left & PLAIN[usize::from(*byte)]) != 0
    {
        return Ok(());
    }
    let refuse = |problem| Err(NameError { what, shown: shown(text), problem });
    let mut chars = text.chars();
    let Some(start) = chars.next() else { return refuse(Problem::Empty) };
    if text.len() > bytes_max {
        return refuse(Problem::TooLong { bytes: text.len(), max: bytes_max });
    }
    if !first(start) {
        return refuse(Problem::Character(start, allowed));
    }
    if let Some(bad) = chars.find(|c| !rest(*c)) {
        return refuse(Problem::Character(bad, allowed));
    }
    match text.chars().next_back() {
        Some(end) if !last(end) => refuse(Problem::Character(end, allowed)),
        _ => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $allowed:literal, $plain:expr, $first:expr, $rest:expr, $last:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name<'a>(&'a str);

        impl<'a> $name<'a> {
            /// The longest name, in bytes of UTF-8.
            pub const BYTES_MAX: usize = $max;

            /// Checks `text`.
            ///
            /// # Errors
            /// [`NameError`] says which rule is broken and shows the start of the text, escaped.
            pub fn new(text: &'a str) -> Result<Self, NameError> {
                check(text, Kind { what: $what, bytes_max: $max, allowed: $allowed }, $plain, $first, $rest, $last)?;
                Ok(Self(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(self) -> &'a str {
                self.0
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
    };
}

name!(
    /// Whose data it is: 1 to 64 bytes of ASCII letters, digits, `_` and `-`, starting with a letter or digit.
    TenantName, "tenant", 64, "ASCII letters, digits, `_` and `-`, the first a letter or digit",
    [PLAIN_START, PLAIN_TENANT],
    |c| c.is_ascii_alphanumeric(),
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
    |_| true
);
name!(
    /// One device of a tenant: 1 to 128 bytes of ASCII letters, digits, `_`, `-`, `.`, `:` and `@`, starting with a letter or digit.
    DeviceName, "device", 128, "ASCII letters, digits, `_`, `-`, `.`, `:` and `@`, the first a letter or digit",
    [PLAIN_START, PLAIN_DEVICE],
    |c| c.is_ascii_alphanumeric(),
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '@'),
    |_| true
);
name!(
    /// One metric of a device: 1 to 128 bytes of UTF-8 without control characters and `#`, no white space at either end.
    MetricName, "metric", 128, "any but control characters and `#`, with no white space at either end",
    [PLAIN_METRIC, PLAIN_METRIC],
    |c| metric_character(c) && !c.is_whitespace(),
    metric_character,
    |c| !c.is_whitespace()
);

const PLAIN_TENANT: u8 = 1;
const PLAIN_DEVICE: u8 = 2;
const PLAIN_METRIC: u8 = 4;
const PLAIN_START: u8 = 8;

/// In which names a byte may stand, and whether it may begin a tenant's or a device's: a table, because every reading's name is checked.
static PLAIN: [u8; 256] = {
    let mut plain = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let tenant = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let device = tenant || matches!(byte, b'.' | b':' | b'@');
        let metric = byte.is_ascii_graphic() && byte != b'#';
        plain[byte as usize] = (PLAIN_TENANT * tenant as u8)
            | (PLAIN_DEVICE * device as u8)
            | (PLAIN_METRIC * metric as u8)
            | (PLAIN_START * byte.is_ascii_alphanumeric() as u8);
        byte += 1;
    }
    plain
};

fn metric_character(c: char) -> bool {
    !c.is_control() && c != '#'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_accepted() {
        for tenant in ["acme", "t-1", "A_b", &"x".repeat(64)] {
            assert!(TenantName::new(tenant).is_ok(), "{tenant}");
        }
        for device in ["pump-7", "M001", "line.3:press@hall", "0"] {
            assert!(DeviceName::new(device).is_ok(), "{device}");
        }
        for metric in ["temperature", "Volume Flow Rate", "Motor/Speed", "Öldruck", "x"] {
            assert!(MetricName::new(metric).is_ok(), "{metric}");
        }
    }

    #[test]
    fn names_that_could_break_out_of_a_key_are_refused() {
        for tenant in ["", "a#b", "a/b", "../x", "-a", "a b", &"x".repeat(65)] {
            assert!(TenantName::new(tenant).is_err(), "{tenant}");
        }
        for device in ["", "a#b", "a/b", "+", "a\n", "ä", &"x".repeat(129)] {
            assert!(DeviceName::new(device).is_err(), "{device}");
        }
        for metric in ["", " a", "a ", "a#b", "a\u{7}b", &"x".repeat(129)] {
            assert!(MetricName::new(metric).is_err(), "{metric}");
        }
    }

    #[test]
    fn a_refusal_shows_the_text_escaped_and_cut() {
        let error = DeviceName::new("evil\u{1b}[31m").unwrap_err().to_string();
        assert!(error.contains(r"evil\u{1b}[31m"), "{error}");
        let error = DeviceName::new(&"y".repeat(500)).unwrap_err().to_string();
        assert!(error.len() < 200 && error.contains("500 bytes, the limit is 128"), "{error}");
    }
}
