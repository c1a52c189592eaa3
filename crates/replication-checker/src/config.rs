//! The function's settings, read once, every mistake reported at once.

use std::collections::BTreeSet;
use std::time::Duration;

use function::settings::{Settings, SettingsError};

use crate::check::{Kind, words};
use crate::ground::Names;
use crate::limits::Limits;

/// Everything the checker is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `AWS_REGION`, which Lambda sets, or `MILLRACE_REGION`: this side. Required.
    pub region: String,
    /// `MILLRACE_PEER_REGION`: the other side. Required, and not this one.
    pub peer_region: String,
    /// `MILLRACE_PEER_ENDPOINT_URL`: where the other side's services are found, if not at AWS; default none. For emulators.
    pub peer_endpoint: Option<String>,
    /// `MILLRACE_BUCKET`: the lake of this side. Reports and the ledger are kept in it. Required.
    pub bucket: String,
    /// `MILLRACE_PEER_BUCKET`: the lake of the other side. Required.
    pub peer_bucket: String,
    /// `MILLRACE_RESULTS_TABLE`: a global table, of one name on both sides. Required.
    pub results_table: String,
    /// `MILLRACE_CHECKPOINTS_TABLE`: likewise. Required.
    pub checkpoints_table: String,
    /// `MILLRACE_STREAM`: the stream, of one name on both sides. Required.
    pub stream: String,
    /// `MILLRACE_ENVIRONMENT`: the environment, from which names follow, and the dimension of the metrics; default `dev`.
    /// `MILLRACE_TENANT`: the one tenant whose pipeline this is; default none.
    pub names: Names,
    /// `MILLRACE_LATE_SECONDS`: what is on its way for longer is late, 1 to 86400; default 300, the loss that operations accept.
    /// `MILLRACE_MISSING_SECONDS`: what is on its way for longer is missing, from that up to 86400; default 900, what S3 promises.
    /// `MILLRACE_WATCH_SECONDS`: how long a check waits for its canaries, 0 to 300; default 20. Longer ones measure lags that are
    /// longer, and cost the function's time.
    /// `MILLRACE_CHECK_AGE_SECONDS`: the other side's function is missing when it has not checked for so long, 60 to 604800;
    /// default 1200.
    pub limits: Limits,
    /// `MILLRACE_SKIP`: checks that are left out, separated by commas; default none. The report names them.
    pub kinds: BTreeSet<Kind>,
    /// `MILLRACE_PEER_CHECKS`: whether the other side has a function that checks; default `true`.
    pub has_peer: bool,
    /// `MILLRACE_S3_PATH_STYLE`: `true` puts the bucket into the path, as emulators want it. Default `false`.
    pub s3_path_style: bool,
}

impl Config {
    /// Reads the settings through `lookup`, which answers a variable's value.
    ///
    /// # Errors
    /// [`SettingsError`] with every mistake, not only the first.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut read = Settings::new(lookup);
        let own = if read.optional("MILLRACE_REGION").is_some() { "MILLRACE_REGION" } else { "AWS_REGION" };
        let region = read.required(own);
        let peer_region = read.required("MILLRACE_PEER_REGION");
        // Whether it could be one is said once, by who reads Regions.
        let is_other = |text: &str| (text != region).then_some(());
        read.parsed("MILLRACE_PEER_REGION", "another Region than this one", (), is_other);
        read.region("MILLRACE_PEER_REGION");
        let seconds = |count: u32| Duration::from_secs(u64::from(count));
        let late = read.number("MILLRACE_LATE_SECONDS", 1..=86_400, 300);
        let limits = Limits {
            late_after: seconds(late),
            missing_after: seconds(read.number("MILLRACE_MISSING_SECONDS", late..=86_400, late.max(900))),
            watch: seconds(read.number("MILLRACE_WATCH_SECONDS", 0..=300, 20)),
            check_age: seconds(read.number("MILLRACE_CHECK_AGE_SECONDS", 60..=604_800, 1_200)),
            ..Limits::default()
        };
        let environment = read.optional("MILLRACE_ENVIRONMENT").unwrap_or_else(|| "dev".to_owned());
        let config = Self {
            region,
            peer_region,
            peer_endpoint: read.optional("MILLRACE_PEER_ENDPOINT_URL"),
            bucket: read.required("MILLRACE_BUCKET"),
            peer_bucket: read.required("MILLRACE_PEER_BUCKET"),
            results_table: read.required("MILLRACE_RESULTS_TABLE"),
            checkpoints_table: read.required("MILLRACE_CHECKPOINTS_TABLE"),
            stream: read.required("MILLRACE_STREAM"),
            names: Names { environment, tenant: read.tenant("MILLRACE_TENANT") },
            limits,
            kinds: read.parsed(
                "MILLRACE_SKIP",
                &format!("some of {}, separated by commas", words()),
                Kind::ALL.into(),
                |text| kinds_without(text).ok(),
            ),
            has_peer: read.switch("MILLRACE_PEER_CHECKS", true),
            s3_path_style: read.switch("MILLRACE_S3_PATH_STYLE", false),
        };
        read.finish(config)
    }
}

/// All kinds but those that are named, separated by commas.
fn kinds_without(text: &str) -> Result<BTreeSet<Kind>, crate::check::UnknownKind> {
    let skipped: BTreeSet<Kind> = text.split(',').map(|word| word.trim().parse()).collect::<Result<_, _>>()?;
    Ok(Kind::ALL.into_iter().filter(|kind| !skipped.contains(kind)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 7] = [
        ("AWS_REGION", "eu-west-1"),
        ("MILLRACE_PEER_REGION", "eu-central-1"),
        ("MILLRACE_BUCKET", "lake-1"),
        ("MILLRACE_PEER_BUCKET", "lake-2"),
        ("MILLRACE_RESULTS_TABLE", "results"),
        ("MILLRACE_CHECKPOINTS_TABLE", "checkpoints"),
        ("MILLRACE_STREAM", "telemetry"),
    ];

    fn config(more: &[(&str, &str)]) -> Result<Config, SettingsError> {
        let set = [&ALL[..], more].concat();
        Config::from_lookup(|name| {
            set.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_required_suffices() {
        let config = config(&[]).unwrap();
        assert_eq!((config.limits, config.kinds.len(), config.has_peer), (Limits::default(), Kind::ALL.len(), true));
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let error = config(&[
            ("MILLRACE_PEER_REGION", "eu-west-1"),
            ("MILLRACE_PEER_BUCKET", ""),
            ("MILLRACE_LATE_SECONDS", "600"),
            ("MILLRACE_MISSING_SECONDS", "599"),
            ("MILLRACE_SKIP", "model,modle"),
        ])
        .unwrap_err();
        assert_eq!(error.0.len(), 4, "{error}");
        for part in [
            "MILLRACE_PEER_REGION must be another Region than this one, got `eu-west-1`",
            "MILLRACE_PEER_BUCKET is not set",
            "MILLRACE_MISSING_SECONDS must be 600 to 86400, got `599`",
            "got `model,modle`",
        ] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(Config::from_lookup(|_| None).unwrap_err().0.len(), ALL.len());
    }

    #[test]
    fn what_is_to_be_left_out_is_named() {
        let config = config(&[("MILLRACE_SKIP", "model, endpoint-config"), ("MILLRACE_LATE_SECONDS", "2000")]).unwrap();
        assert!(!config.kinds.contains(&Kind::Model) && config.kinds.len() == Kind::ALL.len() - 2);
        assert_eq!(config.limits.missing_after, Duration::from_secs(2_000), "never before it is late");
    }
}
