//! The order of the test run: what is quick and what fails most often comes first.
//!
//! Variables tell the tests where the world is; without them, tests that need it say so and skip, so a plain `cargo test`
//! works anywhere:
//! - `MILLRACE_TEST_ENDPOINT`: the emulator, for the AWS stores' conformance tests and the end-to-end tests;
//! - `MILLRACE_TEST_ZIP`, `MILLRACE_TEST_ALERTS_ZIP`: the zips of `kinesis-scorer` and `alert-fanout`, for the end-to-end
//!   tests;
//! - `MILLRACE_TEST_CLI`: the command `millrace` with all its features, for the same;
//! - `MILLRACE_TEST_ENFORCED_ENDPOINT`, `MILLRACE_TEST_ENFORCED_BROKER`: a second emulator, which enforces policies, and its
//!   MQTT broker, for the tests of who may do what;
//! - `MILLRACE_TEST_MOSQUITTO_PUB`: the program of that name, for the test that publishes as a stranger's device would;
//! - `MILLRACE_TEST_PYTHON`: the interpreter that has the emulator, for the test that starts one of its own;
//! - `MILLRACE_TEST_RECORD`: a folder where a test leaves what people are to read.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::emulator::{Emulator, Policies};
use crate::lambda_zip::{self, LambdaZip};
use crate::process::{run, step, succeeds};
use crate::repository::Repository;
use crate::venv::{self, Venv};
use crate::{Architecture, debian, lint};

/// The package, and with it the function, of the scorer.
pub(crate) const SCORER: &str = "kinesis-scorer";
/// The package, and with it the function, of the fan-out.
const ALERTS: &str = "alert-fanout";

/// The command is checked and tested with all that it can do; what it is without is checked by the first of the README's commands.
pub(crate) const FEATURES: [&str; 2] = ["--features", "millrace/aws,millrace/lake"];

/// Which zips the end-to-end tests deploy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zips {
    /// Of the functions as they are compiled with the tests: without optimisation, in no further time.
    Tested,
    /// Those that are deployed, which take long to make.
    Deployed,
}

/// Template lint, unit and doc tests, then the functions on the emulator.
///
/// # Errors
/// The first step that fails.
pub(crate) fn everything(repository: &Repository) -> Result<()> {
    let venv = venv::ready(repository)?;
    lint::templates(repository)?;
    let emulator = Emulator::start(repository, &venv, Policies::Ignored)?;
    let runner = Runner::found(repository);
    step("unit and property tests", || {
        run(in_test_world(&mut runner.command(repository, Scope::AllButEndToEnd), &emulator))
    })?;
    step("doc tests", || {
        run(repository.cargo_for_tests().args(["test", "--workspace", "--doc", "--quiet"]).args(FEATURES))
    })?;
    packaged_flows(repository, &venv, &emulator, runner, Zips::Tested)
}

/// Only the end-to-end tests.
///
/// # Errors
/// The first step that fails.
pub(crate) fn end_to_end(repository: &Repository, zips: Zips) -> Result<()> {
    let venv = venv::ready(repository)?;
    let emulator = Emulator::start(repository, &venv, Policies::Ignored)?;
    packaged_flows(repository, &venv, &emulator, Runner::found(repository), zips)
}

