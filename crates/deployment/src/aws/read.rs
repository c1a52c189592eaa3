//! CloudFormation's answers, as [`crate::cloud`] has them.

use aws_sdk_cloudformation::types::{self, ChangeSetStatus, ExecutionStatus, RequiresRecreation};

use crate::cloud::{Change, ChangeSet, Event, Replacement, Resource, Stack};

/// Values are shown up to here.
const VALUE_CHARS_MAX: usize = 60;

pub(super) fn stack(stack: &types::Stack) -> Stack {
    let changed = stack.last_updated_time().or(stack.creation_time());
    let pair = |key: Option<&str>, value: Option<&str>| Some((key?.to_owned(), value.unwrap_or_default().to_owned()));
    let parameters = stack.parameters().iter();
    let outputs = stack.outputs().iter();
    Stack {
        id: stack.stack_id().unwrap_or_default().to_owned(),
        status: stack.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: stack.stack_status_reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
        changed: changed.and_then(|at| at.fmt(aws_sdk_cloudformation::primitives::DateTimeFormat::DateTime).ok()),
        parameters: parameters.filter_map(|one| pair(one.parameter_key(), one.parameter_value())).collect(),
        outputs: outputs.filter_map(|one| pair(one.output_key(), one.output_value())).collect(),
    }
}

pub(super) fn event(event: &types::StackEvent) -> Event {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Event {
        id: text(event.event_id()),
        resource: text(event.logical_resource_id()),
        kind: text(event.resource_type()),
        physical: text(event.physical_resource_id()),
        status: event.resource_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: event.resource_status_reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
        // None of the templates has a stack in it.
        is_stack: event.resource_type() == Some("AWS::CloudFormation::Stack"),
    }
}

/// A finding of the validation, as a failure of its resource.
pub(super) fn validation(event: &types::OperationEvent) -> Option<Event> {
    let reason =
        event.validation_status_reason().filter(|_| event.event_type() == Some(&types::EventType::ValidationError))?;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Some(Event {
        id: text(event.event_id()),
        resource: text(event.logical_resource_id()),
        kind: text(event.resource_type()),
        physical: text(event.physical_resource_id()),
        status: "VALIDATION_FAILED".to_owned(),
        reason: Some(reason.to_owned()),
        is_stack: false,
    })
}

pub(super) fn resource(resource: &types::StackResourceSummary) -> Option<Resource> {
    let physical = resource.physical_resource_id().filter(|id| !id.is_empty())?.to_owned();
    Some(Resource { kind: resource.resource_type()?.to_owned(), physical })
}

/// How far a change set is; `Ready` is without its changes. In which words there is nothing to change is in no reference: these
/// two are what CloudFormation says, and what its own command line tool looks for.
pub(super) fn progress(
    status: Option<&ChangeSetStatus>,
    execution: Option<&ExecutionStatus>,
    reason: Option<&str>,
) -> ChangeSet {
    let reason = reason.unwrap_or_default();
    match status {
        Some(ChangeSetStatus::CreateComplete) if execution == Some(&ExecutionStatus::Unavailable) => {
            ChangeSet::Failed(reason.to_owned())
        }
        Some(ChangeSetStatus::CreateComplete) => ChangeSet::Ready(Vec::new()),
        Some(ChangeSetStatus::CreatePending | ChangeSetStatus::CreateInProgress) => ChangeSet::Pending,
        _ if reason.contains("didn't contain changes") || reason.contains("No updates are to be performed") => {
            ChangeSet::Empty
        }
        _ => ChangeSet::Failed(reason.to_owned()),
    }
}

pub(super) fn change(change: &types::Change) -> Option<Change> {
    let change = change.resource_change()?;
    Some(Change {
        action: change.action().map(|action| action.as_str().to_owned()).unwrap_or_default(),
        resource: change.logical_resource_id().unwrap_or_default().to_owned(),
        kind: change.resource_type().unwrap_or_default().to_owned(),
        physical: change.physical_resource_id().filter(|id| !id.is_empty()).map(str::to_owned),
        replacement: match change.replacement() {
            Some(types::Replacement::True) => Replacement::Yes,
            Some(types::Replacement::Conditional) => Replacement::Maybe,
            _ => Replacement::No,
        },
        policy: change.policy_action().map(|policy| policy.as_str().to_owned()).filter(|policy| !policy.is_empty()),
        what: what(change.details()),
    })
}

/// Each property once, the same whether the template or another resource made it change.
fn what(details: &[types::ResourceChangeDetail]) -> Vec<String> {
    let mut what: Vec<String> = Vec::new();
    for target in details.iter().filter_map(types::ResourceChangeDetail::target) {
        let attribute = target.attribute().map(types::ResourceAttribute::as_str).unwrap_or_default();
        let mut words = target.name().filter(|name| !name.is_empty()).unwrap_or(attribute).to_owned();
        if let (Some(before), Some(after)) = (target.before_value(), target.after_value()) {
            words = format!("{words}: {} → {}", short(before), short(after));
        }
        if target.requires_recreation() == Some(&RequiresRecreation::Always) {
            words.push_str(" (needs a new one)");
        }
        if !what.contains(&words) {
            what.push(words);
        }
    }
    what
}

fn short(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_change_is_told_from_a_failure() {
        let failed = |reason| progress(Some(&ChangeSetStatus::Failed), None, Some(reason));
        assert_eq!(failed("The submitted information didn't contain changes. Submit …"), ChangeSet::Empty);
        assert_eq!(failed("No updates are to be performed."), ChangeSet::Empty);
        assert_eq!(failed("Parameter X is wrong"), ChangeSet::Failed("Parameter X is wrong".to_owned()));
        assert_eq!(progress(Some(&ChangeSetStatus::CreateInProgress), None, None), ChangeSet::Pending);
        let worked_out = |execution| progress(Some(&ChangeSetStatus::CreateComplete), Some(&execution), Some("why"));
        assert_eq!(worked_out(ExecutionStatus::Available), ChangeSet::Ready(Vec::new()));
        assert_eq!(worked_out(ExecutionStatus::Unavailable), ChangeSet::Failed("why".to_owned()));
    }

    #[test]
    fn a_property_is_named_once_with_its_values() {
        let target = types::ResourceTargetDefinition::builder()
            .attribute(types::ResourceAttribute::Properties)
            .name("ShardCount")
            .before_value("1")
            .after_value("2")
            .build();
        let detail = types::ResourceChangeDetail::builder().target(target).build();
        assert_eq!(what(&[detail.clone(), detail]), ["ShardCount: 1 → 2"]);
    }
}
