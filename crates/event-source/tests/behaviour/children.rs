//! Functions as child processes behind the Runtime API.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use event_source::rules::Rules;
use event_source::source::FileSettings;
use event_source::target::{Bootstrap, Target};
use zip::write::SimpleFileOptions;

use crate::kit::{Folder, deliver, rules, run, words};

#[tokio::test]
async fn one_process_serves_one_event_after_another_and_its_start_is_measured_once() {
    let folder = Folder::new();
    let (ended, seen) = deliver(&folder, "a b c", &Rules { batch_size: 1, ..rules() }).await;
    assert_eq!(seen.events, ["a", "b", "c"]);
    assert_eq!(folder.by_process().len(), 1);
    assert!(ended.report.is_whole() && ended.problem.is_none(), "{ended:?}");
    assert_eq!((ended.report.invocations, ended.report.cold_starts, seen.cold_starts), (3, 1, 1));
    assert!(ended.report.init_max.unwrap() < Duration::from_secs(10));
    assert!(seen.memory_bytes.unwrap() > 1 << 20, "{:?}", seen.memory_bytes);
}

#[tokio::test]
async fn a_partial_answer_brings_back_what_it_names_and_all_after_it() {
    let folder = Folder::new();
    let (ended, seen) = deliver(&folder, "a bad-once c", &rules()).await;
    assert_eq!(seen.events, ["a bad-once c", "bad-once c"]);
    assert_eq!(folder.done(), ["a", "bad-once", "c"]);
    assert_eq!((ended.report.partial_failures, ended.report.retries, ended.report.records_done), (1, 1, 3));
}

#[tokio::test]
async fn without_report_batch_item_failures_every_answer_is_a_success() {
    let folder = Folder::new();
    let rules = Rules { report_batch_item_failures: false, ..rules() };
    let (ended, seen) = deliver(&folder, "a bad c", &rules).await;
    assert_eq!(seen.events, ["a bad c"]);
    assert!(ended.report.is_whole());
    assert_eq!(ended.report.failures_ignored, 1, "which is told");
    assert_eq!(folder.done(), ["a"], "the function left off at the bad one, and nobody asked");
}

#[tokio::test]
async fn an_error_of_the_function_brings_the_event_back() {
    let folder = Folder::new();
    let (ended, seen) = deliver(&folder, "a error-once c", &rules()).await;
    assert_eq!(seen.events, ["a error-once c", "a error-once c"]);
    assert_eq!(folder.done(), ["a", "a", "error-once", "c"]);
    assert_eq!(ended.report.function_errors, 1);
}

