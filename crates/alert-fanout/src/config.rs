//! The function's settings, read once, every mistake reported at once.

use std::time::Duration;

use function::settings::{Settings, SettingsError};
use function::stores::Stores;

/// Everything the fan-out is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `MILLRACE_ENVIRONMENT`: the dimension of the metrics. Default `dev`.
    pub environment: String,
    /// `AWS_REGION`, or `MILLRACE_REGION` where it is not on AWS: which region this is when one of two has the say. Default
    /// `local`.
    pub region: String,
    /// `MILLRACE_KEPT_DAYS`: how long a closed incident is kept, 1 to 3650 days. Default 90, as anomalies are.
    pub kept_days: u32,
    /// `MILLRACE_CLAIM_SECONDS`: how long who has claimed a message has it alone, 1 to 3600 seconds. It must be longer than
    /// an invocation may last, or two send the same. What a lost process has claimed is sent that much later. Default 120.
    pub claim_seconds: u32,
    /// `MILLRACE_LINK`: an address that messages name to read on, `https://…`. Default none.
    pub link: Option<String>,
    /// `MILLRACE_SECRETS`: where the channels' keys are: `aws` (Secrets Manager), `environment` (`MILLRACE_SECRET_…`), or
    /// `folder:PATH`. Default `aws` with AWS stores, else `environment`.
    pub secrets: SecretsPlace,
    /// `MILLRACE_ALLOW_PRIVATE`: `true` lets channels reach private addresses and this machine, where the profile asks for
    /// it (`allow_private`). Whoever writes a profile could otherwise send from inside the network of the function. Default
    /// `false` with AWS stores, else `true`.
    pub allow_private: bool,
    /// `MILLRACE_STREAM`: the stream whose quiet shards get a pulse, so that a plant that is cut off is found silent. Default
    /// none: no pulses.
    pub stream: Option<String>,
    /// `MILLRACE_PULSE_SECONDS`: how long a shard is quiet when it gets a pulse, 60 to 86400. Smaller values tell a silence
    /// sooner and cost a short invocation of the scorer each. Default 300.
    pub pulse_seconds: u32,
    /// `MILLRACE_PEER_REGION`: the other Region of a pair. It is asked who has the say before people are told.
    /// Default none.
    pub peer: Option<String>,
    /// `MILLRACE_PEER_ENDPOINT_URL`: where that Region's services are found, if not at AWS; default none. For emulators.
    pub peer_endpoint: Option<String>,
    /// Where incidents and the lake are.
    pub stores: Stores,
}

/// Where the channels' keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretsPlace {
    /// Secrets Manager.
    Aws,
    /// Variables.
    Environment,
    /// Files.
    Folder(String),
}

impl SecretsPlace {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "aws" => Some(Self::Aws),
            "environment" => Some(Self::Environment),
            other => {
                let path = other.strip_prefix("folder:").filter(|path| !path.is_empty())?;
                Some(Self::Folder(path.to_owned()))
            }
        }
    }
}

impl Config {
    /// Reads the settings through `lookup`, which answers a variable's value.
    ///
    /// # Errors
    /// [`SettingsError`] with every mistake, not only the first.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut read = Settings::new(lookup);
        let stores = Stores::read(&mut read, cfg!(feature = "embedded"));
        let on_aws = matches!(stores, Stores::Aws { .. });
        let region = read.optional("MILLRACE_REGION").or_else(|| read.optional("AWS_REGION"));
        let region = region.unwrap_or_else(|| "local".to_owned());
        let is_other = |text: &str| (text != region).then_some(());
        read.parsed("MILLRACE_PEER_REGION", "another Region than this one", (), is_other);
        let config = Self {
            environment: read.optional("MILLRACE_ENVIRONMENT").unwrap_or_else(|| "dev".to_owned()),
            region,
            kept_days: read.number("MILLRACE_KEPT_DAYS", 1..=3_650, 90),
            claim_seconds: read.number("MILLRACE_CLAIM_SECONDS", 1..=3_600, 120),
            link: read.optional("MILLRACE_LINK"),
            secrets: read.parsed(
                "MILLRACE_SECRETS",
                "`aws`, `environment` or `folder:PATH`",
                if on_aws { SecretsPlace::Aws } else { SecretsPlace::Environment },
                SecretsPlace::parse,
            ),
            allow_private: read.switch("MILLRACE_ALLOW_PRIVATE", !on_aws),
            stream: read.optional("MILLRACE_STREAM"),
            pulse_seconds: read.number("MILLRACE_PULSE_SECONDS", 60..=86_400, 300),
            peer: read.region("MILLRACE_PEER_REGION"),
            peer_endpoint: read.optional("MILLRACE_PEER_ENDPOINT_URL"),
            stores,
        };
        read.finish(config)
    }

    /// How long a claim holds.
    pub(crate) fn claim(&self) -> Duration {
        Duration::from_secs(u64::from(self.claim_seconds))
    }

    /// The defaults, for one machine.
    #[must_use]
    pub fn local(dir: &str) -> Self {
        Self {
            environment: "local".to_owned(),
            region: "local".to_owned(),
            kept_days: 90,
            claim_seconds: 120,
            link: None,
            secrets: SecretsPlace::Environment,
            allow_private: true,
            stream: None,
            pulse_seconds: 300,
            peer: None,
            peer_endpoint: None,
            stores: Stores::Folder { dir: dir.to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(set: &[(&str, &str)]) -> Result<Config, SettingsError> {
        Config::from_lookup(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let error = config(&[
            ("MILLRACE_BUCKET", "lake"),
            ("MILLRACE_KEPT_DAYS", "0"),
            ("MILLRACE_SECRETS", "folder:"),
            ("MILLRACE_ALLOW_PRIVATE", "yes"),
            ("MILLRACE_PEER_REGION", "Ireland"),
        ])
        .unwrap_err();
        assert_eq!(error.0.len(), 6, "{error}");
        for part in [
            "MILLRACE_KEPT_DAYS must be 1 to 3650, got `0`",
            "MILLRACE_SECRETS must be `aws`, `environment` or `folder:PATH`, got `folder:`",
            "MILLRACE_ALLOW_PRIVATE must be `true` or `false`, got `yes`",
            "MILLRACE_PEER_REGION must be a region like `eu-west-1`, got `Ireland`",
        ] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn on_aws_nothing_private_is_reached_unless_it_is_allowed() {
        let stores = [
            ("MILLRACE_BUCKET", "lake"),
            ("MILLRACE_RESULTS_TABLE", "results"),
            ("MILLRACE_CHECKPOINTS_TABLE", "checkpoints"),
            ("AWS_REGION", "eu-west-1"),
        ];
        let config = config(&stores).unwrap();
        assert_eq!(
            (config.allow_private, config.secrets, config.region.as_str()),
            (false, SecretsPlace::Aws, "eu-west-1")
        );
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn beside_a_folder_keys_are_variables_and_this_machine_may_be_reached() {
        let config = config(&[("MILLRACE_DIR", "here"), ("MILLRACE_SECRETS", "")]).unwrap();
        assert_eq!(config.stores, Stores::Folder { dir: "here".to_owned() });
        assert_eq!((config.secrets, config.allow_private), (SecretsPlace::Environment, true));
    }
}
