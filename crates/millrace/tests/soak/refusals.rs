//! Folders that cannot be used: held by another process, not writable, of a newer Millrace, damaged by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::disks::Disk;
use crate::program::{Ended, Program, RUN_MAX};
use crate::small;
use crate::stored::{Stored, copy};

/// A plant that takes longer than any test looks.
fn endless() -> Program {
    Program { devices: 100, days: 300, ..small() }
}

/// Exit code 1, and these words in what was said.
fn refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` is missing: {}", ended.stderr);
    }
}

#[test]
fn who_comes_second_is_told_which_process_has_the_folder_until_that_is_killed() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("plant");
    let mut first = endless().start(&dir).unwrap();
    while !dir.join("demo.json").exists() {
        assert!(first.ends_within(Duration::from_millis(1)).unwrap().is_none(), "the first run has ended");
    }
    let (folder, process) = (dir.display().to_string(), format!("process id {}", first.child.id()));
    refused(&small().run(&dir).unwrap(), &[&folder, "in use by another process", &process, "--dir"]);
    first.kill().unwrap();
    drop(platform::embedded::Local::open(&dir).expect("no lock outlives its process"));
    let again = endless().start(&dir).unwrap();
    assert!(Stored::read(&dir).unwrap().is_some());
    again.kill().unwrap();
}

#[test]
fn of_two_that_start_at_the_same_instant_exactly_one_works() {
    for round in 0..20 {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("plant");
        let mut rivals = [endless().start(&dir).unwrap(), endless().start(&dir).unwrap()];
        let mut turns = (0..2).cycle().take(RUN_MAX.as_millis() as usize);
        let (loser, ended) = turns
            .find_map(|turn| Some((turn, rivals[turn].ends_within(Duration::from_millis(1)).unwrap()?)))
            .expect("one of the two is refused");
        refused(&ended, &["in use by another process", "--dir"]);
        let winner = &mut rivals[1 - loser];
        assert!(winner.ends_within(Duration::from_millis(1)).unwrap().is_none(), "round {round}: both were refused");
        let named = ended.stderr.contains("process id");
        assert!(!named || ended.stderr.contains(&format!("process id {})", winner.child.id())), "{}", ended.stderr);
    }
}

#[test]
fn a_folder_that_is_a_file_is_refused_and_the_file_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("plant");
    fs::write(&file, "mine").unwrap();
    refused(&small().run(&file).unwrap(), &["a file where a folder must be", "--dir", &file.display().to_string()]);
    refused(&small().run(&file.join("below")).unwrap(), &["a file where a folder must be", "--dir"]);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_disk_that_may_not_be_written_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let at = scratch.path().join("disk");
    let Some(disk) = Disk::mount(&at, "size=64m").unwrap() else {
        eprintln!("skipped: this user may not mount here");
        return;
    };
    let (dir, program) = (at.join("plant"), disk.enter(&small()));
    let words = ["cannot be written", "write access", "--dir"];
    disk.remount("ro").unwrap();
    refused(&program.run(&dir).unwrap(), &words);
    disk.remount("rw").unwrap();
    program.finish(&dir).unwrap();
    disk.remount("ro").unwrap();
    refused(&program.run(&dir).unwrap(), &words);
}

#[test]
fn tables_of_a_newer_millrace_are_refused_and_left_as_they_are() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("plant");
    drop(platform::embedded::Local::open(&dir).unwrap());
    let tables = rusqlite::Connection::open(dir.join("millrace.db")).unwrap();
    tables.pragma_update(None, "user_version", 1_000).unwrap();
    tables.execute_batch("CREATE TABLE of_the_future (x); INSERT INTO of_the_future VALUES (1);").unwrap();
    refused(&small().run(&dir).unwrap(), &["tables of version 1000", "newer Millrace", "--dir"]);
    assert_eq!(tables.query_row("SELECT x FROM of_the_future", [], |row| row.get(0)), Ok(1));
}

/// The newest file below a folder of the lake.
fn newest(dir: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.into_iter().max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap()).unwrap()
}

#[test]
fn a_damaged_object_is_named_nothing_else_is_touched_and_the_good_one_mends_it() {
    let scratch = tempfile::tempdir().unwrap();
    let (good, dir) = (scratch.path().join("good"), scratch.path().join("plant"));
    small().finish(&good).unwrap();
    let before = Stored::read(&good).unwrap().unwrap();
    for layer in ["bronze", "state/local"] {
        copy(&good, &dir).unwrap();
        let object = newest(&dir.join("lake").join(layer));
        let whole = fs::read(&object).unwrap();
        fs::write(&object, &whole[..whole.len() / 2]).unwrap();
        let name = object.file_name().unwrap().to_string_lossy();
        refused(&small().run(&dir).unwrap(), &[&name, "restore"]);

        fs::write(&object, whole).unwrap();
        let after = Stored::read(&dir).unwrap().unwrap();
        assert!(after.goes_on_from(&before), "{layer}");
        small().finish(&dir).unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }
}
