//! What is asked of AWS, and its answers: a handful of verbs on stacks and zips.
//!
//! [`crate::aws::Aws`] asks the services; the tests have a CloudFormation of their own that can be slow, throttled and
//! interrupted. Nothing here waits for an operation: that is done on top, with the same eyes on both.

use std::collections::BTreeMap;
use std::future::Future;

pub use account::{Kind, Trouble};

use crate::leftover::Import;

/// The name of the change sets that are made here. One name, so that a set that an interrupted run left is found and replaced.
pub const CHANGE_SET: &str = "millrace";

/// A stack as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stack {
    /// Its ARN, by which it is still found when it is deleted.
    pub id: String,
    /// As CloudFormation has it, such as `UPDATE_COMPLETE`.
    pub status: String,
    /// Why it is in that state, where that is said.
    pub reason: Option<String>,
    /// When it was last changed: RFC 3339.
    pub changed: Option<String>,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Whether CloudFormation is at work on it.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }
}

/// A change set to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal<'a> {
    /// Name of the stack.
    pub stack: &'a str,
    /// Whether the stack is new.
    pub is_new: bool,
    /// The template.
    pub body: &'a str,
    /// Parameters with their values; `None` keeps the one that the stack has.
    pub parameters: BTreeMap<String, Option<String>>,
    /// On the stack, and handed on to its resources.
    pub tags: BTreeMap<&'static str, String>,
    /// The role CloudFormation acts with; `None` keeps the stack's, or is the caller.
    pub role: Option<&'a str>,
    /// Resources that exist and become part of the stack. Where there are any, nothing else may change.
    pub imports: &'a [Import],
}

/// A change set as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeSet {
    /// CloudFormation still works it out.
    Pending,
    /// There is nothing to do.
    Empty,
    /// It can be executed.
    Ready(Vec<Change>),
    /// It cannot be made; why.
    Failed(String),
}

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `Add`, `Modify`, `Remove`, `Import` or `Dynamic`.
    pub action: String,
    /// Its name in the template.
    pub resource: String,
    /// Its type.
    pub kind: String,
    /// What it is called outside the template, where it exists.
    pub physical: Option<String>,
    /// Whether a new one takes its place.
    pub replacement: Replacement,
    /// What becomes of the one that goes, where CloudFormation says it: `Delete`, `Retain`, `Snapshot`, …
    pub policy: Option<String>,
    /// What of it changes: properties, tags, … with values where they are told.
    pub what: Vec<String>,
}

impl Change {
    /// Whether something that exists goes away, or may.
    #[must_use]
    pub fn is_drastic(&self) -> bool {
        self.action == "Remove" || (self.replacement != Replacement::No && !self.is_publishing())
    }

    /// Whether this is how code is published: a version never changes, so that another takes its place, and the former one stays. What
    /// names the function by its alias follows in place, though CloudFormation may not know that beforehand.
    fn is_publishing(&self) -> bool {
        match self.kind.as_str() {
            "AWS::Lambda::Version" => true,
            "AWS::Lambda::Alias" | "AWS::Lambda::EventSourceMapping" | "AWS::Lambda::Permission" => {
                self.replacement == Replacement::Maybe
            }
            _ => false,
        }
    }
}

/// Whether a new resource takes the place of one that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It is changed in place.
    No,
    /// CloudFormation knows only when it is done.
    Maybe,
    /// A new one is made, the old one goes.
    Yes,
}

/// Something that happened to a resource or to the stack itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Unique.
    pub id: String,
    /// Name in the template; of the stack, its name.
    pub resource: String,
    /// Type.
    pub kind: String,
    /// What it is called outside the template.
    pub physical: String,
    /// Such as `CREATE_FAILED`.
    pub status: String,
    /// Why, where that is said.
    pub reason: Option<String>,
    /// Whether this is of the stack and not of a resource.
    pub is_stack: bool,
}

impl Event {
    /// Whether an operation on the stack begins with this event.
    #[must_use]
    pub fn is_beginning(&self) -> bool {
        let begins = ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS"];
        self.is_stack && begins.contains(&self.status.as_str())
    }
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Type.
    pub kind: String,
    /// What it is called outside the template.
    pub physical: String,
}

