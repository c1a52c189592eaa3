//! The demo twice in one folder: one after the other goes on, both at once is refused. That nothing is lost or doubled when it
//! is killed is the matter of `tests/soak`.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

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

#[test]
fn a_second_run_in_the_same_folder_goes_on_where_the_first_ended() {
    let dir = tempfile::tempdir().unwrap();
    let first = finish(dir.path());
    let second = finish(dir.path());
    assert_eq!(second["messages_stored_once"], second["messages_sent"]);
    let (first, second) = (first["messages_sent"].as_f64().unwrap(), second["messages_sent"].as_f64().unwrap());
    assert!(second > 1.9 * first, "{first} then {second}");
}

/// The closed incidents of a folder, by their ids.
fn closed(dir: &Path) -> BTreeMap<String, serde_json::Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    let args = ["alerts", "list", "--closed", "--since", "30d", "--limit", "1000", "--output", "json", "--dir"];
    let output = command.args(args).arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    listed.into_iter().map(|incident| (incident["id"].as_str().unwrap().to_owned(), incident)).collect()
}

#[test]
fn incidents_are_told_in_the_time_of_the_plant_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = finish(dir.path());
    let told = |report: &serde_json::Value| report["alerts_told"].as_f64().unwrap();
    let incidents = first["incidents"].as_f64().unwrap();
    assert!(incidents >= 1.0 && told(&first) >= incidents, "{first}");
    let before = closed(dir.path());
    assert!(!before.is_empty());
    for incident in before.values() {
        let (opened, told) = (incident["opened"].as_str().unwrap(), incident["told"].as_str().unwrap());
        assert!(opened <= told && told < "2026-01-08", "a plant of two days from 2026-01-05: {incident}");
    }
    finish(dir.path());
    let after = closed(dir.path());
    let day = |incident: &serde_json::Value| incident["opened"].as_str().unwrap()[..10].to_owned();
    for (id, incident) in before.iter().filter(|(_, incident)| day(incident) == "2026-01-05") {
        assert_eq!(after.get(id), Some(incident), "what was over on the first day is as it was");
    }
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
