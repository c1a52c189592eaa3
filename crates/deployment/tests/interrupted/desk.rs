//! A person who answers, and a folder of zips.

use std::path::Path;

use deployment::Attendant;
use deployment::cloud::{Change, Event};

/// Who agrees, unless she does not.
#[derive(Default)]
pub(crate) struct Clerk {
    pub(crate) declines: bool,
    pub(crate) words: Vec<String>,
    pub(crate) asked: Vec<String>,
}

impl Clerk {
    pub(crate) fn heard(&self, words: &str) -> bool {
        self.words.iter().any(|said| said.contains(words))
    }
}

impl Attendant for Clerk {
    fn tell(&mut self, stack: &str, words: &str) {
        self.words.push(format!("{stack}: {words}"));
    }
    fn show(&mut self, _stack: &str, _changes: &[Change]) {}
    fn follow(&mut self, _stack: &str, _event: &Event) {}
    fn agree(&mut self, _stack: &str, question: &str) -> Result<bool, String> {
        self.asked.push(question.to_owned());
        Ok(!self.declines)
    }
}

/// A folder of zips.
pub(crate) struct Code(tempfile::TempDir);

impl Code {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (_, function) in deployment::plan::FUNCTIONS {
            std::fs::create_dir(dir.path().join(function)).unwrap();
            std::fs::write(dir.path().join(function).join("bootstrap.zip"), function).unwrap();
        }
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}
