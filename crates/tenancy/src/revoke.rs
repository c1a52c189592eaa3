//! A certificate that must not let anybody in any more, and devices that go altogether.
//!
//! A certificate is made `REVOKED` first: no connection is accepted with one that is not active, and one that is open is
//! closed by the service some minutes later (AWS `IoT` API Reference, on `UpdateCertificate`).

use crate::issue::{DeviceError, held, own_thing, take_away};
use crate::names::{OWNER, Tenant};
use crate::registry::{Certificate, Registry, Status};
use account::Trouble;

/// The certificate of the device whose id begins so, or the only one; `None` where the device has none at all.
///
/// # Errors
/// There is no such device or certificate, or there are several and none is named.
pub async fn choose(
    registry: &impl Registry,
    tenant: &Tenant,
    device: &str,
    id: Option<&str>,
) -> Result<Option<Certificate>, DeviceError> {
    if own_thing(registry, tenant, device).await?.is_none() {
        return Err(DeviceError::NoDevice { tenant: tenant.name.clone(), device: device.to_owned() });
    }
    let mut all = held(registry, device).await?;
    if all.is_empty() {
        return Ok(None);
    }
    all.retain(|certificate| id.is_none_or(|id| certificate.id.starts_with(id)));
    let why = match (all.pop(), all.is_empty()) {
        (Some(certificate), true) => return Ok(Some(certificate)),
        (None, _) => "has no certificate whose id begins so: `millrace tenant show` lists them".to_owned(),
        (Some(last), false) => {
            all.push(last);
            let ids: Vec<String> = all
                .iter()
                .map(|one| format!("{} ({})", one.id.get(..12).unwrap_or(&one.id), one.status.word()))
                .collect();
            format!("has {} certificates, {}: name one with --certificate", ids.len(), ids.join(", "))
        }
    };
    Err(DeviceError::NotNow { device: device.to_owned(), why })
}

/// Revokes it, takes it off the thing and deletes it. Safe to repeat.
///
/// # Errors
/// AWS refuses; what was done stays done, and the first thing that is done locks the certificate out.
pub async fn revoke(registry: &impl Registry, device: &str, certificate: &Certificate) -> Result<(), Trouble> {
    take_away(registry, device, certificate).await
}

/// Deletes certificates of the tenant that are revoked: what a run left that was cut off. Returns their ids.
///
/// # Errors
/// AWS refuses.
pub async fn sweep(registry: &impl Registry, tenant: &Tenant) -> Result<Vec<String>, Trouble> {
    let mut swept = Vec::new();
    for id in registry.policy_targets(&tenant.device_policy()).await? {
        let Some(certificate) = registry.certificate(&id).await? else { continue };
        if certificate.status != Status::Revoked {
            continue;
        }
        for thing in registry.things_of(&certificate.arn).await? {
            registry.detach_thing(&thing, &certificate.arn).await?;
        }
        registry.delete_certificate(&id).await?;
        swept.push(id);
    }
    Ok(swept)
}

/// The tenant's devices in its environment, sorted.
///
/// # Errors
/// AWS refuses.
pub async fn devices(registry: &impl Registry, tenant: &Tenant) -> Result<Vec<String>, Trouble> {
    let mut own = Vec::new();
    for name in registry.things(OWNER, &tenant.name).await? {
        let thing = registry.thing(&name).await?;
        if thing.is_some_and(|thing| thing.attributes.get("env") == Some(&tenant.environment)) {
            own.push(name);
        }
    }
    Ok(own)
}

/// Takes a device off: its certificates, then its thing. Safe to repeat.
///
/// # Errors
/// The thing is another's, or AWS refuses.
pub async fn take_off(registry: &impl Registry, tenant: &Tenant, device: &str) -> Result<Vec<String>, DeviceError> {
    if own_thing(registry, tenant, device).await?.is_none() {
        return Ok(Vec::new());
    }
    let mut gone = Vec::new();
    for certificate in held(registry, device).await? {
        take_away(registry, device, &certificate).await?;
        gone.push(certificate.id);
    }
    registry.delete_thing(device).await?;
    Ok(gone)
}
