//! The demo is killed without warning, again and again, and started again: nothing may be lost or doubled.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// The plant of these tests: about 17,000 messages, enough for several commits a shard.
const PLANT: [&str; 6] = ["--devices", "6", "--days", "2", "--poison-per-million", "2000"];

fn demo(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.args(["demo", "--output", "json", "--dir"]).arg(dir).args(PLANT);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a demo to its end and returns its report.
fn finish(dir: &Path) -> serde_json::Value {
    let output = demo(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()[0].take()
}

/// Everything the store says about anomalies.
fn anomalies(dir: &Path) -> String {
    let arguments = ["anomalies", "list", "--tenant", "demo", "--limit", "100000", "--output", "ndjson", "--dir"];
    let output = Command::new(env!("CARGO_BIN_EXE_millrace")).args(arguments).arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How many files there are below a folder.
fn files(dir: &Path) -> usize {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries.flatten().map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

/// Starts a demo and kills it as soon as the lake has grown by `more` objects. Says whether it was still running.
fn kill_after(dir: &Path, more: usize) -> bool {
    let lake = dir.join("lake");
    let before = files(&lake);
    let mut child = demo(dir).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if files(&lake) >= before + more {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        thread::yield_now();
    }
    false
}

#[test]
fn a_demo_that_is_killed_again_and_again_ends_as_one_that_was_left_alone() {
    let (calm, harried) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = finish(calm.path());

    let kills = (0..6).filter(|round| kill_after(harried.path(), 1 + round % 4)).count();
    assert!(kills >= 3, "only {kills} of 6 runs were killed half-way");
    let found = finish(harried.path());

    assert!(expected["messages_sent"].as_f64().unwrap() > 10_000.0);
    for same in ["messages_sent", "messages_stored_once", "faults_found", "faults_missed", "median_delay_minutes"] {
        assert_eq!(found[same], expected[same], "{same}");
    }
    let (found, expected) = (anomalies(harried.path()), anomalies(calm.path()));
    assert!(!expected.is_empty());
    assert_eq!(found, expected);
}

#[test]
fn a_second_run_in_the_same_folder_goes_on_where_the_first_ended() {
    let dir = tempfile::tempdir().unwrap();
    let first = finish(dir.path());
    let second = finish(dir.path());
    assert_eq!(second["messages_stored_once"], second["messages_sent"]);
    let (first, second) = (first["messages_sent"].as_f64().unwrap(), second["messages_sent"].as_f64().unwrap());
    assert!(second > 1.9 * first, "{first} then {second}");
}

#[test]
fn two_demos_in_one_folder_are_refused_clearly() {
    let dir = tempfile::tempdir().unwrap();
    let held = platform::embedded::Local::open(dir.path()).expect("the folder is free");
    let output = demo(dir.path()).output().unwrap();
    drop(held);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("in use by another process") && words.contains("--dir"), "{words}");
}
