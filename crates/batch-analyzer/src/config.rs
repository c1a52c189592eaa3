//! The function's settings, read once, every mistake reported at once.

use function::settings::{Settings, SettingsError};
use function::stores::Stores;

/// Everything the analyzer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `MILLRACE_TTL_DAYS`: how long anomalies and witnesses stay in the table, 1 to 3650. Default 90.
    pub ttl_days: u32,
    /// Where jobs and findings are.
    pub stores: Stores,
}

impl Config {
    /// Reads the settings through `lookup`, which answers a variable's value.
    ///
    /// # Errors
    /// [`SettingsError`] with every mistake, not only the first.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut read = Settings::new(lookup);
        let stores = Stores::read(&mut read, cfg!(feature = "embedded"));
        let config = Self { ttl_days: read.number("MILLRACE_TTL_DAYS", 1..=3_650, 90), stores };
        read.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_reported_at_once() {
        let set = [("MILLRACE_BUCKET", "lake"), ("MILLRACE_TTL_DAYS", "0")];
        let lookup = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let SettingsError(mistakes) = Config::from_lookup(lookup).unwrap_err();
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    }
}
