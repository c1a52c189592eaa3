//! `profile.toml`: taken as a whole or refused with every mistake, its place and the remedy.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use anomaly_core::profile::{Direction, Profile};
use anomaly_core::{DetectorId, DeviceName, Severity, TenantName};
use proptest::prelude::*;
use telemetry::profile::{EMPTY_FINGERPRINT, PROFILE_BYTES_MAX, ProfileBundle, parse_profile};

const WHOLE: &str = r#"
sensitivity = 0.5

[metrics.temperature]
unit = "°C"
low = 10
high = 80.5
direction = "rise"
sensitivity = 2
severity = "critical"
detectors = ["limit", "level"]
aliases = ["temp", "T"]

[metrics."Volume Flow"]
low = -1_000
detectors = []

[assets.zeta]
devices = ["pump-*"]

[assets.alpha]
devices = ["*"]
[assets.alpha.metrics.temperature]
high = 60
"#;

/// Checks that the mistakes of `text` are at these places and say these words.
fn check(text: &str, expected: &[(usize, usize, &str)]) {
    let errors = parse_profile(text).unwrap_err();
    let found: Vec<_> = errors.mistakes().iter().map(|m| (m.line, m.column)).collect();
    let places: Vec<_> = expected.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(found, places, "{text}\n{errors}");
    for (mistake, (_, _, words)) in errors.mistakes().iter().zip(expected) {
        assert!(mistake.message.contains(words), "`{words}` is not in: {mistake}");
    }
}

#[test]
fn every_setting_of_a_whole_profile_is_read() {
    let profile = parse_profile(WHOLE).unwrap();
    assert_eq!(profile.sensitivity, Some(0.5));
    let temperature = &profile.metrics["temperature"];
    assert_eq!(temperature.unit.as_deref(), Some("°C"));
    assert_eq!((temperature.low, temperature.high), (Some(10.0), Some(80.5)));
    assert_eq!(temperature.direction, Some(Direction::Rise));
    assert_eq!(temperature.sensitivity, Some(2.0));
    assert_eq!(temperature.severity, Some(Severity::Critical));
    assert_eq!(temperature.detectors, Some(vec![DetectorId::Limit, DetectorId::Level]));
    assert_eq!(temperature.aliases, ["temp", "T"]);
    assert_eq!(profile.metrics["Volume Flow"].low, Some(-1000.0));
    assert_eq!(profile.metrics["Volume Flow"].detectors, Some(Vec::new()));
}

#[test]
fn asset_types_apply_in_the_order_of_the_file() {
    let profile = parse_profile(WHOLE).unwrap();
    let names: Vec<_> = profile.assets.iter().map(|asset| asset.name.as_str()).collect();
    assert_eq!(names, ["zeta", "alpha"]);
    let high = |device| profile.settings(DeviceName::new(device).unwrap(), "temperature").high;
    assert_eq!((high("pump-7"), high("fan-1")), (Some(80.5), Some(60.0)));
}

