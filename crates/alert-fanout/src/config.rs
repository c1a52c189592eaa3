//! The function's settings, read once, every mistake reported at once.

use std::fmt;
use std::time::Duration;

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

/// Where the stores are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stores {
    /// The services.
    Aws {
        /// `MILLRACE_BUCKET`: the lake, with the profiles. Required.
        bucket: String,
        /// `MILLRACE_RESULTS_TABLE`: anomalies, states, incidents. Required.
        results_table: String,
        /// `MILLRACE_CHECKPOINTS_TABLE`: checkpoints. Required.
        checkpoints_table: String,
        /// `MILLRACE_S3_PATH_STYLE`: `true` puts the bucket into the path, as emulators want it. Default `false`.
        s3_path_style: bool,
    },
    /// One machine.
    Folder {
        /// `MILLRACE_DIR`: folder of the database and the lake, in builds that have the embedded stores.
        dir: String,
    },
}

/// Everything that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid configuration: {}", self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

/// Collects values and mistakes.
struct Reader<L> {
    lookup: L,
    mistakes: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.mistakes.push(format!("{name} is not set"));
            String::new()
        })
    }

    fn number(&mut self, name: &str, min: u32, max: u32, default: u32) -> u32 {
        let Some(text) = self.optional(name) else { return default };
        match text.parse() {
            Ok(number) if (min..=max).contains(&number) => number,
            _ => {
                self.mistakes.push(format!("{name} must be {min} to {max}, got `{}`", text.escape_debug()));
                default
            }
        }
    }

    fn switch(&mut self, name: &str, default: bool) -> bool {
        match self.optional(name).as_deref() {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(other) => {
                self.mistakes.push(format!("{name} must be `true` or `false`, got `{}`", other.escape_debug()));
                default
            }
        }
    }

    fn secrets(&mut self, default: SecretsPlace) -> SecretsPlace {
        match self.optional("MILLRACE_SECRETS").as_deref() {
            None => default,
            Some("aws") => SecretsPlace::Aws,
            Some("environment") => SecretsPlace::Environment,
            Some(other) => {
                if let Some(path) = other.strip_prefix("folder:").filter(|path| !path.is_empty()) {
                    return SecretsPlace::Folder(path.to_owned());
                }
                let got = other.escape_debug();
                let mistake = format!("MILLRACE_SECRETS must be `aws`, `environment` or `folder:PATH`, got `{got}`");
                self.mistakes.push(mistake);
                default
            }
        }
    }
}

impl Config {
    /// Reads the settings through `lookup`, which answers a variable's value.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake, not only the first.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader { lookup, mistakes: Vec::new() };
        let folder = if cfg!(feature = "embedded") { read.optional("MILLRACE_DIR") } else { None };
        let stores = match folder {
            Some(dir) => Stores::Folder { dir },
            None => Stores::Aws {
                bucket: read.required("MILLRACE_BUCKET"),
                results_table: read.required("MILLRACE_RESULTS_TABLE"),
                checkpoints_table: read.required("MILLRACE_CHECKPOINTS_TABLE"),
                s3_path_style: read.switch("MILLRACE_S3_PATH_STYLE", false),
            },
        };
        let on_aws = matches!(stores, Stores::Aws { .. });
        let region = read.optional("MILLRACE_REGION").or_else(|| read.optional("AWS_REGION"));
        let config = Self {
            environment: read.optional("MILLRACE_ENVIRONMENT").unwrap_or_else(|| "dev".to_owned()),
            region: region.unwrap_or_else(|| "local".to_owned()),
            kept_days: read.number("MILLRACE_KEPT_DAYS", 1, 3_650, 90),
            claim_seconds: read.number("MILLRACE_CLAIM_SECONDS", 1, 3_600, 120),
            link: read.optional("MILLRACE_LINK"),
            secrets: read.secrets(if on_aws { SecretsPlace::Aws } else { SecretsPlace::Environment }),
            allow_private: read.switch("MILLRACE_ALLOW_PRIVATE", !on_aws),
            stores,
        };
        if read.mistakes.is_empty() { Ok(config) } else { Err(ConfigError(read.mistakes)) }
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
            stores: Stores::Folder { dir: dir.to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(set: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let error = config(&[
            ("MILLRACE_BUCKET", "lake"),
            ("MILLRACE_KEPT_DAYS", "0"),
            ("MILLRACE_SECRETS", "folder:"),
            ("MILLRACE_ALLOW_PRIVATE", "yes"),
        ])
        .unwrap_err();
        assert_eq!(error.0.len(), 5, "{error}");
        assert!(error.to_string().contains("MILLRACE_KEPT_DAYS must be 1 to 3650, got `0`"), "{error}");
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
}
