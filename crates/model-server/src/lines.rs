//! The lines of a file, packed or not, in the memory of the longest one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use telemetry::inference::{LINE_BYTES_MAX, ZSTD_WINDOW_LOG_MAX};

/// How much of a file is read at once.
const BUFFER_BYTES: usize = 1 << 16;
/// The first bytes of gzip (RFC 1952) and of zstd (RFC 8878).
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Reads a file line by line.
pub(crate) struct Lines {
    input: Box<dyn BufRead>,
    line: Vec<u8>,
}

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Whole(&'a [u8]),
    /// It has more than [`LINE_BYTES_MAX`] bytes.
    TooLong,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
        let start = file.fill_buf()?;
        let input: Box<dyn BufRead> = if start.starts_with(GZIP) {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, flate2::bufread::MultiGzDecoder::new(file)))
        } else if start.starts_with(ZSTD) {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(file)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
        } else {
            Box::new(file)
        };
        Ok(Self { input, line: Vec::new() })
    }

    /// The next line that is not blank; none after the last, which needs no end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.line.clear();
            // One byte more tells a line that fits from one that does not.
            let mut bounded = self.input.by_ref().take(LINE_BYTES_MAX as u64 + 1);
            if bounded.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            if self.line.last() != Some(&b'\n') && self.line.len() > LINE_BYTES_MAX {
                self.input.skip_until(b'\n')?;
                return Ok(Some(Line::TooLong));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(Line::Whole(self.line.trim_ascii_end())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lines_of(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut lines = Lines::open(file.path()).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(if let Line::Whole(line) = line { Some(line.to_vec()) } else { None });
        }
        all
    }

    #[test]
    fn lines_are_the_same_packed_and_plain() {
        let text = b"a\r\n\n  \nb,c\nlast";
        let expected = [&b"a"[..], b"b,c", b"last"].map(|line| Some(line.to_vec()));
        assert_eq!(lines_of(text), expected);
        assert_eq!(lines_of(&zstd::encode_all(&text[..], 3).unwrap()), expected);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        assert_eq!(lines_of(&gzip.finish().unwrap()), expected);
        assert_eq!(lines_of(b""), []);
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself() {
        let mut text = vec![b'x'; LINE_BYTES_MAX + 2];
        text.extend(b"\nshort\n");
        text.extend(vec![b'y'; LINE_BYTES_MAX]);
        assert_eq!(lines_of(&text), [None, Some(b"short".to_vec()), Some(vec![b'y'; LINE_BYTES_MAX])]);
    }
}