#[test]
fn an_empty_profile_is_complete() {
    assert_eq!(parse_profile("").unwrap(), Profile::default());
    assert_eq!(parse_profile("# nothing yet\n").unwrap(), Profile::default());
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place() {
    let text = r#"sensitivity = 0
[metric.temperature]
high = 80
[metrics.temperature]
hihg = 80
low = "10"
direction = "up"
severity = "Warning"
detectors = ["limits", "level", "level"]
[metrics.pressure]
low = 30
high = 20
[assets.pump]
[assets.fan]
devices = ["fan 1", 7]
"#;
    check(
        text,
        &[
            (1, 15, "0.001 to 100"),
            (2, 2, "did you mean `metrics`?"),
            (5, 1, "did you mean `high`?"),
            (6, 7, "a number without quotes"),
            (7, 13, "known are `both`, `rise`, `drop`"),
            (8, 12, "did you mean `warning`?"),
            (9, 14, "did you mean `limit`?"),
            (9, 33, "named twice"),
            (11, 7, "`low` must be below `high`; they are 30 and 20"),
            (13, 9, "covers no device"),
            (15, 12, "a device pattern must be"),
            (15, 21, "a text in quotes"),
        ],
    );
}

#[test]
fn columns_count_characters_and_not_bytes() {
    check("[metrics.\"Öl\"]\nunit = 'ä', low = 1", &[(2, 11, "not TOML")]);
    check("metrics.'Öldruck' = { unit = 'bär', hi = 1 }", &[(1, 37, "did you mean `high`?")]);
}

#[test]
fn text_that_is_not_toml_is_named_beside_the_other_mistakes() {
    let text = "sensitivity = 1000\n[metrics.t]\nlow = = 3\nhigh = ten\nunti = 'K'\n";
    let errors = parse_profile(text).unwrap_err();
    let lines: Vec<_> = errors.mistakes().iter().map(|mistake| mistake.line).collect();
    assert!([1, 3, 4, 5].iter().all(|line| lines.contains(line)), "{errors}");
    assert!(errors.to_string().contains("profile.toml:3:"), "{errors}");
}

#[test]
fn a_limit_of_an_asset_type_is_judged_with_the_general_one() {
    let text = "[metrics.t]\nlow = 10\n[assets.a]\ndevices = ['*']\nmetrics.t.high = 5\n";
    check(text, &[(5, 18, "10 and 5, one of them from the rule for every device")]);
}

#[test]
fn numbers_that_are_no_limit_are_refused() {
    for number in ["nan", "inf", "-inf", "1e999", "99999999999999999999"] {
        let errors = parse_profile(&format!("[metrics.t]\nlow = {number}\n")).unwrap_err();
        assert_eq!((errors.mistakes()[0].line, errors.mistakes()[0].column), (2, 7), "{number}: {errors}");
    }
    for sensitivity in ["0.0009", "100.1", "-1", "nan"] {
        assert!(parse_profile(&format!("sensitivity = {sensitivity}")).is_err(), "{sensitivity}");
    }
    for sensitivity in ["0.001", "100", "0x10"] {
        assert!(parse_profile(&format!("sensitivity = {sensitivity}")).is_ok(), "{sensitivity}");
    }
}

#[test]
fn names_are_bounded_and_never_shown_raw() {
    let long = "x".repeat(200);
    check(&format!("[metrics.{long}]\nlow = 1"), &[(1, 10, "200 bytes, the limit is 128")]);
    check("[metrics.\"a\\u001b[31m\"]\n", &[(1, 10, r"\u{1b}[31m")]);
    check("[metrics.t]\nunit = \"\\u001b\"\n", &[(2, 8, r"\u{1b}")]);
    check(&format!("[assets.{long}]\ndevices = ['*']"), &[(1, 9, "1 to 64 ASCII letters")]);
    check(&format!("[assets.a]\ndevices = ['{long}', '']"), &[(2, 12, "1 to 128"), (2, 216, "1 to 128")]);
}

#[test]
fn a_name_stands_for_one_metric_only() {
    let text = "[metrics.a]\naliases = ['x', 'b', 'a#']\n[metrics.b]\naliases = ['x']\n";
    check(
        text,
        &[(2, 17, "already stands for metric `b`"), (2, 22, "metric name"), (4, 12, "already stands for metric `a`")],
    );
}

#[test]
fn a_value_where_a_table_belongs_is_explained() {
    check("metrics = 3\nassets = 'pump'\n", &[(1, 11, "[metrics.temperature]"), (2, 10, "[assets.pump]")]);
    check("[metrics]\ntemperature = 80\n", &[(2, 15, "a table")]);
}

#[test]
fn a_profile_beyond_the_limit_is_refused_unread() {
    let text = "#".repeat(PROFILE_BYTES_MAX + 1);
    check(&text, &[(1, 1, "1048577 bytes, the limit is 1048576")]);
}

#[test]
fn thousands_of_mistakes_are_counted_and_not_all_written_out() {
    let text: Vec<_> = (0..3000).map(|number| format!("key{number} = 1")).collect();
    let errors = parse_profile(&text.join("\n")).unwrap_err();
    assert_eq!(errors.mistakes().len(), 3000);
    assert!(errors.to_string().ends_with("and 2950 more mistakes"), "{errors}");
}

#[test]
fn lists_and_tables_beyond_their_limit_are_refused() {
    let metrics: Vec<_> = (0..4097).map(|number| format!("m{number} = {{}}")).collect();
    check(&format!("[metrics]\n{}", metrics.join("\n")), &[(1, 1, "4097 metrics, the limit is 4096")]);
    let aliases = "'a', ".repeat(65);
    check(&format!("[metrics.t]\naliases = [{aliases}]"), &[(2, 11, "65 entries, the limit is 64")]);
}

fn bundle() -> ProfileBundle {
    let mut bundle = ProfileBundle::default();
    bundle.replace("acme", WHOLE).unwrap();
    bundle.replace("beta", "").unwrap();
    bundle
}

#[test]
fn a_bad_profile_never_replaces_a_good_one() {
    let mut bundle = bundle();
    let before = bundle.clone();
    let errors = bundle.replace("acme", "sensitivity = 0").unwrap_err();
    assert!(errors.to_string().starts_with("profile.toml:1:15: "), "{errors}");
    assert!(bundle.replace("no/tenant", "").is_err());
    assert_eq!(bundle, before);
    bundle.replace("acme", "sensitivity = 1").unwrap();
    assert_eq!(bundle.text("acme"), Some("sensitivity = 1"));
}

#[test]
fn the_fingerprint_is_what_it_was_in_the_first_release_and_follows_every_change() {
    assert_eq!(ProfileBundle::default().fingerprint(), EMPTY_FINGERPRINT);
    let mut one = ProfileBundle::default();
    one.replace("acme", "sensitivity = 1").unwrap();
    assert_eq!(one.fingerprint(), "4acbae0da5d78b2f");
    let mut other = one.clone();
    other.replace("acme", "sensitivity = 2").unwrap();
    assert_ne!(one.fingerprint(), other.fingerprint());
    other.replace("acme", "sensitivity = 1").unwrap();
    assert_eq!(one.fingerprint(), other.fingerprint());
    other.replace("beta", "").unwrap();
    assert_ne!(one.fingerprint(), other.fingerprint());
    other.retain(|tenant| tenant == "acme");
    assert_eq!(one.fingerprint(), other.fingerprint());
}

#[test]
fn a_bundle_comes_back_as_it_was_and_compiles_to_the_same() {
    let bytes = bundle().to_bytes();
    assert_eq!(bytes, bundle().to_bytes());
    let back = ProfileBundle::from_bytes(&bytes).unwrap();
    assert_eq!(back, bundle());
    let set = back.compile().unwrap();
    assert_eq!(format!("{:016x}", set.fingerprint()), back.fingerprint());
    assert_eq!(set.of(TenantName::new("acme").unwrap()), &parse_profile(WHOLE).unwrap());
    assert_eq!(set.of(TenantName::new("other").unwrap()), &Profile::default());
    assert_eq!(ProfileBundle::default().compile().unwrap().fingerprint(), 0);
}

#[test]
fn a_bundle_that_cannot_be_used_says_why() {
    for (bytes, words) in [
        (&b"sensitivity = 1"[..], "not a bundle of profiles"),
        (b"{\"version\":2,\"profiles\":{}}", "version 2, this release reads version 1"),
        (b"{\"version\":1,\"profiles\":{\"a/b\":\"\"}}", "a/b"),
    ] {
        let error = ProfileBundle::from_bytes(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let bad = ProfileBundle::from_bytes(br#"{"version":1,"profiles":{"acme":"x = 1"}}"#).unwrap();
    let error = bad.compile().unwrap_err().to_string();
    assert!(error.contains("tenant `acme`") && error.contains("profile.toml:1:1: "), "{error}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text: String) {
        let _judged = parse_profile(&text);
    }

    #[test]
    fn no_damage_to_a_whole_profile_makes_the_reader_panic(at in 0..WHOLE.len(), junk in "[\\PC\n\"'\\[\\]=.#]{0,4}", cut in 0_usize..9) {
        let mut text: Vec<char> = WHOLE.chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, junk.chars());
        if let Err(errors) = parse_profile(&text.iter().collect::<String>()) {
            let lines = text.iter().filter(|c| **c == '\n').count() + 1;
            prop_assert!(errors.mistakes().iter().all(|mistake| (1..=lines).contains(&mistake.line)));
        }
    }

    #[test]
    fn bundles_survive_storage(texts: Vec<(u8, i16)>) {
        let mut bundle = ProfileBundle::default();
        for (tenant, low) in texts {
            bundle.replace(&format!("t{tenant}"), &format!("[metrics.t]\nlow = {low}")).unwrap();
        }
        prop_assert_eq!(ProfileBundle::from_bytes(&bundle.to_bytes()).unwrap(), bundle);
    }
}

#[test]
fn a_large_text_of_nothing_but_mistakes_is_refused_by_its_first() {
    let text = "=\n".repeat(1 << 19);
    let errors = telemetry::profile::parse_profile(&text).unwrap_err();
    assert_eq!(errors.mistakes().len(), 1);
    assert_eq!((errors.mistakes()[0].line, errors.mistakes()[0].column), (1, 1));
}
