//! The lake by Athena and on one machine: the same rows from the same texts.
//!
//! A plant's week goes through the scorer into a folder, is rolled up there, and is copied to the emulator's bucket, whose tables and
//! saved queries are those of `infra/analytics.yaml`. The emulator answers in SQL of `DuckDB`, which is another engine than the
//! command's. What differs from Athena is said in `crates/xtask/taught/athena.py`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::{Answer, Athena, Desk, Stack, World, recorded};
use serde_json::Value;

/// The plant begins at midnight of 2026-01-05.
const BEGIN_MS: i64 = 1_767_571_200_000;
const HOUR_MS: i64 = 3_600_000;
/// Hours since then in which nothing arrives.
const GAP: std::ops::Range<i64> = 51..54;
/// How far numbers may lie apart that are sums of many, relative to their size.
const TOLERANCE: f64 = 1e-9;
/// Columns of binary32: their digits differ from engine to engine, their bits do not.
const SINGLE: [&str; 4] = ["score", "alert", "score_max", "alert_max"];
/// Names of parameters and values.
type Values<'v> = &'v [(&'v str, &'v str)];

/// A folder with the lake of a week, rolled up; each third object of silver has an orphan beside it.
fn rolled_up(desk: &Desk) -> Result<usize> {
    let plant = ["simulate", "--devices", "6", "--days", "7", "--cadence", "300", "--out", "plant.ndjson"];
    desk.run(&plant)?;
    let payloads = fs::read_to_string(desk.path("plant.ndjson"))?;
    let records = recorded(&payloads, |at_ms| GAP.contains(&((at_ms - BEGIN_MS).div_euclid(HOUR_MS))))?;
    fs::write(desk.path("records.ndjson"), records)?;
    let scored = ["esm", "records.ndjson", "--in-process", "--dir", "data", "--shards", "2", "--batch-size", "20"];
    desk.run(&[&scored[..], &["--report-batch-item-failures", "--quiet"]].concat())?;
    let mut silver = Vec::new();
    objects(&desk.path("data/lake/silver"), &mut silver)?;
    silver.sort();
    let orphaned: Vec<&PathBuf> = silver.iter().step_by(3).collect();
    for object in &orphaned {
        // Another batch over the same records from the same batch before: its identity, the end of the name, is another.
        let name = object.to_str().context("names in a lake are text")?;
        let (rest, _identity) = name.rsplit_once('-').context("names end with an identity")?;
        fs::copy(object, format!("{rest}-dddddddddddd.parquet"))?;
    }
    desk.run(&["lake", "rollup", "--dir", "data", "--quiet"])?;
    Ok(orphaned.len())
}

