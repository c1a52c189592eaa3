//! `explain --file`: why a row is abnormal, and why another is not.

use crate::run::{millrace, tep};

fn explain(at: &str, output: &str) -> crate::run::Run {
    millrace(&[
        "explain",
        "--file",
        &tep("fault_01.csv"),
        "--warmup",
        &tep("normal_train.csv"),
        "--at",
        at,
        "--output",
        output,
    ])
}

#[test]
fn an_abnormal_row_says_which_metric_was_off_and_by_how_much() {
    let run = explain("2000-01-01 12:00", "csv").ok();
    assert_eq!(run.column("metric").len(), 52);
    let strength = run.numbers("strength");
    assert!(strength[0] >= 1.0 && strength.is_sorted_by(|a, b| a >= b));
    assert!(run.column("sentence")[0].contains(&run.column("metric")[0]), "{}", run.column("sentence")[0]);
    let table = explain("2000-01-01 12:00", "table").ok();
    assert!(table.out.starts_with("fault_01 at 2000-01-01T12:00:00.000Z is abnormal: score "), "{}", table.out);
}

#[test]
fn a_normal_row_says_how_far_it_was_from_the_line() {
    let run = explain("2000-01-01 01:00:00", "csv").ok();
    assert!(run.numbers("to_the_line").iter().all(|distance| *distance > 0.0));
    assert!(run.column("sentence").iter().all(|sentence| !sentence.is_empty()));
}

#[test]
fn a_time_between_rows_means_the_row_before() {
    let json = explain("2000-01-01 12:01:30", "json").ok().out;
    let explained: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(explained["at"], 946_728_000_000_i64);
    assert_eq!(explained["device"], "fault_01");
    explain("1999-01-01", "json").fails(1, &["fault_01.csv", "no row at or before 1999-01-01"]);
}
