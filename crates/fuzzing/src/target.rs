//! What is fuzzed, and the laws that hold for every input whatever it is.
//!
//! A check gives the *answer*, by which inputs are told apart, or the law that was broken. Answers are coarse on purpose:
//! the kind of refusal, not its particulars.

mod people;
mod store;
mod stream;

use std::path::{Path, PathBuf};

use telemetry::payload::Decoder;
use telemetry::sparkplug::Births;

use crate::shell::Shell;

/// A reader of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The Kinesis event, and every payload in it.
    Event,
    /// One record: partition key, a line end, payload in any form.
    Payload,
    /// An MQTT topic.
    Topic,
    /// A snapshot of a shard's state.
    Snapshot,
    /// `profile.toml`, and the bundle in which profiles are stored.
    Profile,
    /// A file of recorded data in any form.
    History,
    /// An object of bronze or of quarantine.
    Bronze,
    /// An object of silver.
    Silver,
    /// One record of the results table's stream.
    Change,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Event,
        Self::Payload,
        Self::Topic,
        Self::Snapshot,
        Self::Profile,
        Self::History,
        Self::Bronze,
        Self::Silver,
        Self::Change,
    ];

    /// Its name, also that of its folder in the corpus.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Payload => "payload",
            Self::Topic => "topic",
            Self::Snapshot => "snapshot",
            Self::Profile => "profile",
            Self::History => "history",
            Self::Bronze => "bronze",
            Self::Silver => "silver",
            Self::Change => "change",
        }
    }

    /// The shells its inputs may wear.
    #[must_use]
    pub const fn shells(self) -> &'static [Shell] {
        match self {
            Self::Payload => &[Shell::None, Shell::Kpl],
            Self::Snapshot => &[Shell::None, Shell::Snapshot],
            Self::History | Self::Bronze => &[Shell::None, Shell::Zstd],
            Self::Event | Self::Topic | Self::Profile | Self::Silver | Self::Change => &[Shell::None],
        }
    }
}

/// What was seen when a law held (the answer), or the law that did not.
pub type Outcome = Result<String, String>;

/// Where inputs are tried: what the readers keep from one to the next, and a file.
#[derive(Debug)]
pub struct Bench {
    decoder: Decoder,
    /// What was announced before: Sparkplug DATA cannot be read without.
    births: Births,
    scratch: PathBuf,
}

impl Bench {
    /// A bench that writes to the file `scratch`, which nobody else may use.
    ///
    /// # Errors
    /// When the announcement of the Sparkplug metrics that the corpus uses is not understood.
    pub fn new(scratch: &Path) -> Result<Self, String> {
        let mut bench = Self { decoder: Decoder::new(), births: Births::default(), scratch: scratch.to_owned() };
        bench.announce()?;
        Ok(bench)
    }

    /// Tries one input.
    ///
    /// # Errors
    /// The law that it broke.
    ///
    /// # Panics
    /// When the reader does; [`crate::Fuzzer`] catches it.
    pub fn check(&mut self, target: Target, input: &[u8]) -> Outcome {
        match target {
            Target::Event => self.event(input),
            Target::Payload => self.payload(input),
            Target::Topic => stream::topic(input),
            Target::Snapshot => store::snapshot(input),
            Target::Profile => people::profile(input),
            Target::History => people::history(input, &self.scratch),
            Target::Bronze => store::bronze(input),
            Target::Silver => store::silver(input),
            Target::Change => stream::change(input),
        }
    }
}

/// Breaks `law` unless it holds.
fn law(holds: bool, law: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(law.to_owned()) }
}

/// What kind of message an error is: its words in order, without numbers and what is quoted from the input.
fn kind(message: &impl std::fmt::Display) -> String {
    const BYTES_MAX: usize = 64;
    let (mut kind, mut quoted) = (String::new(), false);
    for c in message.to_string().chars() {
        if matches!(c, '`' | '"') {
            quoted = !quoted;
        }
        if !quoted && (c.is_ascii_alphabetic() || c == ' ') {
            kind.push(c);
        }
        if kind.len() == BYTES_MAX {
            break;
        }
    }
    kind
}
