//! The loop: choose, mutate, try, judge, keep.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use crate::chance::Chance;
use crate::mutation::mutate;
use crate::shell::Shell;
use crate::target::{Bench, Target};

/// Most inputs that are kept to mutate further.
const POOL_MAX: usize = 1_024;

/// Most time for an input: far above what any takes on a loaded machine, far below a Lambda's patience.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Most memory for an input, in bytes: all inputs here are 64 KiB or less, unpacked 4 MiB or less, and kept a few times over.
const MEMORY_BYTES_MAX: usize = 256 << 20;

/// What trying an input took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Time on the clock.
    pub time: Duration,
    /// Most bytes that were allocated at once.
    pub memory_bytes: usize,
}

/// Reads clock and allocator, which this library does not.
pub trait Meter {
    /// Called with an input before it is tried.
    fn start(&mut self, input: &[u8]);
    /// What happened since.
    fn stop(&mut self) -> Cost;
}

/// Measures nothing: what a run gives depends on the seed alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unmetered;

impl Meter for Unmetered {
    fn start(&mut self, _: &[u8]) {}

    fn stop(&mut self) -> Cost {
        Cost::default()
    }
}

/// An input that broke a law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The law, or what the panic said.
    pub what: String,
    /// The input.
    pub input: Vec<u8>,
}

/// What became of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Inputs tried.
    pub executions: u64,
    /// Answers told apart.
    pub answers: usize,
    /// The first input of each broken law.
    pub findings: Vec<Finding>,
    /// The longest time for an input, and its length in bytes.
    pub slowest: (Duration, usize),
    /// The most memory for an input in bytes, and its length in bytes.
    pub largest: (usize, usize),
}

/// Feeds one target.
#[derive(Debug)]
pub struct Fuzzer {
    target: Target,
    bench: Bench,
    scratch: PathBuf,
    /// Inputs to mutate, by shell, without it. The first of [`Target::shells`] is none, so the first pool has them all.
    pools: Vec<(Shell, Vec<Vec<u8>>)>,
    chance: Chance,
    seen: BTreeMap<String, u64>,
    report: Report,
}

impl Fuzzer {
    /// A fuzzer that starts from `corpus` and may write to the file `scratch`.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn new(target: Target, corpus: &[Vec<u8>], seed: u64, scratch: PathBuf) -> Result<Self, String> {
        let opened = |shell: Shell| corpus.iter().filter_map(|input| shell.open(input)).collect();
        Ok(Self {
            target,
            bench: Bench::new(&scratch)?,
            scratch,
            pools: target.shells().iter().map(|shell| (*shell, opened(*shell))).collect(),
            chance: Chance::new(seed),
            seen: BTreeMap::new(),
            report: Report::default(),
        })
    }

    /// Tries the corpus as it is, then mutations of it while `goes_on` says so, asked with how many were tried.
    ///
    /// # Errors
    /// As [`Bench::new`], when the bench has to be made anew after a panic.
    pub fn run(mut self, meter: &mut impl Meter, mut goes_on: impl FnMut(u64) -> bool) -> Result<Report, String> {
        let whole: Vec<Vec<u8>> = self.pools.first().map(|(_, pool)| pool.clone()).unwrap_or_default();
        for input in &whole {
            self.try_input(input, meter)?;
        }
        while goes_on(self.report.executions) {
            let which = self.chance.below(self.pools.len());
            let Some((shell, pool)) = self.pools.get(which) else { break };
            let Some(parent) = self.chance.pick(pool) else { continue };
            let inner = mutate(parent.clone(), pool, &mut self.chance);
            let shell = *shell;
            let Some(input) = shell.close(&inner) else { continue };
            if self.try_input(&input, meter)? {
                self.keep(which, inner);
            }
        }
        self.report.answers = self.seen.len();
        Ok(self.report)
    }

    /// Keeps an input to mutate further, in the place of another when there are many.
    fn keep(&mut self, which: usize, inner: Vec<u8>) {
        let Some((_, pool)) = self.pools.get_mut(which) else { return };
        if pool.len() < POOL_MAX {
            pool.push(inner);
        } else {
            let place = self.chance.below(POOL_MAX);
            pool[place] = inner;
        }
    }

    /// Tries an input; true when its answer is new.
    fn try_input(&mut self, input: &[u8], meter: &mut impl Meter) -> Result<bool, String> {
        let (target, bench) = (self.target, &mut self.bench);
        meter.start(input);
        let outcome = catch_unwind(AssertUnwindSafe(|| bench.check(target, input)));
        let cost = meter.stop();
        self.report.executions += 1;
        self.report.slowest = self.report.slowest.max((cost.time, input.len()));
        self.report.largest = self.report.largest.max((cost.memory_bytes, input.len()));
        if cost.time > TIME_MAX {
            self.find(format!("an input is read within {} s", TIME_MAX.as_secs()), input);
        }
        if cost.memory_bytes > MEMORY_BYTES_MAX {
            self.find(format!("an input is read within {MEMORY_BYTES_MAX} bytes"), input);
        }
        match outcome {
            Ok(Ok(answer)) => {
                let times = self.seen.entry(answer).or_default();
                *times += 1;
                return Ok(*times == 1);
            }
            Ok(Err(law)) => self.find(law, input),
            Err(panic) => {
                let said = panic.downcast_ref::<&str>().copied().map(str::to_owned);
                let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                self.find(format!("it panicked: {said}"), input);
                // What it left behind is not to be trusted.
                self.bench = Bench::new(&self.scratch)?;
            }
        }
        Ok(false)
    }

    /// Remembers a finding unless it is known: numbers apart, one is like another.
    fn find(&mut self, what: String, input: &[u8]) {
        const FINDINGS_MAX: usize = 100;
        let kind = |what: &str| what.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        let known = self.report.findings.iter().any(|finding| kind(&finding.what) == kind(&what));
        if !known && self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(Finding { what, input: input.to_vec() });
        }
    }
}
