//! `backup` from outside: a folder there and back by every option, and what is said where something is not as it should be.

use std::fs;
use std::path::PathBuf;

use platform::embedded::Local;
use platform::model::ContentHash;

use crate::run::{Folder, Run, millrace};

/// A folder with a plant's data in `store`, and a place for backups beside it.
struct Desk(Folder);

impl Desk {
    fn new() -> Self {
        let desk = Self(Folder::new());
        desk.plant("store", "2");
        desk
    }

    fn plant(&self, name: &str, devices: &str) {
        millrace(&["demo", "--devices", devices, "--days", "1", "--quiet", "--dir", &self.0.arg(name)]).ok();
    }

    fn run(&self, verb: &str, args: &[&str]) -> Run {
        millrace(&[&["backup", verb, "--at", &self.0.arg("place")], args].concat())
    }

    /// A run over one of the folders.
    fn of(&self, verb: &str, dir: &str, args: &[&str]) -> Run {
        self.run(verb, &[&["--dir", &self.0.arg(dir)], args].concat())
    }

    fn against(&self, dir: &str, args: &[&str]) -> Run {
        self.run("verify", &[&["--against-dir", &self.0.arg(dir)], args].concat())
    }

    /// Names of the backups, the oldest first.
    fn names(&self) -> Vec<String> {
        self.run("list", &[]).ok().column("backup")
    }

    fn manifest(&self, backup: &str) -> PathBuf {
        self.0.path("place").join("backups").join(backup).join("manifest.json")
    }

    /// Where the place has the content of an object of the lake.
    fn content(&self) -> PathBuf {
        let mut path = self.0.path("store/lake/bronze");
        while path.is_dir() {
            path = fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
        }
        let sha256 = ContentHash::of(&fs::read(&path).unwrap()).to_string();
        self.0.path("place/objects").join(&sha256[..2]).join(sha256)
    }
}

#[test]
fn a_folder_is_there_and_back_by_every_option() {
    let desk = Desk::new();
    let made = desk.of("create", "store", &[]).ok();
    assert!(made.column("part").contains(&"millrace.db".to_owned()) && made.err.contains("copied now"), "{}", made.err);
    let listed = desk.run("list", &[]).ok();
    assert_eq!((listed.column("whole"), listed.column("environment")), (vec!["yes".into()], vec!["store".to_owned()]));
    for args in [&[][..], &["--quick"], &["--from-environment", "store"], &[desk.names()[0].as_str()]] {
        let verified = desk.run("verify", args).ok();
        assert!(verified.err.contains("shards can go on from it") && verified.column("finding").is_empty());
    }

    let rehearsed = desk.of("restore", "restored", &["--dry-run"]).ok();
    assert!(rehearsed.numbers("brought_back").iter().sum::<f64>() > 10.0, "{}", rehearsed.out);
    assert!(rehearsed.err.contains("would be brought back") && !desk.0.path("restored/millrace.db").exists());
    let restored = desk.of("restore", "restored", &[&desk.names()[0]]).ok();
    assert!(restored.err.contains("equal: ") && !restored.err.contains("warning"), "{}", restored.err);
    assert!(restored.column("differs").iter().all(|count| count == "0"), "{}", restored.out);
    let ledger = |dir: &str| fs::read_to_string(desk.0.path(dir).join("demo.json")).unwrap();
    let value = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    assert_eq!(value(ledger("restored")), value(ledger("store")), "the plant goes on from there, too");
    desk.against("restored", &[]).ok();
    desk.against("restored", &["--quick"]).ok();
    let again = desk.of("restore", "restored", &[]).ok();
    assert!(again.err.contains("0 objects and rows were brought back"), "{}", again.err);

    assert!(desk.of("create", "store", &[]).ok().err.contains("of which 0 of 0 B were copied now"));
    assert!(!desk.of("create", "store", &["--reread"]).ok().err.contains("of which 0 of"));
    let names = desk.names();
    assert_eq!(names.len(), 3);
    let rehearsed = desk.run("prune", &["--keep", "1", "--dry-run"]).ok();
    assert_eq!(rehearsed.column("became"), ["would be removed"; 2]);
    assert_eq!(desk.names(), names);
    let pruned = desk.run("prune", &["--keep", "1"]).ok();
    assert_eq!((pruned.column("became"), desk.names()), (vec!["removed".to_owned(); 2], vec![names[2].clone()]));
    desk.run("verify", &[]).ok();
}

