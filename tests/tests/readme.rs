//! The commands that the README lists for builds with AWS exist in the command that was built with it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::World;

/// The words after `millrace` in the first column of the tables, up to the first that stands for a value. Two in one cell share
/// their first word.
fn listed(text: &str) -> Vec<Vec<&str>> {
    let is_plain = |word: &&str| !word.starts_with(|first: char| first.is_uppercase() || "-[<".contains(first));
    let mut found = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("| `millrace ")) {
        let mut commands = line.split('|').next().unwrap_or_default().split('`').step_by(2);
        let first: Vec<&str> = commands.next().unwrap_or_default().split(' ').take_while(is_plain).collect();
        let Some(verb) = first.first().copied() else { continue };
        let others = commands.filter_map(|other| other.split(' ').next().filter(is_plain));
        found.extend(others.filter(|word| !word.is_empty()).map(|word| vec![verb, word]));
        found.push(first);
    }
    found
}

#[test]
fn every_command_that_the_readme_lists_for_aws_exists() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    let Some(cli) = &world.cli else { return Ok(()) };
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&readme).with_context(|| format!("cannot read {}", readme.display()))?;
    let (_, text) = text.split_once("\n## On AWS\n").context("the README has a part for AWS")?;
    let listed = listed(text);
    ensure!(listed.len() >= 7, "the README has a table of commands: {listed:?}");
    for words in listed {
        let help = Command::new(cli).args(&words).arg("--help").output().context("the command does not run")?;
        let usage = format!("Usage: millrace {}", words.join(" "));
        let said = String::from_utf8_lossy(&help.stdout);
        ensure!(said.contains(&usage), "`{usage}` is not in:\n{said}{}", String::from_utf8_lossy(&help.stderr));
    }
    Ok(())
}
