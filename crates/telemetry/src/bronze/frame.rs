//! One zstd frame with its checksum around a buffer of lines, and back within a bound.

use std::io::{self, Read};

use zstd::zstd_safe::CParameter;

use super::LakeError;
use super::line::LINE_BYTES_MAX;

/// zstd's fast level. Lines of telemetry repeat in long stretches with a few new digits between, and there its longer
/// minimum match beats level 3 in size (by a tenth) and in time (by a third); only level 19 is smaller.
const LEVEL: i32 = 1;

/// Largest window a frame may ask for, as a power of two: beyond what any level up to 19 uses, so that a forged frame header
/// cannot make the reader reserve gigabytes.
const WINDOW_LOG_MAX: u32 = 24;

/// Compresses. The bytes depend on `text` and the version of zstd alone.
fn compress(what: &'static str, text: &[u8]) -> Result<Vec<u8>, LakeError> {
    let pack = || -> io::Result<Vec<u8>> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        let mut frame = compressor.compress(text)?;
        frame.shrink_to_fit();
        Ok(frame)
    };
    pack().map_err(|source| LakeError::Compress { what, source })
}

/// Unpacks one frame, or several one after the other, to at most `bytes_max` bytes. Memory grows with what comes out,
/// never with what a header claims.
pub(crate) fn decompress(what: &'static str, object: &[u8], bytes_max: usize) -> Result<Vec<u8>, LakeError> {
    let damaged = |source| LakeError::Damaged { what, source };
    if object.is_empty() {
        return Err(damaged(io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty")));
    }
    let mut decoder = zstd::stream::read::Decoder::with_buffer(object).map_err(damaged)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
    let mut text = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(limit).read_to_end(&mut text).map_err(damaged)?;
    if text.len() > bytes_max { Err(LakeError::TooLarge { what, bytes_max }) } else { Ok(text) }
}

/// The lines of one object to be. Its buffer is kept from object to object.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    text: Vec<u8>,
    lines: u64,
    /// Number and length of the longest line.
    longest: (u64, usize),
}

impl LineBuffer {
    /// Appends what `write` writes: one line and its end.
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        self.lines += 1;
        let bytes = self.text.len() - start - 1;
        if bytes > self.longest.1 {
            self.longest = (self.lines, bytes);
        }
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// The object; the buffer is empty afterwards, also when this fails.
    pub(crate) fn finish(&mut self, what: &'static str) -> Result<Vec<u8>, LakeError> {
        let (line, bytes) = self.longest;
        let object = if bytes > LINE_BYTES_MAX {
            Err(LakeError::LineTooLong { what, line, bytes, bytes_max: LINE_BYTES_MAX })
        } else {
            compress(what, &self.text)
        };
        self.text.clear();
        (self.lines, self.longest) = (0, (0, 0));
        object
    }
}