#[test]
fn a_command_line_that_is_wrong_is_a_usage_error() {
    let desk = Desk(Folder::new());
    for verb in ["create", "list", "verify", "restore"] {
        millrace(&["backup", verb]).fails(2, &["--at"]);
    }
    for verb in ["verify", "restore"] {
        desk.run(verb, &["2026/11"]).fails(2, &["`2026/11` is no name of a backup", "millrace backup list"]);
    }
    desk.run("prune", &[]).fails(2, &["--keep"]);
    desk.run("prune", &["--keep", "0"]).fails(2, &["--keep", "0"]);
    if cfg!(feature = "aws") {
        for verb in ["create", "restore"] {
            desk.of(verb, "store", &["--environment", "prod"]).fails(2, &["--environment", "--dir"]);
        }
        desk.against("store", &["--against", "prod"]).fails(2, &["--against", "--against-dir"]);
        desk.run("create", &["--at-account", "plant"]).fails(2, &["--at-account", "12 digits"]);
    } else {
        millrace(&["backup", "list", "--at", "s3://plant-backups/x"]).fails(1, &["plant-backups", "--features aws"]);
    }
}

#[test]
fn what_is_not_there_is_said() {
    let desk = Desk::new();
    assert!(desk.run("list", &[]).ok().err.contains("has no backups"));
    for verb in ["verify", "restore"] {
        desk.run(verb, &[]).fails(1, &["place has no whole backup: ", "millrace backup list"]);
    }
    desk.of("create", "nowhere", &[]).fails(1, &["nowhere", "no data of Millrace"]);
    assert!(!desk.0.path("place").exists(), "nothing was begun");
    desk.of("create", "store", &[]).ok();
    desk.run("verify", &["store-1"]).fails(1, &["no whole backup `store-1`", "millrace backup list"]);
    desk.of("restore", "restored", &["store-1", "--quiet"]).fails(1, &["no whole backup `store-1`"]);
    assert!(!desk.0.path("restored").exists());
    desk.against("nowhere", &[]).fails(1, &["nowhere", "no data of Millrace"]);
}

#[test]
fn a_place_of_several_environments_asks_which_is_meant() {
    let desk = Desk::new();
    desk.plant("hall-2", "1");
    desk.of("create", "store", &[]).ok();
    desk.of("create", "hall-2", &[]).ok();
    for (verb, more) in [("verify", &[][..]), ("restore", &["--dir", "nowhere", "--dry-run"])] {
        desk.run(verb, more).fails(1, &["has backups of hall-2, store", "--from-environment NAME"]);
        let unknown = [more, &["--from-environment", "hall-3"]].concat();
        desk.run(verb, &unknown).fails(1, &["no backup of `hall-3`", "hall-2, store"]);
    }
    let restored = desk.of("restore", "restored", &["--from-environment", "hall-2"]).ok();
    assert!(restored.err.contains("backup `hall-2-"), "{}", restored.err);
    desk.against("hall-2", &["--from-environment", "hall-2"]).ok();
    desk.against("hall-2", &["--from-environment", "store"]).fails(1, &["not equal: "]);
    let names = desk.names();
    desk.run("verify", &[&names[1], "--from-environment", "hall-2"])
        .fails(1, &["is of `store`", "--from-environment store"]);
    desk.run("prune", &["--keep", "1"]).ok();
    assert_eq!(desk.names(), names, "each has its newest");
}