#[tokio::test]
async fn bisecting_isolates_the_bad_record_which_goes_to_the_destination() {
    let folder = Folder::new();
    let rules = Rules { bisect: true, retries: 1, ..rules() };
    let (ended, seen) = deliver(&folder, "a b c error e f", &rules).await;
    assert_eq!(seen.events, ["a b c error e f", "a b c", "error e f", "error e", "error", "error", "e", "f"]);
    let mut done = folder.done();
    done.sort();
    done.dedup();
    assert_eq!(done, ["a", "b", "c", "e", "f"]);
    assert_eq!((ended.report.bisects, ended.report.records_discarded), (3, 1));
    assert!(!ended.report.is_whole());
    let document = &seen.documents[0];
    assert_eq!(document["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(document["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(document["KinesisBatchInfo"]["batchSize"], 1);
}

#[tokio::test]
async fn a_process_that_ends_fails_its_event_and_another_takes_its_place() {
    let folder = Folder::new();
    let rules = Rules { retries: 1, ..rules() };
    let (ended, _) = deliver(&folder, "a crash c", &rules).await;
    assert_eq!((ended.report.crashes, ended.report.cold_starts, ended.report.records_discarded), (2, 2, 3));
    assert_eq!(folder.by_process().len(), 2);
    let folder = Folder::new();
    let (ended, seen) = deliver(&folder, "a crash c", &Rules { bisect: true, retries: 0, ..rules.clone() }).await;
    assert_eq!(seen.events, ["a crash c", "a crash", "a", "crash", "c"]);
    assert_eq!(ended.report.records_done, 2);
}

#[tokio::test]
async fn an_invocation_that_takes_too_long_is_ended_with_its_process() {
    let folder = Folder::new();
    let rules = Rules { timeout: Duration::from_millis(700), retries: 0, batch_size: 1, ..rules() };
    let (ended, seen) = deliver(&folder, "a slow c", &rules).await;
    assert_eq!(seen.events, ["a", "slow", "c"]);
    assert_eq!((ended.report.timeouts, ended.report.records_discarded), (1, 1));
    let processes = folder.by_process();
    assert_eq!(processes.values().cloned().collect::<Vec<_>>().concat().len(), 2);
    assert_eq!(processes.len(), 2, "a new process does what comes after: {processes:?}");
    assert!(ended.report.duration_max >= Duration::from_millis(700));
}

#[tokio::test]
async fn a_process_with_an_extension_is_asked_to_end_and_one_without_is_not() {
    let folder = Folder::new();
    let source = words(&folder, "a", FileSettings::default()).await;
    let (ended, _) = run(source, &rules(), folder.function(&[("EXTENSION", "1")])).await;
    assert!(ended.report.is_whole());
    assert_eq!(folder.done(), ["a", "SIGTERM"]);

    let folder = Folder::new();
    deliver(&folder, "a", &rules()).await;
    assert_eq!(folder.done(), ["a"]);
}

#[tokio::test]
async fn shards_run_in_processes_of_their_own_up_to_the_concurrency() {
    for (concurrency, processes) in [(10, 2), (1, 1)] {
        let folder = Folder::new();
        let settings = FileSettings { shards: Some(2), ..FileSettings::default() };
        let source = words(&folder, "a b c d e f g h i j k l", settings).await;
        let bootstrap = crate::function::bootstrap(&folder.path("."));
        let settings = event_source::target::BootstrapSettings { concurrency, ..folder.settings(&[]) };
        let target = Target::Bootstrap(Arc::new(Bootstrap::new(&bootstrap, settings).unwrap()));
        let (ended, _) = run(source, &rules(), target).await;
        assert!(ended.report.is_whole());
        assert_eq!(folder.by_process().len(), processes);
    }
}

#[tokio::test]
async fn a_bootstrap_that_never_starts_ends_the_run() {
    let folder = Folder::new();
    let source = words(&folder, "a", FileSettings::default()).await;
    let (ended, _) = run(source, &rules(), folder.function(&[("BROKEN", "1")])).await;
    let problem = ended.problem.unwrap();
    assert!(problem.contains("does not start") && problem.contains("exit status: 101"), "{problem}");
    assert_eq!(ended.report.crashes, 2, "the third attempt in a row is the last");
    let log = std::fs::read_to_string(folder.path("log")).unwrap();
    assert!(log.contains("it is broken"), "{log}");
}

#[tokio::test]
async fn nothing_of_our_environment_reaches_the_function() {
    let folder = Folder::new();
    let script = folder.file("print", "#!/bin/sh\nenv > \"$OUT\"\nexit 7\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let out = folder.path("env");
    let settings = folder.settings(&[("OUT", out.to_str().unwrap())]);
    let target = Target::Bootstrap(Arc::new(Bootstrap::new(&script, settings).unwrap()));
    let source = words(&folder, "a", FileSettings::default()).await;
    run(source, &rules(), target).await.0.problem.unwrap();
    let variables = std::fs::read_to_string(out).unwrap();
    for name in
        ["AWS_LAMBDA_RUNTIME_API=127.0.0.1:", "AWS_LAMBDA_FUNCTION_NAME=print", "_HANDLER=", "LAMBDA_TASK_ROOT=/"]
    {
        assert!(variables.contains(name), "{name} is not in:\n{variables}");
    }
    assert!(!variables.contains("CARGO") && !variables.contains("HOME="), "{variables}");
}

#[tokio::test]
async fn the_packaged_zip_is_run_as_it_is_deployed() {
    let folder = Folder::new();
    let script = std::fs::read(crate::function::bootstrap(&folder.path("."))).unwrap();
    let path = folder.path("function.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file("bootstrap", SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
    zip.write_all(&script).unwrap();
    zip.finish().unwrap();
    let bootstrap = Bootstrap::new(&path, folder.settings(&[])).unwrap();
    assert!(bootstrap.function_arn().ends_with(":function:function"));
    let source = words(&folder, "a b", FileSettings::default()).await;
    let (ended, _) = run(source, &rules(), Target::Bootstrap(Arc::new(bootstrap))).await;
    assert!(ended.report.is_whole() && ended.problem.is_none(), "{ended:?}");
    assert_eq!(folder.done(), ["a", "b"]);
}

#[tokio::test]
async fn what_is_no_bootstrap_is_refused_with_the_reason() {
    let folder = Folder::new();
    let plain = folder.file("plain", "text");
    for (path, part) in [(folder.path("none"), "No such file"), (plain, "chmod +x"), (folder.path("."), "directory")] {
        let error = Bootstrap::new(&path, folder.settings(&[])).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
