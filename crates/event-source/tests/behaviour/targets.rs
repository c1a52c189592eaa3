//! Addresses, handlers, and what every target has in common.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use event_source::rules::Rules;
use event_source::source::FileSettings;
use event_source::target::{Handler, InvokeUrl, Target};
use telemetry::kinesis::KinesisEvent;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::kit::{Folder, rules, run, words};

/// Answers each request with the next of these, the last one for ever.
async fn server(answers: &'static [&'static str]) -> Target {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for request in 0.. {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            while !received.ends_with(b"]}") {
                let read = connection.read_buf(&mut received).await.unwrap();
                assert!(read > 0, "the event ends with its records");
            }
            let head = String::from_utf8_lossy(&received);
            assert!(head.starts_with("POST /2015-03-31/functions/f/invocations HTTP/1.1\r\n"), "{head}");
            let answer = answers.get(request).or(answers.last()).unwrap();
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let url = format!("http://127.0.0.1:{port}/2015-03-31/functions/f/invocations");
    Target::Url(Arc::new(InvokeUrl::parse(&url).unwrap()))
}

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull";

#[tokio::test]
async fn an_address_fails_by_header_by_document_and_by_status() {
    let folder = Folder::new();
    let target = server(&[
        "HTTP/1.1 200 OK\r\nX-Amz-Function-Error: Unhandled\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n{\"errorType\":\"E\",\"errorMessage\":\"no\"} ",
        "HTTP/1.1 500 Internal\r\nContent-Length: 38\r\n\r\n{\"errorType\":\"E\",\"errorMessage\":\"no\"} ",
        "HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n",
        FINE,
    ])
    .await;
    let source = words(&folder, "a", FileSettings::default()).await;
    let (ended, seen) = run(source, &Rules { retries: 3, ..rules() }, target).await;
    assert_eq!(seen.events.len(), 5);
    let report = &ended.report;
    assert_eq!((report.function_errors, report.not_invoked, report.records_done), (3, 1, 1));
    assert!(report.is_whole() && ended.problem.is_none());
}

#[tokio::test]
async fn an_address_that_takes_too_long_is_a_failure() {
    let folder = Folder::new();
    // It announces more than it sends.
    let target = server(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", FINE]).await;
    let source = words(&folder, "a", FileSettings::default()).await;
    let rules = Rules { timeout: Duration::from_millis(200), retries: 0, ..rules() };
    // The server drops the connection when it is asked again, which may come before the time is over.
    let (ended, _) = run(source, &rules, target).await;
    assert_eq!(ended.report.timeouts + ended.report.not_invoked, 1);
}

#[tokio::test]
async fn a_target_out_of_reach_ends_the_run_with_the_reason() {
    let folder = Folder::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("http://127.0.0.1:{port}/2015-03-31/functions/f/invocations");
    let source = words(&folder, "a", FileSettings::default()).await;
    let (ended, _) = run(source, &rules(), Target::Url(Arc::new(InvokeUrl::parse(&url).unwrap()))).await;
    let problem = ended.problem.unwrap();
    assert!(problem.contains("out of reach") && problem.contains("refused"), "{problem}");
    assert_eq!(ended.report.records_done, 0);
    assert_eq!(ended.report.records_discarded, 0, "nothing is given up for it");
}

/// A handler that notes the payloads of each event and answers nothing.
fn noting(noted: &Arc<Mutex<Vec<String>>>) -> Target {
    let noted = Arc::clone(noted);
    let handler: Handler = Arc::new(move |call| {
        let event = KinesisEvent::parse(&call.event).unwrap();
        for record in &event.records {
            let mut bytes = Vec::new();
            record.payload_bytes(&mut bytes).unwrap();
            noted.lock().unwrap().push(String::from_utf8(bytes).unwrap());
        }
        Box::pin(std::future::ready(Ok(Vec::new())))
    });
    Target::Handler(handler)
}

#[tokio::test]
async fn duplicates_come_as_often_as_asked_and_the_same_seed_gives_the_same() {
    let text: Vec<String> = (0..200).map(|n| format!("w{n:03}")).collect();
    let mut counts = Vec::new();
    for _ in 0..2 {
        let folder = Folder::new();
        let noted = Arc::new(Mutex::new(Vec::new()));
        let source = words(&folder, &text.join(" "), FileSettings::default()).await;
        let rules = Rules { batch_size: 2, duplicate_rate: 0.3, seed: 7, ..rules() };
        let (ended, _) = run(source, &rules, noting(&noted)).await;
        assert!(ended.report.is_whole());
        assert_eq!(ended.report.records_done, 200);
        let mut noted = noted.lock().unwrap().clone();
        assert_eq!(noted.len() as u64, ended.report.records_delivered);
        noted.dedup();
        noted.sort();
        noted.dedup();
        assert_eq!(noted, text, "at least once");
        counts.push(ended.report.duplicates);
    }
    assert!((20..70).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test]
async fn what_the_filter_passes_over_is_counted_and_done() {
    let folder = Folder::new();
    let noted = Arc::new(Mutex::new(Vec::new()));
    let source = words(&folder, r#"{"v":1} {"v":2} x"#, FileSettings::default()).await;
    let rules = Rules { filters: vec![r#"{"data":{"v":[2]}}"#.to_owned()], ..rules() };
    let (ended, _) = run(source, &rules, noting(&noted)).await;
    assert_eq!(*noted.lock().unwrap(), [r#"{"v":2}"#]);
    assert!(ended.report.is_whole());
    assert_eq!((ended.report.records_read, ended.report.records_filtered), (3, 2));
}

#[tokio::test]
async fn records_that_are_too_old_go_to_the_destination_unseen() {
    let folder = Folder::new();
    let noted = Arc::new(Mutex::new(Vec::new()));
    let lines = r#"{"partition_key":"k","data":"old","arrival":1700000000}
{"partition_key":"k","data":"new"}"#;
    let file = folder.file("in", lines);
    let settings = FileSettings { stream: "plant".to_owned(), ..FileSettings::default() };
    let source =
        event_source::source::open_files(vec![event_source::source::Input::File(file)], settings).await.unwrap();
    let rules = Rules { record_age_max: Some(Duration::from_mins(1)), ..rules() };
    let (ended, seen) = run(source, &rules, noting(&noted)).await;
    assert_eq!(*noted.lock().unwrap(), ["new"]);
    assert_eq!(ended.report.records_discarded, 1);
    assert_eq!(seen.documents[0]["requestContext"]["condition"], "RecordAgeExceeded");
}

#[tokio::test]
async fn a_run_that_is_stopped_finishes_the_event_under_way_and_reports() {
    let folder = Folder::new();
    let source = words(&folder, "a b c", FileSettings::default()).await;
    let (stop, calls) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicUsize::new(0)));
    let stopping = Arc::new(tokio::sync::Notify::new());
    let handler: Handler = {
        let (stop, stopping, calls) = (Arc::clone(&stop), Arc::clone(&stopping), Arc::clone(&calls));
        Arc::new(move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            stop.notify_one();
            let stopping = Arc::clone(&stopping);
            Box::pin(async move {
                // It is still at work when the run is stopped.
                stopping.notified().await;
                Ok(Vec::new())
            })
        })
    };
    let asked = async {
        stop.notified().await;
        stopping.notify_one();
    };
    let mut seen = crate::kit::Seen::default();
    let checked = Rules { batch_size: 1, ..rules() }.check().unwrap();
    let target = Target::Handler(handler);
    let settings = event_source::RunSettings::default();
    let ended = event_source::run(source, &checked, target, settings, &mut seen, asked).await;
    assert!(ended.was_stopped);
    assert_eq!((calls.load(Ordering::Relaxed), ended.report.records_done), (1, 1));
    assert!(!ended.report.is_whole());
}
