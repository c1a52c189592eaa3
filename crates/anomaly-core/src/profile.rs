//! What a tenant says of its machines: limits, the direction that matters, sensitivity, severity, aliases.
//!
//! This is the checked model. The text form, `profile.toml`, is read by the `telemetry` crate, which reports every mistake
//! with its line. An empty profile is complete: the defaults below apply.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{AlertSettings, DetectorId, DeviceName, MetricName, Severity, TenantName};

/// Which way a departure has to go to matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Up and down.
    #[default]
    Both,
    /// Only values above what is expected.
    Rise,
    /// Only values below what is expected.
    Drop,
}

impl Direction {
    /// Whether a departure of this sign matters.
    #[must_use]
    pub fn covers(self, departure: f64) -> bool {
        match self {
            Self::Both => true,
            Self::Rise => departure > 0.0,
            Self::Drop => departure < 0.0,
        }
    }
}

/// What the profile says of one metric; everything left out falls back to the default of that metric's name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricRule {
    /// Unit for people, for example `°C`.
    pub unit: Option<String>,
    /// Lowest value that is allowed.
    pub low: Option<f64>,
    /// Highest value that is allowed.
    pub high: Option<f64>,
    /// Which departures matter to the statistical detectors.
    pub direction: Option<Direction>,
    /// Expected false alerts a device and week, 0.001 to 100; more finds smaller faults sooner.
    pub sensitivity: Option<f64>,
    /// Severity of an anomaly in this metric.
    pub severity: Option<Severity>,
    /// Detectors to run; all of them when absent.
    pub detectors: Option<Vec<DetectorId>>,
    /// Other names under which devices send this metric.
    pub aliases: Vec<String>,
}

/// A type of machine: the devices it covers and what differs for them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AssetType {
    /// Name, for example `pump`.
    pub name: String,
    /// Patterns of device names; `*` stands for any run of characters.
    pub devices: Vec<String>,
    /// Rules that win over those for every device.
    pub metrics: BTreeMap<String, MetricRule>,
}

impl AssetType {
    /// Whether one of the patterns matches the device.
    #[must_use]
    pub fn covers(&self, device: DeviceName<'_>) -> bool {
        self.devices.iter().any(|pattern| matches_pattern(pattern, device.as_str()))
    }
}

/// `*` matches any run of characters, everything else itself. Linear in the text for each `*`.
#[must_use]
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last: Option<&str> = None;
    for part in parts {
        if let Some(middle) = last.replace(part)
            && !middle.is_empty()
        {
            match rest.find(middle) {
                Some(at) => rest = &rest[at + middle.len()..],
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

/// Everything one tenant has set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// Rules for every device, by metric name.
    pub metrics: BTreeMap<String, MetricRule>,
    /// Types of machine; the first that covers a device applies.
    pub assets: Vec<AssetType>,
    /// Expected false alerts a device and week where a metric does not say.
    pub sensitivity: Option<f64>,
    /// When incidents open and close, and who is told.
    pub alerts: AlertSettings,
}

impl Profile {
    /// The name under which a metric is known: itself, or the one that lists it as an alias (the profile's first, then
    /// the built-in `temp`, `press` and `vib`).
    #[must_use]
    pub fn canonical<'a>(&'a self, device: DeviceName<'_>, metric: MetricName<'a>) -> &'a str {
        let asked = metric.as_str();
        let asset = self.assets.iter().find(|asset| asset.covers(device));
        let listed = asset.into_iter().flat_map(|asset| asset.metrics.iter()).chain(self.metrics.iter());
        for (name, rule) in listed {
            if name == asked || rule.aliases.iter().any(|alias| alias == asked) {
                return name;
            }
        }
        match asked {
            "temp" => "temperature",
            "press" => "pressure",
            "vib" => "vibration",
            _ => asked,
        }
    }

    /// The settings in force for one metric of one device.
    #[must_use]
    pub fn settings(&self, device: DeviceName<'_>, canonical: &str) -> MetricSettings {
        let asset = self.assets.iter().find(|asset| asset.covers(device));
        let special = asset.and_then(|asset| asset.metrics.get(canonical));
        let general = self.metrics.get(canonical);
        let rules = || special.into_iter().chain(general);
        let builtin = Builtin::of(canonical);
        let (low, high) = (rules().find_map(|r| r.low), rules().find_map(|r| r.high));
        let chosen = low.is_some() || high.is_some();
        let mut settings = MetricSettings {
            unit: rules().find_map(|r| r.unit.as_deref()).or(builtin.unit).map(Arc::from),
            low: if chosen { low } else { builtin.low },
            high: if chosen { high } else { builtin.high },
            limits_are_default: !chosen,
            direction: rules().find_map(|r| r.direction).unwrap_or_default(),
            sensitivity: rules().find_map(|r| r.sensitivity).or(self.sensitivity).unwrap_or(SENSITIVITY_DEFAULT),
            severity: rules().find_map(|r| r.severity),
            detectors: u8::MAX,
        };
        if let Some(list) = rules().find_map(|r| r.detectors.as_deref()) {
            settings.detectors = list.iter().fold(0, |mask, detector| mask | detector.bit());
        }
        settings
    }
}

/// Expected false alerts a device and week when nobody says otherwise.
pub const SENSITIVITY_DEFAULT: f64 = 0.3;

