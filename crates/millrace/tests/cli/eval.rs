//! `eval`: what is measured is what the verdicts are, and labels that do not fit are named with their place.

use std::fmt::Write as _;

use crate::run::{Folder, millrace, tep};

/// Minutes at which the temperature, allowed up to 80 °C, is 90.
const HOT: [std::ops::Range<usize>; 2] = [100..121, 250..251];

/// A wide CSV of 300 minutes, steady but for [`HOT`]; with a column that says of minutes 95 to 125 that they are abnormal.
fn recording(day: u32, has_label: bool) -> String {
    let mut text = format!("timestamp,temperature{}\n", if has_label { ",is_fault,note" } else { "" });
    for minute in 0..300 {
        let is_hot = HOT.iter().any(|hot| hot.contains(&minute));
        let value = if is_hot { 90.0 } else { 50.0 + ((minute * 37) % 17) as f64 / 10.0 };
        write!(text, "2026-01-{day:02} {:02}:{:02}:00,{value}", minute / 60, minute % 60).unwrap();
        match (has_label, minute) {
            (false, _) => text.push('\n'),
            // An empty cell means what the cell before it means.
            (true, 110) => text.push_str(",,7\n"),
            (true, _) => writeln!(text, ",{},7", u8::from((95..=125).contains(&minute))).unwrap(),
        }
    }
    text
}

const LABELS: &str = "start,end\n2026-01-05T01:35:00Z,2026-01-05T02:05:00Z\n";

#[track_caller]
fn judged_wrong(labels: &str, parts: &[&str]) {
    let folder = Folder::new();
    let (file, labels) = (folder.file("run.csv", &recording(5, false)), folder.file("labels.csv", labels));
    millrace(&["eval", "labelled", &file, "--labels", &labels, "--output", "csv"]).fails(1, parts);
}

#[test]
fn a_labelled_recording_is_judged_by_span_and_by_row() {
    let folder = Folder::new();
    let (file, labels) = (folder.file("run.csv", &recording(5, false)), folder.file("labels.csv", LABELS));
    let run = millrace(&["eval", "labelled", &file, "--labels", &labels, "--output", "csv"]).ok();
    assert_eq!(run.column("file"), [file.as_str(), "total"]);
    for (column, expected) in [
        ("spans", 1.0),
        ("found", 1.0),
        ("recall", 1.0),
        // From minute 95, where the label begins, to minute 100, where the limit is crossed.
        ("median_delay_seconds", 300.0),
        ("rows", 300.0),
        ("abnormal_rows", 31.0),
    ] {
        assert_eq!(run.numbers(column), [expected, expected], "{column}\n{}", run.out);
    }
    let total = |column: &str| run.numbers(column)[1];
    assert!(total("false_alerts") >= 1.0, "the hot minute 250 is in no span\n{}", run.out);
    assert!((total("precision") - 1.0 / (1.0 + total("false_alerts"))).abs() < 1e-12);
    assert!((total("device_days") - 299.0 / 1_440.0).abs() < 1e-12);
    assert!(total("row_recall") >= 21.0 / 31.0 && total("row_far") < 0.5 && total("vus_pr") > 0.5, "{}", run.out);
    assert_eq!(run.err, "");
}

