//! The command line of Millrace: everything a person does. This file only wires.

mod alerts;
mod anomalies;
mod backfill;
mod backup;
mod cli;
mod completions;
mod demo;
#[cfg(feature = "aws")]
mod deploy;
#[cfg(feature = "aws")]
mod dr;
mod esm;
mod eval;
mod explain;
#[cfg(feature = "lake")]
mod lake;
mod model;
mod options;
mod output;
mod profile;
mod replay;
mod simulate;
#[cfg(feature = "aws")]
mod tenant;
mod ui;
mod warnings;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let asked = cli::Cli::parse();
    let ui = ui::Ui::new(&asked.common, |name| std::env::var_os(name));
    match cli::run(asked.command, &ui) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ui.failed(&error),
    }
}
