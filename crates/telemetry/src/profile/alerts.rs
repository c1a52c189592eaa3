//! `[alerts]`: when incidents open and close, who is told, and when nobody is.

mod channels;

use std::ops::RangeInclusive;

use anomaly_core::AlertSettings;
use anomaly_core::incident::{
    AlertPolicy, ESCALATIONS_MAX, FLAPS_MAX, INCIDENT_METRICS_MAX, MaintenanceWindow, Route, WallTime,
};
use jiff::civil::Weekday;
#[cfg(feature = "zones")]
use jiff::tz::TimeZone;
use toml::de::DeTable;

use super::mistake::{Mistakes, quoted};
use super::read::{SEVERITIES, unknown};
use super::value::{self, Placed, Value};
use super::{ASSET_BYTES_MAX, CHANNELS_MAX, ROUTES_MAX};

const ALERT_KEYS: [&str; 15] = [
    "close_after_minutes",
    "reopen_minutes",
    "auto_resolve_hours",
    "critical_metrics",
    "worse_after_minutes",
    "worse_info",
    "better_after_minutes",
    "tell_better",
    "flap_count",
    "flap_minutes",
    "escalate_after_minutes",
    "storm_openings",
    "messages_per_hour",
    "routes",
    "maintenance",
];
const ROUTE_KEYS: [&str; 4] = ["channels", "severity_min", "devices", "level"];
const MAINTENANCE_KEYS: [&str; 6] = ["name", "days", "from", "until", "zone", "devices"];

const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// A week: longer than anybody waits.
const MINUTES: RangeInclusive<u32> = 1..=10_080;
/// Longest name of a time zone, in bytes.
const ZONE_BYTES_MAX: usize = 64;

/// Both tables that alerts are set in.
pub(super) fn alerts(
    mistakes: &mut Mistakes,
    alerts: Option<&Value<'_>>,
    channels: Option<&Value<'_>>,
) -> AlertSettings {
    let mut settings = AlertSettings::default();
    if let Some(entry) = channels {
        settings.channels = channels::channels(mistakes, entry);
    }
    let example = "[alerts]";
    let Some(table) = alerts.and_then(|entry| value::table(mistakes, entry, "`alerts`", example)) else {
        return settings;
    };
    let (mut routes, mut levels) = (Vec::new(), None);
    for (key, entry) in table {
        let name = key.get_ref().as_ref();
        match name {
            "routes" => routes = tables(mistakes, entry, "`routes`", "[[alerts.routes]]", route),
            "maintenance" => {
                let windows = tables(mistakes, entry, "`maintenance`", "[[alerts.maintenance]]", maintenance);
                settings.maintenance = windows.into_iter().filter_map(|(window, _)| window).collect();
            }
            "escalate_after_minutes" => {
                settings.policy.escalate_after_minutes = escalations(mistakes, entry);
                levels = Some(entry);
            }
            "storm_openings" => {
                let bounds = ("`storm_openings`", "openings a minute");
                set(&mut settings.storm_openings, value::whole(mistakes, entry, bounds, 1..=1_000));
            }
            "messages_per_hour" => {
                let bounds = ("`messages_per_hour`", "messages");
                set(&mut settings.messages_per_hour, value::whole(mistakes, entry, bounds, 1..=10_000));
            }
            _ if ALERT_KEYS.contains(&name) => policy(mistakes, name, entry, &mut settings.policy),
            _ => unknown(mistakes, key, "`alerts`", &ALERT_KEYS),
        }
    }
    let known: Vec<&str> = channels
        .and_then(|entry| entry.get_ref().as_table())
        .map(|table| table.keys().map(|key| key.get_ref().as_ref()).collect())
        .unwrap_or_default();
    let steps = settings.policy.escalate_after_minutes.len();
    for (read, _) in &routes {
        read.check(mistakes, &known, steps);
    }
    settings.routes = routes.into_iter().map(|(read, _)| read.route).collect();
    if let Some(entry) = levels {
        every_level_is_heard(mistakes, entry, &settings);
    }
    settings
}

fn set<T>(setting: &mut T, read: Option<T>) {
    if let Some(read) = read {
        *setting = read;
    }
}

/// One setting of the policy; a mistake leaves the default.
fn policy(mistakes: &mut Mistakes, name: &str, entry: &Value<'_>, policy: &mut AlertPolicy) {
    let what = format!("`{name}`");
    let mut whole = |unit, bounds| value::whole(mistakes, entry, (&what, unit), bounds);
    match name {
        "close_after_minutes" => set(&mut policy.close_after_minutes, whole("minutes", 1..=1_440)),
        "reopen_minutes" => set(&mut policy.reopen_minutes, whole("minutes", 0..=*MINUTES.end())),
        "auto_resolve_hours" => set(&mut policy.auto_resolve_hours, whole("hours", 1..=720)),
        "critical_metrics" => {
            let bounds = 0..=INCIDENT_METRICS_MAX as u32;
            set(&mut policy.critical_metrics, whole("metrics, where 0 stands for never", bounds));
        }
        "worse_after_minutes" => policy.worse_after_minutes = whole("minutes", MINUTES),
        "better_after_minutes" => policy.better_after_minutes = whole("minutes", MINUTES),
        "flap_count" => set(&mut policy.flap_count, whole("returns", 2..=FLAPS_MAX as u32)),
        "flap_minutes" => set(&mut policy.flap_minutes, whole("minutes", 1..=1_440)),
        "worse_info" => set(&mut policy.worse_info, value::flag(mistakes, entry, &what)),
        _ => set(&mut policy.tell_better, value::flag(mistakes, entry, &what)),
    }
}

