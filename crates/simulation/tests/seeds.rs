//! A quick look at what `cargo xtask sim` does at length.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use anomaly_core::DetectorId;
use simulation::crossing;
use simulation::flaw::PortFlaw;
use simulation::plan::Trouble;
use simulation::run::Variation;
use simulation::shrink::{Verdict, command, judge, shrink};

/// What can go wrong with the fan-out.
const TELLING: [Trouble; 11] = [
    Trouble::Throttle,
    Trouble::Unavailable,
    Trouble::LostAnswer,
    Trouble::LandsLater,
    Trouble::CrashBefore,
    Trouble::CrashAfter,
    Trouble::Zombie,
    Trouble::GiveUp,
    Trouble::Kill,
    Trouble::Redeliver,
    Trouble::Deadline,
];

fn sound(seed: u64) -> Verdict {
    let variation = Variation::default();
    let verdict = judge(seed, &variation).unwrap();
    let again = command(seed, &variation);
    assert!(verdict.violations.is_empty(), "{again}\n{:#?}", verdict.violations);
    verdict
}

fn all_sound(seeds: std::ops::Range<u64>) -> Vec<Verdict> {
    seeds.map(sound).collect()
}

#[test]
fn everything_goes_wrong_within_50_seeds_and_the_outcome_is_that_of_a_run_without_faults() {
    let verdicts = all_sound(0..50);
    let faults: Vec<&String> = verdicts.iter().flat_map(|verdict| &verdict.rest.faults).map(|(_, what)| what).collect();
    for trouble in Trouble::ALL {
        let name = format!("{trouble:?} at");
        assert!(faults.iter().any(|what| what.starts_with(&name)), "{trouble:?} never happened");
    }
    for trouble in TELLING {
        let name = format!("telling: {trouble:?} at");
        assert!(faults.iter().any(|what| what.starts_with(&name)), "{trouble:?} never happened to the fan-out");
    }
    assert!(verdicts.iter().map(|verdict| verdict.rest.counts.messages).sum::<u64>() > 300, "hardly anybody was told");
    let told = verdicts.iter().filter_map(|verdict| verdict.rest.told.as_ref());
    let (sudden, calm): (Vec<_>, Vec<_>) = told.filter(|told| told.say == 1).partition(|told| told.was_sudden);
    assert!(calm.len() > 2 && sudden.len() > 1, "who tells was moved {} and {} times", calm.len(), sudden.len());
    assert!(
        verdicts.iter().any(|verdict| verdict.rest.sites[0].stream.shards().len() > 4),
        "no shard was split or merged"
    );
    let moves = verdicts.iter().flat_map(|verdict| &verdict.rest.switches);
    let (calm, sudden): (Vec<_>, Vec<_>) = moves.filter(|switch| switch.epoch > 1).partition(|switch| switch.calm);
    assert!(calm.len() > 5 && sudden.len() > 5, "the stream was moved {} and {} times", calm.len(), sudden.len());
    let adopted = |verdict: &&Verdict| {
        let checkpoints = verdict.rest.commits.iter().filter_map(|committed| committed.commit.checkpoint.as_ref());
        checkpoints.filter(|(_, checkpoint)| checkpoint.epoch > 1).count() > 0
    };
    assert!(verdicts.iter().filter(adopted).count() > 5, "hardly any region took over");
    assert!(verdicts.iter().map(|verdict| verdict.rest.counts.anomalies).sum::<u64>() > 100, "nothing was found");
    let told = |verdict: &Verdict| {
        let anomalies = verdict.rest.sites.iter().flat_map(|site| site.store.anomalies());
        anomalies.filter(|record| record.anomaly.detector == DetectorId::Model).count()
    };
    let told: usize = verdicts.iter().map(told).sum();
    assert!(told > 50, "a second model told of {told} episodes");
}

#[test]
fn seeds_50_to_99_come_to_the_outcome_without_faults() {
    all_sound(50..100);
}

#[test]
fn seeds_100_to_149_come_to_the_outcome_without_faults() {
    all_sound(100..150);
}

#[test]
fn seeds_150_to_199_come_to_the_outcome_without_faults() {
    all_sound(150..200);
}

#[test]
fn a_seed_makes_the_same_trace_every_time() {
    for seed in [3, 11, 42] {
        let (one, two) = (sound(seed), sound(seed));
        assert!(one.rest.trace.lines().len() > 100);
        assert_eq!(one.rest.trace, two.rest.trace);
        assert_eq!(one.rest.sites[0].store.objects(), two.rest.sites[0].store.objects());
    }
}

#[test]
fn two_processes_may_stop_anywhere() {
    let outcome = crossing::pairs(None);
    assert!(outcome.runs > 1_000, "{} pairs of stops", outcome.runs);
    assert!(outcome.violations.is_empty(), "{:#?}", &outcome.violations[..outcome.violations.len().min(3)]);
}

#[test]
fn a_seeded_bug_is_caught_and_made_small() {
    let flawed = Variation { flaw: Some(PortFlaw::CommitWithoutVersion), ..Variation::default() };
    let fails = |seed: &u64| !judge(*seed, &flawed).unwrap().violations.is_empty();
    let seed = (0..50).find(fails).unwrap();
    let whole = judge(seed, &flawed).unwrap();
    let (small, verdict) = shrink(seed, &flawed).unwrap();
    assert!(!verdict.violations.is_empty());
    assert!(verdict.rest.faults.len() < whole.rest.faults.len(), "{}", command(seed, &small));
    let again = judge(seed, &small).unwrap();
    assert_eq!((again.rest.trace, again.violations), (verdict.rest.trace, verdict.violations));
}
