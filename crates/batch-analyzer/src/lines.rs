//! The lines of an object of any size, read a stretch at a time.
//!
//! Memory: one stretch of the object, one of plain text, and the longest line.

use platform::model::Key;
use platform::ports::{ReadRange, StoreError};
use telemetry::inference::LINE_BYTES_MAX;

use crate::unpack::{Unpack, UnpackError};

/// How much of an object is asked for at once. A request of S3 costs some 20 ms before its first byte.
const STRETCH_BYTES: usize = 8 << 20;
/// How much is unpacked at once.
const PLAIN_BYTES: usize = 1 << 20;

/// Why lines end before the object does.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// The store could not be read. When transient, the whole may be tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such object.
    #[error("`{0}` is not there")]
    Missing(Key),
    /// Somebody replaced the object while it was read.
    #[error("`{0}` was replaced while it was read")]
    Replaced(Key),
    /// It cannot be unpacked.
    #[error("`{key}` {source}")]
    Damaged {
        /// The object.
        key: Key,
        /// Why.
        source: UnpackError,
    },
}

/// A line, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes.
    Whole(&'a [u8]),
    /// It has more than [`LINE_BYTES_MAX`].
    TooLong,
}

/// Reads an object line by line.
#[derive(Debug)]
pub struct Lines<'w, W> {
    world: &'w W,
    key: Key,
    tag: Option<String>,
    unpack: Option<Unpack>,
    /// Bytes of the object that were asked for so far.
    offset: u64,
    object_bytes: Option<u64>,
    stretch: Vec<u8>,
    used: usize,
    /// Plain text of which lines were handed out up to `start`.
    plain: Vec<u8>,
    start: usize,
    /// Up to here there is no end of a line.
    searched: usize,
    is_passing_over: bool,
    plain_bytes: u64,
}

impl<'w, W: ReadRange> Lines<'w, W> {
    /// The lines of the object of this key. Nothing is read yet.
    pub fn new(world: &'w W, key: Key) -> Self {
        Self {
            world,
            key,
            tag: None,
            unpack: None,
            offset: 0,
            object_bytes: None,
            stretch: Vec::new(),
            used: 0,
            plain: Vec::new(),
            start: 0,
            searched: 0,
            is_passing_over: false,
            plain_bytes: 0,
        }
    }

    /// The next line that is not blank, or `None` at the end. The last line needs no end of line.
    ///
    /// Blank lines count for nothing on either side: no model answers one.
    ///
    /// # Errors
    /// [`LinesError`].
    pub async fn next(&mut self) -> Result<Option<Line<'_>>, LinesError> {
        loop {
            let open = &self.plain[self.searched..];
            if let Some(at) = memchr::memchr(b'\n', open) {
                let (from, to) = (self.start, self.searched + at);
                (self.start, self.searched) = (to + 1, to + 1);
                if std::mem::take(&mut self.is_passing_over) {
                    return Ok(Some(Line::TooLong));
                }
                if is_blank(&self.plain[from..to]) {
                    continue;
                }
                return Ok(Some(whole(&self.plain[from..to])));
            }
            self.searched = self.plain.len();
            if self.searched - self.start > LINE_BYTES_MAX {
                self.is_passing_over = true;
                self.start = self.searched;
            }
            if !self.fill().await? {
                return Ok(self.last());
            }
        }
    }

    /// What comes behind the last end of line.
    fn last(&mut self) -> Option<Line<'_>> {
        let from = std::mem::replace(&mut self.start, self.plain.len());
        if std::mem::take(&mut self.is_passing_over) {
            return Some(Line::TooLong);
        }
        let line = &self.plain[from..];
        (!is_blank(line)).then(|| whole(line))
    }

    /// How much plain text there was so far, in bytes.
    #[must_use]
    pub fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// Where the object was when it was read: the tag of its content.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Unpacks more text. `false`: there is none.
    async fn fill(&mut self) -> Result<bool, LinesError> {
        self.plain.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        loop {
            let is_end = self.used == self.stretch.len() && !self.read().await?;
            let key = &self.key;
            let damaged = |source| LinesError::Damaged { key: key.clone(), source };
            let unpack = match &mut self.unpack {
                Some(unpack) => unpack,
                none => none.insert(Unpack::of(&self.stretch).map_err(damaged)?),
            };
            let before = self.plain.len();
            self.plain.resize(before + PLAIN_BYTES, 0);
            let step = unpack.step(&self.stretch[self.used..], &mut self.plain[before..]);
            let (taken, given) = step.map_err(damaged)?;
            self.plain.truncate(before + given);
            self.used += taken;
            self.plain_bytes += given as u64;
            if given > 0 {
                return Ok(true);
            }
            if is_end {
                return unpack.finish().map(|()| false).map_err(damaged);
            }
        }
    }

    /// Reads the next stretch. `false`: there is none.
    async fn read(&mut self) -> Result<bool, LinesError> {
        if self.object_bytes.is_some_and(|bytes| self.offset >= bytes) {
            return Ok(false);
        }
        let found = self.world.read_range(&self.key, self.offset, STRETCH_BYTES).await?;
        let found = found.ok_or_else(|| LinesError::Missing(self.key.clone()))?;
        if self.tag.as_ref().is_some_and(|tag| *tag != found.tag) {
            return Err(LinesError::Replaced(self.key.clone()));
        }
        self.tag = Some(found.tag);
        self.object_bytes = Some(found.object_bytes);
        self.offset += found.bytes.len() as u64;
        self.used = 0;
        self.stretch = found.bytes;
        Ok(!self.stretch.is_empty())
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn whole(line: &[u8]) -> Line<'_> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > LINE_BYTES_MAX { Line::TooLong } else { Line::Whole(line) }
}

