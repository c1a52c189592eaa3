//! What fills the stream that the mapping reads.
//!
//! A source puts records into an in-process stream from a task or thread of its own, waits while the stream is full, and
//! ends it. A file is a stream that has its records already: the mapping begins when all of them are there, or the stream is
//! full, so that batches do not depend on how fast a disk is. Standard input and Kinesis are read as they come.

mod events;
mod feed;
#[cfg(feature = "aws")]
mod kinesis;
mod lines;

use std::path::PathBuf;

use platform::embedded::stream::StreamHandle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use feed::{Arrival, FileSettings, Form, open_files};
#[cfg(feature = "aws")]
pub use kinesis::{KinesisSettings, open_kinesis};

/// Bytes of records that wait in a stream, or in each shard of a mirrored one.
pub(crate) const STREAM_BYTES_MAX: usize = 64 << 20;
/// How many unreadable records are described.
const DESCRIBED_MAX: usize = 5;

/// Why a source cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file.
    #[error("`{path}` cannot be read: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file in a form that it should not have.
    #[error("`{path}` {why}")]
    Form {
        /// The file.
        path: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Settings that do not go together.
    #[error("{0}")]
    Settings(String),
    /// A service.
    #[error("{0}")]
    Service(String),
    /// The reader has stopped by a mistake of its own.
    #[error("the source has stopped: {0}")]
    Stopped(String),
}

/// What a source has given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Read {
    /// Records that went into the stream.
    pub records: u64,
    /// Records that were given twice and are read once, as a stream holds them.
    pub repeated: u64,
    /// Records that could not be read.
    pub unreadable: u64,
    /// What was wrong with the first of them.
    pub described: Vec<String>,
}

impl Read {
    fn unreadable(&mut self, what: String) {
        self.unreadable += 1;
        if self.described.len() < DESCRIBED_MAX {
            self.described.push(what);
        }
    }
}

/// A source at work.
#[derive(Debug)]
pub struct Source {
    stream: StreamHandle,
    primed: watch::Receiver<bool>,
    reading: JoinHandle<Result<Read, SourceError>>,
    /// Whether it gives only what the starting position asks for.
    positions_itself: bool,
}

/// The other side of a [`Source`]: dropped when the reader ends, for whatever reason; then the stream ends, too.
#[derive(Debug)]
struct Filling {
    stream: StreamHandle,
    primed: watch::Sender<bool>,
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.stream.end();
        self.begin();
    }
}

impl Filling {
    /// Lets the mapping begin.
    fn begin(&self) {
        // Without a receiver nobody waits.
        let _told = self.primed.send(true);
    }
}

impl Source {
    /// A source over `stream` whose reader is started by `start`.
    fn spawn(stream: StreamHandle, start: impl FnOnce(Filling) -> JoinHandle<Result<Read, SourceError>>) -> Self {
        let (sender, primed) = watch::channel(false);
        let filling = Filling { stream: stream.clone(), primed: sender };
        Self { stream, primed, reading: start(filling), positions_itself: false }
    }

    /// Whether it gives only what the starting position asks for; then the mapping takes everything.
    pub(crate) fn positions_itself(&self) -> bool {
        self.positions_itself
    }

    /// The stream that it fills.
    #[must_use]
    pub fn stream(&self) -> &StreamHandle {
        &self.stream
    }

    /// Waits until the mapping may begin.
    pub(crate) async fn primed(&mut self) {
        // The sender goes after it has said so.
        let _primed = self.primed.wait_for(|primed| *primed).await;
    }

    /// Waits for the end of the reader and says what it gave. A reader that is stopped while it waits for input does not end:
    /// then there is no answer.
    pub(crate) async fn finish(self, was_stopped: bool) -> Option<Result<Read, SourceError>> {
        self.stream.end();
        if was_stopped && !self.reading.is_finished() {
            self.reading.abort();
            // A thread that waits for a terminal cannot be told.
            let joined = tokio::time::timeout(std::time::Duration::from_millis(200), self.reading).await.ok()?;
            return joined.ok();
        }
        Some(self.reading.await.unwrap_or_else(|error| Err(SourceError::Stopped(error.to_string()))))
    }
}

/// Where a file source reads: a file, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// `-` is standard input.
    #[must_use]
    pub fn named(name: &str) -> Self {
        if name == "-" { Self::Stdin } else { Self::File(name.into()) }
    }

    fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    fn open(&self) -> Result<Box<dyn std::io::BufRead + Send>, SourceError> {
        match self {
            Self::Stdin => Ok(Box::new(std::io::BufReader::new(std::io::stdin()))),
            Self::File(path) => {
                let file = std::fs::File::open(path);
                let file = file.map_err(|source| SourceError::Io { path: self.name(), source })?;
                Ok(Box::new(std::io::BufReader::new(file)))
            }
        }
    }
}
