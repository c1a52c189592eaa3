//! `alerts silence`, `alerts unsilence` and `alerts silences`.

use super::plant::Plant;

const WHO: [&str; 6] = ["--for", "2h", "--by", "jo", "--reason", "tool change"];

#[test]
fn a_silence_is_listed_until_it_is_ended() {
    let plant = Plant::new();
    let run = plant.ask(&[&["silence", "--device", "press-*", "--output", "csv"], &WHO[..]].concat()).ok();
    let id = run.column("id").remove(0);
    for part in ["until", "2 of 2 open incidents", "unsilence"] {
        assert!(run.err.contains(part), "`{part}` is not in:\n{}", run.err);
    }
    assert_eq!(plant.column(&["silences"], "device"), ["press-*"]);
    assert_eq!(plant.column(&["silences"], "until"), run.column("until"));
    plant.ask(&["unsilence", "nothing"]).fails(1, &["`nothing`", &id]);
    plant.ask(&["unsilence", &id]).ok();
    assert!(plant.column(&["silences"], "id").is_empty());
    plant.ask(&["unsilence", &id]).fails(1, &["there is none"]);
}

#[test]
fn while_it_is_silenced_nothing_is_told_and_afterwards_it_is() {
    let plant = Plant::new();
    let run = plant.ask(&[&["silence", "--device", "press-2", "--output", "csv"], &WHO[..]].concat()).ok();
    let incident = plant.id("press-2");
    plant.ask(&["ack", &incident, "--by", "jo"]).ok();
    plant.ask(&["tick"]).ok();
    assert_eq!(plant.course("press-2", "desk").len(), 1, "the acknowledgement is kept back");
    let table = plant.ask(&["show", &incident, "--output", "table"]).ok().out;
    assert!(table.contains("silence"), "{table}");
    let ended = plant.ask(&["unsilence", &run.column("id")[0]]).ok();
    assert!(ended.err.contains("1 incident(s)"), "{}", ended.err);
    plant.ask(&["tick"]).ok();
    assert_eq!(plant.course("press-2", "desk").len(), 2);
}

#[test]
fn everything_is_silenced_only_by_whoever_says_so() {
    let plant = Plant::new();
    let silence = |args: &[&str]| plant.ask(&[&["silence"], args, &WHO[..]].concat());
    for args in [&[][..], &["--device", "*"], &["--device", "**", "--metric", "*", "--severity-max", "critical"]] {
        silence(args).fails(2, &["every incident", "--everything"]);
    }
    silence(&["--everything"]).ok();
    silence(&["--everything", "--device", "oven-1"]).fails(2, &["--everything"]);
    let too_long = ["silence", "--device", "x", "--for", "31d", "--by", "jo", "--reason", "test"];
    plant.ask(&too_long).fails(2, &["--for", "30 days"]);
}
