//! What stands around an input and guards it: checksums, compression, an envelope.
//!
//! A mutation inside a checksum tests the checksum only. A shell is taken off before an input is mutated and put on again
//! after, with everything in it right, so that the mutation reaches the reader behind it.

use kinesis_scorer::state::STATE_VERSION;
use md5::{Digest as _, Md5};
use telemetry::snapshot::{ENVELOPE_VERSION, MAGIC};

use crate::mutation::INPUT_BYTES_MAX;

const KPL_MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const MD5_BYTES: usize = 16;

/// No last sequence number, the time 0, no fingerprint.
const SHORTEST_HEADER: [u8; 3] = [0, 0, 0];

/// A guard around an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// Nothing: the input is mutated as it stands.
    None,
    /// A KPL aggregate behind the partition key's line: magic and MD5.
    Kpl,
    /// The envelope of a snapshot and its compression.
    Snapshot,
    /// One zstd frame.
    Zstd,
}

impl Shell {
    /// What is inside, if `input` wears this shell.
    #[must_use]
    pub fn open(self, input: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::None => Some(input.to_vec()),
            Self::Kpl => {
                let (key, rest) = split_line(input);
                let body = rest.strip_prefix(&KPL_MAGIC)?;
                let protobuf = &body[..body.len().checked_sub(MD5_BYTES)?];
                Some([key, b"\n", protobuf].concat())
            }
            Self::Snapshot => {
                let header = input.get(12..16)?.try_into().ok().map(u32::from_le_bytes)?;
                // After the header: two lengths of 8 bytes and a checksum of 4.
                unpack(input.get((16 + 20 + header as usize)..)?)
            }
            Self::Zstd => input.starts_with(&ZSTD_MAGIC).then(|| unpack(input)).flatten(),
        }
    }

    /// Puts the shell around `inner`. None when it cannot be compressed, which means that memory ran out.
    #[must_use]
    pub fn close(self, inner: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::None => Some(inner.to_vec()),
            Self::Kpl => {
                let (key, protobuf) = split_line(inner);
                Some([key, b"\n", &kpl(protobuf)].concat())
            }
            Self::Snapshot => {
                let payload = pack(inner)?;
                Some(snapshot(&SHORTEST_HEADER, inner.len() as u64, payload.len() as u64, &payload))
            }
            Self::Zstd => pack(inner),
        }
    }
}

/// The first line without its end, and what follows it.
pub(crate) fn split_line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

/// A KPL aggregate around any bytes, its checksum right.
#[must_use]
pub fn kpl(protobuf: &[u8]) -> Vec<u8> {
    [&KPL_MAGIC, protobuf, Md5::digest(protobuf).as_slice()].concat()
}

/// A snapshot's envelope around any bytes, claiming any lengths, its checksum right. `header` is the postcard of a
/// [`telemetry::snapshot::Header`].
#[must_use]
pub fn snapshot(header: &[u8], unpacked: u64, payload_bytes: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&ENVELOPE_VERSION.to_le_bytes());
    out.extend_from_slice(&STATE_VERSION.to_le_bytes());
    out.extend_from_slice(&(header.len() as u32).to_le_bytes());
    out.extend_from_slice(header);
    out.extend_from_slice(&unpacked.to_le_bytes());
    out.extend_from_slice(&payload_bytes.to_le_bytes());
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&out);
    checksum.update(payload);
    out.extend_from_slice(&checksum.finalize().to_le_bytes());
    out.extend_from_slice(payload);
    out
}

fn pack(inner: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(inner, 1).ok()
}

fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::decompress(packed, INPUT_BYTES_MAX).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_into_a_shell_is_taken_out_again() {
        for shell in [Shell::None, Shell::Kpl, Shell::Snapshot, Shell::Zstd] {
            let inner = b"d1\n\x0a\x01a\x1a\x05";
            assert_eq!(shell.open(&shell.close(inner).unwrap()).unwrap(), inner, "{shell:?}");
        }
    }

    #[test]
    fn other_bytes_wear_no_shell() {
        for shell in [Shell::Kpl, Shell::Snapshot, Shell::Zstd] {
            assert_eq!(shell.open(b"d1\n{}"), None, "{shell:?}");
        }
    }
}
