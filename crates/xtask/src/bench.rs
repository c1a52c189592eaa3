//! `bench`: instructions of each stage of the scorer's path, against the figures that are checked in.
//!
//! Instructions are counted by valgrind, so a busy machine counts the same as an idle one; what may differ between
//! machines is in `docs/performance.md`. Too fast is a failure as well as too slow, so that the figures stay true. Times are
//! not looked at here: the benches `path` and `restore` print them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::lambda_zip::rustflags;
use crate::process::{capture, run, step, succeeds};
use crate::repository::Repository;
use crate::suite::host_architecture;

const FIGURES: &str = "crates/kinesis-scorer/benches/instructions.toml";
const RUNNER: &str = "gungraun-runner";
/// How far a count may be off, in percent.
const TOLERANCE_PERCENT: f64 = 2.0;

/// Counts, and compares with the checked-in figures or, with `save`, replaces them.
///
/// # Errors
/// valgrind or the runner is missing and cannot be installed, the benches fail, or a count is off by more than the tolerance.
pub(crate) fn instructions(repository: &Repository, save: bool) -> Result<()> {
    step("instructions of each stage", || {
        let valgrind = valgrind()?;
        let runner = runner(repository)?;
        let machine = Machine::here()?;
        let counted = count(repository, &runner, &machine)?;
        let file = repository.path(FIGURES);
        if save {
            fs::write(&file, text(&machine, &valgrind, &counted)).with_context(|| format!("cannot write {FIGURES}"))?;
            eprintln!("    {FIGURES} is written; say in the commit why the figures have changed");
            return Ok(());
        }
        let saved = fs::read_to_string(&file).with_context(|| format!("cannot read {FIGURES}"))?;
        compare(&Figures::read(&saved)?, &machine, &counted)
    })
}

/// What a count depends on beside the code.
struct Machine {
    rustc: String,
    target: String,
}

impl Machine {
    fn here() -> Result<Self> {
        let answer = capture(Command::new("rustc").arg("-vV"))?;
        let field = |name: &str| {
            let value = answer.lines().find_map(|line| line.strip_prefix(name));
            value.map(|value| value.trim().to_owned()).ok_or_else(|| anyhow!("`rustc -vV` says no `{name}`"))
        };
        Ok(Self { rustc: field("release:")?, target: field("host:")? })
    }
}

/// The version of valgrind; where it is missing, it is installed as a Debian package if that is possible.
fn valgrind() -> Result<String> {
    let version = || capture(Command::new("valgrind").arg("--version")).map(|version| version.trim().to_owned());
    if succeeds(Command::new("valgrind").arg("--version")) {
        return version();
    }
    eprintln!("    valgrind is not installed, trying the Debian package");
    let installed = run(Command::new("apt-get").args(["install", "--yes", "--no-install-recommends", "valgrind"]));
    installed.and_then(|()| version()).context(
        "instructions are counted by valgrind; install it (on Debian and Ubuntu: `sudo apt-get install valgrind`)",
    )
}

/// The program that runs the benches under valgrind. It must be of the version of the library that the benches are built
/// with, and does no counting itself, so it is built without optimisation, which takes a third of the time.
fn runner(repository: &Repository) -> Result<PathBuf> {
    let lock = fs::read_to_string(repository.path("Cargo.lock")).context("cannot read Cargo.lock")?;
    let version = locked_version(&lock, RUNNER).with_context(|| format!("Cargo.lock has no {RUNNER}"))?;
    let root = repository.target("tools");
    let program = root.join("bin").join(RUNNER);
    let stamp = fs::read_to_string(root.join(".crates.toml")).unwrap_or_default();
    if !stamp.contains(&format!("\"{RUNNER} {version} ")) || !program.is_file() {
        let mut install = repository.cargo();
        install.args(["install", "--quiet", "--debug", "--locked", "--root"]).arg(&root);
        run(install.arg(format!("{RUNNER}@{version}")))?;
    }
    Ok(program)
}

fn locked_version<'l>(lock: &'l str, package: &str) -> Option<&'l str> {
    let (_, after) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some(after.split_once('"')?.0)
}

