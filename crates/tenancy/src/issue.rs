//! A certificate for a key that lies here: asked for, written down, attached, and switched on last.
//!
//! Every step looks whether it was done before, so that a run that was cut off anywhere is finished by the next. The key is
//! written before anybody is asked, and a certificate has the key's public half in it: one whose answer got lost is found
//! again by that, and not left behind.

use crate::folder::{FileError, Files};
use crate::keys::{KeyError, PrivateKey, certificate_id};
use crate::names::{OWNER, Tenant};
use crate::registry::{Certificate, Registry, Status, Thing};
use account::Trouble;

/// Certificates that are not active among which a lost one is looked for: the newest of the account.
const INACTIVE_LOOKED_AT_MAX: usize = 500;

/// Why a device's certificate is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// AWS refused.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// A file is not there, or not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// No key pair.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The thing is another's.
    #[error(
        "the thing `{thing}` {owner}: names of things are unique in the account and Region; choose another name, or give \
         that thing the attributes tenant={tenant}, env={environment} if it is meant"
    )]
    NotOurs {
        /// The thing.
        thing: String,
        /// Whose it is, in words.
        owner: String,
        /// The tenant that asked.
        tenant: String,
        /// Its environment.
        environment: String,
    },
    /// There is no such thing.
    #[error("tenant `{tenant}` has no device `{device}`: `millrace tenant show {tenant}` lists them, `add` makes one")]
    NoDevice {
        /// The tenant.
        tenant: String,
        /// The device.
        device: String,
    },
    /// Somebody switched the certificate off.
    #[error(
        "the certificate {id} of `{device}` was switched off, and not by an interrupted run: switch it on again in the IoT \
         console, or take it away with `millrace tenant revoke {tenant} --device {device} --certificate {id}`"
    )]
    SwitchedOff {
        /// The device.
        device: String,
        /// The certificate.
        id: String,
        /// The tenant.
        tenant: String,
    },
    /// It is asked for something that has a condition.
    #[error("`{device}`: {why}")]
    NotNow {
        /// The device.
        device: String,
        /// What is missing, and what to do.
        why: String,
    },
}

/// A device and its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: Certificate,
    /// What became of it.
    pub done: Done,
    /// Ids of certificates that an interrupted run had left, and that are deleted.
    pub cleared: Vec<String>,
}

/// What became of a device's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It is as it was.
    Unchanged,
    /// It is new.
    Made,
    /// An earlier run is finished.
    Finished,
    /// It has one whose key is not here.
    Elsewhere,
}

/// The tenant's thing of this name.
///
/// # Errors
/// It is another's, or AWS refused.
pub async fn own_thing(registry: &impl Registry, tenant: &Tenant, device: &str) -> Result<Option<Thing>, DeviceError> {
    let Some(thing) = registry.thing(device).await? else { return Ok(None) };
    let own = |key: &str| thing.attributes.get(key).map(String::as_str);
    let is_ours = own(OWNER) == Some(&tenant.name) && own("env") == Some(&tenant.environment);
    if is_ours {
        return Ok(Some(thing));
    }
    let owner = match (own(OWNER), own("env")) {
        (Some(other), Some(env)) => format!("belongs to tenant `{other}` of the environment `{env}`"),
        (Some(other), None) => format!("belongs to tenant `{other}`"),
        _ => "is there already and belongs to no tenant".to_owned(),
    };
    let (tenant, environment) = (tenant.name.clone(), tenant.environment.clone());
    Err(DeviceError::NotOurs { thing: device.to_owned(), owner, tenant, environment })
}

/// The certificates that are attached to a thing.
///
/// # Errors
/// AWS refused.
pub async fn held(registry: &impl Registry, thing: &str) -> Result<Vec<Certificate>, Trouble> {
    let mut held = Vec::new();
    for id in registry.principals(thing).await? {
        held.extend(registry.certificate(&id).await?);
    }
    Ok(held)
}

/// Brings a device on: its thing, and a certificate that lets it in, with both halves of the key here.
///
/// # Errors
/// See [`DeviceError`]. The same call goes on from there.
pub async fn bring_on(
    registry: &impl Registry,
    tenant: &Tenant,
    device: &str,
    files: &Files,
) -> Result<Issued, DeviceError> {
    if own_thing(registry, tenant, device).await?.is_none() {
        registry.make_thing(device, &tenant.attributes()).await?;
    }
    let held = held(registry, device).await?;
    issue(registry, tenant, device, files, &held, Slot::First).await
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The device has none.
    First,
    /// It has one, beside which this is valid.
    Next,
}

