//! `simulate`: the same plant every time, and fit to be replayed.

use crate::run::{Folder, millrace};

#[test]
fn the_same_options_give_the_same_bytes() {
    let args = ["simulate", "--devices", "4", "--hours", "3", "--seed", "7", "--poison-per-million", "20000"];
    let (first, second) = (millrace_bytes(&args), millrace_bytes(&args));
    assert!(!first.is_empty() && first == second);
    let other = millrace_bytes(&["simulate", "--devices", "4", "--hours", "3", "--seed", "8"]);
    assert_ne!(first, other);
}

/// Poison may be anything but UTF-8.
fn millrace_bytes(args: &[&str]) -> Vec<u8> {
    let output = crate::run::command(args).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn every_form_can_be_replayed_with_the_same_verdicts() {
    let folder = Folder::new();
    let plant = ["simulate", "--devices", "2", "--days", "2", "--cadence", "5m", "--faults-per-week", "20"];
    let score = |form: &str| {
        let file = folder.arg(&format!("plant.{}", if form == "csv" { "csv" } else { "ndjson" }));
        millrace(&[&plant[..], &["--format", form, "--out", &file]].concat()).ok();
        millrace(&["replay", "--output", "csv", &file]).ok()
    };
    let (topic, named) = (score("topic"), score("device-id"));
    assert!(topic.numbers("score").iter().any(|score| *score >= 1.0), "a plant with many faults has abnormal rows");
    assert_eq!(topic.out, named.out);
    assert_eq!(topic.out, score("csv").out);
    assert!(score("single").out.lines().count() > topic.out.lines().count(), "a payload a metric is a row a metric");
}

#[test]
fn one_device_can_be_written_as_a_table_of_its_metrics() {
    let folder = Folder::new();
    let names = millrace(&["simulate", "--devices", "3", "--hours", "1", "--format", "csv"]).ok().column("device");
    let file = folder.arg("one.csv");
    millrace(&["simulate", "--devices", "3", "--hours", "1", "--csv-device", &names[0], "--out", &file]).ok();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("timestamp,temperature,vibration"), "{text}");
    assert_eq!(text.lines().count(), 61);
    assert_eq!(millrace(&["replay", "--output", "csv", &file]).ok().numbers("score").len(), 60);
}

#[test]
fn the_truth_lists_the_faults() {
    let folder = Folder::new();
    let truth = folder.arg("truth.json");
    millrace(&["simulate", "--devices", "5", "--days", "4", "--cadence", "1h", "--truth", &truth]).ok();
    let truth: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(truth).unwrap()).unwrap();
    assert!(!truth["faults"].as_array().unwrap().is_empty());
    assert_eq!(truth["config"]["devices"], 5);
}

#[test]
fn a_dry_run_counts_what_would_be_written_and_writes_nothing() {
    let folder = Folder::new();
    let plant = ["simulate", "--devices", "2", "--hours", "2"];
    let file = folder.arg("plant.ndjson");
    let dry = millrace(&[&plant[..], &["--dry-run", "--output", "csv", "--out", &file]].concat()).ok();
    assert!(!folder.path("plant.ndjson").exists());
    let written = millrace(&plant).ok().out;
    let counts: Vec<(String, f64)> = dry.column("what").into_iter().zip(dry.numbers("count")).collect();
    assert!(counts.contains(&("lines".to_owned(), written.lines().count() as f64)), "{counts:?}");
    assert!(counts.contains(&("bytes".to_owned(), written.len() as f64)), "{counts:?}");
    assert!(dry.err.contains("--dry-run"));
}
