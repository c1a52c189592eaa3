//! What a tenant has now, and where that is written down.

use std::path::Path;

use crate::folder::{FileError, read, write_open};
use crate::issue::held;
use crate::lake::Lake;
use crate::names::Tenant;
use crate::profile::default_profile;
use crate::record::{CertificateLine, DeviceLine, Facts, Record, RecordError};
use crate::registry::Registry;
use crate::revoke::devices;
use crate::verify::Validation;
use account::Trouble;

/// Why a tenant's record is not read or written.
#[derive(Debug, thiserror::Error)]
pub enum OnboardError {
    /// AWS refused.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is there is no record.
    #[error("`{0}` in the lake: {1}")]
    Record(String, #[source] RecordError),
    /// Another profile is there.
    #[error(
        "`{key}` is in the lake already and differs from {file}: nothing was overwritten. Compare them \
         (`aws s3 cp s3://{bucket}/{key} -`), then put the right one there yourself, or leave --tenant-profile out"
    )]
    OtherProfile {
        /// The object.
        key: String,
        /// The bucket.
        bucket: String,
        /// The file.
        file: String,
    },
}

/// What became of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileDone {
    /// It was put there.
    Written,
    /// One was there, which stays.
    Kept,
}

/// Puts the tenant's profile into the lake unless one is there. `given`: the name of a file and its text.
///
/// # Errors
/// AWS refused, or another one than the one given is there.
pub async fn put_profile(
    lake: &impl Lake,
    tenant: &Tenant,
    facts: &Facts,
    given: Option<(&str, &str)>,
) -> Result<ProfileDone, OnboardError> {
    let key = tenant.profile_key();
    let text = given.map_or_else(|| default_profile(&tenant.name, &facts.people_topic), |(_, text)| text.to_owned());
    if lake.put_if_absent(&facts.lake, &key, text.into_bytes()).await? {
        return Ok(ProfileDone::Written);
    }
    if let Some((file, text)) = given
        && lake.get(&facts.lake, &key).await?.as_deref() != Some(text.as_bytes())
    {
        return Err(OnboardError::OtherProfile { key, bucket: facts.lake.clone(), file: file.to_owned() });
    }
    Ok(ProfileDone::Kept)
}

/// What there is now.
///
/// # Errors
/// AWS refuses.
pub async fn gather(registry: &impl Registry, tenant: &Tenant, facts: &Facts) -> Result<Record, Trouble> {
    let endpoint = registry.endpoint().await?;
    let mut lines = Vec::new();
    for name in devices(registry, tenant).await? {
        let Some(thing) = registry.thing(&name).await? else { continue };
        let certificates = held(registry, &name).await?.iter().map(CertificateLine::of).collect();
        lines.push(DeviceLine { name, thing: thing.arn, certificates });
    }
    Ok(Record::of(tenant, facts, &endpoint, lines))
}

/// The record in the lake, or `None`.
///
/// # Errors
/// AWS refuses, or it cannot be read.
pub async fn recorded(lake: &impl Lake, tenant: &Tenant, bucket: &str) -> Result<Option<Record>, OnboardError> {
    let key = tenant.record_key();
    let Some(bytes) = lake.get(bucket, &key).await? else { return Ok(None) };
    Record::read(&bytes).map(Some).map_err(|error| OnboardError::Record(key, error))
}

/// Writes what there is into the lake and, where `certificates` is a folder of this tenant's files, beside them. Where it says
/// what is there already, nothing is written. `validation`: a new one; without, the last one stays.
///
/// # Errors
/// AWS refuses, or a file cannot be written.
pub async fn write_down(
    services: &(impl Registry + Lake),
    tenant: &Tenant,
    facts: &Facts,
    certificates: &Path,
    validation: Option<Validation>,
) -> Result<Record, OnboardError> {
    let mut now = gather(services, tenant, facts).await?;
    let before = services.get(&facts.lake, &tenant.record_key()).await?;
    let earlier = before.as_deref().and_then(|bytes| Record::read(bytes).ok());
    now.validation = validation.or_else(|| earlier.and_then(|record| record.validation));
    let json = now.json();
    if before.as_deref() != Some(json.as_bytes()) {
        services.put(&facts.lake, &tenant.record_key(), json.clone().into_bytes()).await?;
    }
    let dir = certificates.join(&tenant.name);
    if dir.is_dir() {
        for (name, text) in [("onboarding.json", json), ("onboarding.md", now.markdown())] {
            let path = dir.join(name);
            if read(&path)?.as_ref() != Some(&text) {
                write_open(&path, &text)?;
            }
        }
    }
    Ok(now)
}
