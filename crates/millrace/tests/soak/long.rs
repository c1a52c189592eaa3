//! The long soak, as `cargo xtask soak` runs it: 200 kills, full disks of many sizes. Progress goes to standard error, the
//! result to standard output; the exit code is 1 when anything differs from an undisturbed run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person in front of a terminal")]

mod disks;
mod kills;
mod program;
mod stored;
mod told;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use disks::{Shortage, shortage};
use platform::clock::Stopwatch;
use program::Program;
use serde_json::{Value, json};

/// Kills and starves `millrace demo`, and compares what it leaves with an undisturbed run
#[derive(Debug, Parser)]
#[command(name = "cargo xtask soak")]
struct Arguments {
    /// The `millrace` to try
    #[arg(long)]
    program: PathBuf,
    /// How many kills must land in running processes
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// How many sizes of the disk, of its table of files, and of the largest file are tried each
    #[arg(long, default_value_t = 30)]
    sizes: u32,
    /// What the points of the kills are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Devices of the plant
    #[arg(long, default_value_t = 12)]
    devices: u32,
    /// Days of the plant
    #[arg(long, default_value_t = 3)]
    days: u32,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

fn main() -> ExitCode {
    match perform(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was equal.
fn perform(asked: &Arguments) -> Result<bool> {
    let scratch = tempfile::tempdir()?;
    let program = Program::new(&asked.program, asked.devices, asked.days);
    let (reference, time) = kills::reference(&program, scratch.path())?;
    eprintln!("undisturbed: {} messages in {:.2} s", reference.messages(), time.as_secs_f64());
    let size = stored::size(&scratch.path().join("reference"))?;

    let watch = Stopwatch::start();
    let killed = kills::soak(&program, (&reference, time), scratch.path(), asked.kills, asked.seed, |so_far| {
        if so_far.folders % 10 == 0 {
            eprintln!("{} kills in {} folders, {:.0} s", so_far.kills, so_far.folders, watch.elapsed().as_secs_f64());
        }
    })?;
    let mut results = json!({
        "seed": asked.seed, "messages": reference.messages(), "undisturbed_seconds": rounded(time.as_secs_f64()),
        "kills": killed.kills, "folders": killed.folders, "orphans": killed.orphans,
    });
    for (moment, count) in &killed.moments {
        results[format!("kills: {moment:?}")] = json!(count);
    }
    let mut differences = killed.differences;
    if killed.kills < asked.kills && differences.is_empty() {
        differences.push(format!("only {} of {} kills have landed: make the plant larger", killed.kills, asked.kills));
    }

    // A run needs more than it leaves: the log of the database.
    let most = [
        (Shortage::Bytes, size.bytes * 5 / 4 + (1 << 20)),
        (Shortage::Files, size.files + 10),
        (Shortage::FileSize, size.largest * 2),
    ];
    for (what, most) in most {
        let sizes = (0..asked.sizes).map(|step| (most * u64::from(step) / u64::from(asked.sizes.max(1))).max(1));
        let Some(outcome) = shortage(&program, &reference, scratch.path(), what, sizes)? else {
            eprintln!("{what:?}: cannot be arranged for this user on this machine");
            results[format!("{what:?}: tried")] = json!(0);
            continue;
        };
        results[format!("{what:?}: tried")] = json!(outcome.sizes);
        results[format!("{what:?}: too small")] = json!(outcome.filled);
        results[format!("{what:?}: messages kept")] = json!(outcome.kept);
        for words in &outcome.words {
            eprintln!("{what:?}: {words}");
        }
        differences.extend(outcome.differences);
    }
    results["seconds"] = json!(rounded(watch.elapsed().as_secs_f64()));
    results["differences"] = json!(differences.len());
    for difference in &differences {
        eprintln!("DIFFERENT: {difference}");
    }
    if !differences.is_empty() {
        eprintln!("what differs is kept in `{}`", scratch.keep().display());
    }
    print(asked.output, &results);
    Ok(differences.is_empty())
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

fn print(output: Output, results: &Value) {
    match (output, results) {
        (Output::Table, Value::Object(fields)) => {
            fields.iter().for_each(|(name, value)| println!("{name:36} {value:>10}"));
        }
        _ => println!("{results:#}"),
    }
}
