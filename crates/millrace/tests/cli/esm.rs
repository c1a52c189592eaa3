//! `millrace esm`, from outside.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::run::{Folder, command, millrace};

fn events() -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/kinesis-good.json");
    path.to_str().unwrap().to_owned()
}

fn records(count: usize) -> String {
    let line = |n: usize| {
        let payload = format!(r#"{{\"device_id\":\"d{}\",\"ts\":{},\"x\":{n}}}"#, n % 3, 1_767_571_200 + n);
        format!("{{\"partition_key\":\"d{}\",\"data\":\"{payload}\"}}\n", n % 3)
    };
    (0..count).map(line).collect()
}

#[test]
fn a_dry_run_prints_the_batches_and_invokes_nothing() {
    let run = millrace(&["esm", &events(), "--dry-run", "--batch-size", "10", "--output", "csv"]).ok();
    assert_eq!(run.numbers("records"), [10.0, 6.0]);
    assert_eq!(run.column("shard"), ["shardId-000000000000"; 2]);
}

#[test]
fn every_mistake_of_the_rules_is_a_usage_error_at_once() {
    millrace(&[
        "esm",
        &events(),
        "--dry-run",
        "--batch-size",
        "0",
        "--retries",
        "-2",
        "--filter",
        "{",
        "--timeout",
        "1h",
    ])
    .fails(2, &["--batch-size must be 1 to 10000", "--retries", "--filter", "--timeout must be at most 900s"]);
    millrace(&["esm", &events()]).fails(2, &["--invoke-url", "--bootstrap", "--in-process", "--dry-run"]);
    millrace(&["esm", "--dry-run"]).fails(2, &["--stream"]);
    millrace(&["esm", &events(), "--dry-run", "--in-process"]).fails(2, &["cannot be used with"]);
    millrace(&["esm", &events(), "--dry-run", "--starting-position", "soon"]).fails(2, &["trim-horizon"]);
    millrace(&["esm", &events(), "--dry-run", "--starting-position", "latest"]).fails(2, &["--stream"]);
    millrace(&["esm", &events(), "--invoke-url", "localhost:9000"]).fails(2, &["--invoke-url", "http://"]);
    millrace(&["esm", &events(), "--bootstrap", "x", "--env", "NO_SUCH_VARIABLE"]).fails(2, &["NO_SUCH_VARIABLE="]);
}

#[test]
#[cfg(not(feature = "aws"))]
fn a_build_without_aws_says_how_to_get_one_with_it() {
    millrace(&["esm", "--stream", "telemetry", "--dry-run"]).fails(2, &["--features aws"]);
}

#[test]
fn a_file_or_a_function_that_is_not_there() {
    millrace(&["esm", "/nowhere/x.ndjson", "--dry-run"]).fails(1, &["/nowhere/x.ndjson"]);
    millrace(&["esm", &events(), "--bootstrap", "/nowhere/bootstrap"])
        .fails(1, &["/nowhere/bootstrap", "No such file"]);
}

#[test]
fn the_scorer_in_this_process_keeps_every_record_once_through_duplicates_and_a_split() {
    let folder = Folder::new();
    let file = folder.file("plant.ndjson", &records(600));
    let dir = folder.arg("data");
    let run = || {
        let arguments = [
            "esm",
            &file,
            "--in-process",
            "--dir",
            &dir,
            "--report-batch-item-failures",
            "--shards",
            "2",
            "--split-after",
            "200",
            "--batch-size",
            "50",
            "--duplicate",
            "0.3",
            "--output",
            "csv",
        ];
        millrace(&arguments).ok()
    };
    let first = run();
    assert_eq!(first.numbers("records_done"), [600.0]);
    assert!(first.numbers("duplicates")[0] > 0.0, "{}", first.out);
    assert_eq!(first.column("whole"), ["yes"]);
    assert!(first.err.contains("REPORT RequestId: ") && first.err.contains("success, comes again"), "{}", first.err);
    let replayed = millrace(&["replay", "--output", "csv", &folder.arg("data/lake/bronze")]).ok();
    assert_eq!(replayed.out.lines().count(), 601, "each reading is in the lake once");
    let again = run();
    assert!(again.err.contains("taken for a redelivery"), "{}", again.err);
    let replayed = millrace(&["replay", "--output", "csv", &folder.arg("data/lake/bronze")]).ok();
    assert_eq!(replayed.out.lines().count(), 601, "redelivery changes nothing");
}

/// A function at an address that fails on every event with `bad` (as base64) in it.
fn function() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut received = Vec::new();
            let mut chunk = [0; 4096];
            while !received.ends_with(b"]}") {
                let read = connection.read(&mut chunk).unwrap();
                assert!(read > 0, "an event ends with its records");
                received.extend_from_slice(&chunk[..read]);
            }
            let bad = String::from_utf8(received).unwrap().contains("\"data\":\"YmFk\"");
            let answer = if bad {
                "X-Amz-Function-Error: Unhandled\r\nContent-Length: 2\r\n\r\n{}"
            } else {
                "Content-Length: 4\r\n\r\nnull"
            };
            connection.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).unwrap();
        }
    });
    format!("http://127.0.0.1:{port}/2015-03-31/functions/f/invocations")
}

#[test]
fn what_is_given_up_goes_to_the_file_and_can_be_sent_again_from_there() {
    let folder = Folder::new();
    let file = folder.file("in.txt", "a\nb\nbad\nd\n");
    let (failed, url) = (folder.arg("failed.ndjson"), function());
    let run = millrace(&[
        "esm",
        &file,
        "--invoke-url",
        &url,
        "--bisect",
        "--retries",
        "0",
        "--on-failure",
        &failed,
        "--output",
        "csv",
        "--quiet",
    ]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert_eq!((run.numbers("records_done"), run.numbers("records_discarded")), (vec![3.0], vec![1.0]));
    assert_eq!(run.numbers("bisects"), [2.0]);
    run.fails(1, &["1 record(s) given up", "--on-failure"]);
    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&failed).unwrap()).unwrap();
    assert_eq!(document["requestContext"]["condition"], "RetryAttemptsExhausted");
    let event = folder.file("event.json", document["payload"].as_str().unwrap());
    let plan = millrace(&["esm", &event, "--dry-run", "--output", "csv"]).ok();
    assert_eq!(plan.numbers("records"), [1.0]);
}

#[test]
fn an_interrupted_run_ends_with_its_report() {
    let folder = Folder::new();
    let dir = folder.arg("data");
    let arguments = ["esm", "-", "--in-process", "--dir", &dir, "--report-batch-item-failures", "--output", "csv"];
    let mut child =
        command(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The input stays open: without a signal it would wait for more.
    let mut input = child.stdin.take().unwrap();
    input.write_all(records(5).as_bytes()).unwrap();
    let mut words = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(words.any(|line| line.unwrap().starts_with("REPORT ")));
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(words.any(|line| line.unwrap().contains("waiting for the events under way")));
    let mut report = String::new();
    child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    let rest: Vec<String> = words.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:?}");
    assert!(report.starts_with("records_read,"), "{report}");
    drop(input);
}
