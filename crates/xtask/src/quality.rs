//! `quality`: one Markdown table of how good detection is, against what is asked of it.
//!
//! Labelled sets and their scorer are not part of the checkout: they are read from `../shared` where that is there, and
//! without it only the simulated plant is measured. The program is judged from outside, with an empty profile, and by one
//! command line for every set. A figure below its floor is no failure here: the table is for a person to read.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::process::{capture, run, step};
use crate::repository::Repository;

const SHARED: &str = "../shared";
/// The seeds that SKAB's random starts are drawn from; their mean counts.
const SKAB_SEEDS: [&str; 5] = ["1", "2", "3", "4", "5"];
const CADENCES_SECONDS: [&str; 2] = ["60", "300"];

/// A line of the table: what was measured and what is asked for.
#[derive(Debug, PartialEq)]
struct Row {
    measure: String,
    figure: String,
    floor: &'static str,
    goal: &'static str,
}

impl Row {
    fn new(measure: impl Into<String>, figure: impl Into<String>, floor: &'static str, goal: &'static str) -> Self {
        Self { measure: measure.into(), figure: figure.into(), floor, goal }
    }
}

/// Builds the program in release, measures, and prints the table on stdout.
///
/// # Errors
/// The program does not build, Python 3 is missing where `../shared` is there, or a measurement fails.
#[expect(clippy::print_stdout, reason = "the table is the result, to be redirected into a document")]
pub(crate) fn table(repository: &Repository) -> Result<()> {
    step("millrace, release", || {
        run(repository.cargo().args(["build", "--release", "--package", "millrace", "--quiet"]))
    })?;
    let program = repository.target("release").join(format!("millrace{}", std::env::consts::EXE_SUFFIX));
    let mut rows = Vec::new();
    let shared = repository.path(SHARED);
    if shared.join("eval/quality.py").is_file() {
        rows.extend(Sets::new(&shared, &program).measure(repository)?);
    } else {
        eprintln!("==> {SHARED}/eval/quality.py is not there: no labelled set is measured, only the simulated plant");
    }
    rows.extend(plants(&program)?);
    print!("{}", markdown(&rows));
    Ok(())
}

/// The labelled sets, their scorer, and how it is told to run the program.
struct Sets<'a> {
    shared: &'a Path,
    command: String,
}

impl<'a> Sets<'a> {
    fn new(shared: &'a Path, program: &Path) -> Self {
        Self { shared, command: format!("{} replay --output csv", quoted(&program.to_string_lossy())) }
    }

    fn measure(&self, repository: &Repository) -> Result<Vec<Row>> {
        let mut rows = step("NAB", || self.nab(repository))?;
        rows.extend(step("SKAB", || self.skab())?);
        rows.extend(step("TEP", || self.tep())?);
        rows.push(step("invariance", || self.invariance())?);
        Ok(rows)
    }

    fn nab(&self, repository: &Repository) -> Result<Vec<Row>> {
        let whole = self.score("nab", "nab", &[])?;
        let left_out = json(
            Command::new("python3")
                .arg(repository.path("crates/xtask/categories.py"))
                .arg(self.shared.join("eval"))
                .arg(self.shared.join("data/nab"))
                .arg(&self.command),
        )?;
        let score = |name: &str| number(&whole["standard"], name).map(|score| format!("{score:.1}"));
        Ok(vec![
            Row::new("NAB standard, best threshold", score("best")?, "66", "72"),
            Row::new(
                "NAB standard, threshold chosen without the category",
                format!("{:.1}", number(&left_out, "score")?),
                "62",
                "69",
            ),
            Row::new("NAB standard, at the line 1.0", score("at 1.0")?, "", ""),
        ])
    }

    fn skab(&self) -> Result<Vec<Row>> {
        let (mut f1, mut far) = (0.0, 0.0);
        for seed in SKAB_SEEDS {
            let report = self.score("skab", "skab", &["--seed", seed])?;
            f1 += number(&report, "F1")? / SKAB_SEEDS.len() as f64;
            far += number(&report, "FAR")? / SKAB_SEEDS.len() as f64;
        }
        Ok(vec![
            Row::new("SKAB F1, mean of seeds 1–5", format!("{f1:.3}"), "0.80", "0.86"),
            Row::new("SKAB FAR, mean of seeds 1–5", percent(far), "10 %", "10 %"),
        ])
    }

