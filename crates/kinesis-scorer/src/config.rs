//! Settings of the scorer, from one lookup function, every mistake reported at once.

use function::settings::{Settings, SettingsError};
use function::stores::Stores;

use crate::opinion::OpinionSettings;

/// Where metrics go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsSink {
    /// As log lines in the embedded metric format: no call.
    Emf,
    /// With `PutMetricData`: one call a batch, for accounts that do not extract metrics from logs.
    CloudWatch,
}

/// Settings. Every field names the variable it comes from, its default, and who would change it.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `MILLRACE_ENVIRONMENT`: value of the metrics' dimension `Environment`. Default `dev`; set by the template.
    pub environment: String,
    /// `MILLRACE_TENANT`: the one tenant that this stream belongs to; a topic or payload naming another is quarantined.
    /// Default: none, the stream is shared and topics name the tenant.
    pub stream_tenant: Option<String>,
    /// `MILLRACE_DEFAULT_TENANT`: tenant of messages whose topic names none. Default `default`.
    pub default_tenant: String,
    /// `MILLRACE_METRICS`: `emf` or `cloudwatch`. Default `emf`.
    pub metrics: MetricsSink,
    /// `MILLRACE_TTL_DAYS`: how long anomalies and states stay in the table, 1 to 3650. Default 90.
    pub ttl_days: u32,
    /// `MILLRACE_PROFILE_REFRESH_SECONDS`: how often the tenants' profiles are looked at, 1 to 86400. Default 300; smaller
    /// values cost one call to S3 each.
    pub profile_refresh_seconds: u32,
    /// `MILLRACE_SNAPSHOT_SECONDS`: stream time between snapshots, 1 to 86400. Default 300; larger values make cold starts
    /// slower.
    pub snapshot_seconds: u32,
    /// `MILLRACE_RESERVE_MS`: with less than this left of the invocation, no further record is scored, 100 to 600000. The
    /// rest of the batch comes again. Default 10000.
    pub reserve_ms: u32,
    /// `MILLRACE_PEER_REGION`: the region that this one stands in for and that stands in for it. Its states are adopted when a
    /// stream is moved here, and every commit has the condition that the stream was not moved. Default: none, one region.
    pub peer_region: Option<String>,
    /// `MILLRACE_ADOPT_PATIENCE_SECONDS`: how long after a stream was moved here a piece of the other region's state that has
    /// not been replicated is waited for, 0 to 86400. Batches come again meanwhile; afterwards what is whole is adopted, and
    /// the log says what is not. Default 60.
    pub adopt_patience_seconds: u32,
    /// `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`: the function's memory setting in megabytes, 1 to 1048576. Lambda sets it; elsewhere
    /// the default of the template, 512. The estimate of what a batch costs is made with it, nothing else.
    pub memory_mb: u32,
    /// `MILLRACE_OPINION_ENDPOINT` and those beside it: the second model that is asked about readings between watch and alarm. Default: none.
    pub opinion: Option<OpinionSettings>,
    /// Where state is kept.
    pub stores: Stores,
}

/// The memory setting that the template gives the function, megabytes.
const MEMORY_MB: u32 = 512;

impl Config {
    /// Reads the settings through `lookup`, which answers a variable's value.
    ///
    /// # Errors
    /// [`SettingsError`] with every mistake, not only the first.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut read = Settings::new(lookup);
        let stores = Stores::read(&mut read, cfg!(feature = "embedded"));
        let sinks = [("emf", MetricsSink::Emf), ("cloudwatch", MetricsSink::CloudWatch)];
        let config = Self {
            environment: read.optional("MILLRACE_ENVIRONMENT").unwrap_or_else(|| "dev".to_owned()),
            stream_tenant: read.tenant("MILLRACE_TENANT"),
            default_tenant: read.tenant("MILLRACE_DEFAULT_TENANT").unwrap_or_else(|| "default".to_owned()),
            metrics: read.one_of("MILLRACE_METRICS", &sinks, MetricsSink::Emf),
            ttl_days: read.number("MILLRACE_TTL_DAYS", 1..=3_650, 90),
            profile_refresh_seconds: read.number("MILLRACE_PROFILE_REFRESH_SECONDS", 1..=86_400, 300),
            snapshot_seconds: read.number("MILLRACE_SNAPSHOT_SECONDS", 1..=86_400, 300),
            reserve_ms: read.number("MILLRACE_RESERVE_MS", 100..=600_000, 10_000),
            peer_region: read.region("MILLRACE_PEER_REGION"),
            adopt_patience_seconds: read.number("MILLRACE_ADOPT_PATIENCE_SECONDS", 0..=86_400, 60),
            memory_mb: read.number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 1..=1_048_576, MEMORY_MB),
            opinion: opinion(&mut read, &stores),
            stores,
        };
        read.finish(config)
    }

    /// The defaults, for one machine.
    #[must_use]
    pub fn local(dir: &str) -> Self {
        Self {
            environment: "local".to_owned(),
            stream_tenant: None,
            default_tenant: "default".to_owned(),
            metrics: MetricsSink::Emf,
            ttl_days: 90,
            profile_refresh_seconds: 300,
            snapshot_seconds: 300,
            reserve_ms: 10_000,
            peer_region: None,
            adopt_patience_seconds: 60,
            memory_mb: MEMORY_MB,
            opinion: None,
            stores: Stores::Folder { dir: dir.to_owned() },
        }
    }
}

