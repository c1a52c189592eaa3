//! `cargo xtask VERB`: the chores of this repository, the same for a person and for continuous integration.
//!
//! It needs Rust and Python 3 and nothing else prepared: what the tests use (an AWS emulator, the Lambda packager, the
//! template linter) is installed, pinned, into `target/venv`. It deploys nothing and never talks to AWS: the test run
//! gets the emulator's address and made-up credentials, whatever the caller's environment holds.

#![expect(clippy::print_stderr, reason = "progress and failures of a chore are for the person in front of it")]

mod bench;
mod cost;
mod debian;
mod emulator;
mod lambda_zip;
mod lint;
mod perf;
mod process;
mod quality;
mod repository;
mod sim;
mod soak;
mod suite;
mod venv;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use repository::Repository;
use suite::Zips;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the Millrace repository", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Everything that must hold: unit, property and doc tests, template lint, and the pipeline on the emulator
    Test,
    /// What continuous integration runs: formatting, lints, licences, then `test` and `bench`
    Ci,
    /// Build the deployable zip of each Lambda function with `cargo lambda`
    Package {
        /// Processor of the function; it must agree with the `Architecture` parameter of the stack
        #[arg(long, value_enum, default_value_t = Architecture::X86_64)]
        arch: Architecture,
    },
    /// Only the flows that need the emulator and the functions
    E2e {
        /// The zips that are deployed, optimised, in place of what is compiled with the tests
        #[arg(long)]
        deployed: bool,
    },
    /// Formatting, clippy, licences and advisories, CloudFormation templates
    Lint,
    /// How good detection is, as a Markdown table: labelled sets from ../shared where it is there, and the simulated plant
    Quality,
    /// The pipeline under a scheduler that owns time, order and failure: `--seeds N`, `--seed S`, `--verbose`, `--crossing`
    Sim {
        /// Goes to the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Whether the simulation catches each of the known bugs: `--seeds N` for each
    Teeth {
        /// Goes to the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The embedded mode under kills and full disks: `--kills N`, `--sizes N`, `--seed S`, `--output json`, `--help` for more
    Soak {
        /// Goes to the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// What a million readings cost, beside the naive design: `--readings N`, `--output json`, `--help` for more
    Cost {
        /// Goes to the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Instructions of each stage of the scorer's path, by valgrind, against the checked-in figures: ±2 %
    Bench {
        /// Write the figures instead of comparing with them
        #[arg(long)]
        save: bool,
    },
    /// Size of the zip, time of its start, and memory on a full event
    Perf,
    /// Create or renew target/venv with the pinned tools
    Venv,
}

/// A processor that Lambda offers.
#[derive(Clone, Copy, ValueEnum)]
enum Architecture {
    /// Graviton: the one the template deploys by default. Needs the Rust target `aarch64-unknown-linux-gnu`.
    #[value(name = "arm64")]
    Arm64,
    /// Intel and AMD: the one the emulator can run on such a machine
    #[value(name = "x86_64")]
    X86_64,
}

fn main() -> std::process::ExitCode {
    let outcome = Repository::open().and_then(|repository| perform(&Arguments::parse().verb, repository));
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn perform(verb: &Verb, repository: Repository) -> Result<()> {
    // Who compiles, too, lints what is compiled.
    let repository = &if matches!(verb, Verb::Ci) { repository.linting() } else { repository };
    match verb {
        Verb::Test => suite::everything(repository),
        Verb::Ci => {
            lint::formatting(repository)?;
            lint::dependencies(repository)?;
            lint::clippy_and_build(repository)?;
            suite::everything(repository)?;
            bench::instructions(repository, false)
        }
        Verb::Package { arch } => lambda_zip::all(repository, *arch).map(drop),
        Verb::E2e { deployed } => suite::end_to_end(repository, if *deployed { Zips::Deployed } else { Zips::Tested }),
        Verb::Lint => {
            lint::formatting(repository)?;
            lint::clippy(repository)?;
            lint::dependencies(repository)?;
            lint::templates(repository)
        }
        Verb::Quality => quality::table(repository),
        Verb::Sim { arguments } => sim::seeds(repository, arguments),
        Verb::Teeth { arguments } => sim::teeth(repository, arguments),
        Verb::Soak { arguments } => soak::embedded(repository, arguments),
        Verb::Cost { arguments } => cost::table(repository, arguments),
        Verb::Bench { save } => bench::instructions(repository, *save),
        Verb::Perf => perf::table(repository),
        Verb::Venv => venv::ready(repository).map(drop),
    }
}
