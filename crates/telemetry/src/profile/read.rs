//! The tables of a profile, from the outermost in.

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::profile::{AssetType, Direction, MetricRule};
use anomaly_core::{DetectorId, Profile, Severity};
use toml::Spanned;
use toml::de::{DeString, DeTable};

use super::alerts;
use super::mistake::{Mistakes, instead, quoted};
use super::value::{self, Placed, Value};
use super::{ALIASES_MAX, ASSETS_MAX, ENTRIES_MAX};

const PROFILE_KEYS: [&str; 5] = ["sensitivity", "metrics", "assets", "alerts", "channels"];
const ASSET_KEYS: [&str; 2] = ["devices", "metrics"];
const METRIC_KEYS: [&str; 8] = ["unit", "low", "high", "direction", "sensitivity", "severity", "detectors", "aliases"];

const DIRECTIONS: [(&str, Direction); 3] =
    [("both", Direction::Both), ("rise", Direction::Rise), ("drop", Direction::Drop)];

pub(super) const SEVERITIES: [(&str, Severity); 3] = [
    (Severity::Info.as_str(), Severity::Info),
    (Severity::Warning.as_str(), Severity::Warning),
    (Severity::Critical.as_str(), Severity::Critical),
];

type Rules = BTreeMap<String, MetricRule>;

pub(super) fn unknown(mistakes: &mut Mistakes, key: &Spanned<DeString<'_>>, of: &str, known: &[&str]) {
    let found = key.get_ref();
    mistakes.at(&key.span(), format!("{} is not a setting of {of}; {}", quoted(found), instead(found, known)));
}

/// The whole profile. What is judged together with something else is read after it: asset types after the general rules,
/// routes after the channels.
pub(super) fn profile(table: &DeTable<'_>, mistakes: &mut Mistakes) -> Profile {
    let mut profile = Profile::default();
    let (mut asset_types, mut alerts, mut channels) = (None, None, None);
    for (key, entry) in table {
        match key.get_ref().as_ref() {
            "sensitivity" => profile.sensitivity = value::sensitivity(mistakes, entry),
            "metrics" => profile.metrics = metrics(mistakes, entry, &Rules::new()),
            "assets" => asset_types = Some(entry),
            "alerts" => alerts = Some(entry),
            "channels" => channels = Some(entry),
            _ => unknown(mistakes, key, "a profile", &PROFILE_KEYS),
        }
    }
    profile.alerts = alerts::alerts(mistakes, alerts, channels);
    profile.assets = asset_types.map(|entry| assets(mistakes, entry, &profile.metrics)).unwrap_or_default();
    profile
}

/// Asset types in the order of the file, because the first that covers a device applies.
fn assets(mistakes: &mut Mistakes, entry: &Value<'_>, general: &Rules) -> Vec<AssetType> {
    let Some(table) = value::table(mistakes, entry, "`assets`", "[assets.pump]") else { return Vec::new() };
    if table.len() > ASSETS_MAX {
        mistakes.at(&entry.span(), format!("there are {} asset types, the limit is {ASSETS_MAX}", table.len()));
        return Vec::new();
    }
    let mut assets: Vec<Placed<AssetType>> =
        table.iter().map(|(key, entry)| (asset(mistakes, key, entry, general), key.span())).collect();
    assets.sort_by_key(|(_, place)| place.start);
    assets.into_iter().map(|(asset, _)| asset).collect()
}

fn asset(mistakes: &mut Mistakes, key: &Spanned<DeString<'_>>, entry: &Value<'_>, general: &Rules) -> AssetType {
    let name = key.get_ref().as_ref();
    value::plain_name(mistakes, key, "an asset type");
    let mut asset = AssetType { name: name.to_owned(), ..AssetType::default() };
    let Some(table) = value::table(mistakes, entry, "an asset type", "[assets.pump]") else { return asset };
    let mut covers = false;
    for (key, entry) in table {
        match key.get_ref().as_ref() {
            "devices" => {
                let patterns = value::patterns(mistakes, entry);
                // A list of the wrong type, and a pattern that can match nothing, have been reported already.
                covers = patterns.is_none_or(|patterns| {
                    asset.devices = patterns;
                    entry.get_ref().as_array().is_none_or(|list| !list.is_empty())
                });
            }
            "metrics" => asset.metrics = metrics(mistakes, entry, general),
            _ => unknown(mistakes, key, "an asset type", &ASSET_KEYS),
        }
    }
    if !covers {
        let message = format!("asset type {} covers no device; add `devices = [\"…\"]` to it", quoted(name));
        mistakes.at(&key.span(), message);
    }
    asset
}

