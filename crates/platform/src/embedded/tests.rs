//! What only a folder can get wrong: locks, versions, killed processes, people who edit it.

use std::fs;

use tempfile::TempDir;

use super::*;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn shard() -> ShardId {
    ShardId { region: "local".to_owned(), stream: "plant".to_owned(), shard: "shardId-000000000000".to_owned() }
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        version: 1,
        last_seq: "7".parse().unwrap(),
        stream_time: anomaly_core::Timestamp::from_millis(1_700_000_000_000).unwrap(),
        batch: String::new(),
        snapshot: None,
        segments: Vec::new(),
        epoch: 0,
        hash_range: None,
    }
}

async fn commit_first(local: &Local) -> Result<(), CommitError> {
    let (shard, next) = (shard(), checkpoint());
    let change = crate::model::CheckpointChange { shard: &shard, next: &next, expected: None };
    local.commit(&Transaction { checkpoint: Some(change), ..Transaction::default() }).await
}

#[tokio::test]
async fn what_was_committed_is_there_after_the_folder_is_opened_again() {
    let dir = TempDir::new().unwrap();
    let shards = crate::embedded::stream::Stream::new("plant", 3, 1).shards();
    {
        let local = Local::open(dir.path()).unwrap();
        commit_first(&local).await.unwrap();
        local.put_if_absent(&key("bronze/dt=2026-11-21/x"), b"bytes").await.unwrap();
        local.define_shards("plant", &shards).await.unwrap();
    }
    let local = Local::open(dir.path()).unwrap();
    assert_eq!(local.load_checkpoint(&shard()).await.unwrap(), Some(checkpoint()));
    assert_eq!(local.get_object(&key("bronze/dt=2026-11-21/x"), 5).await.unwrap().unwrap(), b"bytes");
    assert_eq!(local.list_shards("plant").await.unwrap(), shards);
    assert_eq!(fs::read(dir.path().join("lake/bronze/dt=2026-11-21/x")).unwrap(), b"bytes");
}

#[tokio::test]
async fn a_second_writer_is_refused_and_a_reader_may_look() {
    let dir = TempDir::new().unwrap();
    let writer = Local::open(dir.path()).unwrap();
    let error = Local::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { process: Some(process), .. } if process == std::process::id()));
    assert!(error.to_string().contains("in use by another process") && error.to_string().contains("--dir"));

    commit_first(&writer).await.unwrap();
    let reader = Local::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.load_checkpoint(&shard()).await.unwrap(), Some(checkpoint()));
    let Err(PutError::Store(error)) = reader.put_if_absent(&key("a"), b"1").await else { panic!("it wrote") };
    assert!(!error.is_transient() && error.to_string().contains("to look only"), "{error}");
    let error = commit_first(&reader).await.unwrap_err();
    assert!(error.to_string().contains("to look only"), "{error}");

    drop(writer);
    assert_eq!(reader.load_checkpoint(&shard()).await.unwrap(), Some(checkpoint()));
    Local::open(dir.path()).unwrap();
}

#[test]
fn there_is_nothing_to_look_at_in_an_empty_folder() {
    let dir = TempDir::new().unwrap();
    let error = Local::open_read_only(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::NoData(_)), "{error}");
}

#[test]
fn tables_of_a_newer_millrace_are_refused() {
    let dir = TempDir::new().unwrap();
    drop(Local::open(dir.path()).unwrap());
    let connection = rusqlite::Connection::open(dir.path().join("millrace.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    for error in [Local::open(dir.path()).unwrap_err(), Local::open_read_only(dir.path()).unwrap_err()] {
        assert!(error.to_string().contains("version 99, this Millrace knows up to 1"), "{error}");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("millrace.db"), vec![b'x'; 8192]).unwrap();
    let error = Local::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Database { .. }) && error.to_string().contains("millrace.db"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    let error = Local::open(dir.path().join("file/below")).unwrap_err();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
}

#[tokio::test]
async fn what_a_killed_process_left_half_written_is_swept_and_never_seen() {
    let dir = TempDir::new().unwrap();
    drop(Local::open(dir.path()).unwrap());
    let incoming = dir.path().join("lake/.incoming");
    fs::write(incoming.join("0"), b"half").unwrap();
    let local = Local::open(dir.path()).unwrap();
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 0);
    let error = local.get_object(&key(".incoming/0"), 10).await.unwrap_err();
    assert!(!error.is_transient());
    local.put_if_absent(&key("a/b"), b"1").await.unwrap();
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 0, "no temporary file stays behind");
}

#[tokio::test]
async fn a_name_is_an_object_or_a_prefix_in_a_folder() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    local.put_if_absent(&key("a/b"), b"1").await.unwrap();
    for clash in ["a", "a/b/c"] {
        let Err(PutError::Store(error)) = local.put_if_absent(&key(clash), b"1").await else { panic!("{clash}") };
        assert!(!error.is_transient() && error.to_string().contains("not both"), "{error}");
        assert_eq!(local.get_object(&key(clash), 10).await.unwrap(), None);
    }
}

#[tokio::test]
async fn files_whose_name_is_no_key_are_passed_over_and_edits_change_the_tag() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    let folder = dir.path().join("lake/config/acme");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("profile.toml"), b"old").unwrap();
    fs::write(folder.join("größe"), b"").unwrap();
    let before = local.list_objects("config/", 10).await.unwrap();
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].key, key("config/acme/profile.toml"));
    fs::write(folder.join("profile.toml"), b"newer").unwrap();
    assert_ne!(local.list_objects("config/", 10).await.unwrap()[0].tag, before[0].tag);
}

#[tokio::test]
async fn a_stored_document_that_does_not_read_is_permanent_and_named() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    commit_first(&local).await.unwrap();
    let connection = rusqlite::Connection::open(dir.path().join("millrace.db")).unwrap();
    connection.execute("UPDATE checkpoints SET body = '{'", []).unwrap();
    let error = local.load_checkpoint(&shard()).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("local#plant#shardId-000000000000"), "{error}");
}
