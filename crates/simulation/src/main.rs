//! `simulation`: runs seeds, says what was wrong with them and how to see it again.
#![expect(clippy::print_stdout, reason = "what a simulation found is its output")]

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use platform::clock::Stopwatch;
use simulation::crossing;
use simulation::flaw::PortFlaw;
use simulation::run::{Counts, Variation};
use simulation::shrink::{command, judge, shrink};

/// Runs the whole pipeline under a scheduler that owns time, order and failure.
#[derive(Parser)]
#[command(name = "simulation")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct Arguments {
    /// How many seeds, from `--first` on.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// One seed alone, with its trace when it fails.
    #[arg(long)]
    seed: Option<u64>,
    /// The trace, also of a run that does not fail.
    #[arg(long)]
    verbose: bool,
    /// Only so many records of the workload.
    #[arg(long)]
    records: Option<usize>,
    /// Faults that do not happen, by number.
    #[arg(long, value_delimiter = ',')]
    without: Vec<usize>,
    /// A bug at a port, by name.
    #[arg(long)]
    flaw: Option<String>,
    /// Leaves a failing seed as large as it is.
    #[arg(long)]
    whole: bool,
    /// Instead of seeds: every stop of two processes with two batches.
    #[arg(long)]
    crossing: bool,
    /// Instead of seeds: each known bug, in at most so many seeds as `--seeds` says.
    #[arg(long)]
    teeth: bool,
    /// Seeds that run at the same time; each of them on one thread.
    #[arg(long)]
    jobs: Option<usize>,
}

fn main() -> ExitCode {
    match perform(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("simulation: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn flaw(name: &str) -> Result<PortFlaw> {
    let found = PortFlaw::ALL.iter().find(|flaw| flaw.name() == name);
    let names: Vec<&str> = PortFlaw::ALL.iter().map(|flaw| flaw.name()).collect();
    found.copied().with_context(|| format!("no bug has the name `{name}`; there are {}", names.join(", ")))
}

fn perform(arguments: &Arguments) -> Result<bool> {
    let variation = Variation {
        records: arguments.records,
        without: arguments.without.iter().copied().collect(),
        flaw: arguments.flaw.as_deref().map(flaw).transpose()?,
    };
    if arguments.teeth {
        return teeth(arguments.seeds, jobs(arguments));
    }
    if arguments.crossing {
        return Ok(crossings(variation.flaw));
    }
    match arguments.seed {
        Some(seed) => one(seed, variation, arguments),
        None if !variation.without.is_empty() => bail!("--without is of one seed: give --seed too"),
        None => many(arguments, &variation),
    }
}

fn jobs(arguments: &Arguments) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.jobs.unwrap_or(processors).max(1)
}

/// Each known bug. True when all are caught.
#[cfg(feature = "teeth")]
fn teeth(seeds: u64, jobs: usize) -> Result<bool> {
    let bugs = simulation::teeth::bugs();
    let (next, found) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let work = || -> Result<()> {
            while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                let bite = simulation::teeth::bite(*bug, seeds)?;
                found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(bite);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(_) => bail!("a run panicked; its message stands above"),
        })
    })?;
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by_key(|bite| (bite.place, bite.bug));
    println!("| bug | place | caught by | seeds needed |");
    println!("|---|---|---|---|");
    for bite in &found {
        let (check, needed) = bite.caught.map_or(("NOT CAUGHT", 0), |(seed, check)| (check, seed + 1));
        println!("| {} | {} | {check} | {needed} |", bite.bug, bite.place);
    }
    let caught = found.iter().filter(|bite| bite.caught.is_some()).count();
    println!("{caught} of {} bugs caught within {seeds} seeds", found.len());
    Ok(caught == found.len())
}

/// The bugs in the scorer are compiled only where they are asked for.
#[cfg(not(feature = "teeth"))]
fn teeth(_: u64, _: usize) -> Result<bool> {
    bail!("this build has no seeded bugs: run `cargo xtask teeth`")
}

/// Every stop and every order of stops. True when nothing is wrong.
fn crossings(flaw: Option<PortFlaw>) -> bool {
    let (pairs, merges) = (crossing::pairs(flaw), crossing::merges(flaw));
    println!("{} pairs of stops, {} orders of stops", pairs.runs, merges.runs);
    for (place, violation) in pairs.violations.iter().chain(&merges.violations).take(10) {
        println!("{place}: {} is violated: {}", violation.check, violation.what);
    }
    pairs.violations.is_empty() && merges.violations.is_empty()
}

/// One seed. True when nothing is wrong.
fn one(seed: u64, variation: Variation, arguments: &Arguments) -> Result<bool> {
    let verdict = judge(seed, &variation)?;
    let sound = verdict.violations.is_empty();
    let (variation, verdict) = if sound || arguments.whole { (variation, verdict) } else { shrink(seed, &variation)? };
    if !sound || arguments.verbose {
        verdict.rest.trace.lines().iter().for_each(|line| println!("{line}"));
        verdict.rest.faults.iter().for_each(|(number, what)| println!("fault {number}: {what}"));
    }
    for violation in &verdict.violations {
        println!("seed {seed}: {} is violated: {}", violation.check, violation.what);
    }
    if !sound {
        println!("again: {}", command(seed, &variation));
    }
    println!("{}", told(&verdict.rest.counts));
    Ok(sound)
}

/// Many seeds, on all processors. True when nothing is wrong with any.
fn many(arguments: &Arguments, variation: &Variation) -> Result<bool> {
    let watch = Stopwatch::start();
    let next = AtomicU64::new(arguments.first);
    let end = arguments.first.saturating_add(arguments.seeds);
    let total = Mutex::new((Counts::default(), BTreeSet::new()));
    std::thread::scope(|scope| {
        let work = || -> Result<()> {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return Ok(());
                }
                let verdict = judge(seed, variation).with_context(|| format!("seed {seed}"))?;
                let mut total = total.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                add(&mut total.0, &verdict.rest.counts);
                if let Some(first) = verdict.violations.first() {
                    println!("seed {seed}: {} is violated: {}", first.check, first.what);
                    total.1.insert(seed);
                }
            }
        };
        let threads: Vec<_> = (0..jobs(arguments)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(_) => bail!("a run panicked; its message stands above"),
        })
    })?;
    let (counts, failed) = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let seconds = watch.elapsed().as_secs_f64();
    println!("{} seeds in {seconds:.1} s, {} failed", arguments.seeds, failed.len());
    println!("{}", told(&counts));
    if let Some(seed) = failed.first().copied()
        && !arguments.whole
    {
        println!("the first that failed, made small:");
        return one(seed, variation.clone(), arguments);
    }
    Ok(failed.is_empty())
}

fn add(total: &mut Counts, run: &Counts) {
    total.deliveries += run.deliveries;
    total.commits += run.commits;
    total.calls += run.calls;
    total.faults += run.faults;
    total.records += run.records;
    total.readings += run.readings;
    total.anomalies += run.anomalies;
    total.messages += run.messages;
    total.simulated_ms += run.simulated_ms;
}

fn told(counts: &Counts) -> String {
    format!(
        "{} records, {} readings, {} anomalies, {} messages, {} deliveries, {} calls, {} commits, {} faults, {:.1} simulated hours",
        counts.records,
        counts.readings,
        counts.anomalies,
        counts.messages,
        counts.deliveries,
        counts.calls,
        counts.commits,
        counts.faults,
        counts.simulated_ms as f64 / 3_600_000.0,
    )
}