/// A table of metrics. `general` holds the rules that apply where one of these says nothing.
fn metrics(mistakes: &mut Mistakes, entry: &Value<'_>, general: &Rules) -> Rules {
    let Some(table) = value::table(mistakes, entry, "`metrics`", "[metrics.temperature]") else { return Rules::new() };
    if table.len() > ENTRIES_MAX {
        mistakes.at(&entry.span(), format!("there are {} metrics, the limit is {ENTRIES_MAX}", table.len()));
        return Rules::new();
    }
    let names: BTreeSet<&str> = table.keys().map(|key| key.get_ref().as_ref()).collect();
    let mut rules = Rules::new();
    let mut aliases: BTreeMap<String, String> = BTreeMap::new();
    for (key, entry) in table {
        let Some(name) = value::metric_name(mistakes, key.get_ref(), &key.span()) else { continue };
        let (rule, also) = rule(mistakes, entry, general.get(&name));
        for (alias, place) in also {
            let taken = names.contains(alias.as_str());
            let other = if taken { Some(alias.clone()) } else { aliases.insert(alias.clone(), name.clone()) };
            if let Some(other) = other {
                let message = format!("the alias {} already stands for metric {}", quoted(&alias), quoted(&other));
                mistakes.at(&place, format!("{message}; a name can mean one metric only"));
            }
        }
        rules.insert(name, rule);
    }
    rules
}

/// One metric, and its aliases with their places.
fn rule(mistakes: &mut Mistakes, entry: &Value<'_>, general: Option<&MetricRule>) -> (MetricRule, Vec<Placed<String>>) {
    let (mut rule, mut aliases, mut limit) = (MetricRule::default(), Vec::new(), None);
    let example = "[metrics.temperature]";
    let Some(table) = value::table(mistakes, entry, "a metric", example) else { return (rule, aliases) };
    for (key, entry) in table {
        match key.get_ref().as_ref() {
            "unit" => rule.unit = value::unit(mistakes, entry),
            "low" => {
                rule.low = value::number(mistakes, entry, "`low`");
                limit = Some(entry.span());
            }
            "high" => {
                rule.high = value::number(mistakes, entry, "`high`");
                limit = limit.or(Some(entry.span()));
            }
            "direction" => rule.direction = value::word(mistakes, entry, "`direction`", &DIRECTIONS),
            "sensitivity" => rule.sensitivity = value::sensitivity(mistakes, entry),
            "severity" => rule.severity = value::word(mistakes, entry, "`severity`", &SEVERITIES),
            "detectors" => rule.detectors = detectors(mistakes, entry),
            "aliases" => aliases = alias_names(mistakes, entry),
            _ => unknown(mistakes, key, "a metric", &METRIC_KEYS),
        }
    }
    rule.aliases = aliases.iter().map(|(alias, _)| alias.clone()).collect();
    let low = rule.low.or(general.and_then(|general| general.low));
    let high = rule.high.or(general.and_then(|general| general.high));
    if let (Some(low), Some(high), Some(place)) = (low, high, limit)
        && low >= high
    {
        let whose =
            if rule.low.is_some() && rule.high.is_some() { "" } else { ", one of them from the rule for every device" };
        mistakes.at(&place, format!("`low` must be below `high`; they are {low} and {high}{whose}"));
    }
    (rule, aliases)
}

fn detectors(mistakes: &mut Mistakes, entry: &Value<'_>) -> Option<Vec<DetectorId>> {
    let known = DetectorId::ALL.map(|detector| (detector.as_str(), detector));
    let list = value::list(mistakes, entry, ("`detectors`", r#"detectors = ["limit"]"#), ENTRIES_MAX)?;
    let mut detectors = Vec::new();
    for entry in list {
        let Some(detector) = value::word(mistakes, entry, "`detectors`", &known) else { continue };
        if detectors.contains(&detector) {
            mistakes.at(&entry.span(), format!("the detector `{}` is named twice; once is enough", detector.as_str()));
        }
        detectors.push(detector);
    }
    Some(detectors)
}

fn alias_names(mistakes: &mut Mistakes, entry: &Value<'_>) -> Vec<Placed<String>> {
    let list = value::list(mistakes, entry, ("`aliases`", r#"aliases = ["temp"]"#), ALIASES_MAX);
    let mut aliases = Vec::new();
    for entry in list.into_iter().flatten() {
        let place = entry.span();
        let name = value::text(mistakes, entry, "an alias", "temp");
        if let Some(alias) = name.and_then(|name| value::metric_name(mistakes, name, &place)) {
            aliases.push((alias, place));
        }
    }
    aliases
}
