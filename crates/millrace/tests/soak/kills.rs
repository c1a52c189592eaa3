//! `kill -9` at random points, again and again, and what is there afterwards.
//!
//! After every kill what is committed must be what an undisturbed run has committed up to the same records, and no less than
//! at the kill before; at the end all must be equal. The points are drawn from a seed, but where in the program they land is
//! the machine's doing. Power failures are not tried: what the operating system has taken survives a kill.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use platform::clock::Stopwatch;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;

use crate::program::Program;
use crate::stored::{Stored, copy};

/// Most kills of one folder, before its run is left to end.
const KILLS_A_FOLDER_MAX: u32 = 12;
/// From when to when a run is killed, in shares of the time that it should take: anywhere; while it opens the folder and
/// restores; towards its end. Each kill draws one of them.
const WINDOWS: [[f64; 2]; 4] = [[0.0, 1.0], [0.0, 1.0], [0.0, 0.05], [0.7, 1.1]];
/// Share of the time of an undisturbed run that one takes which has nothing left to do.
const OPENING_SHARE: f64 = 0.1;
/// Differences that are kept; one is enough to fail.
const DIFFERENCES_MAX: usize = 20;

/// Where a kill has landed, as far as the folder tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// There are no tables yet.
    Opening,
    /// Nothing is committed yet.
    BeforeTheFirstCommit,
    /// A file of the lake is half written.
    Writing,
    /// Objects are written that are not committed.
    BetweenObjectsAndCommit,
    /// None of these.
    BetweenBatches,
    /// Every record is committed; the lake was about to be read back.
    AfterTheLastCommit,
    /// The end is noted; the report was about to be printed. Another run would add days.
    AfterTheEnd,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) kills: u32,
    pub(crate) folders: u32,
    pub(crate) moments: BTreeMap<Moment, u32>,
    pub(crate) orphans: usize,
    pub(crate) differences: Vec<String>,
}

/// The undisturbed run, and how long it took.
pub(crate) fn reference(program: &Program, scratch: &Path) -> Result<(Stored, Duration)> {
    let dir = scratch.join("reference");
    let watch = Stopwatch::start();
    program.finish(&dir)?;
    let elapsed = watch.elapsed();
    let stored = Stored::read(&dir)?.unwrap_or_default();
    ensure!(stored.messages() > 0, "the undisturbed run has stored nothing");
    Ok((stored, elapsed))
}

/// Kills runs of `program` in one folder after another until `kills` have landed, or as many folders were tried.
pub(crate) fn soak(
    program: &Program,
    (reference, time): (&Stored, Duration),
    scratch: &Path,
    kills: u32,
    seed: u64,
    mut on_folder: impl FnMut(&Outcome),
) -> Result<Outcome> {
    let mut chance = Pcg64Mcg::new(u128::from(seed) << 1 | 1);
    let mut outcome = Outcome::default();
    while outcome.kills < kills && outcome.folders < kills && outcome.differences.len() < DIFFERENCES_MAX {
        let dir = scratch.join(format!("killed-{}", outcome.folders));
        folder(program, (reference, time), &dir, kills, &mut chance, &mut outcome)?;
        if outcome.differences.is_empty() {
            fs::remove_dir_all(&dir)?;
        }
        outcome.folders += 1;
        on_folder(&outcome);
    }
    ensure!(outcome.kills >= kills.min(1), "no kill has landed: the plant is too small for this machine");
    Ok(outcome)
}

fn folder(
    program: &Program,
    (reference, time): (&Stored, Duration),
    dir: &Path,
    kills: u32,
    chance: &mut Pcg64Mcg,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut before = Stored::default();
    for _ in 0..KILLS_A_FOLDER_MAX.min(kills - outcome.kills) {
        let left = 1.0 - before.messages() as f64 / reference.messages() as f64;
        let [from, to] = WINDOWS[chance.next_u32() as usize % WINDOWS.len()];
        let share = from + (to - from) * f64::from(chance.next_u32()) / f64::from(u32::MAX);
        let delay = time.mul_f64(share * (OPENING_SHARE + (1.0 - OPENING_SHARE) * left));
        let mut running = program.start(dir)?;
        if let Some(ended) = running.ends_within(delay)? {
            if !ended.status.success() {
                outcome.differences.push(format!("a run ended with {}: {}", ended.status, ended.stderr.trim()));
            }
            compare(reference, dir, outcome);
            return Ok(());
        }
        running.kill()?;
        outcome.kills += 1;
        let seen = dir.with_extension("seen");
        if dir.exists() {
            copy(dir, &seen)?;
            before = look(reference, before, &seen, outcome);
            let is_over = is_over(&seen);
            fs::remove_dir_all(&seen)?;
            if is_over {
                compare(reference, dir, outcome);
                return Ok(());
            }
        } else {
            *outcome.moments.entry(Moment::Opening).or_default() += 1;
        }
    }
    match program.finish(dir) {
        Ok(()) => compare(reference, dir, outcome),
        Err(error) => outcome.differences.push(format!("{error:#}")),
    }
    Ok(())
}

/// Looks at what a kill has left, and returns it.
fn look(reference: &Stored, before: Stored, seen: &Path, outcome: &mut Outcome) -> Stored {
    let half = fs::read_dir(seen.join("lake/.incoming")).is_ok_and(|mut files| files.next().is_some());
    let (moment, now) = match Stored::read(seen) {
        Err(error) => {
            outcome.differences.push(format!("after a kill: {error:#}"));
            return before;
        }
        Ok(None) => (Moment::Opening, Stored::default()),
        Ok(Some(now)) => {
            let moment = match () {
                () if is_over(seen) => Moment::AfterTheEnd,
                () if half => Moment::Writing,
                () if now.orphans > before.orphans => Moment::BetweenObjectsAndCommit,
                () if now.tips.is_empty() => Moment::BeforeTheFirstCommit,
                () if now.tips == reference.tips => Moment::AfterTheLastCommit,
                () => Moment::BetweenBatches,
            };
            (moment, now)
        }
    };
    *outcome.moments.entry(moment).or_default() += 1;
    if !now.goes_on_from(&before) {
        outcome.differences.push(format!("a commit was taken back: {:?}, before {:?}", now.tips, before.tips));
    }
    outcome.differences.extend(now.differences_so_far(reference));
    now
}

/// Whether the folder's run is noted as ended.
fn is_over(dir: &Path) -> bool {
    let entry = fs::read(dir.join("demo.json")).ok();
    let entry: Option<serde_json::Value> = entry.and_then(|entry| serde_json::from_slice(&entry).ok());
    entry.is_some_and(|entry| entry["days_done"] == entry["days_wanted"])
}

fn compare(reference: &Stored, dir: &Path, outcome: &mut Outcome) {
    match Stored::read(dir) {
        Ok(Some(stored)) => {
            outcome.orphans += stored.orphans;
            outcome.differences.extend(stored.differences(reference));
        }
        Ok(None) => outcome.differences.push("a run has ended and there are no tables".to_owned()),
        Err(error) => outcome.differences.push(format!("after a run: {error:#}")),
    }
}
