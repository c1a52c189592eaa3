//! What belongs to a tenant is found by its name: the names that `infra/tenant.yaml` gives, and those made here.

use std::collections::BTreeMap;

use anomaly_core::{DeviceName, TenantName};

/// The attribute of a thing that says whose it is.
pub const OWNER: &str = "tenant";
/// Longest name of a tenant, in bytes, as the template allows.
pub const TENANT_BYTES_MAX: usize = 14;
/// Longest name of a thing, in bytes (AWS `IoT` API Reference, `CreateThing`).
pub const THING_BYTES_MAX: usize = 128;
/// The port of MQTT over TLS with certificates.
pub const BROKER_PORT: u16 = 8883;

/// A tenant of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The environment.
    pub environment: String,
    /// The name, as topics and keys have it.
    pub name: String,
}

/// Why something cannot have this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(String);

impl Tenant {
    /// Takes a name.
    ///
    /// # Errors
    /// It is not 1 to 14 of a-z, 0-9 and -, the first not a dash.
    pub fn new(environment: &str, name: &str) -> Result<Self, BadName> {
        let is_plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !is_plain || name.is_empty() || name.len() > TENANT_BYTES_MAX || name.starts_with('-') {
            return Err(BadName(format!(
                "a tenant's name must be 1 to {TENANT_BYTES_MAX} of a-z, 0-9 and -, the first not a dash, got `{}`",
                name.escape_debug()
            )));
        }
        TenantName::new(name).map_err(|error| BadName(error.to_string()))?;
        Ok(Self { environment: environment.to_owned(), name: name.to_owned() })
    }

    /// The policy of its devices' certificates.
    #[must_use]
    pub fn device_policy(&self) -> String {
        format!("millrace-{}-{}-device", self.environment, self.name)
    }

    /// The device that [`crate::verify`] speaks as.
    #[must_use]
    pub fn verify_device(&self) -> String {
        format!("{}-verify", self.name)
    }

    /// Where a device publishes.
    #[must_use]
    pub fn telemetry_topic(&self, device: &str) -> String {
        format!("tenants/{}/devices/{device}/telemetry", self.name)
    }

    /// Where a device listens.
    #[must_use]
    pub fn commands_topic(&self, device: &str) -> String {
        format!("tenants/{}/devices/{device}/commands", self.name)
    }

    /// On which all of its devices hear which Region to send to.
    #[must_use]
    pub fn region_topic(&self) -> String {
        format!("tenants/{}/region", self.name)
    }

    /// Its profile in the lake.
    #[must_use]
    pub fn profile_key(&self) -> String {
        format!("config/{}/profile.toml", self.name)
    }

    /// Its onboarding record in the lake.
    #[must_use]
    pub fn record_key(&self) -> String {
        format!("config/{}/onboarding.json", self.name)
    }

    /// Attributes of its things: three, as many as a thing without a type may have (AWS `IoT` Developer Guide, "How to manage
    /// things with the registry").
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let pairs = [(OWNER, self.name.as_str()), ("env", self.environment.as_str()), ("project", "millrace")];
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }
}

/// Checks the name of a device, which is its thing's, its client id, and a level of its topics.
///
/// # Errors
/// Says what it must be.
pub fn device_name(name: &str) -> Result<(), BadName> {
    DeviceName::new(name).map_err(|error| BadName(error.to_string()))?;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-'));
    if !is_plain || name.len() > THING_BYTES_MAX {
        return Err(BadName(format!(
            "a device's name is also its thing's and must be 1 to {THING_BYTES_MAX} of a-z, A-Z, 0-9, `:`, `_` and `-`, got `{}`",
            name.escape_debug()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_aws_or_the_template_would_refuse_is_refused_here() {
        for name in ["acme", "a", "0-plant", "abcdefghijklmn"] {
            assert!(Tenant::new("dev", name).is_ok(), "{name}");
        }
        for name in ["", "-a", "Acme", "abcdefghijklmno", "a_b", "a/b", "a#"] {
            assert!(Tenant::new("dev", name).is_err(), "{name}");
        }
        assert!(device_name("press:7_a-b").is_ok());
        for name in ["", "a.b", "a/b", "a+b", "#", "é"] {
            assert!(device_name(name).is_err(), "{name}");
        }
    }
}