/// What holds for metrics of well-known names (requirement B2).
struct Builtin {
    unit: Option<&'static str>,
    low: Option<f64>,
    high: Option<f64>,
}

impl Builtin {
    fn of(metric: &str) -> Self {
        match metric {
            "temperature" => Self { unit: Some("°C"), low: Some(10.0), high: Some(80.0) },
            "pressure" => Self { unit: Some("PSI"), low: Some(30.0), high: Some(150.0) },
            "vibration" => Self { unit: Some("mm/s"), low: None, high: Some(5.0) },
            _ => Self { unit: None, low: None, high: None },
        }
    }
}

/// What is in force for one metric of one device, resolved once and kept beside its detectors.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSettings {
    /// Unit for people.
    pub unit: Option<Arc<str>>,
    /// Lowest allowed value.
    pub low: Option<f64>,
    /// Highest allowed value.
    pub high: Option<f64>,
    /// The limits are built in, not chosen: they stand down for a metric that evidently is in another unit.
    pub limits_are_default: bool,
    /// Which departures matter to the statistical detectors.
    pub direction: Direction,
    /// Expected false alerts a device and week.
    pub sensitivity: f64,
    /// Severity, where the profile fixes it.
    pub severity: Option<Severity>,
    detectors: u8,
}

impl MetricSettings {
    /// Whether a detector is to run.
    #[must_use]
    pub fn runs(&self, detector: DetectorId) -> bool {
        self.detectors & detector.bit() != 0
    }
}

impl Default for MetricSettings {
    fn default() -> Self {
        Self {
            unit: None,
            low: None,
            high: None,
            limits_are_default: true,
            direction: Direction::Both,
            sensitivity: SENSITIVITY_DEFAULT,
            severity: None,
            detectors: u8::MAX,
        }
    }
}

/// The profiles of all tenants of a stream, under one fingerprint.
#[derive(Debug, Clone, Default)]
pub struct ProfileSet {
    fingerprint: u64,
    tenants: BTreeMap<String, Profile>,
    default: Profile,
}

impl ProfileSet {
    /// Collects profiles. `fingerprint` must differ whenever a profile differs (it is derived from the hash of the text);
    /// 0 is the empty set.
    #[must_use]
    pub fn new(fingerprint: u64, tenants: BTreeMap<String, Profile>) -> Self {
        Self { fingerprint, tenants, default: Profile::default() }
    }

    /// Changes whenever any profile changes.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The tenant's profile; one that was never set is the empty one.
    #[must_use]
    pub fn of(&self, tenant: TenantName<'_>) -> &Profile {
        self.tenants.get(tenant.as_str()).unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceName<'_> {
        DeviceName::new(name).unwrap()
    }

    #[test]
    fn an_empty_profile_has_the_limits_everybody_expects() {
        let profile = Profile::default();
        let of = |metric| profile.settings(device("d"), metric);
        assert_eq!((of("temperature").low, of("temperature").high), (Some(10.0), Some(80.0)));
        assert_eq!((of("pressure").low, of("pressure").high), (Some(30.0), Some(150.0)));
        assert_eq!((of("vibration").low, of("vibration").high), (None, Some(5.0)));
        assert_eq!((of("rpm").low, of("rpm").high), (None, None));
        assert!(of("temperature").limits_are_default);
    }

    #[test]
    fn a_machine_type_wins_over_the_general_rule_which_wins_over_the_default() {
        let mut profile = Profile::default();
        profile.metrics.insert("vibration".into(), MetricRule { high: Some(4.0), ..MetricRule::default() });
        profile.assets.push(AssetType {
            name: "press".into(),
            devices: vec!["press-*".into()],
            metrics: BTreeMap::from([("vibration".into(), MetricRule { high: Some(9.0), ..MetricRule::default() })]),
        });
        assert_eq!(profile.settings(device("press-1"), "vibration").high, Some(9.0));
        assert_eq!(profile.settings(device("pump-1"), "vibration").high, Some(4.0));
        assert!(!profile.settings(device("pump-1"), "vibration").limits_are_default);
    }

    #[test]
    fn setting_one_limit_drops_the_built_in_other() {
        let mut profile = Profile::default();
        profile.metrics.insert("temperature".into(), MetricRule { high: Some(200.0), ..MetricRule::default() });
        let settings = profile.settings(device("d"), "temperature");
        assert_eq!((settings.low, settings.high), (None, Some(200.0)));
    }

    #[test]
    fn aliases_lead_to_the_profile_s_name() {
        let mut profile = Profile::default();
        profile.metrics.insert("oil".into(), MetricRule { aliases: vec!["T_oil".into()], ..MetricRule::default() });
        let name = |text| MetricName::new(text).unwrap();
        assert_eq!(profile.canonical(device("d"), name("T_oil")), "oil");
        assert_eq!(profile.canonical(device("d"), name("temp")), "temperature");
        assert_eq!(profile.canonical(device("d"), name("rpm")), "rpm");
    }

    #[test]
    fn patterns_match_as_globs_do() {
        for (pattern, text, expected) in [
            ("pump-*", "pump-7", true),
            ("pump-*", "pum", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*-7", "pump-7", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), expected, "{pattern} {text}");
        }
    }
}