#[cfg(test)]
mod tests {
    use platform::embedded::Local;
    use platform::ports::PutIfAbsent as _;

    use super::*;

    async fn lines_of(body: &[u8]) -> Result<Vec<Option<Vec<u8>>>, LinesError> {
        let folder = tempfile::tempdir().unwrap();
        let world = Local::open(folder.path()).unwrap();
        let key = Key::new("inference/x").unwrap();
        world.put_if_absent(&key, body).await.unwrap();
        let mut lines = Lines::new(&world, key);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await? {
            all.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
        }
        Ok(all)
    }

    fn texts(lines: &[&str]) -> Vec<Option<Vec<u8>>> {
        lines.iter().map(|line| Some(line.as_bytes().to_vec())).collect()
    }

    #[tokio::test]
    async fn a_line_ends_at_a_line_feed_or_with_the_object() {
        assert_eq!(lines_of(b"").await.unwrap(), texts(&[]));
        assert_eq!(lines_of(b"a").await.unwrap(), texts(&["a"]));
        assert_eq!(lines_of(b"a\n").await.unwrap(), texts(&["a"]));
        assert_eq!(lines_of(b"\na\r\n \r\n\nb\n\n  ").await.unwrap(), texts(&["a", "b"]));
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_costs_only_itself() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        for end in ["", "\n", "\nb\n"] {
            let body = [b"a\n", &long[..], &long[..], end.as_bytes()].concat();
            let mut expected = texts(&["a"]);
            expected.push(None);
            expected.extend(texts(if end.len() > 1 { &["b"] } else { &[] }));
            assert_eq!(lines_of(&body).await.unwrap(), expected);
        }
        let longest = &long[1..];
        assert_eq!(lines_of(longest).await.unwrap(), [Some(longest.to_vec())]);
    }

    #[tokio::test]
    async fn lines_are_the_same_across_stretches_and_when_compressed() {
        let body: Vec<u8> = (0..1_500_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        assert!(body.len() > STRETCH_BYTES);
        let expected: Vec<Option<Vec<u8>>> = (0..1_500_000).map(|n| Some(n.to_string().into_bytes())).collect();
        assert!(lines_of(&body).await.unwrap() == expected);
        assert!(lines_of(&zstd::encode_all(&body[..], 1).unwrap()).await.unwrap() == expected);
    }

    #[tokio::test]
    async fn an_object_that_is_cut_off_is_no_shorter_object() {
        let packed = zstd::encode_all(&b"a\nb\n"[..], 1).unwrap();
        let error = lines_of(&packed[..packed.len() - 1]).await.unwrap_err();
        assert_eq!(error.to_string(), "`inference/x` is no zstd from byte 12 on: it is cut off");
    }
}
