//! Lists of the lake's objects: which key has which content. Pages of NDJSON under gzip, in order of key, so that a lake of any size
//! is gone through in constant memory, and two lists are compared by going through both.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use platform::model::ContentHash;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::BackupError;
use crate::objects::Objects;
use crate::place::{self, Blob};

/// Most lines of a page.
pub const LINES_MAX: usize = 1_000;
/// Largest page, in bytes before compression.
const PLAIN_BYTES_MAX: u64 = 1 << 30;

/// An object of the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its key in the lake.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// Its content, which lies at [`place::content`].
    pub sha256: ContentHash,
    /// What the listing showed when it was read: while it shows the same, it need not be read again.
    pub tag: String,
}

/// Lines of JSON under gzip. Equal lines give equal bytes.
///
/// # Errors
/// A line cannot be written as JSON.
pub fn pack<'l, T: Serialize + 'l>(lines: impl IntoIterator<Item = &'l T>) -> Result<Vec<u8>, BackupError> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    for line in lines {
        serde_json::to_writer(&mut gzip, line).map_err(|error| BackupError::damaged("a line", error))?;
        gzip.write_all(b"\n")?;
    }
    Ok(gzip.finish()?)
}

/// The bytes under gzip; `name` is for the message.
///
/// # Errors
/// [`BackupError::Damaged`].
pub fn unpack(packed: &[u8], name: &str) -> Result<Vec<u8>, BackupError> {
    let mut plain = Vec::new();
    let reader = MultiGzDecoder::new(packed);
    let read = reader.take(PLAIN_BYTES_MAX + 1).read_to_end(&mut plain);
    read.map_err(|error| BackupError::damaged(name, error))?;
    if plain.len() as u64 > PLAIN_BYTES_MAX {
        return Err(BackupError::damaged(name, format!("it has more than {PLAIN_BYTES_MAX} bytes unpacked")));
    }
    Ok(plain)
}

/// Lines of JSON; `name` is for the message.
///
/// # Errors
/// [`BackupError::Damaged`].
pub fn lines<T: DeserializeOwned>(packed: &[u8], name: &str) -> Result<Vec<T>, BackupError> {
    let plain = unpack(packed, name)?;
    let lines = plain.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| BackupError::damaged(name, error))).collect()
}

/// Goes through the lists of an area in order of key, a page in memory.
#[derive(Debug)]
pub struct Cursor<'c, P> {
    place: &'c P,
    lists: std::slice::Iter<'c, Blob>,
    page: std::vec::IntoIter<Line>,
    next: Option<Line>,
}

impl<'c, P: Objects> Cursor<'c, P> {
    /// At the beginning.
    #[must_use]
    pub fn new(place: &'c P, lists: &'c [Blob]) -> Self {
        Self { place, lists: lists.iter(), page: Vec::new().into_iter(), next: None }
    }

    /// The next line, which is taken.
    ///
    /// # Errors
    /// A page is damaged, or the place's.
    pub async fn take(&mut self) -> Result<Option<Line>, BackupError> {
        if let Some(line) = self.next.take() {
            return Ok(Some(line));
        }
        loop {
            if let Some(line) = self.page.next() {
                return Ok(Some(line));
            }
            let Some(blob) = self.lists.next() else { return Ok(None) };
            let bytes = place::read(self.place, blob).await?;
            self.page = lines(&bytes, &blob.key)?.into_iter();
        }
    }

    /// The line of a key, if there is one. Keys are asked for in order; those before are passed over.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub async fn find(&mut self, key: &str) -> Result<Option<Line>, BackupError> {
        while let Some(line) = self.take().await? {
            if line.key.as_str() < key {
                continue;
            }
            if line.key == key {
                return Ok(Some(line));
            }
            self.next = Some(line);
            break;
        }
        Ok(None)
    }
}
