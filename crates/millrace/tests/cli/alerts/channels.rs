//! `alerts test-channel`.

use super::plant::Plant;

#[test]
fn a_channel_is_tried_by_a_message_that_really_goes_out() {
    let plant = Plant::new();
    let run = plant.ask(&["test-channel", "desk"]).ok();
    assert!(run.out.contains("This is a test of the channel `desk`"), "{}", run.out);
    assert!(run.err.contains("`desk` has taken the message over"), "{}", run.err);
}

#[test]
fn a_channel_that_does_not_take_it_says_why() {
    Plant::new().ask(&["test-channel", "hall"]).fails(1, &["channel `hall`", "127.0.0.1"]);
}

#[test]
fn an_unknown_channel_names_those_there_are() {
    let plant = Plant::new();
    plant.ask(&["test-channel", "yard"]).fails(1, &["`yard`", "`desk`, `hall`", "tenant `demo`"]);
    plant.ask(&["test-channel", "desk", "--tenant", "acme"]).fails(1, &["tenant `acme`", "config/acme/profile.toml"]);
}
