//! The stored line: keys in one fixed order, the payload last and untouched.
//!
//! Because the payload comes last and everything before it is written here, a reader finds it by position and gives back
//! the very bytes, including their spaces and the order of their keys, without parsing them.

use std::borrow::Cow;

use anomaly_core::Timestamp;

use super::LakeError;
use crate::payload::text::any_byte;
use crate::sequence::SequenceNumber;

/// Longest stored line: the largest record of Kinesis (10 MiB, opt-in) in base64, with room for the keys.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Writes `{"seq":"…","arrived":…,"pk":"…"`.
pub(crate) fn open(out: &mut Vec<u8>, seq: &SequenceNumber, arrived: Timestamp, partition_key: &str) {
    out.extend_from_slice(b"{\"seq\":\"");
    out.extend_from_slice(seq.as_bytes());
    out.extend_from_slice(b"\",\"arrived\":");
    number(out, arrived.millis());
    out.extend_from_slice(b",\"pk\":");
    text(out, partition_key);
}

/// Writes a whole number.
pub(crate) fn number(out: &mut Vec<u8>, value: i64) {
    // A number always serialises, and writing to a `Vec` cannot fail.
    let _written = serde_json::to_writer(out, &value);
}

/// Writes a JSON string.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    // Nearly every text stands there as it is.
    if value.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
        return;
    }
    // A `str` always serialises, and writing to a `Vec` cannot fail.
    let _written = serde_json::to_writer(out, value);
}

/// Writes the payload and ends the line: verbatim when it is JSON on one line, base64 otherwise.
///
/// A carriage return counts as a line end too, because Hadoop's line reader, and with it Athena, splits there.
pub(crate) fn close(out: &mut Vec<u8>, data: &[u8], embeds_as_json: bool) {
    let breaks = || any_byte(data, |byte| matches!(byte, b'\n' | b'\r'));
    if embeds_as_json && !data.is_empty() && !breaks() {
        out.extend_from_slice(b",\"json\":");
        out.extend_from_slice(data);
        out.extend_from_slice(b"}\n");
    } else {
        out.extend_from_slice(b",\"b64\":\"");
        base64_simd::STANDARD.encode_append(data, out);
        out.extend_from_slice(b"\"}\n");
    }
}

/// What stands where something else should.
pub(crate) struct Unexpected {
    column: usize,
    expected: &'static str,
}

/// Walks one line.
pub(crate) struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn unexpected<T>(&self, expected: &'static str) -> Result<T, Unexpected> {
        Err(Unexpected { column: self.at + 1, expected })
    }

    fn rest(&self) -> &'a [u8] {
        &self.line[self.at..]
    }

    /// Passes over `token`, which is also what an error names.
    pub(crate) fn token(&mut self, token: &'static str) -> Result<(), Unexpected> {
        if !self.rest().starts_with(token.as_bytes()) {
            return self.unexpected(token);
        }
        self.at += token.len();
        Ok(())
    }

    /// Reads what [`open`] wrote.
    pub(crate) fn opening(&mut self) -> Result<(SequenceNumber, Timestamp, Cow<'a, str>), Unexpected> {
        self.token("{\"seq\":\"")?;
        let digits = self.rest().get(..crate::sequence::DIGITS).and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(seq) = digits.and_then(|digits| digits.parse::<SequenceNumber>().ok()) else {
            return self.unexpected("a sequence number of 56 digits");
        };
        self.at += crate::sequence::DIGITS;
        self.token("\",\"arrived\":")?;
        let place = self.at;
        let Ok(arrived) = Timestamp::from_millis(self.number()?) else {
            self.at = place;
            return self.unexpected("milliseconds between 1980 and 2200");
        };
        self.token(",\"pk\":")?;
        Ok((seq, arrived, self.text()?))
    }

    /// Reads what [`number`] wrote.
    pub(crate) fn number(&mut self) -> Result<i64, Unexpected> {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        let number = std::str::from_utf8(&self.rest()[..digits]).ok().and_then(|digits| digits.parse().ok());
        let Some(number) = number else { return self.unexpected("a whole number") };
        self.at += digits;
        Ok(number)
    }

    /// Reads a number of 0 to `u32::MAX`.
    pub(crate) fn unsigned(&mut self) -> Result<u32, Unexpected> {
        let place = self.at;
        u32::try_from(self.number()?).or_else(|_| {
            self.at = place;
            self.unexpected("a whole number from 0 to 4294967295")
        })
    }

    /// Reads what [`text`] wrote; borrowed when nothing was escaped.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, Unexpected> {
        const EXPECTED: &str = "a JSON string";
        let rest = self.rest();
        if rest.first() != Some(&b'"') {
            return self.unexpected(EXPECTED);
        }
        let (mut end, mut escaped) = (1, false);
        while rest.get(end).is_some_and(|byte| *byte != b'"') {
            let skip = usize::from(rest[end] == b'\\');
            escaped |= skip == 1;
            end += 1 + skip;
        }
        let Some(quoted) = rest.get(..=end) else { return self.unexpected(EXPECTED) };
        let text = if escaped {
            serde_json::from_slice(quoted).ok().map(Cow::Owned)
        } else {
            std::str::from_utf8(&quoted[1..end]).ok().map(Cow::Borrowed)
        };
        let Some(text) = text else { return self.unexpected(EXPECTED) };
        self.at += end + 1;
        Ok(text)
    }

    /// Reads what [`close`] wrote.
    pub(crate) fn payload(&mut self) -> Result<Cow<'a, [u8]>, Unexpected> {
        if self.rest().starts_with(b",\"json\":") {
            self.token(",\"json\":")?;
            let Some((b'}', json)) = self.rest().split_last() else {
                self.at = self.line.len();
                return self.unexpected("} at the end of the line");
            };
            return Ok(Cow::Borrowed(json));
        }
        if !self.rest().starts_with(b",\"b64\":\"") {
            return self.unexpected(",\"json\": or ,\"b64\":\" and the payload");
        }
        self.token(",\"b64\":\"")?;
        let decoded = self.rest().strip_suffix(b"\"}").and_then(|text| base64_simd::STANDARD.decode_to_vec(text).ok());
        decoded.map_or_else(|| self.unexpected("base64 up to \"} at the end of the line"), |data| Ok(Cow::Owned(data)))
    }
}

/// The lines of an unpacked object; ends after the first that cannot be read.
pub(crate) struct Lines<'a> {
    what: &'static str,
    rest: &'a [u8],
    line: u64,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(what: &'static str, text: &'a [u8]) -> Self {
        Self { what, rest: text, line: 0 }
    }

    /// The next record, read by `read`.
    pub(crate) fn next<T>(
        &mut self,
        read: impl FnOnce(&mut Cursor<'a>) -> Result<T, Unexpected>,
    ) -> Option<Result<T, LakeError>> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = end.map_or((self.rest, &self.rest[..0]), |end| (&self.rest[..end], &self.rest[end + 1..]));
        self.rest = rest;
        let (what, number) = (self.what, self.line);
        let read = if line.len() > LINE_BYTES_MAX {
            Err(LakeError::LineTooLong { what, line: number, bytes: line.len(), bytes_max: LINE_BYTES_MAX })
        } else {
            read(&mut Cursor { line, at: 0 }).map_err(|Unexpected { column, expected }| LakeError::Line {
                what,
                line: number,
                column,
                expected,
            })
        };
        if read.is_err() {
            self.rest = &[];
        }
        Some(read)
    }
}
