//! `fuzzing`: tries mutations of the corpus against each reader and says which input broke what.
//!
//! A finding is written as base64 to a file, to be tried again by `--replay`. An abort (a stack that overflows, memory that
//! runs out) cannot be caught: with `--keep` the input that is being tried stands in a file all the time.
#![expect(clippy::print_stdout, reason = "what was found is its output")]

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use base64_simd::STANDARD;
use clap::Parser;
use fuzzing::{Bench, Cost, Fuzzer, Meter, Report, Target, corpus};
use peak_alloc::PeakAlloc;
use platform::clock::Stopwatch;

/// Counts what Rust allocates; the compressor's own memory, which is C's, is not seen.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Feeds hostile bytes to everything that reads bytes.
#[derive(Parser)]
#[command(name = "fuzzing")]
struct Arguments {
    /// How long, in seconds, for each target.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// What decides every mutation.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One target alone; else all, one after the other.
    #[arg(long, value_parser = target)]
    target: Option<Target>,
    /// Where findings are written.
    #[arg(long, default_value = "target/fuzzing")]
    findings: PathBuf,
    /// A file that always holds the input being tried, for runs that abort.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Instead of fuzzing: one finding's file, tried against `--target`.
    #[arg(long, requires = "target")]
    replay: Option<PathBuf>,
}

fn target(name: &str) -> Result<Target> {
    let names: Vec<&str> = Target::ALL.iter().map(|target| target.name()).collect();
    let found = Target::ALL.into_iter().find(|target| target.name() == name);
    found.with_context(|| format!("no target has the name `{name}`; there are {}", names.join(", ")))
}

fn main() -> ExitCode {
    print_each_place_once();
    match perform(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("fuzzing: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A panic is said once a place, not once an input.
fn print_each_place_once() {
    let known = Mutex::new(BTreeSet::new());
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let mut known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.insert(place.clone()) {
            println!("a panic at {place}");
        }
    }));
}

/// True when nothing was found.
fn perform(arguments: &Arguments) -> Result<bool> {
    let folder = tempfile::tempdir().context("a folder for the scratch file")?;
    let scratch = folder.path().join("input");
    if let (Some(file), Some(target)) = (&arguments.replay, arguments.target) {
        return replay(file, target, &scratch);
    }
    let targets = arguments.target.map_or(Target::ALL.to_vec(), |target| vec![target]);
    println!("| target | executions | answers | slowest | most memory | findings |");
    println!("|---|---|---|---|---|---|");
    let mut sound = true;
    for target in targets {
        let inputs = corpus::read(target)?;
        let fuzzer = Fuzzer::new(target, &inputs, arguments.seed, scratch.clone()).map_err(|error| anyhow!(error))?;
        let mut gauge = Gauge { keep: arguments.keep.clone(), watch: Stopwatch::start(), before: 0 };
        let (watch, length) = (Stopwatch::start(), Duration::from_secs(arguments.seconds));
        // The clock is asked once in 64 inputs.
        let report = fuzzer.run(&mut gauge, |executions| executions % 64 != 0 || watch.elapsed() < length);
        let report = report.map_err(|error| anyhow!(error))?;
        tell(target, &report);
        write(target, &report, &arguments.findings)?;
        sound &= report.findings.is_empty();
    }
    Ok(sound)
}

fn tell(target: Target, report: &Report) {
    let (slowest, slowest_bytes) = report.slowest;
    let (memory, memory_input) = report.largest;
    println!(
        "| {} | {} | {} | {:.1} ms for {slowest_bytes} B | {} KiB for {memory_input} B | {} |",
        target.name(),
        report.executions,
        report.answers,
        slowest.as_secs_f64() * 1e3,
        memory >> 10,
        report.findings.len()
    );
}

/// Each finding as base64 in a file of its own.
fn write(target: Target, report: &Report, folder: &Path) -> Result<()> {
    for (index, finding) in report.findings.iter().enumerate() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let file = folder.join(format!("{}-{index}.b64", target.name()));
        fs::write(&file, STANDARD.encode_to_string(&finding.input)).with_context(|| file.display().to_string())?;
        println!("{}: broken: {}", target.name(), finding.what);
        println!("  again: cargo run -p fuzzing -- --target {} --replay {}", target.name(), file.display());
    }
    Ok(())
}

/// Tries one finding again. True when it breaks nothing.
fn replay(file: &Path, target: Target, scratch: &Path) -> Result<bool> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let input = STANDARD.decode_to_vec(text.trim_ascii()).with_context(|| format!("{} as base64", file.display()))?;
    let outcome = Bench::new(scratch).map_err(|error| anyhow!(error))?.check(target, &input);
    match &outcome {
        Ok(answer) => println!("holds: {answer}"),
        Err(law) => println!("broken: {law}"),
    }
    Ok(outcome.is_ok())
}

/// The clock and the allocator.
struct Gauge {
    keep: Option<PathBuf>,
    watch: Stopwatch,
    before: usize,
}

impl Meter for Gauge {
    fn start(&mut self, input: &[u8]) {
        if let Some(file) = &self.keep
            && let Err(error) = fs::write(file, STANDARD.encode_to_string(input))
        {
            println!("{}: {error}", file.display());
            self.keep = None;
        }
        self.before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        self.watch = Stopwatch::start();
    }

    fn stop(&mut self) -> Cost {
        Cost { time: self.watch.elapsed(), memory_bytes: ALLOCATOR.peak_usage().saturating_sub(self.before) }
    }
}
