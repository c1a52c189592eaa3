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
        assert!(error.to_string().contains("version 99, this Millrace knows up to 2"), "{error}");
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

/// The tables of the first version, as it made them.
const FIRST_VERSION: &str = "
    CREATE TABLE checkpoints (
        pk      TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        body    TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE anomalies (
        pk      TEXT NOT NULL,
        sk      TEXT NOT NULL,
        tenant  TEXT NOT NULL,
        day     TEXT NOT NULL,
        onset   INTEGER NOT NULL,
        id      TEXT NOT NULL,
        body    TEXT NOT NULL,
        PRIMARY KEY (pk, sk)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX anomalies_by_day ON anomalies (day, onset);
    CREATE INDEX anomalies_by_tenant ON anomalies (tenant, onset);
    CREATE INDEX anomalies_by_onset ON anomalies (onset);
    CREATE INDEX anomalies_by_id ON anomalies (id);
    CREATE TABLE states (
        pk      TEXT PRIMARY KEY,
        seq     TEXT NOT NULL,
        body    TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE shards (
        stream          TEXT NOT NULL,
        shard           TEXT NOT NULL,
        parent          TEXT,
        adjacent_parent TEXT,
        hash_first      TEXT NOT NULL,
        hash_last       TEXT NOT NULL,
        PRIMARY KEY (stream, shard)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
";

fn folder_of_the_first_version() -> TempDir {
    let dir = TempDir::new().unwrap();
    let connection = rusqlite::Connection::open(dir.path().join("millrace.db")).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)).unwrap();
    connection.execute_batch(FIRST_VERSION).unwrap();
    let body = serde_json::to_string(&checkpoint()).unwrap();
    connection.execute("INSERT INTO checkpoints VALUES (?1, 1, ?2)", [shard().partition_key(), body]).unwrap();
    dir
}

fn entry() -> Entry {
    let key = EntryKey::new("acme#pump-1", "I#1");
    Entry { key, version: 1, due: None, day: None, expires_at: None, body: serde_json::json!({ "a": 1 }) }
}

async fn add(local: &Local, entry: &Entry) -> Result<(), ChangeError> {
    local.change_entries(&[EntryChange { entry, expected: None }]).await
}

#[tokio::test]
async fn a_folder_of_the_first_version_keeps_what_it_has_and_takes_entries() {
    let dir = folder_of_the_first_version();
    for _ in 0..2 {
        let local = Local::open(dir.path()).unwrap();
        assert_eq!(local.load_checkpoint(&shard()).await.unwrap(), Some(checkpoint()));
    }
    let local = Local::open(dir.path()).unwrap();
    add(&local, &entry()).await.unwrap();
    assert_eq!(local.load_entry(&entry().key).await.unwrap(), Some(entry()));
    assert_eq!(local.read_changes(0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_folder_of_the_first_version_that_is_only_looked_at_has_no_entries() {
    let dir = folder_of_the_first_version();
    let reader = Local::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.load_checkpoint(&shard()).await.unwrap(), Some(checkpoint()));
    assert_eq!(reader.load_entry(&entry().key).await.unwrap(), None);
    assert_eq!(reader.list_entries("acme#pump-1", "", Order::OldestFirst, 9).await.unwrap(), []);
    assert_eq!(reader.read_changes(0, 9).await.unwrap(), []);
    let error = add(&reader, &entry()).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("to look only"), "{error}");
    assert!(reader.forget_changes(0).await.unwrap_err().to_string().contains("to look only"));
    let writer = Local::open(dir.path()).unwrap();
    add(&writer, &entry()).await.unwrap();
    assert_eq!(reader.load_entry(&entry().key).await.unwrap(), Some(entry()), "it is brought up meanwhile");
}

#[tokio::test]
async fn entries_and_changes_are_there_after_the_folder_is_opened_again() {
    let dir = TempDir::new().unwrap();
    {
        let local = Local::open(dir.path()).unwrap();
        add(&local, &entry()).await.unwrap();
        local.forget_changes(1).await.unwrap();
    }
    let local = Local::open(dir.path()).unwrap();
    assert_eq!(local.load_entry(&entry().key).await.unwrap(), Some(entry()));
    let other = Entry { key: EntryKey::new("acme#pump-1", "I#2"), ..entry() };
    add(&local, &other).await.unwrap();
    let numbers: Vec<u64> = local.read_changes(0, 9).await.unwrap().iter().map(|change| change.number).collect();
    assert_eq!(numbers, [2], "a number is never used again");
}
