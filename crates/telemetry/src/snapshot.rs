//! Snapshots: the state of a shard's engine in one object that either comes back whole or is refused.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `MRSNAP\0\n`: cut short by text tools that stop at a zero or change line ends |
//! | 2 | version of this envelope |
//! | 2 | version of the state inside, which the caller passes |
//! | 4 | length of the header |
//! | … | the header: [`Header`] in postcard |
//! | 8 | length of the state unpacked |
//! | 8 | length of the payload |
//! | 4 | CRC-32 (ISO-HDLC) of everything before it and of the payload |
//! | … | the payload: the state in postcard, compressed with zstd; nothing follows it |
//!
//! Numbers are little-endian. The checksum covers the header too: a CRC-32 notices every single flipped bit, so no field
//! can change unseen. A snapshot of another version is refused rather than guessed at; state is a fold over bronze and can
//! always be made again.
//!
//! What this does not do: know what the state is, name objects, or decide when a snapshot is due.

mod error;

use std::io;

use anomaly_core::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::error::SnapshotError;
use crate::sequence::SequenceNumber;

/// The first bytes of every snapshot.
pub const MAGIC: [u8; 8] = *b"MRSNAP\0\n";

/// Version of the envelope.
pub const ENVELOPE_VERSION: u16 = 1;

/// Longest header, in bytes: a sequence number, a time and a fingerprint need 90.
pub const HEADER_BYTES_MAX: usize = 4096;

/// zstd's own default level.
const LEVEL: i32 = 3;

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The last record that the state has taken in; none for a state that has seen none.
    pub last_seq: Option<SequenceNumber>,
    /// Stream time at which it was made.
    pub at: Timestamp,
    /// Fingerprint of the profiles in force, as [`crate::profile::ProfileBundle::fingerprint`] gives it.
    pub profiles: String,
}

/// Packs a state. Equal header and state give equal bytes.
///
/// # Errors
/// [`SnapshotError::Encode`] when the state cannot be serialised, [`SnapshotError::HeaderTooLong`],
/// [`SnapshotError::Compress`].
pub fn encode<T: Serialize>(header: &Header, state_version: u16, state: &T) -> Result<Vec<u8>, SnapshotError> {
    let header = postcard::to_stdvec(header).map_err(SnapshotError::Encode)?;
    if header.len() > HEADER_BYTES_MAX {
        return Err(SnapshotError::HeaderTooLong { bytes: header.len() });
    }
    let state = postcard::to_stdvec(state).map_err(SnapshotError::Encode)?;
    let payload = zstd::bulk::compress(&state, LEVEL).map_err(SnapshotError::Compress)?;
    let mut out = Vec::with_capacity(36 + header.len() + payload.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&ENVELOPE_VERSION.to_le_bytes());
    out.extend_from_slice(&state_version.to_le_bytes());
    out.extend_from_slice(&(header.len() as u32).to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(&(state.len() as u64).to_le_bytes());
    out.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    let checksum = checksum(&out, &payload);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&payload);
    Ok(out)
}

/// Unpacks a state of at most `bytes_max` bytes.
///
/// # Errors
/// [`SnapshotError`] says what is wrong with the bytes. Nothing is unpacked before the checksum fits, and never more than
/// `bytes_max`.
pub fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    expected_state_version: u16,
    bytes_max: usize,
) -> Result<(Header, T), SnapshotError> {
    let envelope = Envelope::open(bytes, expected_state_version)?;
    let unpacked = usize::try_from(envelope.unpacked).unwrap_or(usize::MAX);
    if unpacked > bytes_max {
        return Err(SnapshotError::TooLarge { bytes: envelope.unpacked, bytes_max });
    }
    let state = zstd::bulk::decompress(envelope.payload, unpacked).map_err(SnapshotError::Unpack)?;
    if state.len() != unpacked {
        let found = format!("{} bytes instead of {unpacked}", state.len());
        return Err(SnapshotError::Unpack(io::Error::new(io::ErrorKind::InvalidData, found)));
    }
    let header = whole(envelope.header).map_err(|source| SnapshotError::Decode { part: "header", source })?;
    let state = whole(&state).map_err(|source| SnapshotError::Decode { part: "state", source })?;
    Ok((header, state))
}

/// Reads the header without unpacking the state, for `which snapshot is this?`.
///
/// # Errors
/// As [`decode`], but for what concerns the state.
pub fn header(bytes: &[u8], expected_state_version: u16) -> Result<Header, SnapshotError> {
    let envelope = Envelope::open(bytes, expected_state_version)?;
    whole(envelope.header).map_err(|source| SnapshotError::Decode { part: "header", source })
}

/// Deserialises a value that takes up all of `bytes`.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<T> {
    let (value, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(postcard::Error::DeserializeBadEncoding) }
}

fn checksum(before: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(before);
    crc.update(payload);
    crc.finalize()
}

/// The parts of a snapshot whose checksum fits.
struct Envelope<'a> {
    header: &'a [u8],
    unpacked: u64,
    payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn open(bytes: &'a [u8], expected_state_version: u16) -> Result<Self, SnapshotError> {
        let mut parts = Parts { bytes, at: 0 };
        if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
            return Err(SnapshotError::NotASnapshot);
        }
        parts.take(MAGIC.len())?;
        let found = parts.u16()?;
        if found != ENVELOPE_VERSION {
            return Err(SnapshotError::EnvelopeVersion { found });
        }
        let found = parts.u16()?;
        if found != expected_state_version {
            return Err(SnapshotError::StateVersion { found, expected: expected_state_version });
        }
        let header_bytes = parts.u32()? as usize;
        if header_bytes > HEADER_BYTES_MAX {
            return Err(SnapshotError::HeaderTooLong { bytes: header_bytes });
        }
        let header = parts.take(header_bytes)?;
        let unpacked = parts.u64()?;
        let payload_bytes = parts.u64()?;
        let before = &bytes[..parts.at];
        let expected = parts.u32()?;
        let payload = parts.take(usize::try_from(payload_bytes).unwrap_or(usize::MAX))?;
        let trailing = bytes.len() - parts.at;
        if trailing > 0 {
            return Err(SnapshotError::TrailingBytes { bytes: trailing });
        }
        let found = checksum(before, payload);
        if found != expected {
            return Err(SnapshotError::Checksum { found, expected });
        }
        Ok(Self { header, unpacked, payload })
    }
}

/// Walks the bytes and notices when they end early.
struct Parts<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parts<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], SnapshotError> {
        let needed = self.at.saturating_add(bytes);
        let part = self.bytes.get(self.at..needed);
        let part = part.ok_or(SnapshotError::Truncated { bytes: self.bytes.len(), needed })?;
        self.at = needed;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u16(&mut self) -> Result<u16, SnapshotError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, SnapshotError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, SnapshotError> {
        self.array().map(u64::from_le_bytes)
    }
}
