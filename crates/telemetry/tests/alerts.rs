//! `[alerts]` and `[channels]` of a profile: taken as a whole or refused with every mistake, its place and the remedy.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use anomaly_core::incident::{AlertPolicy, ChannelSettings, Route, SmtpTls, WallTime};
use anomaly_core::{AlertSettings, Severity};
use jiff::civil::Weekday;
use proptest::prelude::*;
use telemetry::profile::parse_profile;

const WHOLE: &str = r#"
[alerts]
close_after_minutes = 5
reopen_minutes = 0
auto_resolve_hours = 48
critical_metrics = 0
worse_after_minutes = 60
worse_info = true
better_after_minutes = 30
tell_better = true
flap_count = 3
flap_minutes = 90
escalate_after_minutes = [15, 60]
storm_openings = 25
messages_per_hour = 100

[[alerts.routes]]
channels = ["hall", "mail"]
severity_min = "warning"
devices = ["pump-*"]

[[alerts.routes]]
channels = ["duty"]
level = 1

[[alerts.routes]]
channels = ["sms"]
level = 2

[[alerts.maintenance]]
name = "weekly service"
days = ["friday", "sunday"]
from = "22:00"
until = "06:00"
zone = "Europe/Berlin"
devices = ["press-*"]

[[alerts.maintenance]]
name = "every noon"
from = "12:00"
until = "12:30"

[channels.hall]
type = "slack"
secret = "millrace/hall"

[channels.duty]
type = "pagerduty"
secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:duty-AbCdEf"
url = "https://events.eu.pagerduty.com/v2/enqueue"

[channels.sms]
type = "sns"
topic = "arn:aws:sns:eu-central-1:123456789012:alerts"

[channels.hook]
type = "webhook"
url = "http://10.0.0.7:8080/alerts"
secret = "hook"
allow_private = true

[channels.mail]
type = "smtp"
server = "mail.example.com"
port = 465
tls = "implicit"
from = "millrace@example.com"
to = ["ann@example.com", "bob@example.com"]
username = "millrace"
secret = "mail-password"

[channels.log]
type = "console"
"#;

/// Checks that the mistakes of `text` are on these lines and say these words.
fn check(text: &str, expected: &[(usize, &str)]) {
    let errors = parse_profile(text).unwrap_err();
    let found: Vec<_> = errors.mistakes().iter().map(|mistake| mistake.line).collect();
    let lines: Vec<_> = expected.iter().map(|(line, _)| *line).collect();
    assert_eq!(found, lines, "{text}\n{errors}");
    for (mistake, (_, words)) in errors.mistakes().iter().zip(expected) {
        assert!(mistake.message.contains(words), "`{words}` is not in: {mistake}");
    }
}

