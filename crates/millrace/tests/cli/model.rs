//! `model publish`: what lies in the lake for whoever takes it from there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::{Folder, Run, millrace};

const PLACE: &str = "store/lake/models/acme/plant/7";

/// A folder with a small trained model, `plant.millrace`.
fn trained() -> Folder {
    let folder = Folder::new();
    let rows = folder.file("rows.csv", "pump-1,1793534400,1\npump-1,1793534460,2\n");
    let named = ["--name", "plant", "--tenant", "acme", "--model-version", "7", "--columns", "device,ts,t"];
    let train = ["model", "train", "--kind", "engine", "--out", &folder.arg("plant.millrace"), &rows];
    millrace(&[&train[..], &named].concat()).ok();
    folder
}

fn publish(folder: &Folder) -> Run {
    millrace(&["model", "publish", &folder.arg("plant.millrace"), "--dir", &folder.arg("store")])
}

/// What is published, by name.
fn published(folder: &Folder) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder.path(PLACE)).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

/// What `tar` says.
fn tar(options: &str, archive: &Path, folder: &Folder) -> String {
    let mut command = Command::new("tar");
    command.args(["--utc", "--full-time", "--numeric-owner", options]).arg(archive).current_dir(folder.path("."));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_archive_beside_the_model_has_the_model_in_it_and_nothing_of_who_made_it() {
    let folder = trained();
    publish(&folder).ok();
    let found = published(&folder);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["model.json", "model.millrace", "model.tar.gz"]);
    let archive = folder.path(&format!("{PLACE}/model.tar.gz"));
    let listed = tar("-tvzf", &archive, &folder);
    let words: Vec<&str> = listed.split_whitespace().collect();
    let bytes = found["model.millrace"].len().to_string();
    assert_eq!(words, ["-rw-r--r--", "0/0", &bytes, "1970-01-01", "00:00:00", "model.millrace"]);
    tar("-xzf", &archive, &folder);
    assert!(fs::read(folder.path("model.millrace")).unwrap() == found["model.millrace"], "unpacked it is another one");
    // Neither time nor name in gzip's own head.
    assert_eq!(found["model.tar.gz"][..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn publishing_again_changes_nothing_and_adds_the_archive_that_a_former_release_has_not_made() {
    let folder = trained();
    publish(&folder).ok();
    let first = published(&folder);
    let archive = folder.path(&format!("{PLACE}/model.tar.gz"));
    let written = fs::metadata(&archive).unwrap().modified().unwrap();
    publish(&folder).ok();
    assert!(published(&folder) == first, "the second time it is another one");
    assert_eq!(fs::metadata(&archive).unwrap().modified().unwrap(), written);

    fs::remove_file(&archive).unwrap();
    publish(&folder).ok();
    assert!(published(&folder) == first, "what was added is not what is published at once");
}

#[test]
fn an_archive_of_something_else_is_left_and_named() {
    let folder = trained();
    publish(&folder).ok();
    fs::remove_file(folder.path(&format!("{PLACE}/model.json"))).unwrap();
    folder.file(&format!("{PLACE}/model.tar.gz"), "packed by hand");
    publish(&folder).fails(1, &["models/acme/plant/7/model.tar.gz", "is no archive of", "publish again"]);
    let left = published(&folder);
    assert_eq!(left["model.tar.gz"], b"packed by hand");
    assert!(!left.contains_key("model.json"), "it says that the model is there, and not all of it is");
}
