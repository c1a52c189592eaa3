//! A model as bytes: one file that either comes back whole or is refused.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `MRMODL\0\n`: cut short by text tools that stop at a zero or change line ends |
//! | 2 | version of this form |
//! | 2 | [`anomaly_core::STATE_VERSION`], which a warmed-up engine depends on |
//! | 4 | CRC-32 (ISO-HDLC) of everything behind it |
//! | 4 | length of the card |
//! | 8 | length of the model unpacked |
//! | … | the [`Card`] as JSON, so that a person can read it with `strings` |
//! | … | the [`Model`] in postcard, compressed with zstd; nothing follows it |
//!
//! Numbers are little-endian. Equal models have equal bytes. Another version is refused rather than guessed at: the model can
//! be trained again from the same data. The checksum notices damage, not malice: who may write the models of a tenant may
//! choose its scores anyway.

use std::io;

use serde::{Deserialize, Serialize};

use crate::card::Card;
use crate::model::Model;

/// The first bytes.
const MAGIC: [u8; 8] = *b"MRMODL\0\n";
/// Version of the form.
pub const VERSION: u16 = 1;
/// Name of the file in `/opt/ml/model`.
pub const FILE_NAME: &str = "model.millrace";
/// Longest artifact, in bytes.
pub const ARTIFACT_BYTES_MAX: usize = 1 << 30;
/// Most that a model may unpack to, in bytes: 20,000 devices with 64 metrics have less.
const MODEL_BYTES_MAX: u64 = 4 << 30;
/// Bytes before the card.
const HEAD_BYTES: usize = 28;
const ZSTD_LEVEL: i32 = 3;

/// A model and what it says of itself.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// What it says of itself.
    pub card: Card,
    /// The model.
    pub model: Model,
}

/// Why bytes are no artifact of this release.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// They begin otherwise.
    #[error("this is no model: it does not begin as `{FILE_NAME}` does")]
    NotAModel,
    /// They end early.
    #[error("the model is cut off after {0} bytes: copy it again")]
    Truncated(usize),
    /// Written by another release.
    #[error(
        "the model has form {found}, this release reads {VERSION}: train it again, or run the release that made it"
    )]
    Version {
        /// In the file.
        found: u16,
    },
    /// It holds engines of another release.
    #[error(
        "the model holds states of version {found}, this release reads {} to {}: train it again, or run the release that made it",
        anomaly_core::STATE_VERSION_OLDEST,
        anomaly_core::STATE_VERSION
    )]
    StateVersion {
        /// In the file.
        found: u16,
    },
    /// They were changed.
    #[error("the model is damaged: its checksum is {found:08x}, not {expected:08x}; copy it again")]
    Checksum {
        /// Of the bytes.
        found: u32,
        /// In the file.
        expected: u32,
    },
    /// It is larger than any that is made.
    #[error("the model unpacks to {0} bytes, the limit is {MODEL_BYTES_MAX}")]
    TooLarge(u64),
    /// The card cannot be read or written.
    #[error("the model's card: {0}")]
    Card(#[from] serde_json::Error),
    /// The model cannot be packed or unpacked.
    #[error("the model: {0}")]
    Pack(#[from] io::Error),
    /// The model cannot be read or written.
    #[error("the model: {0}")]
    Model(#[from] postcard::Error),
}

impl Artifact {
    /// As bytes.
    ///
    /// # Errors
    /// [`ArtifactError::TooLarge`], and those of the encoders, which do not happen.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        let card = serde_json::to_vec(&self.card)?;
        let model = postcard::to_stdvec(&self.model)?;
        if model.len() as u64 > MODEL_BYTES_MAX {
            return Err(ArtifactError::TooLarge(model.len() as u64));
        }
        let packed = zstd::bulk::compress(&model, ZSTD_LEVEL)?;
        let mut behind = Vec::with_capacity(12 + card.len() + packed.len());
        behind.extend((card.len() as u32).to_le_bytes());
        behind.extend((model.len() as u64).to_le_bytes());
        behind.extend(card);
        behind.extend(packed);
        let mut bytes = Vec::with_capacity(16 + behind.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(anomaly_core::STATE_VERSION.to_le_bytes());
        bytes.extend(crc32fast::hash(&behind).to_le_bytes());
        bytes.extend(behind);
        Ok(bytes)
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`ArtifactError`]. Nothing is unpacked before the checksum fits.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let parts = Parts::of(bytes)?;
        let card = serde_json::from_slice(parts.card)?;
        if parts.unpacked > MODEL_BYTES_MAX {
            return Err(ArtifactError::TooLarge(parts.unpacked));
        }
        let model = zstd::bulk::decompress(parts.packed, parts.unpacked as usize)?;
        let (model, rest) = postcard::take_from_bytes::<Model>(&model)?;
        if !rest.is_empty() {
            return Err(postcard::Error::DeserializeBadEncoding.into());
        }
        Ok(Self { card, model })
    }
}

/// What a model says of itself, without unpacking it.
///
/// # Errors
/// [`ArtifactError`].
pub fn card(bytes: &[u8]) -> Result<Card, ArtifactError> {
    Ok(serde_json::from_slice(Parts::of(bytes)?.card)?)
}

/// The parts of an artifact whose checksum fits.
struct Parts<'a> {
    card: &'a [u8],
    unpacked: u64,
    packed: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, ArtifactError> {
        if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
            return Err(ArtifactError::NotAModel);
        }
        let cut = || ArtifactError::Truncated(bytes.len());
        let Head { form, state, checksum, card, unpacked } = Head::of(bytes).ok_or_else(cut)?;
        if form != VERSION {
            return Err(ArtifactError::Version { found: form });
        }
        if !(anomaly_core::STATE_VERSION_OLDEST..=anomaly_core::STATE_VERSION).contains(&state) {
            return Err(ArtifactError::StateVersion { found: state });
        }
        let found = crc32fast::hash(&bytes[16..]);
        if found != checksum {
            return Err(ArtifactError::Checksum { found, expected: checksum });
        }
        let (card, packed) = bytes[HEAD_BYTES..].split_at_checked(card as usize).ok_or_else(cut)?;
        Ok(Self { card, unpacked, packed })
    }
}

/// The numbers at the beginning, behind the magic ones. In postcard they would have no fixed place.
struct Head {
    form: u16,
    state: u16,
    checksum: u32,
    card: u32,
    unpacked: u64,
}

impl Head {
    fn of(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            form: u16::from_le_bytes(*bytes.get(8..)?.first_chunk()?),
            state: u16::from_le_bytes(*bytes.get(10..)?.first_chunk()?),
            checksum: u32::from_le_bytes(*bytes.get(12..)?.first_chunk()?),
            card: u32::from_le_bytes(*bytes.get(16..)?.first_chunk()?),
            unpacked: u64::from_le_bytes(*bytes.get(20..)?.first_chunk()?),
        })
    }
}

/// What stands beside a published model: `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Version of this form.
    pub version: u32,
    /// SHA-256 of the artifact, in hexadecimal digits.
    pub sha256: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// What the model says of itself.
    pub card: Card,
}
