//! `dr`: two Regions that stand in for each other. What is done is the matter of `replication-checker`, `tenancy` and `failover`;
//! here are the options, the words, and the person who is asked.

mod check;
mod drill;
mod moves;
mod moving;
mod regions;
mod sync;
mod timeline;

use failover::Purpose;

use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  millrace dr check --environment prod                     whether the other Region is ready, by everything there is to look at
  millrace dr check --environment prod --only stream --only certificate
  millrace dr sync --environment prod --dry-run            what the other Region lacks of models, policies, things, certificates
  millrace dr failover --environment prod --to eu-west-1 --dry-run   what would be done, and what has arrived there
  millrace dr failover --environment prod --to eu-west-1             us-east-1 is lost, or is to be left
  millrace dr failback --environment prod --to us-east-1             it is well again
  millrace dr drill --environment prod --to eu-west-1 --stay 300     there and back, with both timelines
  millrace dr moves --environment prod --region eu-west-1            what was done, and what is not finished

Every command but the drill can be interrupted anywhere and repeated; of a drill, `failback` is the way back.";

/// The commands.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Look at both Regions and say what is late in the other one, missing, or not the same
    Check(check::Args),
    /// Bring models, policies, things, certificates and the pair's card to the other Region; what is there stays
    Sync(sync::Args),
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
/// Whatever the command could not do, or has found.
pub(crate) fn run(command: &Command, ui: &Ui) -> anyhow::Result<()> {
    match command {
        Command::Check(args) => check::run(args, ui),
        Command::Sync(args) => sync::run(args, ui),
        Command::Failover(args) => moving::run(args, Purpose::Failover, ui),
        Command::Failback(args) => moving::run(args, Purpose::Failback, ui),
        Command::Drill(args) => drill::run(args, ui),
        Command::Moves(args) => moves::run(args, ui),
    }
}
