//! `dr`: two Regions that stand in for each other. What a move does is the matter of the crate `failover`; here are the options,
//! the words, and the person who is asked.

mod drill;
mod moves;
mod moving;
mod timeline;

use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  millrace dr failover --environment prod --to eu-west-1 --dry-run   what would be done, and what has arrived there
  millrace dr failover --environment prod --to eu-west-1             us-east-1 is lost, or is to be left
  millrace dr failback --environment prod --to us-east-1             it is well again
  millrace dr drill --environment prod --to eu-west-1 --stay 300     there and back, with both timelines
  millrace dr moves --environment prod --region eu-west-1            what was done, and what is not finished

Every command can be interrupted anywhere and repeated: it goes on after the last step that is known to be done.";

/// The commands.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Move to the other Region: fence, drain, adopt, tell people and devices, prove that it commits
    Failover(moving::Args),
    /// Move back to a Region that is well again, after what both saw was brought together
    Failback(moving::Args),
    /// Move there and back, to know that it works and how long it takes
    Drill(drill::Args),
    /// List the moves that a Region knows, or the steps of one
    Moves(moves::Args),
}

/// Does what was asked.
///
/// # Errors
/// Whatever the command could not do.
pub(crate) fn run(command: &Command, ui: &Ui) -> anyhow::Result<()> {
    match command {
        Command::Failover(args) => moving::run(args, failover::Purpose::Failover, ui),
        Command::Failback(args) => moving::run(args, failover::Purpose::Failback, ui),
        Command::Drill(args) => drill::run(args, ui),
        Command::Moves(args) => moves::run(args, ui),
    }
}