/// A stage's instructions.
#[derive(Debug, PartialEq)]
struct Count {
    /// Of one `unit`.
    instructions: f64,
    /// What the count of a whole bench was divided by: `reading` or `metric`.
    unit: String,
}

/// Builds the benches as the deployed functions are built, and runs them.
fn count(repository: &Repository, runner: &Path, machine: &Machine) -> Result<BTreeMap<String, Count>> {
    let mut bench = repository.cargo();
    bench.args(["bench", "--quiet", "--package", "kinesis-scorer", "--no-default-features", "--bench", "stages"]);
    // With a target named, the flags are for the code alone and not for build scripts and macros.
    bench.args(["--target", &machine.target, "--", "--output-format=json"]);
    bench.env("GUNGRAUN_RUNNER", runner);
    if let Some(flags) = rustflags(host_architecture()) {
        bench.env("RUSTFLAGS", flags);
    }
    let output = capture(&mut bench)?;
    let counted: BTreeMap<_, _> = output.lines().map(of_summary).collect::<Result<_>>()?;
    if counted.is_empty() {
        bail!("the benches have counted nothing");
    }
    Ok(counted)
}

/// A stage and its count from one line of gungraun's summary (version 7 of its schema).
fn of_summary(line: &str) -> Result<(String, Count)> {
    let summary: Value =
        serde_json::from_str(line).with_context(|| format!("gungraun did not answer in JSON: {line}"))?;
    let text = |name: &str| summary[name].as_str().with_context(|| format!("gungraun's summary has no `{name}`"));
    let (stage, id) = (text("function_name")?, text("id")?);
    let (count, units) = id
        .strip_prefix("per_")
        .and_then(|id| id.split_once('_'))
        .and_then(|(count, units)| Some((count.parse::<u32>().ok()?, units)))
        .with_context(|| format!("the id `{id}` of `{stage}` is not of the form per_7700_readings"))?;
    let instructions = summary["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]["new"]
        .as_f64()
        .with_context(|| format!("gungraun's summary has no instructions of `{stage}`"))?;
    let unit = units.trim_end_matches('s').to_owned();
    Ok((stage.to_owned(), Count { instructions: instructions / f64::from(count), unit }))
}

/// The checked-in file.
#[derive(Debug, PartialEq)]
struct Figures {
    rustc: String,
    target: String,
    instructions: BTreeMap<String, f64>,
}

impl Figures {
    /// Reads the few forms of TOML that [`text`] writes.
    fn read(text: &str) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            if line.is_empty() || line.starts_with('[') {
                continue;
            }
            let (name, value) = line.split_once('=').with_context(|| format!("{FIGURES}: `{line}` is no entry"))?;
            entries.insert(name.trim(), value.trim().trim_matches('"').to_owned());
        }
        let mut word = |name: &str| entries.remove(name).with_context(|| format!("{FIGURES} has no `{name}`"));
        let (rustc, target, _) = (word("rustc")?, word("target")?, word("valgrind")?);
        let number = |(name, value): (&str, String)| {
            let number = value.parse().with_context(|| format!("{FIGURES}: `{name}` is no number"))?;
            Ok((name.to_owned(), number))
        };
        Ok(Self { rustc, target, instructions: entries.into_iter().map(number).collect::<Result<_>>()? })
    }
}

fn text(machine: &Machine, valgrind: &str, counted: &BTreeMap<String, Count>) -> String {
    let mut text = format!(
        "# Instructions of the scorer's stages, written by `cargo xtask bench --save` and compared by `cargo xtask bench`.\n\
         rustc = \"{}\"\ntarget = \"{}\"\nvalgrind = \"{valgrind}\"\n\n[instructions]\n",
        machine.rustc, machine.target
    );
    for (stage, Count { instructions, unit }) in counted {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{stage} = {instructions:.1} # a {unit}");
    }
    text
}