/// Has the key in these files certified, or finds that it is.
pub(crate) async fn issue(
    registry: &impl Registry,
    tenant: &Tenant,
    device: &str,
    files: &Files,
    held: &[Certificate],
    slot: Slot,
) -> Result<Issued, DeviceError> {
    let mut cleared = Vec::new();
    let found = match files.key()? {
        Some(key) => match issued_before(registry, &key, files, held, &mut cleared).await? {
            Some(certificate) if certificate.status == Status::Revoked => {
                files.put_aside(&certificate.id)?;
                None
            }
            Some(certificate) => Some((key, Some(certificate))),
            None if files.certificate()?.is_some() => {
                // It was deleted: the key has served.
                let id = files.certificate()?.as_deref().and_then(certificate_id).unwrap_or_default();
                files.put_aside(&id)?;
                None
            }
            None => Some((key, None)),
        },
        None => None,
    };
    let (key, certificate) = if let Some(found) = found {
        found
    } else {
        if slot == Slot::First {
            if let Some(certificate) = held.iter().find(|certificate| certificate.status == Status::Active) {
                return Ok(Issued { certificate: certificate.clone(), done: Done::Elsewhere, cleared });
            }
            // Without their key they are good for nothing.
            for orphan in held.iter().filter(|certificate| certificate.status == Status::Inactive) {
                take_away(registry, device, orphan).await?;
                cleared.push(orphan.id.clone());
            }
        }
        (files.make_key()?, None)
    };
    let is_new = certificate.is_none();
    let mut certificate = if let Some(certificate) = certificate {
        certificate
    } else {
        files.mark()?;
        registry.sign(&key.request(device)?).await?
    };
    let was_unfinished = files.is_unfinished();
    if certificate.status != Status::Active && !was_unfinished {
        let (device, tenant) = (device.to_owned(), tenant.name.clone());
        return Err(DeviceError::SwitchedOff { device, id: certificate.id, tenant });
    }
    files.write_certificate(&certificate.pem)?;
    let policy = tenant.device_policy();
    let mut has_changed = false;
    if is_new || !registry.policies(&certificate.arn).await?.contains(&policy) {
        registry.attach_policy(&policy, &certificate.arn).await?;
        has_changed = true;
    }
    if !held.iter().any(|other| other.id == certificate.id) {
        registry.attach_thing(device, &certificate.arn).await?;
        has_changed = true;
    }
    if certificate.status != Status::Active {
        registry.set_status(&certificate.id, Status::Active).await?;
        certificate.status = Status::Active;
        has_changed = true;
    }
    if was_unfinished {
        files.unmark()?;
    }
    let done = match (is_new, has_changed) {
        (true, _) => Done::Made,
        (false, true) => Done::Finished,
        (false, false) => Done::Unchanged,
    };
    Ok(Issued { certificate, done, cleared })
}

/// The certificate that the key has already. Others of the same key, whose answers got lost, are deleted.
async fn issued_before(
    registry: &impl Registry,
    key: &PrivateKey,
    files: &Files,
    held: &[Certificate],
    cleared: &mut Vec<String>,
) -> Result<Option<Certificate>, DeviceError> {
    if let Some(certificate) = held.iter().find(|certificate| key.has(&certificate.pem)) {
        return Ok(Some(certificate.clone()));
    }
    if let Some(id) = files.certificate()?.as_deref().and_then(certificate_id)
        && let Some(certificate) = registry.certificate(&id).await?
        && key.has(&certificate.pem)
    {
        return Ok(Some(certificate));
    }
    if !files.is_unfinished() {
        return Ok(None);
    }
    let mut ours: Option<Certificate> = None;
    for id in registry.inactive_certificates(INACTIVE_LOOKED_AT_MAX).await? {
        let Some(certificate) = registry.certificate(&id).await? else { continue };
        if !key.has(&certificate.pem) || certificate.status != Status::Inactive {
            continue;
        }
        if ours.is_none() {
            ours = Some(certificate);
        } else {
            registry.delete_certificate(&certificate.id).await?;
            cleared.push(certificate.id);
        }
    }
    Ok(ours)
}

/// Takes a certificate off a thing and deletes it.
pub(crate) async fn take_away(registry: &impl Registry, thing: &str, certificate: &Certificate) -> Result<(), Trouble> {
    // First of all nobody gets in with it any more. The policy stays to the end: cut off before that, it is found by it
    // ([`crate::revoke::sweep`]).
    if certificate.status != Status::Revoked {
        registry.set_status(&certificate.id, Status::Revoked).await?;
    }
    registry.detach_thing(thing, &certificate.arn).await?;
    registry.delete_certificate(&certificate.id).await
}
