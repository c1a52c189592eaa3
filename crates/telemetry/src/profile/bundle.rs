//! The profiles of all tenants as texts, under one fingerprint: what is stored, so that a replay scores with exactly the
//! profiles that were in force.

use std::collections::BTreeMap;

use anomaly_core::{NameError, ProfileSet, TenantName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ProfileErrors, parse_profile};

/// Version of the stored form.
const VERSION: u32 = 1;

/// Fingerprint of no profiles.
pub const EMPTY_FINGERPRINT: &str = "0000000000000000";

/// The texts, by tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileBundle {
    texts: BTreeMap<String, String>,
}

/// A bundle that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Other bytes.
    #[error("this is not a bundle of profiles ({0}); restore the object")]
    NotABundle(#[from] serde_json::Error),
    /// Written by another release.
    #[error(
        "the bundle of profiles has version {found}, this release reads version {VERSION}; run the release that wrote it"
    )]
    Version {
        /// In the bundle.
        found: u32,
    },
    /// A tenant that cannot exist.
    #[error("the bundle of profiles names a tenant that cannot be: {0}")]
    Tenant(#[from] NameError),
    /// A text that this release does not take.
    #[error("the profile of tenant `{tenant}` is not valid:\n{source}")]
    Profile {
        /// Whose.
        tenant: String,
        /// Every mistake in it.
        source: ProfileErrors,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    profiles: BTreeMap<String, String>,
}

impl ProfileBundle {
    /// Takes a tenant's profile in place of the one before. A bad one changes nothing.
    ///
    /// # Errors
    /// [`ProfileErrors`] with every mistake in the text, or with what is wrong with the tenant's name.
    pub fn replace(&mut self, tenant: &str, text: &str) -> Result<(), ProfileErrors> {
        TenantName::new(tenant).map_err(|error| ProfileErrors::one(error.to_string()))?;
        parse_profile(text)?;
        self.texts.insert(tenant.to_owned(), text.to_owned());
        Ok(())
    }

    /// Keeps the tenants for which `keep` holds; the others are back at the defaults.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.texts.retain(|tenant, _| keep(tenant));
    }

    /// The text of a tenant's profile.
    #[must_use]
    pub fn text(&self, tenant: &str) -> Option<&str> {
        self.texts.get(tenant).map(String::as_str)
    }

    /// The tenants that have a profile, in the order of their names.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// The first 64 bits of SHA-256 over every tenant and text, each after its length, as 16 hexadecimal digits;
    /// [`EMPTY_FINGERPRINT`] when there is none.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        if self.texts.is_empty() { EMPTY_FINGERPRINT.to_owned() } else { format!("{:016x}", self.digest()) }
    }

    fn digest(&self) -> u64 {
        if self.texts.is_empty() {
            return 0;
        }
        let mut hash = Sha256::new();
        for part in self.texts.iter().flat_map(|(tenant, text)| [tenant, text]) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(8).fold(0, |digest, byte| digest << 8 | u64::from(*byte))
    }

    /// The stored form. Equal bundles give equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored { version: VERSION, profiles: self.texts.clone() };
        // A map of texts always serialises.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads the stored form. The texts are looked at by [`Self::compile`].
    ///
    /// # Errors
    /// [`BundleError`] for other bytes, another version, or a tenant that cannot exist.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let stored: Stored = serde_json::from_slice(bytes)?;
        if stored.version != VERSION {
            return Err(BundleError::Version { found: stored.version });
        }
        for tenant in stored.profiles.keys() {
            TenantName::new(tenant)?;
        }
        Ok(Self { texts: stored.profiles })
    }

    /// The profiles, ready for the engine, under the fingerprint as a number.
    ///
    /// # Errors
    /// [`BundleError::Profile`] for the first tenant whose text this release does not take.
    pub fn compile(&self) -> Result<ProfileSet, BundleError> {
        let mut profiles = BTreeMap::new();
        for (tenant, text) in &self.texts {
            let profile =
                parse_profile(text).map_err(|source| BundleError::Profile { tenant: tenant.clone(), source })?;
            profiles.insert(tenant.clone(), profile);
        }
        Ok(ProfileSet::new(self.digest(), profiles))
    }
}
