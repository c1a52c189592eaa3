//! Files as sources, and what a plan says of them.

use std::path::{Path, PathBuf};

use event_source::rules::Rules;
use event_source::source::{Arrival, FileSettings, Form, Input, SourceError, open_files};
use event_source::{Batch, Ended};

use crate::kit::{Folder, rules};

fn events(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name)
}

fn settings() -> FileSettings {
    FileSettings { stream: "plant".to_owned(), ..FileSettings::default() }
}

/// The batches that would be cut.
async fn plan(files: Vec<PathBuf>, settings: FileSettings, rules: &Rules) -> (Ended, Vec<Batch>) {
    let source = open_files(files.into_iter().map(Input::File).collect(), settings).await.unwrap();
    let mut batches = Vec::new();
    let checked = rules.check().unwrap();
    let ended = event_source::plan(source, &checked, |batch| batches.push(batch), std::future::pending()).await;
    (ended, batches)
}

async fn refused(files: Vec<PathBuf>, settings: FileSettings) -> SourceError {
    open_files(files.into_iter().map(Input::File).collect(), settings).await.unwrap_err()
}

#[tokio::test]
async fn recorded_events_keep_shard_and_number_and_come_once() {
    let files = vec![events("kinesis-recut.json"), events("kinesis-good.json"), events("kinesis-good.json")];
    let (ended, batches) = plan(files, settings(), &rules()).await;
    let report = &ended.report;
    assert!(report.is_whole() && report.records_repeated >= 16, "{report:?}");
    assert_eq!(&*batches[0].shard, "shardId-000000000000");
    let text = std::fs::read_to_string(events("kinesis-good.json")).unwrap();
    assert!(text.contains(batches.last().unwrap().last.trimmed()) || text.contains(batches[0].first.trimmed()));
}

#[tokio::test]
async fn an_event_without_records_is_a_stream_without_records() {
    let (ended, batches) = plan(vec![events("kinesis-empty.json")], settings(), &rules()).await;
    assert!(ended.report.is_whole() && batches.is_empty());
}

#[tokio::test]
async fn recorded_events_can_be_put_into_new_shards() {
    let settings = FileSettings { shards: Some(4), ..settings() };
    let (ended, batches) = plan(vec![events("kinesis-good.json")], settings, &rules()).await;
    assert!(ended.report.is_whole());
    assert_eq!(batches.iter().map(|batch| batch.records).sum::<usize>(), 16);
    assert!(batches.iter().all(|batch| batch.last.trimmed().starts_with("4900")), "{batches:?}");
}

#[tokio::test]
async fn batches_of_a_file_do_not_depend_on_how_fast_it_is_read() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..1_000).map(|n| format!("line {n}")).collect();
    let file = folder.file("in.txt", &lines.join("\n"));
    let (_, batches) = plan(vec![file], settings(), &Rules { batch_size: 300, ..rules() }).await;
    assert_eq!(batches.iter().map(|batch| batch.records).collect::<Vec<_>>(), [300, 300, 300, 100]);
}

#[tokio::test]
async fn plain_lines_take_their_key_from_a_pointer() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..100).map(|n| format!(r#"{{"d":"pump-{}"}}"#, n % 5)).collect();
    let file = folder.file("in.txt", &format!("{}\n{{}}\n\n", lines.join("\r\n")));
    let settings = FileSettings { shards: Some(8), partition_key_field: Some("/d".to_owned()), ..settings() };
    let (ended, batches) = plan(vec![file], settings, &rules()).await;
    assert_eq!((ended.report.records_read, ended.report.records_unreadable), (100, 1));
    assert!(ended.report.unreadable[0].contains("line 101"), "{:?}", ended.report.unreadable);
    assert!(batches.len() <= 5, "five keys are in at most five shards: {batches:?}");
    assert!(!ended.report.is_whole());
}

#[tokio::test]
async fn a_split_and_a_merge_open_shards_on_the_way() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..100).map(|n| format!(r#"{{"partition_key":"k{n}","data":"{n}"}}"#)).collect();
    let file = folder.file("in.ndjson", &lines.join("\n"));
    let settings = FileSettings { split_after: Some(40), merge_after: Some(80), ..settings() };
    let (ended, batches) = plan(vec![file], settings, &rules()).await;
    assert!(ended.report.is_whole() && ended.problem.is_none(), "{ended:?}");
    assert_eq!(batches[0].records, 40);
    assert_eq!(batches.last().unwrap().records, 20);
    assert_eq!(batches.len(), 4, "a parent, two children, their child: {batches:?}");
}

#[tokio::test]
async fn a_merge_without_two_shards_is_refused() {
    let folder = Folder::new();
    let file = folder.file("in", "a\nb\n");
    let (ended, _) = plan(vec![file], FileSettings { merge_after: Some(1), ..settings() }, &rules()).await;
    assert!(ended.problem.unwrap().contains("--shards 2"));
}

#[tokio::test]
async fn events_and_lines_go_together_only_in_a_new_stream() {
    let folder = Folder::new();
    let lines = folder.file("in", "a\n");
    let files = vec![events("kinesis-good.json"), lines];
    assert!(refused(files.clone(), settings()).await.to_string().contains("--shards"));
    let (ended, _) = plan(files, FileSettings { arrival: Arrival::Now, ..settings() }, &rules()).await;
    assert_eq!(ended.report.records_read, 17);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_with_its_place() {
    let folder = Folder::new();
    assert!(refused(vec![folder.path("none")], settings()).await.to_string().contains("none"));
    let broken = folder.file("broken.json", "{\"Records\": [");
    assert!(refused(vec![broken], settings()).await.to_string().contains("no recorded event"));
    let settings = FileSettings { form: Form::Records, ..settings() };
    let (ended, _) = plan(vec![folder.file("in", "{}\nx\n")], settings, &rules()).await;
    assert_eq!(ended.report.records_unreadable, 2);
}
