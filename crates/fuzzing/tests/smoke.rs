//! A fixed number of mutations for every target in every test run. The binary runs for as long as it is told.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

use fuzzing::{Fuzzer, Report, Target, Unmetered, corpus};

const SEED: u64 = 4;

fn run(target: Target, executions: u64) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let inputs = corpus::read(target).unwrap();
    let fuzzer = Fuzzer::new(target, &inputs, SEED, folder.path().join("input")).unwrap();
    fuzzer.run(&mut Unmetered, |tried| tried < executions).unwrap()
}

#[track_caller]
fn check(target: Target, executions: u64) {
    let report = run(target, executions);
    assert!(report.executions >= executions);
    let broken: Vec<String> = report
        .findings
        .iter()
        .map(|finding| format!("{}: {}", finding.what, base64_simd::STANDARD.encode_to_string(&finding.input)))
        .collect();
    assert!(broken.is_empty(), "{}:\n{}", target.name(), broken.join("\n"));
    // A target that answers everything alike is not being reached.
    assert!(report.answers >= 5, "{}: only {} answers", target.name(), report.answers);
}

#[test]
fn events_hold_their_laws() {
    check(Target::Event, 3_000);
}

#[test]
fn payloads_hold_their_laws() {
    check(Target::Payload, 10_000);
}

#[test]
fn topics_hold_their_laws() {
    check(Target::Topic, 20_000);
}

#[test]
fn snapshots_hold_their_laws() {
    check(Target::Snapshot, 1_500);
}

#[test]
fn profiles_hold_their_laws() {
    check(Target::Profile, 3_000);
}

#[test]
fn files_hold_their_laws() {
    check(Target::History, 3_000);
}

#[test]
fn objects_of_bronze_hold_their_laws() {
    check(Target::Bronze, 3_000);
}

#[test]
fn objects_of_silver_hold_their_laws() {
    check(Target::Silver, 3_000);
}

#[test]
fn equal_seeds_give_equal_reports() {
    assert_eq!(run(Target::Payload, 500), run(Target::Payload, 500));
}

#[test]
fn every_input_of_the_corpus_that_stores_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = fuzzing::Bench::new(&folder.path().join("input")).unwrap();
    for (target, answer) in [(Target::Snapshot, "whole"), (Target::Silver, "whole")] {
        let answers: Vec<String> =
            corpus::read(target).unwrap().iter().map(|input| bench.check(target, input).unwrap()).collect();
        assert!(answers.iter().any(|found| found.starts_with(answer)), "{}: {answers:?}", target.name());
    }
}

#[test]
fn a_broken_law_is_reported_once_with_an_input() {
    // A scratch file that cannot be written breaks the first law of a file.
    let scratch = std::path::PathBuf::from("/dev/null/input");
    let fuzzer = Fuzzer::new(Target::History, &[b"a,b\n".to_vec()], SEED, scratch).unwrap();
    let report = fuzzer.run(&mut Unmetered, |tried| tried < 20).unwrap();
    let [finding] = report.findings.as_slice() else { panic!("{:?}", report.findings) };
    assert!(finding.what.contains("is written"), "{}", finding.what);
    assert_eq!(finding.input, b"a,b\n");
}