fn packaged_flows(repository: &Repository, venv: &Venv, emulator: &Emulator, runner: Runner, zips: Zips) -> Result<()> {
    step("the command and the tests", || run(&mut runner.build(repository)))?;
    let zips = match zips {
        Zips::Tested => lambda_zip::tested(repository, venv)?,
        Zips::Deployed => lambda_zip::all(repository, host_architecture())?,
    };
    let (scorer, alerts) = (zip_of(&zips, SCORER)?, zip_of(&zips, ALERTS)?);
    let mosquitto = debian::program("mosquitto_pub", "mosquitto-clients")?;
    let record = repository.target("e2e");
    fs::create_dir_all(&record).with_context(|| format!("cannot make {}", record.display()))?;
    let enforcing = Emulator::start(repository, venv, Policies::Enforced)?;
    step("end-to-end tests", || {
        let mut tests = runner.command(repository, Scope::EndToEnd);
        in_test_world(&mut tests, emulator)
            .env("MILLRACE_TEST_ZIP", &scorer.path)
            .env("MILLRACE_TEST_ALERTS_ZIP", &alerts.path)
            .env("MILLRACE_TEST_CLI", repository.target("debug/millrace"))
            .env("MILLRACE_TEST_ENFORCED_ENDPOINT", enforcing.endpoint())
            .env("MILLRACE_TEST_ENFORCED_BROKER", enforcing.broker().unwrap_or_default())
            .env("MILLRACE_TEST_PYTHON", venv.tool("python"))
            .env("MILLRACE_TEST_RECORD", &record);
        match &mosquitto {
            Some(program) => tests.env("MILLRACE_TEST_MOSQUITTO_PUB", program),
            None => tests.env_remove("MILLRACE_TEST_MOSQUITTO_PUB"),
        };
        run(&mut tests)
    })
}

/// The emulator runs a function as a process of this machine.
pub(crate) fn host_architecture() -> Architecture {
    if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X86_64 }
}

/// The zip of a function.
///
/// # Errors
/// There is none.
pub(crate) fn zip_of<'zips>(zips: &'zips [LambdaZip], function: &str) -> Result<&'zips LambdaZip> {
    zips.iter()
        .find(|zip| zip.function == function)
        .with_context(|| format!("no zip of {function} was built: has it lost its [package.metadata.lambda]?"))
}

/// Points every SDK client of the tests at the emulator, so that a mistake in a test cannot reach an AWS account.
fn in_test_world<'command>(command: &'command mut Command, emulator: &Emulator) -> &'command mut Command {
    for name in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"] {
        command.env_remove(name);
    }
    command
        .env("MILLRACE_TEST_ENDPOINT", emulator.endpoint())
        // An error of a test says what was seen where: forty frames of the runtime under it hide that.
        .env("RUST_LIB_BACKTRACE", "0")
        .env("AWS_ENDPOINT_URL", emulator.endpoint())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
}

#[derive(Clone, Copy)]
enum Scope {
    AllButEndToEnd,
    EndToEnd,
}

/// What runs the tests.
#[derive(Clone, Copy)]
enum Runner {
    /// `cargo nextest`: a process a test, in parallel over all packages.
    Nextest,
    /// `cargo test`, where nextest is not installed.
    Cargo,
}

impl Runner {
    fn found(repository: &Repository) -> Self {
        if succeeds(repository.cargo().args(["nextest", "--version"])) { Self::Nextest } else { Self::Cargo }
    }

    /// Builds all that either scope runs, the command `millrace` with it.
    fn build(self, repository: &Repository) -> Command {
        let mut command = repository.cargo_for_tests();
        match self {
            Self::Nextest => command.args(["nextest", "run"]),
            Self::Cargo => command.arg("test"),
        };
        command.args(["--workspace", "--no-run"]).args(FEATURES);
        command
    }

    fn command(self, repository: &Repository, scope: Scope) -> Command {
        let mut command = repository.cargo_for_tests();
        match (self, scope) {
            // Both runs build the whole workspace, with one choice of features, and differ only in what they run.
            (Self::Nextest, Scope::AllButEndToEnd) => {
                command.args(["nextest", "run", "--workspace", "--no-fail-fast", "-E", "not package(e2e)"])
            }
            (Self::Nextest, Scope::EndToEnd) => {
                command.args(["nextest", "run", "--workspace", "--no-fail-fast", "-E", "package(e2e)"])
            }
            (Self::Cargo, Scope::AllButEndToEnd) => command.args([
                "test",
                "--workspace",
                "--exclude",
                "e2e",
                "--lib",
                "--bins",
                "--tests",
                "--no-fail-fast",
            ]),
            (Self::Cargo, Scope::EndToEnd) => {
                command.args(["test", "--package", "e2e", "--package", "millrace", "--no-fail-fast"])
            }
        };
        command.args(FEATURES);
        command
    }
}
