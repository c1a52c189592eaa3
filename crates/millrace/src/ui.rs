//! Between the program and the person: words on standard error, the form of the data, progress, exit codes.
//!
//! This is the rim: what the terminal and the environment say is looked up once, here, and handed inward.

use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, ErrorKind, IsTerminal as _, StdoutLock, Write as _};
use std::process::ExitCode;

#[cfg(feature = "aws")]
use indicatif::MultiProgress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Common;
use crate::output::{Format, Rows};

/// The command line asks for something that does not go together: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Usage {}

/// The command did what was asked, and what it found has an exit code of its own.
#[cfg(feature = "aws")]
#[derive(Debug)]
pub(crate) struct Found {
    /// What was found.
    pub(crate) words: String,
    /// The code; its command's help says which means what.
    pub(crate) code: u8,
}

#[cfg(feature = "aws")]
impl Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

#[cfg(feature = "aws")]
impl Error for Found {}

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Words {
    /// Errors and warnings.
    Few,
    /// What is good to know, too.
    Some,
    /// Everything.
    Many,
}

/// How to talk to whoever started the program.
#[derive(Debug)]
pub(crate) struct Ui {
    asked: Option<Format>,
    words: Words,
    colour: bool,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
}

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
/// Progress is redrawn this often, so that it costs nothing.
const REDRAWS_PER_SECOND: u8 = 10;

impl Ui {
    /// Takes what was asked and what `lookup` finds in the environment: `NO_COLOR` (<https://no-color.org>) and
    /// `CLICOLOR_FORCE` (<https://bixense.com/clicolors>), of which the first wins.
    pub(crate) fn new(common: &Common, lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| lookup(name).is_some_and(|value| !value.is_empty());
        let forced = set("CLICOLOR_FORCE") && lookup("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let (stdout_is_terminal, stderr_is_terminal) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            asked: common.output,
            words: match (common.quiet, common.verbose) {
                (true, _) => Words::Few,
                (false, true) => Words::Many,
                (false, false) => Words::Some,
            },
            colour: !set("NO_COLOR") && (forced || stderr_is_terminal),
            stdout_is_terminal,
            stderr_is_terminal,
        }
    }

    /// The form of the data: what was asked, else a table for a terminal and CSV for anything else.
    pub(crate) fn format(&self) -> Format {
        self.asked.unwrap_or(if self.stdout_is_terminal { Format::Table } else { Format::Csv })
    }

    /// Whether standard output is a screen.
    pub(crate) fn shows_output(&self) -> bool {
        self.stdout_is_terminal
    }

    /// Whether the form was chosen, and not left to what standard output is.
    pub(crate) fn has_chosen_format(&self) -> bool {
        self.asked.is_some()
    }

    /// Rows on standard output, in that form.
    pub(crate) fn rows(&self, columns: Vec<&'static str>) -> io::Result<Rows<StdoutLock<'static>>> {
        Rows::new(self.format(), self.width(), columns, io::stdout().lock())
    }

    /// One document on standard output: JSON, laid out for people unless lines were asked for.
    pub(crate) fn document(&self, document: &impl serde::Serialize) -> anyhow::Result<()> {
        let text = match self.format() {
            Format::Ndjson => serde_json::to_string(document)?,
            _ => serde_json::to_string_pretty(document)?,
        };
        Ok(writeln!(io::stdout().lock(), "{text}")?)
    }

    /// Columns of the terminal that the data goes to.
    fn width(&self) -> Option<u16> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok().filter(|_| self.stdout_is_terminal);
        size.map(|size| size.ws_col).filter(|columns| *columns >= 40)
    }

    /// Whether nothing but errors and warnings is wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.words == Words::Few
    }

    /// Says something that is good to know.
    pub(crate) fn note(&self, words: impl Display) {
        if self.words >= Words::Some {
            say(words);
        }
    }

    /// Says something for those who asked for more.
    pub(crate) fn detail(&self, words: impl Display) {
        if self.words >= Words::Many {
            say(words);
        }
    }

    /// Whether everything is wanted.
    pub(crate) fn tells_all(&self) -> bool {
        self.words >= Words::Many
    }

    /// Says something that may be a mistake.
    pub(crate) fn warn(&self, words: impl Display) {
        say(format_args!("{} {words}", self.coloured("warning:", "33")));
    }

    /// A bar on standard error for work of `total` units, or nothing where nobody watches or where rows run through the same
    /// terminal. `template` is indicatif's.
    pub(crate) fn progress(&self, total: Option<u64>, template: &str) -> ProgressBar {
        if !self.shows_progress() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND));
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(error) => {
                debug_assert!(false, "{template}: {error}");
                bar
            }
        }
    }

    /// A place for several of them, one below the other.
    #[cfg(feature = "aws")]
    pub(crate) fn board(&self) -> MultiProgress {
        MultiProgress::with_draw_target(if self.shows_progress() {
            ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        })
    }

    fn shows_progress(&self) -> bool {
        let among_rows = self.stdout_is_terminal && self.format() != Format::Table;
        self.words != Words::Few && self.stderr_is_terminal && !among_rows
    }

    /// Reports why the command ends, unless it ends because nobody reads on: a closed pipe is how `head` says "enough".
    pub(crate) fn failed(&self, error: &anyhow::Error) -> ExitCode {
        if error.chain().any(is_closed_pipe) {
            return ExitCode::SUCCESS;
        }
        #[cfg(feature = "aws")]
        if let Some(found) = error.downcast_ref::<Found>() {
            self.note(found);
            return ExitCode::from(found.code);
        }
        let mut said = error.to_string();
        say(format_args!("{} {said}", self.coloured("error:", "1;31")));
        for cause in error.chain().skip(1).map(ToString::to_string) {
            // Some errors quote their cause.
            if !said.contains(&cause) {
                say(format_args!("  because: {cause}"));
                said.push_str(&cause);
            }
        }
        ExitCode::from(if error.chain().any(<dyn Error>::is::<Usage>) { USAGE } else { FAILURE })
    }

    fn coloured(&self, word: &str, code: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
    }
}

fn is_closed_pipe(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// A line on standard error, whoever wants to hear it.
pub(crate) fn say(words: impl Display) {
    // Where standard error is closed there is nobody left to tell.
    let _said = writeln!(io::stderr().lock(), "{words}");
}
