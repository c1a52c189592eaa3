//! `alerts ack`, `alerts resolve` and `alerts tick`.

use super::plant::Plant;

#[test]
fn who_takes_care_is_noted_once_and_told() {
    let plant = Plant::new();
    let id = plant.id("press-2");
    plant.ask(&["ack", &id[..8], "--by", "jo", "--note", "on my way"]).ok();
    assert_eq!(plant.column(&["list", "--device", "press-2"], "acknowledged_by"), ["jo"]);
    plant.ask(&["ack", &id, "--by", "ann"]).fails(1, &["by jo", "on my way", "the first one stands"]);
    let ticked = plant.ask(&["tick", "--output", "json"]).ok();
    // The line of the channel comes before the counts.
    assert!(ticked.out.contains("press-2") && ticked.out.contains("\"sent\":1"), "{}", ticked.out);
    let told: Vec<_> =
        plant.course("press-2", "desk").into_iter().map(|(what, state)| format!("{what} {state}")).collect();
    assert_eq!(told, ["opened sent", "acknowledged sent"]);
}

#[test]
fn what_a_person_says_is_over_is_closed_and_told() {
    let plant = Plant::new();
    let id = plant.id("press-2");
    plant.ask(&["resolve", &id, "--by", "jo"]).ok();
    assert_eq!(plant.column(&["list", "--open"], "device"), ["press-1"]);
    plant.ask(&["tick"]).ok();
    assert_eq!(plant.course("press-2", "desk").len(), 2);
    plant.ask(&["resolve", &id, "--by", "jo"]).fails(1, &["is closed since", "by jo"]);
    plant.ask(&["ack", &id, "--by", "jo"]).fails(1, &["is closed since"]);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_changes_nothing() {
    let plant = Plant::new();
    let (id, before) = (plant.id("press-2"), plant.ask(&["list", "--output", "json"]).ok().out);
    for (args, words) in [
        (&["ack", &id, "--by", "jo"][..], "would acknowledge"),
        (&["resolve", &id, "--by", "jo"], "would resolve"),
        (&["silence", "--device", "press-*", "--for", "1h", "--by", "jo", "--reason", "test"], "would silence"),
        (&["test-channel", "desk"], "would send"),
    ] {
        let run = plant.ask(&[args, &["--dry-run"]].concat()).ok();
        assert!(run.err.contains(words) && run.out.is_empty(), "{} {}", run.err, run.out);
    }
    let due = plant.column(&["tick", "--dry-run"], "what");
    assert!(due.iter().any(|what| what.starts_with("D#")), "{due:?}");
    assert_eq!(plant.ask(&["list", "--output", "json"]).ok().out, before);
    assert!(plant.column(&["silences"], "id").is_empty());
}

#[test]
fn a_message_that_failed_is_tried_again_by_the_tick() {
    let plant = Plant::new();
    let tries = || plant.column(&["list", "--failed"], "tries");
    assert_eq!(tries(), ["1"]);
    let ticked = plant.ask(&["tick", "--output", "csv"]).ok();
    assert_eq!(ticked.column("unsent"), ["1"]);
    assert!(ticked.err.contains("--failed"), "{}", ticked.err);
    assert_eq!(tries(), ["2"]);
}