#[test]
fn every_form_of_labels_says_the_same() {
    let folder = Folder::new();
    let plain = folder.file("run.csv", &recording(5, false));
    let with_column = folder.file("labelled.csv", &recording(5, true));
    let csv = folder.file("labels.csv", LABELS);
    let named = folder.file("named.csv", "why;Device;end;start\nhot, very;run;2026-01-05 02:05;2026-01-05 01:35\n");
    let windows =
        folder.file("w.json", r#"{"real/run.csv": [["2026-01-05 01:35:00.000000", "2026-01-05 02:05:00.000000"]]}"#);
    let judged = |arguments: &[&str]| {
        let run = millrace(&[&["eval", "labelled", "--output", "ndjson"], arguments].concat()).ok();
        let total: serde_json::Value = serde_json::from_str(run.out.lines().last().unwrap()).unwrap();
        assert_eq!(total["file"], "total");
        total
    };
    let expected = judged(&[&plain, "--labels", &csv]);
    assert_eq!(expected["found"], 1);
    assert_eq!(judged(&[&plain, "--labels", &named]), expected);
    let column = judged(&[&with_column, "--label-column", "is_fault", "--leave-out", "note"]);
    assert_eq!(column, expected, "the column of labels is not scored");
    // A window names the end of the path, or the path its end.
    let run = crate::run::finish(
        crate::run::command(&["eval", "labelled", "run.csv", "--labels", &windows, "--output", "ndjson"])
            .current_dir(folder.path(".")),
    )
    .ok();
    let total: serde_json::Value = serde_json::from_str(run.out.lines().last().unwrap()).unwrap();
    assert_eq!(total, expected);
}

#[test]
fn several_recordings_are_added_up_and_do_not_teach_one_another() {
    let folder = Folder::new();
    let (first, second) = (folder.file("a.csv", &recording(5, true)), folder.file("b.csv", &recording(6, true)));
    let judge = |files: &[&str]| {
        let options = ["eval", "labelled", "--label-column", "is_fault", "--leave-out", "note", "--output", "csv"];
        millrace(&[&options[..], files].concat()).ok()
    };
    let (both, alone) = (judge(&[&first, &second]), judge(&[&second]));
    assert_eq!(both.numbers("found"), [1.0, 1.0, 2.0]);
    assert_eq!(both.column("vus_pr")[1], alone.column("vus_pr")[0]);
    assert_eq!(both.numbers("rows"), [300.0, 300.0, 600.0]);
}

#[test]
fn grace_forgives_what_comes_shortly_after_a_span() {
    let folder = Folder::new();
    let file = folder.file("run.csv", &recording(5, false));
    let labels = folder.file("labels.csv", "start,end\n2026-01-05 01:35,2026-01-05 02:05\n");
    let with = |grace: &[&str]| {
        let options = ["eval", "labelled", &file, "--labels", &labels, "--output", "csv"];
        millrace(&[&options[..], grace].concat()).ok().numbers("false_alerts")[0]
    };
    assert!(with(&["--grace", "3h"]) < with(&[]), "minute 250 is within three hours of the span's end");
}

#[test]
fn a_fault_of_a_real_plant_is_judged_and_shown_as_a_table() {
    let folder = Folder::new();
    let labels =
        folder.file("labels.csv", "device,start,end,remark\nfault_01,2000-01-01 08:00,2000-01-02 23:57,feed\n");
    let (warmup, file) = (tep("normal_train.csv"), tep("fault_01.csv"));
    let options = ["eval", "labelled", "--labels", &labels, "--warmup", &warmup, &file];
    let csv = millrace(&[&options[..], &["--output", "csv"]].concat()).ok();
    assert_eq!(csv.numbers("recall"), [1.0, 1.0]);
    assert!(csv.numbers("row_f1")[0] > 0.9 && csv.numbers("vus_pr")[0] > 0.9, "{}", csv.out);
    let table = millrace(&[&options[..], &["--output", "table"]].concat()).ok();
    assert!(table.out.contains("total") && table.out.contains("vus_pr"), "{}", table.out);
}

#[test]
fn labels_that_cannot_be_are_named_with_their_place() {
    judged_wrong("start,end\n2026-01-05 02:05,2026-01-05 01:35\n", &["labels.csv, line 2", "before it begins"]);
    judged_wrong("start,end\n2026-01-05,soon\n", &["labels.csv, line 2", "the end is `soon`"]);
    judged_wrong("start,end\n", &["labels.csv", "not one span"]);
    judged_wrong("from,to\n1,2\n", &["labels.csv", "`start` and `end`", "device,start,end"]);
    judged_wrong("device,start,end\npump,2026-01-05,2026-01-06\n", &["labels.csv, line 2", "`pump`", "no recording"]);
    judged_wrong("{\"x.csv\": [[\"2026-01-05\", \"2026-01-06\"]]}", &["`x.csv`", "run.csv", "correct the name"]);
    judged_wrong("{\"run.csv\": [[\"2026-01-05\"]]}", &["not windows in JSON"]);
    judged_wrong("start,end\n2025-01-05,2025-01-06\n", &["every span is outside of the time", "labels.csv, line 2"]);
}

#[test]
fn spans_that_overlap_are_merged_and_one_outside_is_left_out_with_a_warning() {
    let folder = Folder::new();
    let file = folder.file("run.csv", &recording(5, false));
    let text = format!("{LABELS}2026-01-05 01:50,2026-01-05 02:00\n2027-01-05,2027-01-06\n");
    let labels = folder.file("labels.csv", &text);
    let run = millrace(&["eval", "labelled", &file, "--labels", &labels, "--output", "csv"]).ok();
    assert_eq!(run.numbers("spans"), [1.0, 1.0]);
    assert!(
        run.err.contains("warning: `run`: labelled spans that overlap the one before were merged with it: 1"),
        "{}",
        run.err
    );
    assert!(run.err.contains("left out: 1 of 3, the first at") && run.err.contains("line 4"), "{}", run.err);
}

#[test]
fn labels_that_could_be_of_several_recordings_or_devices_are_refused() {
    let folder = Folder::new();
    let (first, second) = (folder.file("a.csv", &recording(5, false)), folder.file("b.csv", &recording(5, false)));
    let labels = folder.file("labels.csv", LABELS);
    millrace(&["eval", "labelled", &first, &second, "--labels", &labels]).fails(1, &["line 2", "a column `device`"]);
    let long = "timestamp,device,metric,value\n2026-01-05 02:00,p,x,1\n2026-01-05 02:00,q,x,1\n";
    let long = folder.file("long.csv", long);
    millrace(&["eval", "labelled", &long, "--labels", &labels]).fails(1, &["several devices", "column `device`"]);
}

#[test]
fn a_column_of_labels_holds_ones_and_zeros_and_is_there() {
    let folder = Folder::new();
    let file = folder.file("run.csv", "timestamp,x,bad\n2026-01-05 00:00,1,0\n2026-01-05 00:01,1,2\n");
    let judge = |column: &str| millrace(&["eval", "labelled", &file, "--label-column", column]);
    judge("bad").fails(1, &["run.csv, row 2", "1 or 0", "`bad`", "found 2"]);
    judge("worse").fails(1, &["run.csv", "`worse`"]);
    millrace(&["eval", "labelled", &file]).fails(2, &["--labels"]);
    millrace(&["eval", "labelled", &file, "--label-column", "bad", "--labels", "x"]).fails(2, &["--labels"]);
}

#[test]
fn two_profiles_are_compared_alert_by_alert() {
    let folder = Folder::new();
    let profile = |name: &str, high: f64| {
        folder.file(name, &format!("[metrics.temperature]\nhigh = {high:?}\ndetectors = [\"limit\"]\n"))
    };
    let (low, high) = (profile("low.toml", 80.0), profile("high.toml", 95.0));
    // The hot minutes are 90 but for the last one, which crosses both limits.
    let text = recording(5, false).replace("04:10:00,90", "04:10:00,99");
    let file = folder.file("pump-1.csv", &text);
    let compare = |a: &str, b: &str, more: &[&str]| {
        millrace(&[&["eval", "compare", a, b, &file, "--output", "csv"], more].concat()).ok()
    };
    let run = compare(&low, &high, &[]);
    assert_eq!(run.column("in"), ["a", "both"]);
    assert_eq!(run.column("device"), ["pump-1", "pump-1"]);
    assert_eq!(run.column("onset"), ["2026-01-05T01:40:00.000Z", "2026-01-05T04:10:00.000Z"]);
    assert_eq!(
        (run.column("metric"), run.column("detector")),
        (vec!["temperature".to_owned(); 2], vec!["limit".to_owned(); 2])
    );
    assert!(run.numbers("score").iter().all(|score| *score >= 1.0));
    assert!(run.err.contains("1 only with the first profile, 0 only with the second, 1 with both"), "{}", run.err);
    assert_eq!(compare(&high, &low, &[]).column("in"), ["b", "both"]);
    assert_eq!(compare(&low, &low, &[]).column("in"), ["both", "both"]);
    assert_eq!(compare(&low, &high, &["--from", "2026-01-05 02:00"]).column("in"), ["both"]);
    assert_eq!(compare(&low, &high, &["--to", "2026-01-05 02:00"]).column("in"), ["a"]);

    let table = millrace(&["eval", "compare", &low, &high, &file, "--output", "table"]).ok();
    assert!(table.out.contains("90 °C") || table.out.contains("temperature 90"), "{}", table.out);
    assert!(!table.out.contains("temperature 99"), "the table leaves out what both raise:\n{}", table.out);
    assert!(table.out.contains("only a") && table.out.contains("total"), "{}", table.out);
}

#[test]
fn the_lake_of_a_run_can_be_compared_and_profiles_have_to_be_sound() {
    let folder = Folder::new();
    let lake = folder.arg("data");
    millrace(&["demo", "--devices", "2", "--days", "1", "--dir", &lake, "--quiet"]).ok();
    let (empty, strict) =
        (folder.file("empty.toml", ""), folder.file("strict.toml", "[metrics.temperature]\nhigh = 10.5\n"));
    let lake = folder.path("data").join("lake");
    let lake = lake.to_str().unwrap();
    let run = millrace(&["eval", "compare", &empty, &strict, lake, "--output", "csv"]).ok();
    let by = run.column("in");
    assert!(by.iter().any(|by| by == "b") && run.column("detector").iter().any(|by| by == "limit"), "{}", run.out);
    let broken = folder.file("broken.toml", "sensitivity = -1\n");
    millrace(&["eval", "compare", &empty, &broken, lake]).fails(1, &["broken.toml:1:"]);
    let other = millrace(&["eval", "compare", &empty, &strict, lake, "--tenant", "acme", "--output", "csv"]).ok();
    assert!(other.err.contains("no row is of tenant `acme`") && other.err.contains("strict.toml"), "{}", other.err);
}

#[test]
fn a_plant_is_judged_by_kind_of_fault() {
    let plant = |more: &[&str]| {
        let few = ["eval", "plant", "--devices", "4", "--warmup-days", "2", "--days", "5", "--cadence-seconds", "600"];
        millrace(&[&few[..], &["--output", "csv"], more].concat()).ok()
    };
    let run = plant(&[]);
    assert_eq!(run.out, plant(&[]).out, "the same seed gives the same result");
    let kinds = run.column("kind");
    assert_eq!((kinds.len(), kinds.last().map(String::as_str)), (9, Some("total")));
    let faults = run.numbers("faults");
    assert!(faults[8] >= 1.0 && (faults[..8].iter().sum::<f64>() - faults[8]).abs() < 1e-9, "{}", run.out);
    let found = run.numbers("found");
    assert!((found[..8].iter().sum::<f64>() - found[8]).abs() < 1e-9 && found[8] <= faults[8], "{}", run.out);
    let raised: f64 = run.column("false_alerts")[8].parse().unwrap();
    let named = run.column("false_by_detector")[8].clone();
    let named: f64 = named.split(", ").filter_map(|part| part.split(' ').nth(1)?.parse::<f64>().ok()).sum();
    assert!((raised - named).abs() < 1e-9, "{}", run.out);
    let per_week: f64 = run.column("false_per_device_week")[8].parse().unwrap();
    assert!((per_week - raised * 7.0 / (4.0 * 5.0)).abs() < 1e-9, "{}", run.out);
    assert_ne!(run.out, plant(&["--seed", "2"]).out);
    assert_ne!(run.out, plant(&["--unseen"]).out);
    millrace(&["eval", "plant", "--sensitivity", "0"]).fails(2, &["--sensitivity", "0.001"]);
}

#[test]
fn each_has_help_with_examples() {
    for verb in ["labelled", "compare", "plant"] {
        let help = millrace(&["eval", verb, "--help"]).ok().out;
        assert!(help.contains("Examples:") && help.contains(&format!("millrace eval {verb}")), "{help}");
    }
}
