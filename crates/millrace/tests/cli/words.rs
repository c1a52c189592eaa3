//! Help, completions and colour.

use crate::run::{command, finish, millrace};

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = millrace(&["completions", shell]).ok().out;
        assert!(script.contains("millrace") && script.contains("warmup"), "{shell}");
    }
}

#[test]
fn help_has_examples_and_the_exit_codes() {
    let help = millrace(&["--help"]).ok().out;
    for part in
        ["Examples:", "Exit codes: 0 done, 1 failed, 2", "NO_COLOR", "replay", "simulate", "anomalies", "explain"]
    {
        assert!(help.contains(part), "{part}\n{help}");
    }
    for verb in [
        &["replay"][..],
        &["simulate"],
        &["anomalies", "list"],
        &["anomalies", "show"],
        &["alerts", "list"],
        &["alerts", "show"],
        &["alerts", "ack"],
        &["alerts", "resolve"],
        &["alerts", "silence"],
        &["alerts", "unsilence"],
        &["alerts", "silences"],
        &["alerts", "test-channel"],
        &["alerts", "tick"],
        &["explain"],
        &["completions"],
    ] {
        let help = millrace(&[verb, &["--help"]].concat()).ok().out;
        assert!(help.contains("Examples:"), "{verb:?}\n{help}");
    }
}

#[test]
fn no_color_wins_over_a_forced_one() {
    let failing = ["replay", "/nowhere.csv"];
    let escapes =
        |variables: &[(&str, &str)]| finish(command(&failing).envs(variables.iter().copied())).err.contains('\u{1b}');
    assert!(!escapes(&[]), "not a terminal");
    assert!(escapes(&[("CLICOLOR_FORCE", "1")]));
    assert!(!escapes(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(escapes(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")]), "an empty NO_COLOR says nothing");
}