/// Who makes stacks and keeps zips. A stack is named by its name or, once it may be deleted, by its ARN.
pub trait Cloud {
    /// Checks a template's form. `name` is for the message.
    fn validate(&self, name: &str, body: &str) -> impl Future<Output = Result<(), Trouble>>;
    /// The stack, or `None` where there is none. A deleted one is found by its ARN alone.
    fn stack(&self, name: &str) -> impl Future<Output = Result<Option<Stack>, Trouble>>;
    /// Names of the stacks that begin so and are not deleted, sorted.
    fn stacks(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>, Trouble>>;
    /// The template that the stack was made with.
    fn template(&self, stack: &str) -> impl Future<Output = Result<String, Trouble>>;
    /// What there is in the stack.
    fn resources(&self, stack: &str) -> impl Future<Output = Result<Vec<Resource>, Trouble>>;
    /// Has a change set worked out, named [`CHANGE_SET`]. [`Kind::AlreadyThere`] where there is one of that name.
    fn propose(&self, proposal: &Proposal<'_>) -> impl Future<Output = Result<(), Trouble>>;
    /// How far that is.
    fn change_set(&self, stack: &str) -> impl Future<Output = Result<ChangeSet, Trouble>>;
    /// Begins to do it. New resources that a roll-back would leave behind are deleted with it; imported ones never are.
    fn execute(&self, stack: &str, is_import: bool) -> impl Future<Output = Result<(), Trouble>>;
    /// Deletes it. It is no trouble if there is none.
    fn discard(&self, stack: &str) -> impl Future<Output = Result<(), Trouble>>;
    /// Begins to delete the stack. Safe to repeat.
    fn delete(&self, stack: &str) -> impl Future<Output = Result<(), Trouble>>;
    /// Begins to finish a roll-back that has failed.
    fn resume_rollback(&self, stack: &str) -> impl Future<Output = Result<(), Trouble>>;
    /// Events after the one named, oldest first; without one, those of the newest operation.
    fn events(&self, stack: &str, after: Option<&str>) -> impl Future<Output = Result<Vec<Event>, Trouble>>;
    /// What identifies a resource in an import, or `None` where there is no such resource. `name` may have `${AWS::AccountId}` and
    /// `${AWS::Region}` in it.
    fn find(&self, kind: &str, name: &str) -> impl Future<Output = Result<Option<String>, Trouble>>;
    /// The ARN of a table's newest stream; `None` where there is no such table, or it has none.
    fn table_stream(&self, table: &str) -> impl Future<Output = Result<Option<String>, Trouble>>;
    /// Whether there is such an object.
    fn has_object(&self, bucket: &str, key: &str) -> impl Future<Output = Result<bool, Trouble>>;
    /// An object's content; `None` where there is no such object.
    fn object(&self, bucket: &str, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Trouble>>;
    /// Stores an object. Safe to repeat: keys are made of the content.
    fn put_object(&self, bucket: &str, key: &str, body: Vec<u8>) -> impl Future<Output = Result<(), Trouble>>;
    /// Deletes every version of every object. Returns how many versions there were.
    fn empty_bucket(&self, bucket: &str) -> impl Future<Output = Result<u64, Trouble>>;
}

/// Of events, newest first, those that [`Cloud::events`] returns, oldest first, and whether the ones before need not be read.
pub(crate) fn cut(newest_first: Vec<Event>, after: Option<&str>) -> (Vec<Event>, bool) {
    let mut kept = Vec::with_capacity(newest_first.len());
    let mut is_all = false;
    for event in newest_first {
        if after == Some(event.id.as_str()) {
            is_all = true;
            break;
        }
        let is_beginning = event.is_beginning();
        kept.push(event);
        if after.is_none() && is_beginning {
            is_all = true;
            break;
        }
    }
    kept.reverse();
    (kept, is_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishing_code_is_no_reason_to_ask() {
        let change = |kind: &str, action: &str, replacement| Change {
            action: action.to_owned(),
            resource: "It".to_owned(),
            kind: kind.to_owned(),
            physical: None,
            replacement,
            policy: None,
            what: Vec::new(),
        };
        let (version, mapping) = ("AWS::Lambda::Version", "AWS::Lambda::EventSourceMapping");
        assert!(!change(version, "Modify", Replacement::Yes).is_drastic());
        assert!(!change(mapping, "Modify", Replacement::Maybe).is_drastic());
        assert!(change(version, "Remove", Replacement::No).is_drastic());
        assert!(change(mapping, "Modify", Replacement::Yes).is_drastic());
        assert!(change("AWS::DynamoDB::GlobalTable", "Modify", Replacement::Maybe).is_drastic());
    }
}