fn escalations(mistakes: &mut Mistakes, entry: &Value<'_>) -> Vec<u32> {
    let example = ("`escalate_after_minutes`", "escalate_after_minutes = [15, 60]");
    let mut steps = Vec::new();
    for entry in value::list(mistakes, entry, example, ESCALATIONS_MAX).into_iter().flatten() {
        let Some(minutes) = value::whole(mistakes, entry, (example.0, "minutes"), MINUTES) else { continue };
        if let Some(before) = steps.last()
            && *before >= minutes
        {
            let message =
                format!("each step must be later than the one before; they are {before} and {minutes} minutes");
            mistakes.at(&entry.span(), message);
        }
        steps.push(minutes);
    }
    steps
}

/// A step that no route leads on from wakes nobody.
fn every_level_is_heard(mistakes: &mut Mistakes, entry: &Value<'_>, settings: &AlertSettings) {
    for level in 1..=settings.policy.escalate_after_minutes.len() {
        if settings.routes.iter().all(|route| usize::from(route.level) != level) {
            let message = format!(
                "nobody is told of escalation {level}; add a route with `level = {level}`, or take the step away"
            );
            mistakes.at(&entry.span(), message);
        }
    }
}

/// A list of tables, each with its place.
fn tables<'v, 't, T>(
    mistakes: &mut Mistakes,
    entry: &'v Value<'t>,
    what: &str,
    example: &str,
    read: impl Fn(&mut Mistakes, &'v DeTable<'t>, &'v Value<'t>) -> T,
) -> Vec<Placed<T>> {
    let Some(list) = value::list(mistakes, entry, (what, example), ROUTES_MAX) else { return Vec::new() };
    let mut all = Vec::new();
    for entry in list {
        if let Some(table) = value::table(mistakes, entry, "each of them", example) {
            all.push((read(mistakes, table, entry), entry.span()));
        }
    }
    all
}

