//! Compressed bytes to plain ones, a bounded piece at a time.
//!
//! What a few bytes unpack to may be any length, so nothing here is unpacked "whole": who calls says how much room there is,
//! and comes again for the rest.

use flate2::{Decompress, FlushDecompress, Status};
use telemetry::inference::ZSTD_WINDOW_LOG_MAX;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

/// Window of a gzip member: 32 KiB (RFC 1951).
const GZIP_WINDOW_BITS: u8 = 15;

/// The bytes are not what their name says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no {form} from byte {at} on: {reason}")]
pub struct UnpackError {
    form: &'static str,
    at: u64,
    reason: String,
}

/// How an object is compressed, and how far it is unpacked.
pub struct Unpack {
    form: Form,
    taken_bytes: u64,
    /// Whether the end of a member or frame was the last that was seen, so that the object may end here.
    is_whole: bool,
}

enum Form {
    Plain,
    Gzip(Box<Decompress>),
    Zstd(Box<Decoder<'static>>),
}

impl std::fmt::Debug for Unpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpack")
            .field("form", &self.form.name())
            .field("taken_bytes", &self.taken_bytes)
            .finish_non_exhaustive()
    }
}

impl Form {
    fn name(&self) -> &'static str {
        match self {
            Self::Plain => "text",
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
        }
    }
}

impl Unpack {
    /// By what the object begins with: the magic numbers of gzip (RFC 1952) and zstd (RFC 8878), else it is plain.
    ///
    /// # Errors
    /// The decoder cannot be made: no memory.
    pub fn of(beginning: &[u8]) -> Result<Self, UnpackError> {
        let form = match beginning {
            [0x1f, 0x8b, ..] => Form::Gzip(Box::new(Decompress::new_gzip(GZIP_WINDOW_BITS))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Form::Zstd(Box::new(zstd_decoder().map_err(|error| UnpackError {
                form: "zstd",
                at: 0,
                reason: error.to_string(),
            })?)),
            _ => Form::Plain,
        };
        Ok(Self { is_whole: matches!(form, Form::Plain), form, taken_bytes: 0 })
    }

    /// Unpacks from `packed` until it is used up or `plain` is full. Returns how many bytes it took and how many it gave.
    ///
    /// # Errors
    /// The bytes are damaged, or need a larger window than 8 MiB.
    pub fn step(&mut self, packed: &[u8], plain: &mut [u8]) -> Result<(usize, usize), UnpackError> {
        if self.is_whole && packed.is_empty() {
            return Ok((0, 0));
        }
        let (name, at) = (self.form.name(), self.taken_bytes);
        let damaged = |reason: String| UnpackError { form: name, at, reason };
        let (taken, given) = match &mut self.form {
            Form::Plain => {
                let count = packed.len().min(plain.len());
                plain[..count].copy_from_slice(&packed[..count]);
                (count, count)
            }
            Form::Gzip(decoder) => {
                // Several members one after the other are one file (RFC 1952, section 2.2).
                if self.is_whole {
                    **decoder = Decompress::new_gzip(GZIP_WINDOW_BITS);
                }
                let (taken_before, given_before) = (decoder.total_in(), decoder.total_out());
                let status = decoder.decompress(packed, plain, FlushDecompress::None);
                self.is_whole = match status.map_err(|error| damaged(error.to_string()))? {
                    Status::StreamEnd => true,
                    Status::Ok | Status::BufError => false,
                };
                ((decoder.total_in() - taken_before) as usize, (decoder.total_out() - given_before) as usize)
            }
            Form::Zstd(decoder) => {
                let (mut input, mut output) = (InBuffer::around(packed), OutBuffer::around(plain));
                let left = decoder.run(&mut input, &mut output).map_err(|error| damaged(error.to_string()))?;
                self.is_whole = left == 0;
                (input.pos(), output.pos())
            }
        };
        self.taken_bytes += taken as u64;
        Ok((taken, given))
    }

    /// Says that there are no more bytes.
    ///
    /// # Errors
    /// The last member or frame has no end: the object is cut off.
    pub fn finish(&self) -> Result<(), UnpackError> {
        if self.is_whole {
            return Ok(());
        }
        let reason = "it is cut off".to_owned();
        Err(UnpackError { form: self.form.name(), at: self.taken_bytes, reason })
    }
}

fn zstd_decoder() -> std::io::Result<Decoder<'static>> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
    Ok(decoder)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// In pieces of `piece` bytes, into room for `room`.
    fn unpack(packed: &[u8], piece: usize, room: usize) -> Result<Vec<u8>, UnpackError> {
        let mut unpack = Unpack::of(packed)?;
        let (mut plain, mut buffer) = (Vec::new(), vec![0; room]);
        for piece in packed.chunks(piece) {
            let mut from = 0;
            loop {
                let (taken, given) = unpack.step(&piece[from..], &mut buffer)?;
                plain.extend_from_slice(&buffer[..given]);
                from += taken;
                if from == piece.len() && given < room {
                    break;
                }
            }
        }
        unpack.finish().map(|()| plain)
    }

    fn text() -> Vec<u8> {
        (0..20_000).flat_map(|n| format!("{},{}\n", n * 7919 % 1000, n).into_bytes()).collect()
    }

    #[test]
    fn every_form_is_told_by_its_beginning_and_read_in_pieces_of_any_size() {
        let text = text();
        for packed in [text.clone(), gzip(&text), zstd::encode_all(&text[..], 3).unwrap()] {
            for (piece, room) in [(1, 7), (4096, 100), (usize::MAX, 1 << 20)] {
                assert_eq!(unpack(&packed, piece.min(packed.len()), room).unwrap(), text);
            }
        }
    }

    #[test]
    fn members_and_frames_one_after_the_other_are_one_text() {
        let (one, two) = (&b"one\n"[..], &b"two\n"[..]);
        let gzips = [gzip(one), gzip(two)].concat();
        let frames = [zstd::encode_all(one, 1).unwrap(), zstd::encode_all(two, 1).unwrap()].concat();
        for packed in [gzips, frames] {
            for piece in [1, packed.len()] {
                assert_eq!(unpack(&packed, piece, 64).unwrap(), b"one\ntwo\n");
            }
        }
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_said_with_its_place() {
        // zstd finds damage everywhere only in frames that have a checksum.
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(&text()).unwrap();
        for packed in [gzip(&text()), encoder.finish().unwrap()] {
            let cut = unpack(&packed[..packed.len() / 2], 1000, 1000).unwrap_err();
            assert!(cut.to_string().contains("it is cut off"), "{cut}");
            let mut damaged = packed.clone();
            for byte in damaged.iter_mut().skip(40).take(200) {
                *byte ^= 0x5a;
            }
            assert!(unpack(&damaged, 1000, 1000).is_err());
        }
    }

    #[test]
    fn an_empty_object_is_an_empty_text() {
        let unpack = Unpack::of(b"").unwrap();
        assert_eq!(unpack.finish(), Ok(()));
    }
}
