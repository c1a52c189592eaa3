//! `lake`: the lake of a demo asked, rolled up, compacted and verified.

use std::path::Path;

use crate::run::{Folder, Run, millrace};

/// A plant of two days, in a folder.
fn plant() -> Folder {
    let folder = Folder::new();
    millrace(&["demo", "--devices", "3", "--days", "2", "--quiet", "--dir", &folder.arg("store")]).ok();
    folder
}

fn lake(folder: &Folder, args: &[&str]) -> Run {
    millrace(&[&["lake"], args, &["--dir", &folder.arg("store")]].concat())
}

fn sql(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/sql").join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_rollup_is_said_first_done_once_and_asked_for() {
    let folder = plant();
    let said = lake(&folder, &["rollup", "--dry-run", "--output", "csv"]).ok();
    assert!(said.column("what").iter().filter(|what| *what == "sealed").count() > 1, "{}", said.out);
    let nothing = lake(&folder, &["query", "SELECT count(*) AS n FROM done", "--output", "csv"]).ok();
    assert_eq!(nothing.column("n"), ["0"], "a dry run does nothing");

    let done = lake(&folder, &["rollup", "--output", "csv"]).ok();
    assert_eq!(done.column("what"), said.column("what"));
    let again = lake(&folder, &["rollup", "--output", "csv"]).ok();
    assert!(again.column("what").is_empty() && again.err.contains("nothing to do"), "{}", again.err);

    let rows: u64 = done
        .column("what")
        .iter()
        .zip(done.column("rows"))
        .filter(|(what, _)| *what == "readings")
        .map(|(_, rows)| rows.parse::<u64>().unwrap())
        .sum();
    let dates = ["--set", "dt_from=2026-01-05", "--set", "dt_to=2026-01-07", "--output", "csv"];
    let summary = lake(&folder, &[&["query", "--file", &sql("summary.sql")], &dates[..]].concat()).ok();
    let counted = summary.column("readings").into_iter().chain(summary.column("left_out"));
    assert_eq!(counted.map(|count| count.parse::<u64>().unwrap()).sum::<u64>(), rows);
}

#[test]
fn compacting_makes_few_objects_of_many_and_the_lake_stays_whole() {
    let folder = plant();
    let compacted = lake(&folder, &["compact", "--output", "csv"]).ok();
    let sum = |name: &str| compacted.numbers(name).iter().sum::<f64>();
    assert!(sum("objects_after") <= sum("objects_before"), "{}", compacted.out);
    assert!(compacted.numbers("objects_after").iter().all(|objects| *objects <= 1.0), "{}", compacted.out);
    let verified = lake(&folder, &["verify", "--output", "csv"]).ok();
    assert!(verified.err.contains("each once"), "{}", verified.err);

    let silver = folder.path("store/lake/silver");
    let mut folders = vec![silver];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                std::fs::remove_file(entry).unwrap();
                folders.clear();
                break;
            }
        }
    }
    let broken = lake(&folder, &["verify", "--output", "csv"]);
    assert!(broken.column("finding").iter().any(|finding| finding == "missing"), "{}", broken.out);
    assert_eq!(broken.code, Some(1));
    assert!(broken.err.contains("findings are wrong"), "{}", broken.err);
}

#[test]
fn answers_come_in_every_form() {
    let folder = plant();
    let ask = |form| {
        let sql = "SELECT 1 AS n, 'a' AS t, true AS b, CAST(NULL AS int) AS x, DATE '2026-01-05' AS d, 0.5 AS h";
        lake(&folder, &["query", sql, "--output", form]).ok().out
    };
    assert_eq!(ask("csv"), "n,t,b,x,d,h\n1,a,true,,2026-01-05,0.5\n");
    let line = r#"{"n":1,"t":"a","b":true,"x":null,"d":"2026-01-05","h":0.5}"#;
    assert_eq!(ask("ndjson"), format!("{line}\n"));
    assert_eq!(ask("json"), format!("[\n{line}\n]\n"));
    assert!(ask("table").contains("2026-01-05"));
}

#[test]
fn what_cannot_be_asked_says_why() {
    let folder = plant();
    lake(&folder, &["query", "SELECT * FROM nowhere"]).fails(1, &["no table `nowhere`", "gold_summary"]);
    lake(&folder, &["query", "SELECT 1 +* 2"]).fails(1, &["line 1, column", "^"]);
    lake(&folder, &["query", "--file", &sql("summary.sql")]).fails(1, &["`dt_from`, `dt_to`", "--set"]);
    millrace(&["lake", "query", "SELECT 1", "--dir", &folder.arg("none")]).fails(1, &["no data of Millrace", "--dir"]);
    millrace(&["lake", "rollup", "--dir", &folder.arg("none")]).fails(1, &["no data of Millrace"]);
    assert!(!folder.path("none").exists(), "a folder that is not there is not made");
}
