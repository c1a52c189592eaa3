//! Why a snapshot was refused, and what to do: another snapshot, or none and a replay of bronze.

use std::io;

use super::{ENVELOPE_VERSION, HEADER_BYTES_MAX};

/// A snapshot that could not be written or is not read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Other bytes.
    #[error("this is not a Millrace snapshot: it does not begin with `MRSNAP`; check the key of the object")]
    NotASnapshot,
    /// Written by another release, in another envelope.
    #[error(
        "the snapshot has envelope version {found}, this release reads version {ENVELOPE_VERSION}; run the release that \
         wrote it, or remove it and let the state be made again from bronze"
    )]
    EnvelopeVersion {
        /// In the snapshot.
        found: u16,
    },
    /// Written by a release with another engine state.
    #[error(
        "the snapshot holds engine state version {found}, this release reads version {expected}; run the release that \
         wrote it, or remove it and let the state be made again from bronze"
    )]
    StateVersion {
        /// In the snapshot.
        found: u16,
        /// What the caller reads.
        expected: u16,
    },
    /// The header is longer than any that was written.
    #[error("the snapshot's header has {bytes} bytes, the limit is {HEADER_BYTES_MAX}")]
    HeaderTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The bytes end early.
    #[error("the snapshot is cut short: it has {bytes} bytes and needs at least {needed}; fetch it again")]
    Truncated {
        /// What there is.
        bytes: usize,
        /// What the part being read needs.
        needed: usize,
    },
    /// Something follows the payload.
    #[error("{bytes} bytes follow the end of the snapshot; two objects were joined, or it was changed")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// The bytes were changed after they were written.
    #[error(
        "the snapshot is damaged: its checksum is {expected:08x}, its bytes have {found:08x}; fetch it again or use the \
         snapshot before it"
    )]
    Checksum {
        /// Of the bytes.
        found: u32,
        /// As stored.
        expected: u32,
    },
    /// The state is larger than the caller has room for.
    #[error(
        "the snapshot unpacks to {bytes} bytes, the limit is {bytes_max}; give the function more memory and raise the limit"
    )]
    TooLarge {
        /// Unpacked.
        bytes: u64,
        /// The limit that was given.
        bytes_max: usize,
    },
    /// The payload is not what zstd wrote.
    #[error("the snapshot's payload does not unpack: {0}; use the snapshot before it")]
    Unpack(#[source] io::Error),
    /// The bytes are whole but are not this state: the state changed and its version did not.
    #[error(
        "the snapshot's {part} does not decode ({source}); it was written by another build of the same version: remove it"
    )]
    Decode {
        /// `header` or `state`.
        part: &'static str,
        /// What postcard says.
        source: postcard::Error,
    },
    /// The state cannot be written.
    #[error("the state cannot be serialised: {0}")]
    Encode(#[source] postcard::Error),
    /// The compressor failed, which means that memory ran out.
    #[error("the state cannot be compressed: {0}")]
    Compress(#[source] io::Error),
}
