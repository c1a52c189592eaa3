//! Why an operation failed: the first real cause among the events, not what followed from it.
//!
//! When a resource fails, CloudFormation cancels those under way and rolls back; each of these is an event with a failure of its
//! own, and the newest ones, which a console shows first, say the least.

use crate::cloud::Event;

/// The event that everything else follows from: the earliest failure of a resource with a reason of its own, or else of the
/// stack. `events` are those of one operation, oldest first.
#[must_use]
pub fn first_cause(events: &[Event]) -> Option<&Event> {
    let failures = || events.iter().filter(|event| event.status.ends_with("_FAILED") && event.reason.is_some());
    let own = failures().find(|event| !event.is_stack && !is_aftermath(event));
    own.or_else(|| failures().find(|event| !is_aftermath(event))).or_else(|| failures().next())
}

/// Whether the failure only follows from another.
fn is_aftermath(event: &Event) -> bool {
    let reason = event.reason.as_deref().unwrap_or_default();
    let cancelled = ["Resource creation cancelled", "Resource update cancelled", "Resource deletion cancelled"];
    cancelled.iter().any(|words| reason.starts_with(words)) || reason.starts_with("The following resource(s) failed")
}

/// What to do about a reason.
#[must_use]
pub fn remedy(reason: &str) -> &'static str {
    let reason = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&["already exists in stack"]) {
        "another stack has it: destroy that one (it keeps its data), or choose another --environment"
    } else if has(&["a version for this lambda function exists"]) {
        "Lambda has published this very function before: name another revision, such as --parameter pipeline:Revision=again"
    } else if has(&["import is not supported", "does not support import"]) {
        "CloudFormation cannot import it here: copy its data, delete it, or choose another --environment"
    } else if has(&["already exists", "alreadyexists", "alreadyowned", "resourceinuse", "resourceexistencecheck"]) {
        "a resource of that name is there, and no kind that `millrace deploy` imports: delete it, or choose another --environment"
    } else if has(&["accessdenied", "access denied", "not authorized", "unauthorized", "forbidden"]) {
        "the role that deploys lacks a right: update the stack `millrace-deployment`, or give another with --role-arn"
    } else if has(&["nosuchkey", "s3 error", "specified key does not exist"]) {
        "the zip is not in the bucket for code: run `millrace deploy` again, which uploads it"
    } else if has(&["requested image"]) {
        "the image is not in ECR of this Region: push it there, or have its repository replicated, and run the command again"
    } else if has(&["limit", "quota", "throttl", "rate exceeded"]) {
        "a quota of the account is used up: have it raised in Service Quotas, or run `millrace deploy` again later"
    } else if has(&["bucket you tried to delete is not empty", "bucketnotempty"]) {
        "the bucket has objects: empty it and run the command again"
    } else if has(&["policy is attached to one or more principals"]) {
        "the tenant has devices: take it off first, `millrace tenant remove NAME --export DIR`, and run the command again"
    } else {
        "mend that and run the command again: what is done already stays, the rest is done"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(resource: &str, status: &str, reason: &str) -> Event {
        Event {
            resource: resource.to_owned(),
            status: status.to_owned(),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
            is_stack: resource == "stack",
            ..Event::default()
        }
    }

    #[test]
    fn what_was_cancelled_or_rolled_back_is_no_cause() {
        let events = [
            event("stack", "CREATE_IN_PROGRESS", "User Initiated"),
            event("Topic", "CREATE_FAILED", "Resource creation cancelled"),
            event("Scorer", "CREATE_FAILED", "S3 Error Code: NoSuchKey"),
            event("Queue", "CREATE_FAILED", "Resource creation cancelled"),
            event("stack", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Topic, Scorer]."),
            event("Stream", "DELETE_FAILED", "something else"),
        ];
        let cause = first_cause(&events).unwrap();
        assert_eq!(cause.resource, "Scorer");
        assert!(remedy(cause.reason.as_ref().unwrap()).contains("uploads it"));
    }

    #[test]
    fn a_tenant_whose_devices_hold_its_policy_is_taken_off_first() {
        let reason = "The policy cannot be deleted as the policy is attached to one or more principals (name=p)";
        assert!(remedy(reason).contains("millrace tenant remove"));
    }

    #[test]
    fn a_failure_of_the_stack_alone_is_told() {
        let events = [event("stack", "UPDATE_ROLLBACK_FAILED", "Role is invalid"), event("A", "UPDATE_COMPLETE", "")];
        assert_eq!(first_cause(&events).unwrap().resource, "stack");
        assert_eq!(first_cause(&events[1..]), None);
    }
}
