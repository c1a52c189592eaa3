//! `replay`: one row out for each row in, abnormal where the plant was.

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::Stdio;

use crate::run::{Folder, command, finish, millrace, tep};

/// The fault begins at this row of `fault_01.csv`.
const FAULT: usize = 160;

/// A wide CSV of a temperature (allowed are 10 to 80 °C), a row a minute from 2026-01-05 on, each value given as text.
fn minutes(values: impl IntoIterator<Item = String>) -> String {
    let mut text = "timestamp,temperature\n".to_owned();
    for (minute, value) in values.into_iter().enumerate() {
        let (day, hour, minute) = (5 + minute / 1_440, minute / 60 % 24, minute % 60);
        writeln!(text, "2026-01-{day:02} {hour:02}:{minute:02}:00,{value}").unwrap();
    }
    text
}

/// It swings a little around 50.
fn steady(rows: usize) -> Vec<String> {
    (0..rows).map(|row| (50.0 + ((row * 37) % 17) as f64 / 10.0).to_string()).collect()
}

#[test]
fn a_fault_of_a_real_plant_is_alarmed_and_the_hours_before_it_rarely() {
    let run = millrace(&["replay", "--output", "csv", "--warmup", &tep("normal_train.csv"), &tep("fault_01.csv")]).ok();
    let (score, alert) = (run.numbers("score"), run.numbers("alert"));
    assert_eq!(score.len(), 960);
    let share = |rows: &[f64]| rows.iter().filter(|score| **score >= 1.0).count() as f64 / rows.len() as f64;
    assert!(share(&score[FAULT..]) > 0.95, "{}", share(&score[FAULT..]));
    assert!(share(&score[..FAULT]) < 0.1, "{}", share(&score[..FAULT]));
    let first = (FAULT..960).find(|row| score[*row] >= 1.0).unwrap();
    assert!(first < FAULT + 20, "found at row {first}");
    assert!(alert[FAULT..].iter().any(|alert| *alert >= 1.0));
    assert!(alert.iter().zip(&score).all(|(alert, score)| *alert == 0.0 || *score >= 1.0));
    assert!(alert.iter().filter(|alert| **alert > 0.0).count() < 20);
    assert_eq!(run.err, "");
}

#[test]
fn for_people_the_alerts_are_explained_and_summed_up() {
    let run =
        millrace(&["replay", "--output", "table", "--warmup", &tep("normal_train.csv"), &tep("fault_01.csv")]).ok();
    assert!(run.out.contains("2000-01-01T08:"), "{}", run.out);
    assert!(run.out.contains("xmeas_") || run.out.contains("xmv_"), "{}", run.out);
    let said = millrace(&["replay", "--output", "table", "--quiet", &tep("normal_train.csv")]).ok();
    assert_eq!(said.err, "", "--quiet leaves the summary out");
    assert!(run.err.contains("960 rows") && run.err.contains("% of the rows abnormal"), "{}", run.err);
}

#[test]
fn there_is_a_row_out_for_each_row_in_whatever_it_holds() {
    let folder = Folder::new();
    let mut values = steady(300);
    values[100] = String::new();
    values[101] = "nan".to_owned();
    let mut text = minutes(values);
    // A row at an instant already seen, and one that is late.
    text.push_str("2026-01-05 04:59:00,50.1\n2026-01-05 01:00:00,50.2\n");
    let run = millrace(&["replay", "--output", "csv", &folder.file("a.csv", &text)]).ok();
    let score = run.numbers("score");
    assert_eq!(score.len(), 302);
    assert_eq!((score[100], score[101]), (score[99], score[99]), "a row without values keeps the score");
    assert_eq!((score[300], score[301]), (score[299], score[299]), "repeated and late rows are not scored again");
    assert!(run.numbers("alert").iter().all(|alert| *alert == 0.0));
    assert_eq!(run.out.lines().next(), Some("timestamp,score,alert,status"));
    assert_eq!(run.column("timestamp")[301], "2026-01-05T01:00:00.000Z");
}

#[test]
fn all_forms_of_output_have_the_same_rows() {
    let folder = Folder::new();
    let mut values = steady(200);
    values[150] = "90".to_owned();
    let file = folder.file("a.csv", &minutes(values));
    let csv = millrace(&["replay", "--output", "csv", "--explain", &file]).ok();
    let lines = millrace(&["replay", "--output", "ndjson", "--explain", &file]).ok();
    let array = millrace(&["replay", "--output", "json", "--explain", &file]).ok();
    let array: Vec<serde_json::Value> = serde_json::from_str(&array.out).unwrap();
    let lines: Vec<serde_json::Value> = lines.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(array, lines);
    let scores: Vec<f64> = array.iter().map(|row| row["score"].as_f64().unwrap()).collect();
    assert_eq!(scores, csv.numbers("score"));
    assert!(scores[150] >= 1.0 && csv.numbers("alert")[150] >= 1.0);
    assert_eq!((&*csv.column("metric")[150], &*csv.column("detector")[150]), ("temperature", "limit"));
    assert_eq!(csv.column("explanation")[150], "temperature 90 °C is above its upper limit of 80 °C");
    assert!(csv.column("explanation")[140].contains("temperature"), "a normal row is explained, too");
}

#[test]
fn moving_the_calendar_changes_no_verdict() {
    let folder = Folder::new();
    let mut values = steady(400);
    values[300] = "90".to_owned();
    let text = minutes(values);
    let moved = text.replace("2026-01-05", "2027-01-04");
    let run = |text: &str, name| millrace(&["replay", "--output", "csv", &folder.file(name, text)]).ok();
    let (here, there) = (run(&text, "here.csv"), run(&moved, "there.csv"));
    assert_eq!(here.numbers("score"), there.numbers("score"));
    assert_eq!(here.numbers("alert"), there.numbers("alert"));
}

