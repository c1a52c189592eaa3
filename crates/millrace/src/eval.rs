//! `eval`: how good the verdicts are, on labelled recordings, between two profiles, and on a plant that knows its faults.
//!
//! Everything is measured by running the engine over data, as `replay` does; nothing is stored and nobody is told. The
//! measures themselves are in the crate `evaluation`.

mod compare;
mod labelled;
mod labels;
mod plant;

use crate::output::Cell;
use crate::ui::Ui;

/// What `eval` is asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Judge verdicts on your own recordings, against labelled spans of abnormal time
    Labelled(labelled::Args),
    /// Tell what a change of profile would have alerted on, before it is made
    Compare(compare::Args),
    /// Judge the engine on a simulated plant, fault kind by fault kind
    Plant(plant::Args),
}

/// Measures.
///
/// # Errors
/// Something cannot be read, labels do not fit the recordings, or standard output cannot be written.
pub(crate) fn run(command: &Command, ui: &Ui) -> anyhow::Result<()> {
    match command {
        Command::Labelled(args) => labelled::run(args, ui),
        Command::Compare(args) => compare::run(args, ui),
        Command::Plant(args) => plant::run(args, ui),
    }
}

/// A number that may not be there.
fn number<'a>(value: Option<f64>) -> Cell<'a> {
    value.map_or(Cell::Nothing, Cell::Number)
}

/// A number of things.
fn count<'a>(value: u64) -> Cell<'a> {
    Cell::Number(value as f64)
}
