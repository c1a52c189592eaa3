//! What is wrong is said with its place and its remedy; 1 for a failure, 2 for a wrong command line.

use crate::run::{Folder, millrace};

#[track_caller]
fn replayed(content: &str, parts: &[&str]) {
    let folder = Folder::new();
    millrace(&["replay", "--output", "csv", &folder.file("in.csv", content)]).fails(1, parts);
}

#[test]
fn a_file_that_is_not_there() {
    millrace(&["replay", "/nowhere/run.csv"]).fails(1, &["/nowhere/run.csv", "No such file"]);
    let folder = Folder::new();
    let good = folder.file("a.csv", "timestamp,x\n2026-01-01,1\n");
    millrace(&["replay", "--warmup", "/nowhere/past.csv", &good]).fails(1, &["/nowhere/past.csv"]);
}

#[test]
fn an_empty_file() {
    replayed("", &["in.csv", "empty"]);
}

#[test]
fn a_header_without_a_timestamp() {
    replayed("flow,level\n1,2\n", &["in.csv", "timestamp"]);
}

#[test]
fn a_header_with_a_column_twice() {
    replayed("timestamp,flow,flow\n2026-01-01,1,2\n", &["in.csv", "line 1", "`flow`", "rename"]);
}

#[test]
fn a_long_form_without_its_value() {
    replayed("timestamp,device,metric\n2026-01-01,a,b\n", &["in.csv", "value"]);
}

#[test]
fn a_file_that_is_all_header_or_has_none() {
    replayed("timestamp,flow\n", &["in.csv", "not one row"]);
    replayed("2026-01-01,1\n2026-01-02,2\n", &["in.csv", "line 1", "put a header before it"]);
}

#[test]
fn a_payload_that_is_poison() {
    replayed(
        "{\"device_id\":\"a\",\"ts\":1767571200,\"x\":1}\n{\"device_id\":\"a\",\n",
        &["in.csv", "line 2", "not_json"],
    );
}

#[test]
fn a_number_that_is_none() {
    replayed(
        "timestamp,flow\n2026-01-01 00:00:00,1\n2026-01-01 00:01:00,1.2.3\n",
        &["in.csv", "line 3", "flow", "1.2.3"],
    );
}

#[test]
fn a_time_that_is_none() {
    replayed("timestamp,flow\nyesterday,1\n", &["in.csv", "line 2", "yesterday"]);
    replayed("timestamp,flow\n1970-01-01 00:00:00,1\n", &["in.csv", "line 2", "1980"]);
}

#[test]
fn a_row_with_too_few_cells() {
    replayed("timestamp,flow,level\n2026-01-01,1,2\n2026-01-02,1\n", &["in.csv", "line 3"]);
}

#[test]
fn more_metrics_than_a_device_may_have() {
    let names: Vec<String> = (0..65).map(|n| format!("m{n}")).collect();
    let values = vec!["1"; 65].join(",");
    replayed(&format!("timestamp,{}\n2026-01-01,{values}\n", names.join(",")), &["in.csv", "64"]);
}

#[test]
fn a_profile_with_mistakes_tells_all_of_them_with_their_lines() {
    let folder = Folder::new();
    let file = folder.file("a.csv", "timestamp,flow\n2026-01-01,1\n");
    let profile = folder.file("p.toml", "sensitivity = 1000\n\n[metrics.flow]\nhihg = 3\nlow = \"x\"\n");
    millrace(&["replay", "--profile", &profile, &file])
        .fails(1, &["p.toml` has 3 mistake(s)", "p.toml:1:", "p.toml:4:", "did you mean `high`?", "p.toml:5:"]);
}

#[test]
fn a_command_line_that_is_wrong_is_a_usage_error() {
    millrace(&["replay", "--colour", "x.csv"]).fails(2, &["--colour"]);
    millrace(&["replay"]).fails(2, &["FILE"]);
    millrace(&["replay", "--device", "a#b", "x.csv"]).fails(2, &["--device", "a#b"]);
    millrace(&["simulate", "--devices", "0"]).fails(2, &["--devices", "1..=100000"]);
    millrace(&["simulate", "--cadence", "2d"]).fails(2, &["cadence"]);
    millrace(&["simulate", "--devices", "2", "--csv-device", "crane-1"]).fails(2, &["crane-1", "it has "]);
    millrace(&["simulate", "--output", "csv"]).fails(2, &["--format"]);
    millrace(&["explain"]).fails(2, &["--file"]);
    millrace(&["explain", "xyz"]).fails(2, &["hexadecimal"]);
    millrace(&["anomalies", "list", "--day", "monday"]).fails(2, &["--day", "2026-01-31"]);
    millrace(&["--quiet", "--verbose", "completions", "bash"]).fails(2, &["--quiet", "--verbose"]);
}

#[test]
fn a_store_that_is_not_there() {
    let folder = Folder::new();
    millrace(&["anomalies", "list", "--dir", &folder.arg("none")]).fails(1, &["none", "no data of Millrace", "--dir"]);
}

#[test]
fn a_folder_that_cannot_be_written() {
    millrace(&["simulate", "--devices", "1", "--hours", "1", "--out", "/nowhere/x.ndjson"])
        .fails(1, &["/nowhere/x.ndjson", "folder"]);
}
