//! What a person sees of a deployment, and what she is asked. All of it goes to standard error.

use std::io::{self, IsTerminal as _};

use deployment::Attendant;
use deployment::cloud::{Change, Event, Replacement};

use crate::ui::{Ui, say};

/// Stands between the deployment and the terminal.
pub(crate) struct Clerk<'a> {
    ui: &'a Ui,
    agrees_to_all: bool,
}

impl<'a> Clerk<'a> {
    pub(crate) fn new(ui: &'a Ui, agrees_to_all: bool) -> Self {
        Self { ui, agrees_to_all }
    }

    /// Asks a question that is answered with yes or no; `option` is what answers it where nobody can be asked.
    pub(crate) fn ask(&self, question: &str, option: &str) -> Result<bool, String> {
        if self.agrees_to_all {
            return Ok(true);
        }
        if !io::stdin().is_terminal() {
            return Err(format!("nobody can be asked here: {question} Say {option} to answer yes"));
        }
        say(format_args!("{question} [y/N]"));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(|error| format!("the answer cannot be read: {error}"))?;
        Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
    }
}

impl Attendant for Clerk<'_> {
    fn tell(&mut self, stack: &str, words: &str) {
        self.ui.note(format_args!("{stack}: {words}"));
    }

    fn show(&mut self, _stack: &str, changes: &[Change]) {
        for change in changes {
            self.ui.note(line(change));
        }
    }

    fn follow(&mut self, _stack: &str, event: &Event) {
        let words = format!("    {:<28} {} ({})", event.status, event.resource, event.kind);
        match &event.reason {
            Some(reason) if event.status.ends_with("_FAILED") => self.ui.note(format_args!("{words}: {reason}")),
            // A resource begins twice, and the second time it has a name: that is no news.
            _ if event.status.ends_with("_IN_PROGRESS") => self.ui.detail(words),
            _ => self.ui.note(words),
        }
    }

    fn agree(&mut self, stack: &str, question: &str) -> Result<bool, String> {
        self.ask(&format!("{stack}: {question}"), "--yes")
    }
}

/// A change as a line of a difference: `+` new, `~` changed, `±` replaced, `-` gone.
fn line(change: &Change) -> String {
    let sign = match (change.action.as_str(), change.replacement) {
        ("Add", _) => '+',
        ("Import", _) => '=',
        ("Remove", _) => '-',
        (_, Replacement::No) => '~',
        (_, Replacement::Yes | Replacement::Maybe) => '±',
    };
    let replaced = match change.replacement {
        Replacement::No => "",
        Replacement::Maybe => ", may be replaced",
        Replacement::Yes => ", replaced",
    };
    let kept =
        change.policy.as_deref().filter(|policy| policy.contains("Retain")).map_or("", |_| ", the old one is kept");
    let mut line = format!("  {sign} {} ({}){replaced}{kept}", change.resource, change.kind);
    if !change.what.is_empty() {
        line.push_str(": ");
        line.push_str(&change.what.join(", "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_what_and_what_becomes_of_it() {
        let mut change = Change {
            action: "Modify".to_owned(),
            resource: "Stream".to_owned(),
            kind: "AWS::Kinesis::Stream".to_owned(),
            physical: None,
            replacement: Replacement::No,
            policy: None,
            what: vec!["ShardCount: 1 → 2".to_owned(), "Tags".to_owned()],
        };
        assert_eq!(line(&change), "  ~ Stream (AWS::Kinesis::Stream): ShardCount: 1 → 2, Tags");
        change.what.clear();
        change.replacement = Replacement::Yes;
        change.policy = Some("ReplaceAndRetain".to_owned());
        assert_eq!(line(&change), "  ± Stream (AWS::Kinesis::Stream), replaced, the old one is kept");
    }
}
