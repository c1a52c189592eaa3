//! `alerts list` and `alerts show`.

use super::plant::Plant;

#[test]
fn the_list_has_the_newest_first_and_can_be_narrowed() {
    let plant = Plant::new();
    let devices = |args: &[&str]| plant.column(&[&["list"], args].concat(), "device");
    assert_eq!(devices(&[]), ["press-2", "press-1", "oven-1"]);
    assert_eq!(devices(&["--open"]), ["press-2", "press-1"]);
    assert_eq!(devices(&["--closed"]), ["oven-1"]);
    assert_eq!(devices(&["--device", "press-1"]), ["press-1"]);
    assert_eq!(plant.column(&["list"], "state"), ["open", "open", "closed"]);
    assert_eq!(plant.column(&["list"], "severity"), ["warning", "critical", "warning"]);
    assert!(plant.column(&["list"], "told").iter().all(|told| told.starts_with("20")));
    let cut = plant.ask(&["list", "--limit", "1", "--output", "csv"]).ok();
    assert!(cut.column("device") == ["press-2"] && cut.err.contains("--limit"), "{}", cut.err);
    let none = plant.ask(&["list", "--tenant", "acme", "--output", "csv"]).ok();
    assert!(none.column("id").is_empty() && none.err.contains("tenant `acme`"), "{}", none.err);
}

#[test]
fn what_did_not_arrive_is_listed_with_the_reason_and_the_next_try() {
    let plant = Plant::new();
    let run = plant.ask(&["list", "--failed", "--output", "csv"]).ok();
    assert_eq!(run.column("device"), ["press-1"]);
    assert_eq!(run.column("channel"), ["hall"]);
    assert_eq!(run.column("state"), ["to be tried again"]);
    assert!(run.column("reason")[0].contains("no answer"));
    assert!(run.column("next_try")[0].starts_with("20"));
}

#[test]
fn one_is_shown_with_its_whole_course() {
    let plant = Plant::new();
    let sent = |what: &str| (what.to_owned(), "sent".to_owned());
    assert_eq!(plant.course("oven-1", "desk"), [sent("opened"), sent("resolved")]);
    assert_eq!(plant.course("press-1", "hall"), [("opened".to_owned(), "to be tried again".to_owned())]);
    let id = plant.id("press-1");
    let table = plant.ask(&["show", &id[..8], "--output", "table"]).ok().out;
    for part in [id.as_str(), "critical", "line 1", "no answer", "temperature of press-1 is above its limit"] {
        assert!(table.contains(part), "`{part}` is not in:\n{table}");
    }
    let json = plant.ask(&["show", &id, "--device", "press-1", "--output", "json"]).ok().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["incident"]["id"], id.as_str());
    assert_eq!((json["course"].as_array().unwrap().len(), json["anomalies"].as_array().unwrap().len()), (2, 1));
}

#[test]
fn an_id_that_nobody_has_is_a_failure_that_says_where_was_looked() {
    let plant = Plant::new();
    for args in [&["show", "ffffffff"][..], &["ack", "ffffffff", "--by", "jo"], &["resolve", "ffffffff", "--by", "jo"]]
    {
        plant.ask(args).fails(1, &["ffffffff", "tenant `demo`", "store", "alerts list"]);
    }
    plant.ask(&["show", "ffffffff", "--device", "press-1"]).fails(1, &["device `press-1`"]);
    plant.ask(&["show", "xyz"]).fails(2, &["hexadecimal"]);
}

#[test]
fn a_folder_without_data_is_not_filled_by_asking() {
    let folder = crate::run::Folder::new();
    let nowhere = folder.arg("nowhere");
    for verb in [&["list"][..], &["ack", "ffffffff", "--by", "jo"], &["tick"], &["unsilence", "x"]] {
        let args = [&["alerts"], verb, &["--dir", &nowhere]].concat();
        crate::run::millrace(&args).fails(1, &["nowhere", "--dir"]);
    }
    assert!(!folder.path("nowhere").exists());
}