    fn tep(&self) -> Result<Vec<Row>> {
        let report = self.score("tep", "tep", &[])?;
        Ok(vec![
            Row::new("TEP FDR", format!("{:.4}", number(&report, "FDR")?), "0.985", "0.993"),
            Row::new("TEP FAR", percent(number(&report, "FAR")?), "1 %", "1 %"),
            Row::new("TEP median delay, rows of 3 min", number(&report, "median_delay_rows")?.to_string(), "", ""),
        ])
    }

    fn invariance(&self) -> Result<Row> {
        let mut violations = 0.0;
        for set in ["nab", "skab", "tep"] {
            let report = self.score("invariance", set, &["--every", "3"])?;
            let found = number(&report, "violations")?;
            if found > 0.0 {
                eprintln!("{set}: {}", report["first"]);
            }
            violations += found;
        }
        Ok(Row::new("invariance on NAB, SKAB and TEP, violations", violations.to_string(), "0", "0"))
    }

    /// What `quality.py` reports of one of its measures on one set.
    fn score(&self, what: &str, set: &str, more: &[&str]) -> Result<Value> {
        json(
            Command::new("python3")
                .arg(self.shared.join("eval/quality.py"))
                .arg(what)
                .arg("--data")
                .arg(self.shared.join("data").join(set))
                .args(["--cmd", &self.command])
                .args(more),
        )
    }
}

/// The simulated plant, as seen in the warm-up and not, at every cadence.
fn plants(program: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let kinds = [
        ("plant", None, ("0.90", "0.95"), ("1", "0.3")),
        ("unseen plant", Some("--unseen"), ("0.88", "0.93"), ("1.5", "0.5")),
    ];
    for (name, option, recall, in_vain) in kinds {
        for cadence in CADENCES_SECONDS {
            let name = format!("{name}, a reading every {cadence} s");
            let answer = step(&name, || {
                let plant = ["eval", "plant", "--output", "json", "--cadence-seconds", cadence];
                json(Command::new(program).args(plant).args(option))
            })?;
            let total = total(&answer)?;
            let found = number(total, "recall")?;
            let false_alerts = number(total, "false_per_device_week")?;
            rows.push(Row::new(format!("{name}: recall"), format!("{found:.3}"), recall.0, recall.1));
            rows.push(Row::new(
                format!("{name}: false alerts per device-week"),
                format!("{false_alerts:.2}"),
                in_vain.0,
                in_vain.1,
            ));
        }
    }
    Ok(rows)
}

/// The row of `eval plant` that counts all kinds of faults.
fn total(answer: &Value) -> Result<&Value> {
    let rows = answer.as_array().context("`millrace eval plant` did not print a list of rows")?;
    rows.iter().find(|row| row["kind"] == "total").context("`millrace eval plant` printed no row of the kind `total`")
}

fn json(command: &mut Command) -> Result<Value> {
    let answer = capture(command)?;
    serde_json::from_str(&answer).with_context(|| format!("expected JSON, got `{}`", answer.trim()))
}

fn number(report: &Value, name: &str) -> Result<f64> {
    report[name].as_f64().ok_or_else(|| anyhow!("a report has no number `{name}`: {report}"))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// As one word of a POSIX command line, which is how the scorer takes the command apart.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn markdown(rows: &[Row]) -> String {
    let mut table = "| measure | figure | floor | goal |\n|---|---|---|---|\n".to_owned();
    for Row { measure, figure, floor, goal } in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {measure} | {figure} | {floor} | {goal} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_line_a_measure() {
        let rows = [Row::new("recall", "0.91", "0.90", "0.95"), Row::new("delay", "3", "", "")];
        let lines: Vec<_> = markdown(&rows).lines().map(str::to_owned).collect();
        assert_eq!(lines[2..], ["| recall | 0.91 | 0.90 | 0.95 |", "| delay | 3 |  |  |"]);
    }

    #[test]
    fn the_total_is_found_among_the_kinds() {
        let rows = json!([{ "kind": "drift", "recall": 0.5 }, { "kind": "total", "recall": 0.75 }]);
        assert_eq!(number(total(&rows).unwrap(), "recall").unwrap().to_string(), "0.75");
        assert!(total(&json!([{ "kind": "drift" }])).is_err());
        let error = number(&rows[0], "delay").unwrap_err().to_string();
        assert!(error.contains("`delay`") && error.contains("drift"), "{error}");
    }

    #[test]
    fn a_path_with_spaces_and_quotes_stays_one_word() {
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }
}