#[test]
fn a_manifest_that_cannot_be_understood_is_told_of_and_stops_pruning() {
    let desk = Desk::new();
    desk.of("create", "store", &[]).ok();
    desk.of("create", "store", &[]).ok();
    let names = desk.names();
    let path = desk.manifest(&names[1]);
    let good = fs::read_to_string(&path).unwrap();
    // Of a later release, and whole.
    let (_, manifest) = good.split_once(r#"{"manifest":"#).unwrap();
    let (manifest, _) = manifest.rsplit_once(r#","sha256":""#).unwrap();
    let later = manifest.replacen("\"format\": 1", "\"format\": 2", 1);
    assert_ne!(manifest, later);
    let later = format!(r#"{{"manifest":{later},"sha256":"{}"}}"#, ContentHash::of(later.as_bytes()));
    for (bad, words) in [
        (good.replacen("\"release\"", "\"Release\"", 1), "is damaged: its SHA-256 is"),
        (good[..100].to_owned(), "is damaged: EOF"),
        (later, "has format 2, this millrace knows 1"),
    ] {
        fs::write(&path, bad).unwrap();
        assert!(desk.run("list", &[]).ok().column("whole")[1].contains(words), "{words}");
        desk.run("verify", &[&names[1]]).fails(1, &[&names[1], words]);
        desk.of("restore", "restored", &[&names[1]]).fails(1, &[words]);
        desk.run("prune", &["--keep", "1"]).fails(1, &[words]);
        // The one before does as well, and whoever restores hears that it is not the newest.
        let restored = desk.of("restore", "restored", &[]).ok();
        assert!(
            restored.err.contains("warning: a backup is passed over: ") && restored.err.contains(words),
            "{}",
            restored.err
        );
        assert!(restored.err.contains(&format!("backup `{}`", names[0])), "{}", restored.err);
    }
    fs::write(desk.manifest(&names[0]), "").unwrap();
    desk.of("restore", "restored", &["--quiet"]).fails(1, &["manifest.json"]);
}

#[test]
fn a_content_that_is_damaged_or_gone_is_a_finding() {
    let desk = Desk::new();
    desk.of("create", "store", &[]).ok();
    let path = desk.content();
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[0] ^= 1;
    fs::write(&path, &bad).unwrap();
    desk.run("verify", &["--quick"]).ok();
    let verified = desk.run("verify", &[]);
    assert!(verified.column("finding").iter().all(|kind| kind == "damaged"), "{}", verified.out);
    assert!(verified.err.contains("error: ") && verified.err.contains("--reread"), "{}", verified.err);
    assert_eq!(verified.code, Some(1));
    desk.of("restore", "restored", &["--quiet"]).fails(1, &["is damaged: its SHA-256 is", "--reread"]);
    fs::remove_file(&path).unwrap();
    for args in [&[][..], &["--quick"]] {
        let verified = desk.run("verify", args);
        assert!(verified.column("finding").iter().all(|kind| kind == "missing"), "{}", verified.out);
        assert_eq!(verified.code, Some(1));
    }
    desk.of("create", "store", &[]).ok();
    desk.run("verify", &[]).ok();
}

#[test]
fn what_a_folder_has_otherwise_stays_unless_told() {
    let desk = Desk::new();
    desk.plant("other", "3");
    desk.of("create", "store", &[]).ok();
    let before = fs::read(desk.0.path("other/millrace.db")).unwrap();
    desk.of("restore", "other", &["--quiet"]).fails(1, &["would be lost", "rows of", "--overwrite"]);
    assert_eq!(fs::read(desk.0.path("other/millrace.db")).unwrap(), before);
    let rehearsed = desk.of("restore", "other", &["--dry-run"]).ok();
    assert!(rehearsed.numbers("replaced").iter().sum::<f64>() > 0.0, "{}", rehearsed.out);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let writer = runtime.block_on(async { Local::open(desk.0.path("empty")).unwrap() });
    desk.of("restore", "empty", &["--quiet"]).fails(1, &["empty"]);
    drop(writer);
    desk.of("restore", "empty", &[]).ok();
    // The other plant's lake stays beside, and is newer.
    let restored = desk.of("restore", "other", &["--overwrite"]);
    assert_eq!(restored.code, Some(1), "{}", restored.err);
    assert!(restored.err.contains("not equal: 0 are missing in what is live, 0 differ"), "{}", restored.err);
}

#[test]
fn a_backup_that_was_cut_off_is_taken_up_and_keeps_pruning_away() {
    let desk = Desk::new();
    desk.of("create", "store", &[]).ok();
    desk.of("create", "store", &[]).ok();
    let names = desk.names();
    fs::remove_file(desk.manifest(&names[1])).unwrap();
    let listed = desk.run("list", &[]).ok();
    assert_eq!(listed.column("whole")[1], "no: run the same `backup create` again");
    desk.run("prune", &["--keep", "1"]).fails(1, &[&names[1], "is not whole", "--force"]);
    desk.run("verify", &[&names[1]]).fails(1, &["no whole backup", &names[1]]);
    desk.run("prune", &["--keep", "1", "--force"]).ok();
    assert_eq!(desk.names(), names, "the next run takes it up");
    let made = desk.of("create", "store", &[]).ok();
    assert!(made.err.contains("an earlier run was taken up") && desk.names() == names, "{}", made.err);
    desk.run("prune", &["--keep", "1"]).ok();
    assert_eq!(desk.names(), [names[1].as_str()]);
    desk.run("verify", &[]).ok();
}

#[test]
fn what_the_lake_had_lost_is_warned_of_when_it_is_backed_up_and_when_it_is_brought_back() {
    let desk = Desk::new();
    let mut folders = vec![desk.0.path("store/lake/state/local")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { fs::remove_file(path).unwrap() }
        }
    }
    let made = desk.of("create", "store", &[]).ok();
    assert!(
        made.err.contains("warning: `state/local/") && made.err.contains("is not in the lake any more"),
        "{}",
        made.err
    );
    assert_eq!(desk.run("list", &[]).ok().column("whole"), ["what the lake had"]);
    let verified = desk.run("verify", &[]);
    assert_eq!(verified.code, Some(1), "{}", verified.err);
    assert!(verified.column("finding").iter().all(|kind| kind == "missing"), "{}", verified.out);
    assert!(verified.err.contains("0 shards can go on from it"), "{}", verified.err);
    let restored = desk.of("restore", "restored", &[]).ok();
    assert!(
        restored.err.contains("warning: `state/local/") && restored.err.contains("cannot go on from"),
        "{}",
        restored.err
    );
}
