//! A new key and certificate for a device that is at work: both are valid until the new one is proven, then the old one goes.

use crate::folder::Files;
use crate::issue::{DeviceError, Issued, Slot, held, issue, own_thing, take_away};
use crate::names::Tenant;
use crate::registry::{Certificate, Registry, Status};

/// Shows that a device gets in with these files.
pub trait Prover {
    /// Connects as the device.
    ///
    /// # Errors
    /// It is not let in; in words.
    fn connects(&self, device: &str, files: &Files) -> impl Future<Output = Result<(), String>>;
}

/// A rotation that is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The certificate that is in force.
    pub certificate: Certificate,
    /// Ids of those that are deleted.
    pub retired: Vec<String>,
}

/// Begins: a new pair in [`Files::next`], active beside the one in force.
///
/// # Errors
/// There is no such device, none in force, or AWS refuses. The same call goes on.
pub async fn begin(
    registry: &impl Registry,
    tenant: &Tenant,
    device: &str,
    files: &Files,
) -> Result<Issued, DeviceError> {
    exists(registry, tenant, device).await?;
    if files.retiring()?.is_some() {
        let why = format!("a rotation is being finished: `millrace tenant rotate {} --finish` first", tenant.name);
        return Err(DeviceError::NotNow { device: device.to_owned(), why });
    }
    let held = held(registry, device).await?;
    let next = files.next();
    let next_key = next.key()?;
    let in_force = held.iter().any(|certificate| {
        certificate.status == Status::Active && !next_key.as_ref().is_some_and(|key| key.has(&certificate.pem))
    });
    if !in_force {
        let why =
            format!("no certificate is in force: `millrace tenant add {} --device {device}` makes one", tenant.name);
        return Err(DeviceError::NotNow { device: device.to_owned(), why });
    }
    issue(registry, tenant, device, &next, &held, Slot::Next).await
}

/// Finishes: proves the new pair, puts its files into the place of the old ones, and deletes the old certificates. `None`: there
/// is nothing to finish.
///
/// # Errors
/// The new one does not let the device in; then everything stays as it is. Or AWS refuses; the same call goes on.
pub async fn finish(
    registry: &impl Registry,
    prover: &impl Prover,
    tenant: &Tenant,
    device: &str,
    files: &Files,
) -> Result<Option<Finished>, DeviceError> {
    exists(registry, tenant, device).await?;
    let all = held(registry, device).await?;
    let not_now = |why: String| DeviceError::NotNow { device: device.to_owned(), why };
    let begin_first = || format!("run `millrace tenant rotate {} --device {device}` first", tenant.name);
    let retiring = if let Some(retiring) = files.retiring()? {
        retiring
    } else {
        let next = files.next();
        let Some(key) = next.key()? else { return Ok(None) };
        if next.is_unfinished() {
            return Err(not_now(format!("the new certificate is not whole: {}", begin_first())));
        }
        let new = all.iter().find(|certificate| key.has(&certificate.pem) && certificate.status == Status::Active);
        let Some(new) = new else {
            return Err(not_now(format!("no active certificate is of the new key: {}", begin_first())));
        };
        prover
            .connects(device, &next)
            .await
            .map_err(|why| not_now(format!("the new certificate does not let it in, nothing was changed: {why}")))?;
        let old: Vec<String> = all.iter().filter(|other| other.id != new.id).map(|old| old.id.clone()).collect();
        files.note_retiring(&old)?;
        old
    };
    files.take_next()?;
    let key = files.key()?.ok_or_else(|| not_now(format!("{} is gone", files.key_path().display())))?;
    let in_force = all.iter().find(|certificate| key.has(&certificate.pem) && certificate.status == Status::Active);
    let Some(in_force) = in_force.cloned() else {
        return Err(not_now("no active certificate is of the key in the files; the old ones stay".to_owned()));
    };
    for old in all.iter().filter(|old| retiring.contains(&old.id) && old.id != in_force.id) {
        take_away(registry, device, old).await?;
    }
    // Cut off between detaching and deleting, a certificate hangs on nothing any more, but the note names it.
    for id in retiring.iter().filter(|id| **id != in_force.id) {
        if all.iter().all(|held| held.id != **id) && registry.certificate(id).await?.is_some() {
            registry.delete_certificate(id).await?;
        }
    }
    files.forget_retiring()?;
    Ok(Some(Finished { certificate: in_force, retired: retiring }))
}

async fn exists(registry: &impl Registry, tenant: &Tenant, device: &str) -> Result<(), DeviceError> {
    let found = own_thing(registry, tenant, device).await?;
    let (tenant, device) = (tenant.name.clone(), device.to_owned());
    found.map(drop).ok_or(DeviceError::NoDevice { tenant, device })
}
