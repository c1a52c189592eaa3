//! What the README says to type works: its commands run, in its order, and the commands it lists exist.

use std::path::{Path, PathBuf};

use crate::run::{Folder, command, finish, millrace};

/// How the README runs the binary; the rest of such a line is what the binary is asked.
const RUN: &str = "cargo run --release -p millrace -- ";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).unwrap()
}

/// The lines in the blocks of shell commands.
fn shell_lines(text: &str) -> impl Iterator<Item = &str> {
    // Every second part lies between two fences and begins with the name of its language.
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix("sh\n")).flat_map(str::lines)
}

/// The words after `millrace` in the first column of the table of commands, up to the first that stands for a value.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `millrace ")?.split('`').next());
    cells.map(|cell| cell.split(' ').take_while(|word| !word.starts_with(char::is_uppercase)).collect()).collect()
}

#[test]
#[cfg(unix)]
fn every_command_of_the_readme_runs_in_its_order() {
    let text = readme();
    let lines: Vec<&str> = shell_lines(&text).filter(|line| line.contains("millrace")).collect();
    assert!(lines.len() >= 3, "the README shows how to try it: {lines:?}");
    let folder = Folder::new();
    std::os::unix::fs::symlink(repository().join("tests"), folder.path("tests")).unwrap();
    for line in lines {
        let asked = line.strip_prefix(RUN).unwrap_or_else(|| panic!("`{line}` does not begin with `{RUN}`"));
        // The demo as written takes about 20 seconds in a debug build.
        let arguments: Vec<&str> = asked.split_whitespace().collect();
        let run = finish(command(&arguments).current_dir(folder.path("."))).ok();
        assert!(run.out.lines().count() > 1, "`{line}` prints no more than a header:\n{}", run.out);
    }
}

#[test]
fn every_command_that_the_readme_lists_exists() {
    let text = readme();
    // What comes then is for builds with further features; the end-to-end tests have one.
    let part = if cfg!(feature = "lake") { "\n## On AWS\n" } else { "\n## Ask the lake\n" };
    let (text, _) = text.split_once(part).expect("the README has a part for each feature");
    let listed = commands(text);
    assert!(listed.len() >= 6, "the README has a table of commands: {listed:?}");
    let help = millrace(&["--help"]).ok().out;
    for words in listed {
        let entry = format!("\n  {} ", words[0]);
        assert!(help.contains(&entry), "`millrace {}` is not in:\n{help}", words[0]);
        let usage = format!("Usage: millrace {}", words.join(" "));
        let help = millrace(&[&words[..], &["--help"]].concat()).ok().out;
        assert!(help.contains(&usage), "`{usage}` is not in:\n{help}");
    }
}
