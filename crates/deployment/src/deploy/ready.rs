//! Bringing a stack into a state in which it can be changed, whatever an interrupted or failed run has left.

use crate::Attendant;
use crate::cloud::{Cloud, Stack};
use crate::readiness::{Readiness, readiness};
use crate::watch::{patiently, until_ended};

use super::{DeployError, failed};

/// States that are left behind before one is reached in which the stack can be changed: the longest way is an operation
/// under way, whose roll-back fails, is finished, and leaves remains.
const STEPS_MAX: u32 = 8;

/// Makes it ready: the stack as it stands, `Some(None)` for one that is to be created. `None` where that would change
/// something and nothing may be changed.
pub(super) async fn make_ready(
    cloud: &impl Cloud,
    name: &str,
    is_dry: bool,
    attendant: &mut impl Attendant,
) -> Result<Option<Option<Stack>>, DeployError> {
    let mut status = String::new();
    for _ in 0..STEPS_MAX {
        let stack = patiently(|| cloud.stack(name)).await?;
        status = stack.as_ref().map(|stack| stack.status.clone()).unwrap_or_default();
        let ready = readiness(stack.as_ref().map(|stack| stack.status.as_str()));
        let Some(stack) = stack else { return Ok(Some(None)) };
        if is_dry && !matches!(ready, Readiness::New(_) | Readiness::Ready | Readiness::Busy) {
            attendant.tell(name, &format!("is {status}, which `deploy` would finish or clean up first"));
            return Ok(None);
        }
        match ready {
            Readiness::New(is_left) => {
                if is_left {
                    attendant.tell(name, "an interrupted run has left a change set, which is made anew");
                }
                return Ok(Some(None));
            }
            Readiness::Ready => return Ok(Some(Some(stack))),
            Readiness::Busy => {
                attendant.tell(name, &format!("is {status}: waiting for that to end"));
                until_ended(cloud, name, &stack.id, None, attendant).await?;
            }
            Readiness::Remains => {
                attendant.tell(name, "its creation was rolled back: what is left of it is removed");
                remove(cloud, name, &stack, attendant).await?;
            }
            Readiness::HalfGone => {
                let question = format!("is {status}: what is left of it is deleted, and it is made anew. Do it?");
                match attendant.agree(name, &question) {
                    Ok(true) => remove(cloud, name, &stack, attendant).await?,
                    Ok(false) => return Err(DeployError::Declined(name.to_owned(), "it was not agreed to".to_owned())),
                    Err(why) => return Err(DeployError::Declined(name.to_owned(), why)),
                }
            }
            Readiness::HalfBack => {
                attendant.tell(name, "its last update could not be rolled back: that is finished first");
                let last = patiently(|| cloud.events(&stack.id, None)).await?.last().map(|event| event.id.clone());
                cloud.resume_rollback(name).await?;
                let ended = until_ended(cloud, name, &stack.id, last.as_deref(), attendant).await?;
                if ended.stack.as_ref().is_some_and(|stack| stack.status == "UPDATE_ROLLBACK_FAILED") {
                    return Err(failed(name, "UPDATE_ROLLBACK_FAILED", &ended.events));
                }
            }
            Readiness::Stuck => return Err(DeployError::Stuck(name.to_owned(), status)),
        }
    }
    Err(DeployError::Stuck(name.to_owned(), status))
}

/// Deletes the stack and waits until it is gone.
async fn remove(
    cloud: &impl Cloud,
    name: &str,
    stack: &Stack,
    attendant: &mut impl Attendant,
) -> Result<(), DeployError> {
    let last = patiently(|| cloud.events(&stack.id, None)).await?.last().map(|event| event.id.clone());
    cloud.delete(name).await?;
    let ended = until_ended(cloud, name, &stack.id, last.as_deref(), attendant).await?;
    match ended.stack {
        Some(left) if left.status != "DELETE_COMPLETE" => Err(failed(name, &left.status, &ended.events)),
        _ => Ok(()),
    }
}