/// Prints every stage, and fails with all that are off.
fn compare(saved: &Figures, machine: &Machine, counted: &BTreeMap<String, Count>) -> Result<()> {
    let mut wrong = Vec::new();
    let comparable = saved.target == machine.target;
    for (stage, Count { instructions, unit }) in counted {
        let Some(before) = saved.instructions.get(stage) else {
            wrong.push(format!("{stage} has no figure yet: run `cargo xtask bench --save`"));
            continue;
        };
        let percent = (instructions / before - 1.0) * 100.0;
        eprintln!("    {stage:<18} {instructions:>10.1} a {unit:<8} {percent:>+6.2} %");
        if percent > TOLERANCE_PERCENT {
            wrong.push(format!("{stage} takes {instructions:.1} instead of {before:.1} instructions, {percent:+.1} %"));
        } else if percent < -TOLERANCE_PERCENT {
            wrong.push(format!("{stage} is faster, {percent:+.1} %: run `cargo xtask bench --save`"));
        }
    }
    let gone = saved.instructions.keys().filter(|stage| !counted.contains_key(*stage));
    wrong.extend(gone.map(|stage| format!("{stage} is not counted any more: run `cargo xtask bench --save`")));
    if !comparable {
        eprintln!("    not compared: the figures are of {}, this is {}", saved.target, machine.target);
        return Ok(());
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let compiler = if saved.rustc == machine.rustc {
        String::new()
    } else {
        format!(" (the figures are of rustc {}, this is {})", saved.rustc, machine.rustc)
    };
    bail!("{}{compiler}", wrong.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine { rustc: "1.95.0".to_owned(), target: "x86_64-unknown-linux-gnu".to_owned() }
    }

    fn counted(instructions: f64) -> BTreeMap<String, Count> {
        BTreeMap::from([("parse_event".to_owned(), Count { instructions, unit: "reading".to_owned() })])
    }

    fn verdict(before: f64, now: f64) -> Result<()> {
        let saved = Figures::read(&text(&machine(), "valgrind-3.19.0", &counted(before))).unwrap();
        compare(&saved, &machine(), &counted(now))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let figures = Figures::read(&text(&machine(), "valgrind-3.19.0", &counted(439.34))).unwrap();
        assert_eq!(figures.rustc, "1.95.0");
        assert_eq!(figures.instructions, BTreeMap::from([("parse_event".to_owned(), 439.3)]));
    }

    #[test]
    fn two_percent_either_way_pass_and_more_does_not() {
        assert!(verdict(100.0, 101.9).is_ok());
        assert!(verdict(100.0, 98.1).is_ok());
        assert!(verdict(100.0, 102.1).unwrap_err().to_string().contains("instead of 100.0"));
        assert!(verdict(100.0, 97.9).unwrap_err().to_string().contains("faster"));
    }

    #[test]
    fn a_stage_without_a_figure_and_a_figure_without_a_stage_are_told() {
        let saved = Figures::read(&text(&machine(), "valgrind-3.19.0", &BTreeMap::new())).unwrap();
        assert!(compare(&saved, &machine(), &counted(1.0)).unwrap_err().to_string().contains("no figure yet"));
        let saved = Figures::read(&text(&machine(), "valgrind-3.19.0", &counted(1.0))).unwrap();
        let error = compare(&saved, &machine(), &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("not counted any more"));
    }

    #[test]
    fn figures_of_another_processor_are_not_compared() {
        let saved = Figures::read(&text(&machine(), "valgrind-3.19.0", &counted(100.0))).unwrap();
        let other = Machine { target: "aarch64-unknown-linux-gnu".to_owned(), ..machine() };
        assert!(compare(&saved, &other, &counted(900.0)).is_ok());
    }

    #[test]
    fn a_summary_gives_instructions_of_one_unit() {
        let line = r#"{"function_name":"parse_event","id":"per_7700_readings","profiles":[{"data":{"total":{"metrics":{"Ir":{"values":{"new":7700,"old":1}}}}}}]}"#;
        let (stage, count) = of_summary(line).unwrap();
        assert_eq!((stage.as_str(), count), ("parse_event", Count { instructions: 1.0, unit: "reading".to_owned() }));
    }

    #[test]
    fn the_version_of_a_package_is_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"gungraun\"\nversion = \"0.20.0\"\n\n[[package]]\nname = \"gungraun-runner\"\nversion = \"0.20.1\"\n";
        assert_eq!(locked_version(lock, RUNNER), Some("0.20.1"));
    }
}
