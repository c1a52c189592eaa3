//! Taking an environment down: the stacks in the reverse of their order; what holds data is kept unless it is to go, too.
//!
//! What is kept is what the templates say (`DeletionPolicy: Retain`). Where data is to be deleted, each stack is first told
//! to keep nothing, so that CloudFormation, which knows of replicas and policies, deletes it all; only buckets are emptied here.

use std::collections::BTreeMap;

use crate::Attendant;
use crate::cloud::{Cloud, Kind, Proposal, Stack};
use crate::deploy::{DeployError, failed, propose};
use crate::plan::{stack_name, tenants_prefix};
use crate::template::{ALERTS, ANALYTICS, ARTIFACTS, DEPLOYMENT, DR, MODELS, OBSERVABILITY, PIPELINE, STORAGE};
use crate::watch::{patiently, until_ended};

/// Something that outlives its stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The stack it was in.
    pub stack: String,
    /// Its type.
    pub kind: String,
    /// What it is called.
    pub physical: String,
}

/// The stacks of an environment that exist, the last first; `with_shared`, also the two that environments share.
///
/// # Errors
/// AWS cannot be asked; or the shared ones are asked for while another environment needs them.
pub async fn standing(cloud: &impl Cloud, environment: &str, with_shared: bool) -> Result<Vec<String>, DeployError> {
    let all = cloud.stacks("millrace-").await?;
    let prefix = tenants_prefix(environment);
    let mut wanted: Vec<String> = all.iter().filter(|name| name.starts_with(&prefix)).cloned().collect();
    let own = [&DR, &OBSERVABILITY, &MODELS, &ANALYTICS, &ALERTS, &PIPELINE, &STORAGE];
    wanted.extend(own.map(|template| stack_name(template, environment)));
    let shared = [&DEPLOYMENT, &ARTIFACTS].map(|template| stack_name(template, environment));
    if with_shared {
        let other = all.iter().find(|name| !wanted.contains(name) && !shared.contains(name));
        if let Some(other) = other {
            let why = format!("`{other}` still needs it; destroy that environment first, or leave out --shared");
            return Err(DeployError::Declined(shared[1].clone(), why));
        }
        wanted.extend(shared);
    }
    wanted.retain(|name| all.contains(name));
    Ok(wanted)
}

/// Deletes these stacks, one after the other. Returns what is kept.
///
/// # Errors
/// See [`DeployError`]. The same call goes on from there.
pub async fn destroy(
    cloud: &impl Cloud,
    names: &[String],
    with_data: bool,
    attendant: &mut impl Attendant,
) -> Result<Vec<Kept>, DeployError> {
    let mut kept = Vec::new();
    for name in names {
        let Some(mut stack) = patiently(|| cloud.stack(name)).await? else { continue };
        if stack.is_busy() {
            attendant.tell(name, &format!("is {}: waiting for that to end", stack.status));
            until_ended(cloud, name, &stack.id, None, attendant).await?;
            match patiently(|| cloud.stack(name)).await? {
                Some(settled) => stack = settled,
                None => continue,
            }
        }
        if with_data {
            release(cloud, name, &stack, attendant).await?;
        }
        attendant.tell(name, "is deleted");
        let last = patiently(|| cloud.events(&stack.id, None)).await?.last().map(|event| event.id.clone());
        patiently(|| cloud.delete(name)).await?;
        if stack.status == "REVIEW_IN_PROGRESS" {
            continue;
        }
        let ended = until_ended(cloud, name, &stack.id, last.as_deref(), attendant).await?;
        if let Some(left) = ended.stack.filter(|stack| stack.status != "DELETE_COMPLETE") {
            return Err(failed(name, &left.status, &ended.events));
        }
        let skipped = ended.events.into_iter().filter(|event| event.status == "DELETE_SKIPPED");
        kept.extend(skipped.map(|event| Kept { stack: name.clone(), kind: event.kind, physical: event.physical }));
    }
    Ok(kept)
}

/// Has the stack keep nothing, and empties its buckets.
async fn release(
    cloud: &impl Cloud,
    name: &str,
    stack: &Stack,
    attendant: &mut impl Attendant,
) -> Result<(), DeployError> {
    let body = patiently(|| cloud.template(name)).await?;
    let released = body.replace("DeletionPolicy: Retain", "DeletionPolicy: Delete");
    // Of a stack that was never made whole, or is half deleted, what is left can only be deleted.
    let is_whole = crate::readiness::readiness(Some(&stack.status)) == crate::readiness::Readiness::Ready;
    if released != body && is_whole {
        let parameters: BTreeMap<_, _> = stack.parameters.keys().map(|name| (name.clone(), None)).collect();
        let proposal = Proposal {
            stack: name,
            is_new: false,
            body: &released,
            parameters,
            tags: BTreeMap::new(),
            role: None,
            imports: &[],
        };
        let changes = propose(cloud, &proposal).await?;
        if changes.is_some() {
            attendant.tell(name, "its data is released for deletion");
            let last = patiently(|| cloud.events(&stack.id, None)).await?.last().map(|event| event.id.clone());
            cloud.execute(name, false).await?;
            let ended = until_ended(cloud, name, &stack.id, last.as_deref(), attendant).await?;
            if let Some(other) = ended.stack.filter(|stack| stack.status != "UPDATE_COMPLETE") {
                return Err(failed(name, &other.status, &ended.events));
            }
        } else {
            cloud.discard(name).await?;
        }
    }
    for resource in patiently(|| cloud.resources(name)).await? {
        if resource.kind == "AWS::S3::Bucket" {
            match patiently(|| cloud.empty_bucket(&resource.physical)).await {
                Ok(versions) => attendant.tell(name, &format!("{versions} versions deleted in {}", resource.physical)),
                Err(trouble) if trouble.kind == Kind::Missing => {}
                Err(trouble) => return Err(trouble.into()),
            }
        }
    }
    Ok(())
}
