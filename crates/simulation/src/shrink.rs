//! A failing run made small: fewer records, and no fault that it does not need to fail.

use std::collections::BTreeSet;

use crate::check::check;
use crate::plan::Plan;
use crate::run::{Rest, Variation, run};
use crate::trace::Violation;

/// Most runs spent on making one smaller.
const RUNS_MAX: usize = 400;

/// A run and what is wrong with it.
pub struct Verdict {
    /// The run at rest.
    pub rest: Rest,
    /// Empty when nothing is.
    pub violations: Vec<Violation>,
}

/// Runs a seed and checks what came of it.
///
/// # Errors
/// As [`run`].
pub fn judge(seed: u64, variation: &Variation) -> anyhow::Result<Verdict> {
    let rest = run(Plan::new(seed, variation.records), variation)?;
    let violations = check(&rest);
    Ok(Verdict { rest, violations })
}

/// The smallest variation found of a seed that fails, starting from one that does. Any violation counts.
///
/// # Errors
/// As [`run`].
pub fn shrink(seed: u64, from: &Variation) -> anyhow::Result<(Variation, Verdict)> {
    let (mut best, mut verdict) = (from.clone(), judge(seed, from)?);
    let mut runs = 0;
    let mut attempt = |next: Variation, best: &mut Variation, verdict: &mut Verdict| -> anyhow::Result<bool> {
        if runs >= RUNS_MAX {
            return Ok(false);
        }
        runs += 1;
        let tried = judge(seed, &next)?;
        let fails = !tried.violations.is_empty();
        if fails {
            (*best, *verdict) = (next, tried);
        }
        Ok(fails)
    };
    // Fewer records: halve what is left out for as long as it still fails.
    let mut cut = best.records.unwrap_or(verdict.rest.plan.records.len()) / 2;
    while cut > 0 {
        let left = best.records.unwrap_or(verdict.rest.plan.records.len());
        let next = Variation { records: Some(left.saturating_sub(cut).max(1)), ..best.clone() };
        if left <= 1 || !attempt(next, &mut best, &mut verdict)? {
            cut /= 2;
        }
    }
    // Fewer faults: leave out many at once, then fewer, then one by one.
    let mut chunk = verdict.rest.faults.len().div_ceil(2).max(1);
    loop {
        let mut smaller = false;
        let mut at = 0;
        while at < verdict.rest.faults.len() {
            let more: BTreeSet<usize> =
                verdict.rest.faults.iter().skip(at).take(chunk).map(|(number, _)| *number).collect();
            let without = best.without.union(&more).copied().collect();
            if attempt(Variation { without, ..best.clone() }, &mut best, &mut verdict)? {
                smaller = true;
            } else {
                at += chunk;
            }
        }
        if chunk > 1 {
            chunk = chunk.div_ceil(2);
        } else if !smaller {
            return Ok((best, verdict));
        }
    }
}

/// The command that runs a variation of a seed again.
#[must_use]
pub fn command(seed: u64, variation: &Variation) -> String {
    let mut words = vec![format!("cargo xtask sim --seed {seed}")];
    words.extend(variation.records.map(|records| format!("--records {records}")));
    if !variation.without.is_empty() {
        let numbers: Vec<String> = variation.without.iter().map(ToString::to_string).collect();
        words.push(format!("--without {}", numbers.join(",")));
    }
    words.extend(variation.flaw.map(|flaw| format!("--flaw {}", flaw.name())));
    words.join(" ")
}
