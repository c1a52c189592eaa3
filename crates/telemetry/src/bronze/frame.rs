//! One zstd frame with its checksum around a buffer of lines, and back within a bound.

use std::fmt;
use std::io::{self, Read};

use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

use super::LakeError;
use super::line::LINE_BYTES_MAX;

/// zstd's fast level. Lines of telemetry repeat in long stretches with a few new digits between, and there its longer
/// minimum match beats level 3 in size (by a tenth) and in time (by a third); only level 19 is smaller.
const LEVEL: i32 = 1;

/// Largest window a frame may ask for, as a power of two: beyond what any level up to 19 uses, so that a forged frame header
/// cannot make the reader reserve gigabytes.
const WINDOW_LOG_MAX: u32 = 24;

/// Compresses. The bytes depend on the text and the version of zstd alone. Its tables and its room are kept.
#[derive(Default)]
struct Packer {
    compressor: Option<Compressor<'static>>,
    room: Vec<u8>,
}

impl Packer {
    fn pack(&mut self, text: &[u8]) -> io::Result<Vec<u8>> {
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => {
                let mut compressor = Compressor::new(LEVEL)?;
                compressor.set_parameter(CParameter::ChecksumFlag(true))?;
                none.insert(compressor)
            }
        };
        self.room.clear();
        self.room.reserve(compress_bound(text.len()));
        compressor.compress_to_buffer(text, &mut self.room)?;
        Ok(self.room.as_slice().to_vec())
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
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
    packer: Packer,
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

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        (self.lines, self.longest) = (0, (0, 0));
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
            self.packer.pack(&self.text).map_err(|source| LakeError::Compress { what, source })
        };
        self.clear();
        object
    }
}
