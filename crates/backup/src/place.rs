//! What lies where at a place of backups.
//!
//! ```text
//! objects/ab/ab12…                    contents, by SHA-256, shared by all backups of the place
//! backups/{id}/begun.json             who began it, and when
//! backups/{id}/tables/…               the tables, and tables.json when they are whole
//! backups/{id}/lists/{area}/000000.ndjson.gz
//! backups/{id}/manifest.json          written last: a backup without it is none
//! ```

use std::collections::BTreeMap;

use anomaly_core::Timestamp;
use platform::model::ContentHash;
use serde::{Deserialize, Serialize};

use crate::BackupError;
use crate::objects::{Objects, Put};

/// Names of a page.
const PAGE: usize = 1_000;

/// Where contents lie.
pub const OBJECTS: &str = "objects/";
/// Where backups lie.
pub const BACKUPS: &str = "backups/";

/// Name of a backup: when it was begun, and of what. Names of one environment are in order of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    /// Of an environment, begun at this instant.
    #[must_use]
    pub fn new(environment: &str, at: Timestamp) -> Self {
        Self(format!("{environment}-{}", at.to_string().replace([':', '.'], "-")))
    }

    /// As it was read. It is part of a key, so that it has no slash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains('/') && !text.starts_with('.')).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of something of it.
    #[must_use]
    pub fn key(&self, rest: &str) -> String {
        format!("{BACKUPS}{}/{rest}", self.0)
    }
}

/// Where a content lies.
#[must_use]
pub fn content(sha256: &ContentHash) -> String {
    format!("{OBJECTS}{}/{sha256}", &sha256.as_str()[..2])
}

/// Something at the place whose bytes are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Where it is.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// What it must be.
    pub sha256: ContentHash,
}

/// Writes bytes of a backup, in the place of what an earlier run left there.
///
/// # Errors
/// The place's.
pub async fn write(place: &impl Objects, key: String, body: &[u8]) -> Result<Blob, BackupError> {
    place.put(&key, body, Put::Replace).await?;
    Ok(Blob { key, bytes: body.len() as u64, sha256: ContentHash::of(body) })
}

/// Contents that a place has, with their sizes: half of each hash, which tells any number of them apart, so that ten million
/// contents take some hundred megabytes.
#[derive(Debug, Default)]
pub struct Contents(BTreeMap<u128, u64>);

impl Contents {
    /// Lists them.
    ///
    /// # Errors
    /// The place's.
    pub async fn list(place: &impl Objects) -> Result<Self, BackupError> {
        let (mut contents, mut after) = (BTreeMap::new(), String::new());
        loop {
            let page = place.page(OBJECTS, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(Self(contents)) };
            after.clone_from(&last.key);
            let names = page.iter().filter_map(|found| Some((half(found.key.rsplit('/').next()?)?, found.bytes)));
            contents.extend(names);
        }
    }

    /// Whether a content is there, and as long as it was.
    #[must_use]
    pub fn has(&self, sha256: &ContentHash, bytes: u64) -> bool {
        half(sha256.as_str()).and_then(|half| self.0.get(&half)) == Some(&bytes)
    }
}

fn half(hash: &str) -> Option<u128> {
    u128::from_str_radix(hash.get(..32)?, 16).ok()
}

/// Whether a content that is there is believed to be what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Where its size is.
    Size,
    /// Where it is read, and its hash is.
    Hash,
}

/// Writes a content, unless it is there: the bytes of a name are always the same.
///
/// # Errors
/// The place's.
pub async fn keep(place: &impl Objects, body: &[u8], trust: Trust) -> Result<Blob, BackupError> {
    let sha256 = ContentHash::of(body);
    let key = content(&sha256);
    // What a former run of another program cut short is written anew.
    let is_there = place.measure(&key).await? == Some(body.len() as u64)
        && (trust == Trust::Size || place.read(&key).await?.is_some_and(|there| there == body));
    if !is_there {
        place.put(&key, body, Put::Replace).await?;
    }
    Ok(Blob { key, bytes: body.len() as u64, sha256 })
}

/// Reads what was written, or says what is wrong with it.
///
/// # Errors
/// [`BackupError::Damaged`], and the place's.
pub async fn read(place: &impl Objects, blob: &Blob) -> Result<Vec<u8>, BackupError> {
    let Some(bytes) = place.read(&blob.key).await? else {
        return Err(BackupError::damaged(&blob.key, "it is not there"));
    };
    let found = ContentHash::of(&bytes);
    if found == blob.sha256 {
        return Ok(bytes);
    }
    Err(BackupError::damaged(&blob.key, format!("its SHA-256 is {found}, and was {}", blob.sha256)))
}