/// What is said of a second model. Its other settings are checked also where none is named.
fn opinion<L: Fn(&str) -> Option<String>>(read: &mut Settings<L>, stores: &Stores) -> Option<OpinionSettings> {
    let is_endpoint = |name: &str| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&name.len()) && name.bytes().all(is_known) && !name.starts_with('-') && !name.ends_with('-')
    };
    let on_aws = matches!(stores, Stores::Aws { .. });
    let expected = if on_aws {
        "the name of an endpoint: 1 to 63 letters, digits and dashes"
    } else {
        "empty where MILLRACE_DIR is set: an endpoint is of AWS"
    };
    let endpoint = read.parsed("MILLRACE_OPINION_ENDPOINT", expected, None, |name| {
        (on_aws && is_endpoint(name)).then(|| Some(name.to_owned()))
    });
    let defaults = OpinionSettings::new("");
    let budget_ms = read.number("MILLRACE_OPINION_BUDGET_MS", 50..=5_000, defaults.budget_ms);
    let rows = read.number("MILLRACE_OPINION_ROWS", 1..=5_000, defaults.rows);
    let watch = read.parsed("MILLRACE_OPINION_WATCH", "0.05 to 0.99", defaults.watch, |text| {
        text.parse().ok().filter(|watch| (0.05..=0.99).contains(watch))
    });
    let line = read.parsed("MILLRACE_OPINION_LINE", "a number above 0", defaults.line, |text| {
        text.parse().ok().filter(|line: &f64| *line > 0.0 && line.is_finite())
    });
    Some(OpinionSettings { endpoint: endpoint?, budget_ms, rows, watch, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, SettingsError> {
        Config::from_lookup(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const REQUIRED: [(&str, &str); 3] =
        [("MILLRACE_BUCKET", "lake"), ("MILLRACE_RESULTS_TABLE", "r"), ("MILLRACE_CHECKPOINTS_TABLE", "c")];

    #[test]
    fn the_required_settings_are_enough() {
        let config = read(&REQUIRED).unwrap();
        assert_eq!(config.ttl_days, 90);
        assert_eq!(config.environment, "dev");
        assert_eq!(config.memory_mb, 512);
        assert!(matches!(config.stores, Stores::Aws { s3_path_style: false, .. }));
    }

    #[test]
    fn nobody_is_asked_unless_an_endpoint_is_named() {
        assert_eq!(read(&[&REQUIRED[..], &[("MILLRACE_OPINION_ROWS", "7")]].concat()).unwrap().opinion, None);
        let named = [("MILLRACE_OPINION_ENDPOINT", "pumps-7"), ("MILLRACE_OPINION_WATCH", ".5")];
        let config = read(&[&REQUIRED[..], &named].concat()).unwrap();
        assert_eq!(config.opinion, Some(OpinionSettings { watch: 0.5, ..OpinionSettings::new("pumps-7") }));
    }

    #[test]
    fn the_memory_is_what_lambda_says() {
        let said = [("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")];
        assert_eq!(read(&[&REQUIRED[..], &said].concat()).unwrap().memory_mb, 1_769);
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_limit_and_value() {
        let error = read(&[
            ("MILLRACE_TTL_DAYS", "0"),
            ("MILLRACE_METRICS", "statsd"),
            ("MILLRACE_TENANT", "a/b"),
            ("MILLRACE_BUCKET", ""),
            ("MILLRACE_PEER_REGION", "eu west"),
            ("MILLRACE_OPINION_ENDPOINT", "pumps_7"),
            ("MILLRACE_OPINION_BUDGET_MS", "6000"),
            ("MILLRACE_OPINION_ROWS", "0"),
            ("MILLRACE_OPINION_WATCH", "NaN"),
            ("MILLRACE_OPINION_LINE", "0"),
        ])
        .unwrap_err()
        .to_string();
        for part in [
            "MILLRACE_BUCKET is not set",
            "MILLRACE_RESULTS_TABLE is not set",
            "MILLRACE_CHECKPOINTS_TABLE is not set",
            "MILLRACE_TTL_DAYS must be 1 to 3650, got `0`",
            "MILLRACE_METRICS must be `emf` or `cloudwatch`, got `statsd`",
            "MILLRACE_TENANT: tenant name `a/b`",
            "MILLRACE_PEER_REGION must be a region like `eu-west-1`, got `eu west`",
            "MILLRACE_OPINION_ENDPOINT must be the name of an endpoint: 1 to 63 letters, digits and dashes, got `pumps_7`",
            "MILLRACE_OPINION_BUDGET_MS must be 50 to 5000, got `6000`",
            "MILLRACE_OPINION_ROWS must be 1 to 5000, got `0`",
            "MILLRACE_OPINION_WATCH must be 0.05 to 0.99, got `NaN`",
            "MILLRACE_OPINION_LINE must be a number above 0, got `0`",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
}
