//! `docs/esm.md` has a table of AWS's documented behaviours with the test of each: every test that it names exists.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The names of tests in the last column of the table's rows: what stands between backticks.
fn named(document: &str) -> Vec<String> {
    let rows = document.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |"));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next().map(str::to_owned));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_behaviour_in_the_document_names_a_test_that_exists() {
    let document = std::fs::read_to_string(root().join("docs/esm.md")).unwrap();
    let names = named(&document);
    assert!(names.len() >= 30, "the table of behaviours is not found: {names:?}");
    let mut source = String::new();
    for folder in ["crates/platform/src/embedded/stream", "crates/event-source", "crates/millrace", "tests/tests"] {
        sources(&root().join(folder), &mut source);
    }
    let missing: Vec<&String> = names.iter().filter(|name| !source.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/esm.md names tests that do not exist: {missing:?}");
}
