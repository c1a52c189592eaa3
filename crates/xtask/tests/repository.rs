//! Promises that files of this repository make to each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder and of those below it with this extension, sorted; none if there is no such folder.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every `MILLRACE_…` name in the text.
fn settings_in(text: &str) -> BTreeSet<String> {
    text.match_indices("MILLRACE_")
        .map(|(start, _)| {
            let name = &text[start..];
            let end = name.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
            name[..end.unwrap_or(name.len())].trim_end_matches('_').to_owned()
        })
        .filter(|name| name != "MILLRACE")
        .collect()
}

/// The variables that the template gives the function: each a key of its own line.
fn settings_given(template: &str) -> BTreeSet<String> {
    template
        .lines()
        .filter_map(|line| line.trim().split_once(':'))
        .map(|(key, _)| key.to_owned())
        .filter(|key| key.starts_with("MILLRACE_"))
        .collect()
}

#[test]
fn every_event_parses() {
    let events = files(&root().join("events"), "json");
    assert!(!events.is_empty(), "events/ holds no event");
    for event in events {
        let parsed = serde_json::from_str::<serde_json::Value>(&text(&event));
        assert!(parsed.is_ok(), "{}: {}", event.display(), parsed.unwrap_err());
    }
}

/// Settings that a stack leaves at their defaults: the folder that stands in for AWS on one machine, the time kept back for
/// committing, which follows from how fast the stores are, and the Region, which Lambda says itself.
const LEFT_AT_DEFAULT: [&str; 3] = ["MILLRACE_DIR", "MILLRACE_RESERVE_MS", "MILLRACE_REGION"];

/// Keys of channels have names of their own, and are no settings.
fn is_left(name: &str) -> bool {
    LEFT_AT_DEFAULT.contains(&name) || name == "MILLRACE_SECRET" || name.starts_with("MILLRACE_SECRET_")
}

#[test]
fn the_templates_give_the_functions_the_settings_they_read() {
    for (template, function) in [
        ("pipeline", "kinesis-scorer"),
        ("alerts", "alert-fanout"),
        ("models", "batch-analyzer"),
        ("dr", "replication-checker"),
    ] {
        // Its own settings, and those that every function has.
        let folders = [format!("crates/{function}/src"), "crates/function/src".to_owned()];
        let sources = folders.iter().flat_map(|folder| files(&root().join(folder), "rs"));
        let source: String = sources.map(|file| text(&file)).collect();
        let read = settings_in(&source);
        let given = settings_given(&text(&root().join(format!("infra/{template}.yaml"))));
        let unread: Vec<_> = given.difference(&read).collect();
        assert!(unread.is_empty(), "infra/{template}.yaml sets {unread:?}, which {function} never reads");
        let unset: Vec<_> = read.difference(&given).filter(|name| !is_left(name)).collect();
        assert!(unset.is_empty(), "{function} reads {unset:?}, which infra/{template}.yaml does not set");
    }
}

#[test]
fn commands_in_the_readme_exist() {
    let readme = text(&root().join("README.md"));
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata answers");
    let packages: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let verbs = verbs_of_xtask();
    for line in shell_lines(&readme) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["cargo", "xtask", verb, ..] => {
                assert!(verbs.contains(*verb), "README.md: `{line}`: no such verb, there are {verbs:?}");
            }
            ["cargo", "run", options @ ..] => {
                let package = options
                    .iter()
                    .position(|option| matches!(*option, "-p" | "--package"))
                    .and_then(|at| options.get(at + 1));
                let package = package.unwrap_or_else(|| panic!("README.md: `{line}` names no package"));
                assert!(packages.contains(package), "README.md: `{line}`: no package {package}");
            }
            _ => {}
        }
    }
}

/// The lines of the text's blocks marked `sh`, without what stands behind a `#`.
fn shell_lines(markdown: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in markdown.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            inside = !inside && language.trim() == "sh";
        } else if inside {
            lines.push(line.split(" #").next().unwrap_or_default().trim().to_owned());
        }
    }
    lines
}

/// What `cargo xtask --help` lists.
fn verbs_of_xtask() -> BTreeSet<String> {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--help")
        .output()
        .unwrap_or_else(|error| panic!("xtask does not start: {error}"));
    String::from_utf8_lossy(&help.stdout)
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .map_while(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn settings_are_found_in_source_and_template() {
    let names = |found: BTreeSet<String>| found.into_iter().collect::<Vec<_>>();
    assert_eq!(
        names(settings_in(r#"("MILLRACE_BUCKET"), `MILLRACE_S3_PATH_STYLE`, MILLRACE_*"#)),
        ["MILLRACE_BUCKET", "MILLRACE_S3_PATH_STYLE"]
    );
    let template = "  Environment:\n    Variables:\n      MILLRACE_BUCKET: !Ref Lake\n      # not MILLRACE_OTHER\n";
    assert_eq!(names(settings_given(template)), ["MILLRACE_BUCKET"]);
    assert_eq!(shell_lines("a\n```sh\ncargo xtask test # all\n```\nb\n```text\nno\n```\n"), ["cargo xtask test"]);
}