#[test]
fn every_setting_of_alerts_is_read() {
    let alerts = parse_profile(WHOLE).unwrap().alerts;
    let policy = AlertPolicy {
        close_after_minutes: 5,
        reopen_minutes: 0,
        auto_resolve_hours: 48,
        critical_metrics: 0,
        worse_after_minutes: Some(60),
        worse_info: true,
        better_after_minutes: Some(30),
        tell_better: true,
        flap_count: 3,
        flap_minutes: 90,
        escalate_after_minutes: vec![15, 60],
    };
    assert_eq!(alerts.policy, policy);
    assert_eq!((alerts.storm_openings, alerts.messages_per_hour), (25, 100));
    let first = Route {
        channels: vec!["hall".into(), "mail".into()],
        severity_min: Severity::Warning,
        devices: vec!["pump-*".into()],
        level: 0,
    };
    assert_eq!(alerts.routes[0], first);
    assert_eq!(alerts.routes.iter().map(|route| route.level).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn every_maintenance_window_is_read_and_without_days_and_devices_it_means_all() {
    let alerts = parse_profile(WHOLE).unwrap().alerts;
    let [service, noon] = &alerts.maintenance[..] else { panic!("{:?}", alerts.maintenance) };
    assert_eq!(service.days, [Weekday::Friday, Weekday::Sunday]);
    assert_eq!((service.from, service.until), (WallTime::parse("22:00").unwrap(), WallTime::parse("06:00").unwrap()));
    assert_eq!((service.zone.as_str(), &service.devices[..]), ("Europe/Berlin", &["press-*".to_owned()][..]));
    assert_eq!((noon.zone.as_str(), noon.days.len(), noon.devices.len()), ("UTC", 0, 0));
}

#[test]
fn every_type_of_channel_is_read() {
    let channels = parse_profile(WHOLE).unwrap().alerts.channels;
    let kinds: Vec<_> = channels.iter().map(|(name, channel)| (name.as_str(), channel.kind())).collect();
    let expected = [
        ("duty", "pagerduty"),
        ("hall", "slack"),
        ("hook", "webhook"),
        ("log", "console"),
        ("mail", "smtp"),
        ("sms", "sns"),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(channels["hall"].secret(), Some("millrace/hall"));
    let mail = ChannelSettings::Smtp {
        server: "mail.example.com".into(),
        port: Some(465),
        tls: SmtpTls::Implicit,
        from: "millrace@example.com".into(),
        to: vec!["ann@example.com".into(), "bob@example.com".into()],
        username: Some("millrace".into()),
        secret: Some("mail-password".into()),
    };
    assert_eq!(channels["mail"], mail);
}

#[test]
fn empty_tables_are_the_defaults() {
    assert_eq!(parse_profile("[alerts]\n[channels]\n").unwrap().alerts, AlertSettings::default());
}

#[test]
fn every_mistake_in_alerts_is_reported_at_once_with_its_line() {
    let text = r#"[alerts]
close_after_minute = 5
reopen_minutes = -1
flap_count = 1
worse_info = "yes"
storm_openings = 0
critical_metrics = 4.5
escalate_after_minutes = [60, 15]
[[alerts.routes]]
severity_min = "urgent"
[[alerts.routes]]
channels = ["ops", "opps"]
level = 3
devices = []
[[alerts.maintenance]]
name = "night"
days = ["funday"]
from = "25:00"
zone = "Europe/Berlin "
[[alerts.maintenance]]
name = "day"
from = "08:00"
until = "08:00"
zone = "the plant's"
[channels.ops]
type = "console"
[channels.log]
type = "console"
colour = true
"#;
    check(
        text,
        &[
            (2, "did you mean `close_after_minutes`?"),
            (3, "0 to 10080 minutes"),
            (4, "2 to 16 returns"),
            (5, "`true` or `false`"),
            (6, "1 to 1000 openings a minute"),
            (7, "a whole number"),
            (8, "nobody is told of escalation 1; add a route with `level = 1`"),
            (8, "nobody is told of escalation 2"),
            (8, "later than the one before"),
            (9, "leads to no channel"),
            (10, "known are `info`, `warning`, `critical`"),
            (12, "there is no channel `opps`; known are `log`, `ops`"),
            (13, "there are 2 escalations"),
            (14, "leave it out for every device"),
            (15, "has no `until`"),
            (17, "did you mean `sunday`?"),
            (18, "\"00:00\" to \"24:00\""),
            (19, "must be the name of a time zone as in `Europe/Berlin`"),
            (23, "for a whole day"),
            (24, "must be the name of a time zone"),
            (29, "not a setting of a channel of type `console`"),
        ],
    );
}

#[test]
fn every_mistake_in_channels_is_reported_at_once_with_its_line() {
    let text = r#"[channels]
a = { type = "sms" }
b = {}
c = { type = "slack" }
d = { type = "sns", topic = "alerts" }
e = { type = "webhook", url = "ftp://example.com" }
f = { type = "webhook", url = "https://ann:pw@example.com/" }
g = { type = "smtp", server = "a b", from = "ann", to = [] }
h = { type = "smtp", server = "mail", from = "a@b", to = ["a@b\nBcc: c@d"], username = "ann", port = 0 }
"i j" = { type = "console" }
"#;
    check(
        text,
        &[
            (2, "did you mean `sns`?"),
            (3, "channel `b` has no `type`; known are `sns`, `slack`"),
            (4, "channel `c` has no `secret`; add it"),
            (5, "as in `arn:aws:sns:"),
            (6, "as in `https://example.com/alerts`"),
            (7, "a name or a password before `@`"),
            (8, "`server` must be"),
            (8, "`from` must be"),
            (8, "`to` is empty"),
            (9, "only one of `username` and `secret`"),
            (9, "an address in `to`"),
            (9, "1 to 65535"),
            (10, "a channel is named by"),
        ],
    );
}

#[test]
fn a_route_needs_a_channel_and_the_message_says_how_to_make_one() {
    check("[[alerts.routes]]\nchannels = ['ops']", &[(2, "there is none; add `[channels.ops]` with its `type`")]);
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    for secret in [
        "https://hooks.slack.com/services/T00/B00/XXXX",
        "hooks.slack.com/services/T00/B00/XXXX",
        "xoxb-1234-5678-abcdef",
        "0123456789abcdef0123456789abcdef",
        "correct horse battery staple",
        "line\nbreak",
    ] {
        let text = format!("[channels.hall]\ntype = \"slack\"\nsecret = {secret:?}\n");
        check(&text, &[(3, "this looks like the secret itself; keep it in Secrets Manager")]);
        let message = parse_profile(&text).unwrap_err().to_string();
        assert!(!message.contains(&secret[..5]), "{message}");
    }
    for name in ["millrace/hall", "prod_slack", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hall-AbCdEf"] {
        let text = format!("[channels.hall]\ntype = \"slack\"\nsecret = {name:?}\n");
        assert_eq!(parse_profile(&text).unwrap().alerts.channels["hall"].secret(), Some(name));
    }
}

#[test]
fn tables_of_the_wrong_type_are_mistakes_and_nothing_else() {
    check("alerts = 1\nchannels = 2", &[(1, "`alerts` must be a table"), (2, "`channels` must be a table")]);
    check(
        "[alerts]\nroutes = 1\nmaintenance = [1]",
        &[(2, "`routes` must be a list"), (3, "each of them must be a table")],
    );
}

/// With the database of time zones.
#[cfg(feature = "zones")]
mod zones {
    use anomaly_core::Timestamp;
    use telemetry::profile::{parse_profile, zone};

    use super::{WHOLE, check};

    #[test]
    fn a_window_is_by_the_clocks_of_the_zone_it_names() {
        let alerts = parse_profile(WHOLE).unwrap().alerts;
        let windows = alerts.windows(zone).unwrap();
        let friday_night = Timestamp::from_millis(1_768_600_800_000).unwrap();
        let until = windows[0].until("press-1", friday_night);
        assert_eq!(until.map(|at| at.to_string()).as_deref(), Some("2026-01-17T05:00:00.000Z"));
        assert_eq!(windows[0].until("pump-1", friday_night), None);
    }

    #[test]
    fn a_zone_that_does_not_exist_is_a_mistake() {
        let text = |zone| format!("[[alerts.maintenance]]\nname='n'\nfrom='01:00'\nuntil='02:00'\nzone='{zone}'");
        check(&text("Europe/Berlim"), &[(5, "did you mean `Europe/Berlin`?")]);
        check(&text("Hall_7"), &[(5, "there is no time zone `Hall_7`; names are as in")]);
        assert!(parse_profile(&text("America/Argentina/Buenos_Aires")).is_ok());
    }
}

proptest! {
    #[test]
    fn whatever_stands_in_a_setting_is_taken_or_refused_with_a_place(
        key in "(close_after_minutes|flap_count|tell_better|routes|maintenance|escalate_after_minutes|storm_openings)",
        value in "(-?[0-9]{1,20}|true|'[a-z:]{0,9}'|\\[[0-9]?\\]|\\{\\}|\\[\\{\\}\\]|[0-9]\\.[0-9]|2026-01-01)",
    ) {
        if let Err(errors) = parse_profile(&format!("[alerts]\n{key} = {value}\n")) {
            prop_assert!(errors.mistakes().iter().all(|mistake| mistake.line == 2 && !mistake.message.is_empty()));
        }
    }
}