/// A route, and where it says what can only be judged with the rest of the profile.
struct ReadRoute<'v, 't> {
    route: Route,
    channels: Vec<(&'v str, &'v Value<'t>)>,
    level: Option<&'v Value<'t>>,
}

impl ReadRoute<'_, '_> {
    fn check(&self, mistakes: &mut Mistakes, known: &[&str], steps: usize) {
        for (name, entry) in &self.channels {
            if !known.contains(name) {
                let remedy = if known.is_empty() {
                    "there is none; add `[channels.ops]` with its `type`".to_owned()
                } else {
                    format!("known are `{}`", known.join("`, `"))
                };
                mistakes.at(&entry.span(), format!("there is no channel {}; {remedy}", quoted(name)));
            }
        }
        if let Some(entry) = self.level
            && usize::from(self.route.level) > steps
        {
            let message = format!(
                "`level` is {}, and there are {steps} escalations; add to `escalate_after_minutes`, or nobody is told",
                self.route.level
            );
            mistakes.at(&entry.span(), message);
        }
    }
}

fn route<'v, 't>(mistakes: &mut Mistakes, table: &'v DeTable<'t>, whole: &'v Value<'t>) -> ReadRoute<'v, 't> {
    let mut read = ReadRoute { route: Route::default(), channels: Vec::new(), level: None };
    let mut names_some = false;
    for (key, entry) in table {
        match key.get_ref().as_ref() {
            "channels" => {
                let list = value::list(mistakes, entry, ("`channels`", r#"channels = ["ops"]"#), CHANNELS_MAX);
                // A list of the wrong type has been reported already.
                names_some = list.is_none_or(|list| !list.is_empty());
                for entry in list.into_iter().flatten() {
                    if let Some(name) = value::text(mistakes, entry, "the name of a channel", "ops") {
                        read.route.channels.push(name.to_owned());
                        read.channels.push((name, entry));
                    }
                }
            }
            "severity_min" => {
                set(&mut read.route.severity_min, value::word(mistakes, entry, "`severity_min`", &SEVERITIES));
            }
            "devices" => set(&mut read.route.devices, devices(mistakes, entry)),
            "level" => {
                let level = value::whole(mistakes, entry, ("`level`", "escalations"), 0..=ESCALATIONS_MAX as u32);
                set(&mut read.route.level, level.and_then(|level| u8::try_from(level).ok()));
                read.level = Some(entry);
            }
            _ => unknown(mistakes, key, "a route", &ROUTE_KEYS),
        }
    }
    if !names_some {
        mistakes.at(&whole.span(), "this route leads to no channel; add `channels = [\"…\"]` to it".to_owned());
    }
    read
}

/// Patterns of devices; an empty list would look like none and mean all.
fn devices(mistakes: &mut Mistakes, entry: &Value<'_>) -> Option<Vec<String>> {
    if entry.get_ref().as_array().is_some_and(|list| list.is_empty()) {
        mistakes.at(&entry.span(), "`devices` is empty; leave it out for every device".to_owned());
        return None;
    }
    value::patterns(mistakes, entry)
}

fn maintenance(mistakes: &mut Mistakes, table: &DeTable<'_>, whole: &Value<'_>) -> Option<MaintenanceWindow> {
    let (mut name, mut from, mut until) = (None, None, None);
    let (mut days, mut devices_meant, mut zone_name) = (Vec::new(), Vec::new(), Some("UTC".to_owned()));
    for (key, entry) in table {
        match key.get_ref().as_ref() {
            "name" => name = Some(window_name(mistakes, entry)),
            "days" => days = days_of_week(mistakes, entry),
            "from" => from = Some((wall_time(mistakes, entry, "`from`"), entry)),
            "until" => until = Some((wall_time(mistakes, entry, "`until`"), entry)),
            "zone" => zone_name = time_zone(mistakes, entry),
            "devices" => set(&mut devices_meant, devices(mistakes, entry)),
            _ => unknown(mistakes, key, "a maintenance window", &MAINTENANCE_KEYS),
        }
    }
    let missing = [("name", name.is_none()), ("from", from.is_none()), ("until", until.is_none())];
    for (key, _) in missing.iter().filter(|(_, is_missing)| *is_missing) {
        mistakes.at(&whole.span(), format!("this maintenance window has no `{key}`; add it"));
    }
    let ((from, _), (until, place)) = (from?, until?);
    let (from, until) = (from?, until?);
    if from == until {
        let message = "`from` and `until` are the same; write \"00:00\" and \"24:00\" for a whole day";
        mistakes.at(&place.span(), message.to_owned());
    }
    Some(MaintenanceWindow { name: name??, days, from, until, zone: zone_name?, devices: devices_meant })
}

fn window_name(mistakes: &mut Mistakes, entry: &Value<'_>) -> Option<String> {
    let name = value::text(mistakes, entry, "`name`", "weekly service")?;
    if name.is_empty() || name.len() > ASSET_BYTES_MAX || name.chars().any(char::is_control) {
        let message =
            format!("`name` must be 1 to {ASSET_BYTES_MAX} bytes without control characters, this is {}", quoted(name));
        mistakes.at(&entry.span(), message);
    }
    Some(name.to_owned())
}

fn days_of_week(mistakes: &mut Mistakes, entry: &Value<'_>) -> Vec<Weekday> {
    let list = value::list(mistakes, entry, ("`days`", r#"days = ["sunday"]"#), DAYS.len());
    if list.is_some_and(|list| list.is_empty()) {
        mistakes.at(&entry.span(), "`days` is empty; leave it out for every day".to_owned());
    }
    let days = list.into_iter().flatten();
    days.filter_map(|entry| value::word(mistakes, entry, "`days`", &DAYS)).collect()
}

fn wall_time(mistakes: &mut Mistakes, entry: &Value<'_>, what: &str) -> Option<WallTime> {
    let text = value::text(mistakes, entry, what, "22:00")?;
    let wall = WallTime::parse(text);
    if wall.is_none() {
        let message = format!("{what} must be a time of day, \"00:00\" to \"24:00\", this is {}", quoted(text));
        mistakes.at(&entry.span(), message);
    }
    wall
}

/// The name of a time zone, as the IANA database has it.
fn time_zone(mistakes: &mut Mistakes, entry: &Value<'_>) -> Option<String> {
    let name = value::text(mistakes, entry, "`zone`", "Europe/Berlin")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/');
    if name.is_empty() || name.len() > ZONE_BYTES_MAX || !name.chars().all(fits) {
        let message = format!("`zone` must be the name of a time zone as in `Europe/Berlin`, this is {}", quoted(name));
        mistakes.at(&entry.span(), message);
        return None;
    }
    #[cfg(feature = "zones")]
    if zone(name).is_none() {
        let known: Vec<String> = jiff::tz::db().available().map(|known| known.as_str().to_owned()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let near = Some(super::mistake::instead(name, &known)).filter(|remedy| remedy.starts_with("did"));
        let remedy = near.unwrap_or_else(|| "names are as in `Europe/Berlin`".to_owned());
        mistakes.at(&entry.span(), format!("there is no time zone {}; {remedy}", quoted(name)));
        return None;
    }
    Some(name.to_owned())
}

/// Looks a time zone up by its name in the IANA database, as far as this release has it.
#[cfg(feature = "zones")]
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}
