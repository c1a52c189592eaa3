//! What was typed and what was said, for people to read: written down when it goes out of scope, however the test ends.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result};

/// Commands and what they printed.
#[derive(Debug)]
pub struct Transcript {
    text: String,
    file: Option<PathBuf>,
    /// What is as different at every run as it is dull, and how it reads.
    shortened: Vec<(String, String)>,
}

impl Transcript {
    /// For this file of the run's record; kept nowhere if the run keeps none.
    #[must_use]
    pub fn new(file: &str, shortened: Vec<(String, String)>) -> Self {
        Self { text: String::new(), file: crate::World::record().map(|folder| folder.join(file)), shortened }
    }

    /// A line between commands.
    pub fn say(&mut self, line: &str) {
        self.line(&format!("\n# {line}"));
    }

    /// Runs a command and writes it down, with what it said: standard output as it is, standard error after `!`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&mut self, command: &mut Command) -> Result<Output> {
        let program = PathBuf::from(command.get_program());
        let mut line = format!("\n$ {}", program.file_name().unwrap_or_default().to_string_lossy());
        for argument in command.get_args() {
            let argument = argument.to_string_lossy();
            let is_plain = !argument.is_empty() && !argument.contains([' ', '"', '{', '$', '*', '#']);
            let quote = if is_plain { "" } else { "'" };
            line.extend([" ", quote, &argument, quote]);
        }
        self.line(&line);
        let output = command.output().with_context(|| format!("cannot run{line}"))?;
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            self.line(&format!("! {line}"));
        }
        self.text.push_str(&String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            self.line(&format!("({})", output.status));
        }
        Ok(output)
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

impl Drop for Transcript {
    #[expect(clippy::print_stderr, reason = "a record that is missing must be noticed")]
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        let text = self.shortened.iter().fold(self.text.clone(), |text, (long, short)| text.replace(long, short));
        if let Err(error) = std::fs::write(file, text) {
            eprintln!("the transcript {} cannot be written: {error}", file.display());
        }
    }
}
