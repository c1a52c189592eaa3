//! What can be asked: the commands, the options that all of them share, and who answers.
//!
//! Each command's own options stand beside its code. Bounds that can be checked without looking at a file are checked
//! here, so that a mistake in the command line is a usage error before anything has happened.

use clap::{Parser, Subcommand};

#[cfg(feature = "lake")]
use crate::lake;
use crate::output::Format;
use crate::ui::Ui;
use crate::{alerts, anomalies, backfill, backup, completions, demo, esm, eval, explain, model, replay, simulate};
#[cfg(feature = "aws")]
use crate::{deploy, dr, tenant};

const EXAMPLES: &str = "\
Examples:
  millrace demo                                        everything at once, on this machine
  millrace replay --warmup normal.csv run.csv          alerts of a recorded run, explained
  millrace replay --output csv run.csv > scored.csv    every row with its score
  millrace backfill october.csv --tenant acme --stream telemetry --dry-run
  millrace simulate --devices 3 --days 2 --out plant.ndjson
  millrace eval labelled run.csv --labels labels.csv   how good the verdicts are on your data
  millrace anomalies list --dir millrace-data --device pump-00001
  millrace alerts list --open                           what is wrong now, and what was told of it
  millrace esm events/*.json --bootstrap bootstrap.zip  a Lambda function as a Kinesis stream would drive it

Data goes to standard output, words to standard error.
Exit codes: 0 done, 1 failed, 2 the command line was wrong.
Environment: NO_COLOR turns colour off, CLICOLOR_FORCE turns it on where there is no terminal.";

/// Anomaly detection for industrial telemetry: scores readings, explains what is abnormal.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, after_help = EXAMPLES, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options that every command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Form of the data on standard output [default: table on a terminal, csv otherwise]
    #[arg(long, value_enum, global = true, display_order = 100)]
    pub(crate) output: Option<Format>,
    /// Say nothing on standard error but errors and warnings
    #[arg(long, short, global = true, conflicts_with = "verbose", display_order = 101)]
    pub(crate) quiet: bool,
    /// Say more on standard error
    #[arg(long, short, global = true, display_order = 102)]
    pub(crate) verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a simulated plant through the whole pipeline on this machine, and compare what is found with the truth
    Demo(demo::Args),
    /// Score recorded readings: CSV, NDJSON, Parquet or bronze of the lake
    Replay(replay::Args),
    /// Let the scorer learn from history, so that a new tenant's detectors are warm when its stream begins
    Backfill(Box<backfill::Args>),
    /// Copy all that is kept to another place, verify the copy, bring it back
    #[command(subcommand)]
    Backup(Box<backup::Command>),
    /// Print what a simulated plant sends, with injected faults and the truth about them
    Simulate(simulate::Args),
    /// Measure how good the verdicts are: on labelled data, between two profiles, on a simulated plant
    #[command(subcommand)]
    Eval(eval::Command),
    /// Look at stored anomalies
    #[command(subcommand)]
    Anomalies(anomalies::Command),
    /// Look at incidents and what was told of them, take care of them, silence them
    #[command(subcommand)]
    Alerts(Box<alerts::Command>),
    /// Say why: a stored anomaly, or a row of a file, abnormal or not
    Explain(explain::Args),
    /// Train models on history, score with them, and tell what they find beside the warm path
    #[command(subcommand)]
    Model(model::Command),
    /// Drive a function as Lambda's event source mapping does, from files or a Kinesis stream
    Esm(Box<esm::Args>),
    /// Ask the lake in SQL, roll it up, verify that all of it is there
    #[cfg(feature = "lake")]
    #[command(subcommand)]
    Lake(Box<lake::Command>),
    /// Make or change an environment in AWS: stacks by change sets, shown before they are executed
    #[cfg(feature = "aws")]
    Deploy(Box<deploy::Args>),
    /// List the stacks of an environment in AWS, their states and outputs
    #[cfg(feature = "aws")]
    Status(deploy::StatusArgs),
    /// Delete an environment in AWS; its data is kept unless told
    #[cfg(feature = "aws")]
    Destroy(deploy::DestroyArgs),
    /// Say what is missing, here or in the AWS account, before an environment can be deployed
    #[cfg(feature = "aws")]
    Doctor(deploy::DoctorArgs),
    /// Keep two Regions ready for each other, move an environment to the other one and back
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Dr(Box<dr::Command>),
    /// Bring tenants and their devices on in AWS, prove that readings arrive, renew and revoke certificates, take tenants off
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Tenant(Box<tenant::Command>),
    /// Print a script that teaches your shell to complete `millrace` commands
    Completions(completions::Args),
}

/// Does what was asked.
///
/// # Errors
/// Whatever the command could not do; a [`crate::ui::Usage`] among the causes means that the command line was wrong.
pub(crate) fn run(command: Command, ui: &Ui) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => demo::run(&args, ui),
        Command::Replay(args) => replay::run(&args, ui),
        Command::Backfill(args) => backfill::run(&args, ui),
        Command::Backup(command) => backup::run(&command, ui),
        Command::Simulate(args) => simulate::run(&args, ui),
        Command::Eval(command) => eval::run(&command, ui),
        Command::Anomalies(command) => anomalies::run(&command, ui),
        Command::Alerts(command) => alerts::run(&command, ui),
        Command::Explain(args) => explain::run(&args, ui),
        Command::Model(command) => model::run(&command, ui),
        Command::Esm(args) => esm::run(&args, ui),
        #[cfg(feature = "lake")]
        Command::Lake(command) => lake::run(&command, ui),
        #[cfg(feature = "aws")]
        Command::Deploy(args) => deploy::run(&args, ui),
        #[cfg(feature = "aws")]
        Command::Status(args) => deploy::run_status(&args, ui),
        #[cfg(feature = "aws")]
        Command::Destroy(args) => deploy::run_destroy(&args, ui),
        #[cfg(feature = "aws")]
        Command::Doctor(args) => deploy::run_doctor(&args, ui),
        #[cfg(feature = "aws")]
        Command::Dr(command) => dr::run(&command, ui),
        #[cfg(feature = "aws")]
        Command::Tenant(command) => tenant::run(&command, ui),
        Command::Completions(args) => completions::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_command_and_option_is_sound_and_documented() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "`{}` says nothing about itself", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "`{}`: {} has no help", command.get_name(), argument.get_id());
            }
            command.get_subcommands().filter(|sub| sub.get_name() != "help").for_each(check);
        }
        let mut command = Cli::command();
        command.clone().debug_assert();
        command.build();
        check(&command);
    }
}