#[test]
fn history_that_overlaps_is_moved_back_by_whole_days_and_verbose_says_so() {
    let folder = Folder::new();
    let (history, file) =
        (folder.file("history.csv", &minutes(steady(300))), folder.file("a.csv", &minutes(steady(50))));
    let cold = millrace(&["replay", "--output", "csv", &file]).ok();
    assert!(cold.column("status").iter().all(|status| status == "warming"));
    let warm = millrace(&["replay", "--output", "csv", "--verbose", "--warmup", &history, &file]).ok();
    assert!(warm.column("status").iter().all(|status| status == "normal"), "{}", warm.out);
    assert!(warm.err.contains("history.csv") && warm.err.contains("1 day"), "{}", warm.err);
    let silent = millrace(&["replay", "--output", "csv", "--warmup", &history, &file]).ok();
    assert_eq!((silent.out, silent.err.as_str()), (warm.out, ""));
}

#[test]
fn history_in_two_files_teaches_what_it_teaches_in_one() {
    let folder = Folder::new();
    let text = minutes(steady(1_000));
    let lines: Vec<&str> = text.lines().collect();
    let part = |name, rows: &[&str]| folder.file(name, &format!("{}\n{}\n", lines[0], rows.join("\n")));
    let (whole, first, second) =
        (part("whole.csv", &lines[1..801]), part("first.csv", &lines[1..401]), part("second.csv", &lines[401..801]));
    let file = part("file.csv", &lines[801..]);
    let one = millrace(&["replay", "--output", "csv", "--explain", "--warmup", &whole, &file]).ok();
    let two =
        millrace(&["replay", "--output", "csv", "--explain", "--warmup", &first, "--warmup", &second, &file]).ok();
    assert_eq!(one.out, two.out);
    assert!(one.column("status").iter().all(|status| status == "normal"), "{}", one.out);
    // The same dates again and again: each is moved back before the next one.
    let same = millrace(&["replay", "--output", "csv", "--verbose", "--warmup", &file, "--warmup", &file, &file]).ok();
    assert!(same.column("status").iter().all(|status| status == "normal"), "{}", same.out);
    assert!(same.err.contains("2 days") && same.err.contains("1 day\n"), "{}", same.err);
}

#[test]
fn the_long_form_names_its_devices() {
    let folder = Folder::new();
    let long = "timestamp,device,metric,value\n\
                2026-01-05T00:00:00Z,pump-1,temperature,50\n\
                2026-01-05T00:00:00Z,pump-1,vibration,9.5\n\
                2026-01-05T00:00:30Z,pump-2,temperature,51\n";
    let run = millrace(&["replay", "--output", "csv", &folder.file("long.csv", long)]).ok();
    assert_eq!(run.out.lines().next(), Some("timestamp,device,score,alert,status"));
    assert_eq!(run.column("device"), ["pump-1", "pump-2"], "one device at one instant is one row");
    assert!(run.numbers("alert")[0] >= 1.0 && run.numbers("score")[1] < 1.0, "{}", run.out);
}

#[test]
fn payloads_are_scored_as_they_would_be_in_the_stream() {
    let folder = Folder::new();
    let lines = "{\"device_id\":\"M001\",\"ts\":1767571200,\"temp\":59.2}\n\
                 {\"deviceId\":\"M002\",\"sensorType\":\"vibration\",\"value\":0.2,\"timestamp\":1767571230000}\n\
                 {\"device_id\":\"M001\",\"ts\":1767571260,\"temp\":99.2}\n";
    let run = millrace(&["replay", "--output", "csv", &folder.file("a.ndjson", lines)]).ok();
    assert_eq!(run.column("device"), ["M001", "M002", "M001"]);
    assert!(run.numbers("score")[0] < 1.0 && run.numbers("alert")[2] >= 1.0, "{}", run.out);
}

#[test]
fn standard_input_is_a_recording_too() {
    let folder = Folder::new();
    let file = folder.file("device.csv", &minutes(steady(80)));
    let piped = finish(command(&["replay", "--output", "csv", "-"]).stdin(std::fs::File::open(&file).unwrap())).ok();
    assert_eq!(piped.out, millrace(&["replay", "--output", "csv", &file]).ok().out);
}

#[test]
fn a_profile_decides_the_limits() {
    let folder = Folder::new();
    let file = folder.file("a.csv", &minutes(steady(10)));
    let profile =
        folder.file("profile.toml", "[metrics.temperature]\nunit = \"K\"\nhigh = 50.5\nseverity = \"critical\"\n");
    let run = millrace(&["replay", "--output", "csv", "--explain", "--profile", &profile, &file]).ok();
    assert!(run.out.contains("is above its upper limit of 50.5 K"), "{}", run.out);
    let table = millrace(&["replay", "--output", "table", "--profile", &profile, &file]).ok();
    assert!(table.out.contains("critical"), "{}", table.out);
    let payload = folder
        .file("b.ndjson", "{\"topic\":\"tenants/acme/devices/d/telemetry\",\"ts\":1767571200,\"temperature\":51}\n");
    let unused = millrace(&["replay", "--output", "csv", "--profile", &profile, &payload]).ok();
    assert!(unused.err.contains("warning: no row is of tenant `demo`"), "{}", unused.err);
    let used = millrace(&["replay", "--output", "csv", "--tenant", "acme", "--profile", &profile, &payload]).ok();
    assert!(used.err.is_empty() && used.numbers("alert")[0] > 0.0, "{}{}", used.out, used.err);
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let mut child = command(&["replay", "--output", "csv", &tep("fault_01.csv")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything is read, as by `head -0`.
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
