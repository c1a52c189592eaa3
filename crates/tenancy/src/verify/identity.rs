//! Whether the certificate is what it should be: on its thing, in force, with the tenant's policy and no other.

use super::StepResult;
use super::run::Case;
use super::seen::Seen;
use crate::issue::{held, own_thing};
use crate::policy::{Ground, expected, says_the_same};
use crate::registry::{Registry, Status};
use account::Trouble;

/// A certificate that ends within so many seconds is told: thirty days.
const ENDS_SOON_SECONDS: i64 = 30 * 86_400;

pub(super) async fn identity(registry: &impl Registry, case: Case<'_>) -> Seen {
    const AGAIN: &str = "run `millrace tenant add` with this device again";
    let Case { tenant, device, files, facts, .. } = case;
    let key = match files.key() {
        Ok(Some(key)) => key,
        Ok(None) => {
            let words = format!("no {}", files.key_path().display());
            return Seen::failed(words, "say where the files are with --certificates, or run `millrace tenant add`");
        }
        Err(error) => return Seen::failed(error.to_string(), AGAIN),
    };
    match own_thing(registry, tenant, device).await {
        Ok(Some(_)) => {}
        Ok(None) => return Seen::failed("there is no such thing", AGAIN),
        Err(crate::issue::DeviceError::Trouble(trouble)) => return Seen::trouble(&trouble),
        Err(error) => return Seen::failed(error.to_string(), AGAIN),
    }
    let look = async {
        let all = held(registry, device).await?;
        let Some(certificate) = all.into_iter().find(|certificate| key.has(&certificate.pem)) else {
            return Ok(Seen::failed("no certificate of the thing is of the key in the files", AGAIN));
        };
        if certificate.status != Status::Active {
            let words = format!("{} is {}", certificate.id, certificate.status.word());
            return Ok(Seen::failed(
                words,
                "a certificate that was switched off stays off: `add` makes a new one after `revoke`",
            ));
        }
        let policies = registry.policies(&certificate.arn).await?;
        if policies != [facts.device_policy.as_str()] {
            let words = format!("policies: {}", policies.join(", "));
            return Ok(Seen::failed(
                words,
                "it must have the tenant's policy and no other: attach or detach what differs",
            ));
        }
        let found = registry.policy_document(&facts.device_policy).await?.unwrap_or_default();
        let found: serde_json::Value = serde_json::from_str(&found).unwrap_or_default();
        let mut parts = facts.stack_id.split(':');
        let (partition, account) = (parts.nth(1).unwrap_or("aws"), parts.nth(2).unwrap_or_default());
        let ground = Ground { partition, region: &facts.region, account };
        if !says_the_same(&expected(tenant, ground, facts.sensor_rule.is_some()), &found) {
            let words = format!("{} does not say what the template says: {found}", facts.device_policy);
            return Ok(Seen::failed(
                words,
                "somebody changed it: set its default version back, then `millrace deploy`",
            ));
        }
        let left = certificate.expires.map(|at| at - case.at.as_second());
        Ok(match left {
            Some(left) if left <= 0 => {
                Seen::failed("the certificate has expired", "revoke it and run `millrace tenant add`")
            }
            Some(left) if left < ENDS_SOON_SECONDS => Seen(
                StepResult::Warning,
                format!("{} ends in {} days", certificate.id, left / 86_400),
                "`millrace tenant rotate`",
            ),
            _ => Seen::ok(certificate.id),
        })
    };
    look.await.unwrap_or_else(|trouble: Trouble| Seen::trouble(&trouble))
}
