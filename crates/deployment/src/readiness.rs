//! What a stack's state means for who wants to change it.
//!
//! The states are those of the CloudFormation User Guide, "Understanding stack creation events" and `StackStatus` in the API
//! Reference.

/// What has to be done before, or instead of, changing a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// There is none: it is created. `true` where an interrupted run has left a change set and nothing else.
    New(bool),
    /// It can be changed.
    Ready,
    /// CloudFormation is at work on it, most likely for a run that was interrupted.
    Busy,
    /// Its creation has failed and nothing of it is in use: it is deleted first.
    Remains,
    /// It was to be deleted, or rolled back after its creation, and resources are left.
    HalfGone,
    /// Its update has failed, and going back, too: that is finished first.
    HalfBack,
    /// Nothing can be done from here.
    Stuck,
}

/// Reads a state. `None` is a stack that is not there.
#[must_use]
pub fn readiness(status: Option<&str>) -> Readiness {
    match status {
        None | Some("DELETE_COMPLETE") => Readiness::New(false),
        Some("REVIEW_IN_PROGRESS") => Readiness::New(true),
        Some("ROLLBACK_COMPLETE") => Readiness::Remains,
        Some("CREATE_FAILED" | "ROLLBACK_FAILED" | "DELETE_FAILED") => Readiness::HalfGone,
        Some("UPDATE_ROLLBACK_FAILED") => Readiness::HalfBack,
        Some(
            "CREATE_COMPLETE"
            | "UPDATE_COMPLETE"
            | "UPDATE_FAILED"
            | "UPDATE_ROLLBACK_COMPLETE"
            | "IMPORT_COMPLETE"
            | "IMPORT_ROLLBACK_COMPLETE",
        ) => Readiness::Ready,
        Some(busy) if busy.ends_with("_IN_PROGRESS") => Readiness::Busy,
        Some(_) => Readiness::Stuck,
    }
}

/// What `status` says about a state that is not the usual one, with what to do.
#[must_use]
pub fn remark(status: &str) -> Option<&'static str> {
    match readiness(Some(status)) {
        Readiness::New(true) => Some("a change set was made and not executed; the next `millrace deploy` goes on"),
        Readiness::Busy => Some("CloudFormation is at work; `millrace deploy` waits for it and goes on"),
        Readiness::Remains => {
            Some("its creation was rolled back; the next `millrace deploy` removes it and makes it anew")
        }
        Readiness::HalfGone => Some("parts of it are left; the next `millrace deploy` removes them and makes it anew"),
        Readiness::HalfBack => {
            Some("it could not be rolled back; the next `millrace deploy` finishes that and goes on")
        }
        Readiness::Stuck => Some("it cannot be changed in this state; the CloudFormation console says why"),
        Readiness::Ready if status == "UPDATE_ROLLBACK_COMPLETE" => {
            Some("its last update failed and was taken back; mend the cause and run `millrace deploy`")
        }
        Readiness::New(false) | Readiness::Ready => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_cloudformation::types::StackStatus;

    #[test]
    fn every_state_that_cloudformation_knows_is_understood() {
        for status in StackStatus::values() {
            let stuck = readiness(Some(status)) == Readiness::Stuck;
            assert_eq!(stuck, *status == "IMPORT_ROLLBACK_FAILED", "{status}");
        }
    }
}
