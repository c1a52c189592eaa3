//! `millrace backup` on a folder, as a person types it: what it says, and how it ends.
#![expect(clippy::unwrap_used, reason = "a helper of a test ends the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder in which a plant ran for a while, and a place for backups.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        let demo = desk.run(&["demo", "--devices", "2", "--days", "1", "--dir", "plant", "--quiet"]);
        assert!(demo.status.success(), "{demo:?}");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.current_dir(self.0.path()).args(arguments).output().unwrap()
    }

    /// Exit code and words of a command about backups at the place.
    fn backup(&self, verb: &str, arguments: &[&str]) -> (i32, String) {
        let output = self.run(&[&["backup", verb, "--at", "place"], arguments].concat());
        let words = [output.stderr, output.stdout].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.code().unwrap(), words)
    }
}

/// The largest file below a folder.
fn largest(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files =
        entries.map(|entry| if entry.file_type().unwrap().is_dir() { largest(&entry.path()) } else { entry.path() });
    files.max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap()
}

#[test]
fn a_folder_is_backed_up_restored_and_equal() {
    let desk = Desk::new();
    let (code, words) = desk.backup("create", &["--dir", "plant"]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("were copied now"), "{words}");
    let (_, words) = desk.backup("create", &["--dir", "plant"]);
    assert!(words.contains("of which 0 of 0 B were copied now"), "{words}");
    let (code, words) = desk.backup("list", &["--output", "csv"]);
    assert_eq!((code, words.matches(",yes").count()), (0, 2), "{words}");

    let (code, words) = desk.backup("restore", &["--dir", "back", "--dry-run"]);
    assert_eq!((code, desk.path("back").exists()), (0, false), "{words}");
    let (code, words) = desk.backup("restore", &["--dir", "back"]);
    assert!(code == 0 && words.contains("equal: "), "{words}");
    assert_eq!(desk.backup("verify", &["--against-dir", "plant"]).0, 0);

    let demo = desk.run(&["demo", "--devices", "2", "--days", "1", "--dir", "back", "--quiet"]);
    assert!(demo.status.success(), "{demo:?}");
    let (code, words) = desk.backup("restore", &["--dir", "back"]);
    // The plant has gone on.
    assert!(code == 1 && words.contains("--overwrite"), "{words}");
    let (code, words) = desk.backup("verify", &["--against-dir", "back"]);
    assert!(code == 1 && words.contains("newer than the backup"), "{words}");
}

#[test]
fn what_is_damaged_or_not_there_ends_with_one_and_a_wrong_command_line_with_two() {
    let desk = Desk::new();
    let (code, words) = desk.backup("verify", &[]);
    assert!(code == 1 && words.contains("has no whole backup"), "{words}");
    assert_eq!(desk.backup("create", &["--dir", "nothing-here"]).0, 1);
    assert_eq!(desk.backup("create", &["--dir", "plant"]).0, 0);
    assert_eq!(desk.backup("verify", &[]).0, 0);
    let file = largest(&desk.path("place/objects"));
    let mut bytes = fs::read(&file).unwrap();
    bytes[0] ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert_eq!(desk.backup("verify", &["--quick"]).0, 0, "sizes are as they were");
    let (code, words) = desk.backup("verify", &[]);
    assert!(code == 1 && words.contains("damaged"), "{words}");
    assert_eq!(desk.backup("verify", &["a/b"]).0, 2);
    assert_eq!(desk.backup("prune", &["--keep", "0"]).0, 2);
}
