//! The plain part of JSON, read at the speed of a copy: texts without escapes, numbers that a double holds exactly.
//!
//! Nearly every message and event is plain. What is not, and whatever is wrong, is [`None`] here, and its reader starts over
//! with `serde_json`, which knows the whole grammar and says what is wrong. So this can only be quick, never wrong in
//! another way; that both give the same is a property test and a fuzz target.

use crate::payload::text::any_byte;

/// Bytes that are looked at together.
const WORD: usize = 8;
const BLOCK: usize = 32;

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Digits, with the point, that 64 bits surely hold.
const DIGITS_MAX: usize = 19;

/// Largest whole number up to which a double holds every one.
const EXACT_MAX: u64 = 1 << 53;

/// Walks a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn bytes(&self) -> &'t [u8] {
        self.text.as_bytes()
    }

    /// The byte that comes next, white space passed over.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes().get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Passes over `byte`, which must come next.
    pub(crate) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Passes over `word`, which must come right here.
    pub(crate) fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// The text from here to where `ahead` is.
    pub(crate) fn up_to(&self, ahead: &Self) -> Option<&'t str> {
        self.text.get(self.at..ahead.at)
    }

    /// The same, for a scanner that has just read a text, with that text's closing quote.
    pub(crate) fn after_quote(&self, ahead: &Self) -> Option<&'t str> {
        self.text.get(self.at.checked_sub(1)?..ahead.at)
    }

    /// After an element: whether another follows (`,`) or the object or list ends (`end`).
    pub(crate) fn more(&mut self, end: u8) -> Option<bool> {
        let next = self.peek()?;
        self.at += 1;
        match next {
            b',' => Some(true),
            next if next == end => Some(false),
            _ => None,
        }
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// A text without escapes and control characters.
    pub(crate) fn text(&mut self) -> Option<&'t str> {
        self.expect(b'"')?;
        let start = self.at;
        let end = self.quote()?;
        self.at = end + 1;
        // Between two quotes, which are characters of their own.
        self.text.get(start..end)
    }

    /// Where the closing quote stands.
    fn quote(&self) -> Option<usize> {
        let bytes = self.bytes();
        let mut at = self.at;
        let end = loop {
            // A name ends within two words; what is longer is looked at in blocks, which the compiler compares at once.
            if at >= self.at + 2 * WORD {
                let block = |at: usize| bytes.get(at..at + BLOCK);
                while block(at).is_some_and(|block| !any_byte(block, is_special)) {
                    at += BLOCK;
                }
            }
            let Some(word) = bytes.get(at..at + WORD).and_then(|word| word.try_into().ok()) else {
                break at + bytes.get(at..)?.iter().position(|byte| is_special(*byte))?;
            };
            if let Some(place) = special(u64::from_le_bytes(word)) {
                break at + place;
            }
            at += WORD;
        };
        (bytes[end] == b'"').then_some(end)
    }

    /// A number without an exponent whose digits, read as a whole number, a double holds: then one division rounds once, as
    /// it should (Clinger: "How to Read Floating Point Numbers Accurately", PLDI 1990).
    pub(crate) fn number(&mut self) -> Option<f64> {
        let negative = self.peek()? == b'-';
        let bytes = self.bytes().get(self.at + usize::from(negative)..)?;
        let mut number = 0;
        let whole = digits(bytes, &mut number);
        let (mut at, mut power) = (whole, 0);
        if bytes.get(whole) == Some(&b'.') {
            power = digits(&bytes[whole + 1..], &mut number);
            at += 1 + power;
        }
        let is_canonical = whole > 0 && (whole == 1 || bytes[0] != b'0') && (at == whole || power > 0);
        let is_more = matches!(bytes.get(at), Some(b'e' | b'E'));
        if !is_canonical || is_more || at > DIGITS_MAX || number > EXACT_MAX {
            return None;
        }
        self.at += usize::from(negative) + at;
        let number = number as f64 / POWERS.get(power)?;
        Some(if negative { -number } else { number })
    }
}

/// How many digits `bytes` begin with; appends them to `number`, which wraps for more than are let through.
fn digits(bytes: &[u8], number: &mut u64) -> usize {
    let mut count = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    count
}

/// Whether a text is not plain here, or ends.
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The first of eight bytes that is a quote, a backslash or a control character (the zero-byte test of "Bit Twiddling Hacks",
/// S. E. Anderson: what it says of bytes after the first hit may be wrong, the first hit is right).
fn special(word: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    let equal = |byte: u8| {
        let differing = word ^ (ONES * u64::from(byte));
        differing.wrapping_sub(ONES) & !differing
    };
    let below = word.wrapping_sub(ONES * 0x20) & !word;
    let hits = (equal(b'"') | equal(b'\\') | below) & HIGH;
    (hits != 0).then(|| hits.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_ends_at_its_quote_wherever_that_stands() {
        for length in 0..200 {
            let text = "é".repeat(length);
            let json = format!("\"{text}\" , ");
            let mut scanner = Scanner::new(&json);
            assert_eq!(scanner.text(), Some(text.as_str()));
            assert_eq!(scanner.more(b'}'), Some(true));
            assert!(scanner.is_at_end());
        }
    }

    #[test]
    fn escapes_control_characters_and_open_ends_are_left_to_the_other_reader() {
        for length in [0, 3, 8, 31, 32, 33, 100] {
            let before = "x".repeat(length);
            for wrong in ["\\n\"", "\n\"", "\u{1f}\"", ""] {
                assert_eq!(Scanner::new(&format!("\"{before}{wrong}")).text(), None, "{length} {wrong:?}");
            }
        }
    }

    #[test]
    fn numbers_beyond_what_is_exact_are_left_to_the_other_reader() {
        for text in
            ["", "-", ".5", "1.", "01", "-01", "1e3", "9007199254740993", "0.00000000000000000000001", "+1", "NaN"]
        {
            assert_eq!(Scanner::new(text).number(), None, "{text}");
        }
        assert_eq!(Scanner::new("-0").number().map(f64::to_bits), Some((-0.0_f64).to_bits()));
        assert_eq!(Scanner::new(" 9007199254740992").number(), Some(9_007_199_254_740_992.0));
    }

    proptest! {
        #[test]
        fn a_number_is_the_one_that_the_standard_library_reads(whole in 0_u64..1 << 53, point in 0_usize..17, minus in any::<bool>()) {
            let mut text = whole.to_string();
            if point > 0 && point < text.len() {
                text.insert(text.len() - point, '.');
            }
            if minus {
                text.insert(0, '-');
            }
            let read = Scanner::new(&text).number();
            prop_assert_eq!(read.map(f64::to_bits), text.parse().ok().map(f64::to_bits), "{}", text);
        }
    }
}