fn objects(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() { objects(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

/// The file of a question of `infra/sql`.
fn text(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../infra/sql/{name}.sql"))
}

/// What the command answers.
fn here(desk: &Desk, name: &str, values: Values<'_>) -> Result<Vec<BTreeMap<String, Value>>> {
    let file = text(name).display().to_string();
    let set: Vec<String> =
        values.iter().flat_map(|(name, value)| ["--set".into(), format!("{name}={value}")]).collect();
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let asked = ["lake", "query", "--dir", "data", "--output", "ndjson", "--file", &file];
    let answered = desk.run(&[&asked[..], &set].concat())?;
    answered.lines().map(|line| serde_json::from_str(line).context("rows are objects")).collect()
}

/// Values as Athena takes them: literals in the order of the header.
fn literals(name: &str, values: Values<'_>) -> Result<Vec<String>> {
    let text = fs::read_to_string(text(name))?;
    let described = text.lines().filter_map(|line| line.strip_prefix("--   {")?.split_once('}'));
    described
        .map(|(parameter, rest)| {
            let value = values.iter().find(|(of, _)| *of == parameter).context("each parameter has a value")?.1;
            let is_text = rest.trim_start().starts_with("text");
            Ok(if is_text { format!("'{value}'") } else { value.to_owned() })
        })
        .collect()
}

/// Whether two values are the same. Counts and texts have to be equal; the emulator prints times as its engine does.
fn same(column: &str, here: &Value, there: Option<&str>) -> bool {
    match (here, there) {
        (Value::Null, None) => true,
        (Value::Number(number), Some(text)) => {
            let (Some(a), Ok(b)) = (number.as_f64(), text.parse::<f64>()) else { return false };
            let is_count = a.fract() == 0.0 && !text.contains('.');
            if SINGLE.contains(&column) {
                (a as f32).to_bits() == (b as f32).to_bits()
            } else if is_count {
                (a - b).abs() < 0.5
            } else {
                (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
            }
        }
        (Value::Bool(truth), Some(text)) => text == truth.to_string(),
        (Value::String(a), Some(b)) => {
            let is_time = a.len() >= 20 && a.as_bytes()[10] == b'T' && a.ends_with('Z');
            if column == "seq" {
                *a == b.replace(' ', "")
            } else if is_time {
                b.len() >= 19 && a[..10] == b[..10] && a[11..19] == b[11..19]
            } else {
                a == b
            }
        }
        _ => false,
    }
}

/// Compares row by row; says how many there are.
fn compare(name: &str, here: &[BTreeMap<String, Value>], (columns, there): &Answer) -> Result<usize> {
    ensure!(here.len() == there.len(), "{name}: {} rows here, {} there", here.len(), there.len());
    for (number, (a, b)) in here.iter().zip(there).enumerate() {
        ensure!(a.len() == columns.len(), "{name}: {:?} here, {columns:?} there", a.keys());
        for (column, value) in columns.iter().zip(b) {
            let own = a.get(column).with_context(|| format!("{name}: no {column} here"))?;
            ensure!(same(column, own, value.as_deref()), "{name}, row {number}, {column}: {own} here, {value:?} there");
        }
    }
    Ok(here.len())
}

#[tokio::test]
async fn the_lake_here_and_by_athena_has_the_same_rows() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    let Some(desk) = Desk::new(&world)? else { return Ok(()) };
    let orphans = rolled_up(&desk)?;
    let stack = Stack::deploy_analytics(&world).await?;
    let mut copied = 0;
    for layer in ["silver/", "gold/"] {
        copied += desk.upload(&format!("data/lake/{layer}"), &stack, layer).await?;
    }
    let athena = Athena::new(&stack)?;
    let week: Values<'_> = &[("dt_from", "2026-01-05"), ("dt_to", "2026-01-11")];
    let judged = [week, &[("judged_from", "2026-01-08"), ("region", "local"), ("readings_min", "100")]].concat();
    let mut compared = String::new();
    let mut questions = vec![
        ("summary", week.to_vec()),
        ("devices", week.to_vec()),
        ("objects", week.to_vec()),
        ("glance", vec![("dt_from", "2026-01-07"), ("dt_to", "2026-01-07")]),
        ("zscore", [&judged[..], &[("z_min", "2.5")]].concat()),
        ("zscore_robust", [&judged[..], &[("z_min", "2.5")]].concat()),
    ];
    // Hours of a day in which nothing arrived from three to six: its ends, the gap, and both sides of it.
    for hour in ["0", "2", "3", "4", "5", "6", "23"] {
        for name in ["readings", "summary_hour"] {
            questions.push((name, vec![("dt", "2026-01-07"), ("hour", hour), ("region", "local")]));
        }
    }
    let mut rows: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (name, values) in &questions {
        let there = athena.ask_saved(name, &literals(name, values)?).await?;
        let same = compare(name, &here(&desk, name, values)?, &there)?;
        let (asked, sum) = rows.entry(name).or_default();
        (*asked, *sum) = (*asked + 1, *sum + same);
    }
    for (name, (asked, rows)) in &rows {
        let _ = writeln!(compared, "{name}: {rows} rows the same in {asked} answers");
    }
    println!("{copied} objects, {orphans} orphans beside {} of silver\n{compared}", orphans * 3);
    if let Some(folder) = World::record() {
        fs::write(folder.join("athena.txt"), &compared).context("cannot write the record")?;
    }

    assert!(rows.values().all(|(_, rows)| *rows > 0), "an empty answer compares nothing: {rows:?}");
    let every: Vec<&str> = rows.keys().copied().collect();
    assert_eq!(every, athena.saved().collect::<Vec<_>>(), "each saved query was asked");
    let objects = here(&desk, "objects", week)?;
    let standing = |what: &str| objects.iter().filter(|row| row["standing"] == what).count();
    assert_eq!((standing("orphan") + standing("open") > orphans, standing("missing")), (true, 0));
    let gap = here(&desk, "summary_hour", &[("dt", "2026-01-07"), ("hour", "4"), ("region", "local")])?;
    assert!(gap.is_empty(), "nothing arrived");
    let summary = here(&desk, "summary", week)?;
    let sum = |column: &str| summary.iter().filter_map(|row| row[column].as_f64()).sum::<f64>();
    assert!(sum("readings") > 50_000.0 && sum("anomalies") > 0.0, "{} {}", sum("readings"), sum("anomalies"));
    Ok(())
}
