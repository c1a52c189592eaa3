//! A CloudFormation that forgets nothing and works only while it is looked at.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use deployment::cloud::{Change, ChangeSet, Cloud, Event, Kind, Proposal, Replacement, Resource, Stack, Trouble};
use deployment::leftover::{Leftover, leftovers};
use deployment::plan::TEMPLATES;
use deployment::template::Template;

/// Looks that an operation takes.
const LOOKS: u32 = 2;
const STACK: &str = "AWS::CloudFormation::Stack";

#[derive(Clone, Default)]
struct Standing {
    stack: Stack,
    body: String,
    events: Vec<Event>,
    /// What is being made: looks left, and the state and events it ends in.
    work: Option<(u32, String, Vec<Event>)>,
    proposed: Option<(String, BTreeMap<String, String>, ChangeSet)>,
    /// Of the change set: types and names of what it imports.
    imported: Vec<(String, String)>,
}

/// The service, with its faults.
#[derive(Default)]
pub(crate) struct World {
    /// By ARN.
    stacks: RefCell<BTreeMap<String, Standing>>,
    objects: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Types and names of what keeps its name when its stack goes, and the stack that has it.
    named: RefCell<BTreeMap<(String, String), Option<String>>>,
    emptied: RefCell<Vec<String>>,
    calls: Cell<u32>,
    changes: Cell<u32>,
    cut_off: Cell<Option<u32>>,
    throttle: Cell<Option<u32>>,
    refused: RefCell<Option<String>>,
    failing: RefCell<Option<(String, String)>>,
    replacing: RefCell<Option<String>>,
}

fn trouble(kind: Kind, message: &str) -> Trouble {
    Trouble { action: "call", subject: "it".to_owned(), kind, message: message.to_owned() }
}

impl World {
    pub(crate) fn calls(&self) -> u32 {
        self.calls.get()
    }
    /// Objects stored and change sets executed.
    pub(crate) fn changes(&self) -> u32 {
        self.changes.get()
    }
    pub(crate) fn cut_off_after(&self, calls: u32) {
        self.cut_off.set(Some(calls));
    }
    pub(crate) fn throttle_every(&self, calls: u32) {
        self.throttle.set(Some(calls));
    }
    pub(crate) fn refuse_template(&self, name: &str) {
        *self.refused.borrow_mut() = Some(name.to_owned());
    }
    pub(crate) fn fail(&self, stack: &str, reason: &str) {
        *self.failing.borrow_mut() = Some((stack.to_owned(), reason.to_owned()));
    }
    pub(crate) fn replaces_on_update(&self, stack: &str) {
        *self.replacing.borrow_mut() = Some(stack.to_owned());
    }
    pub(crate) fn mend(&self) {
        self.cut_off.set(None);
        *self.failing.borrow_mut() = None;
    }
    pub(crate) fn emptied(&self) -> Vec<String> {
        self.emptied.borrow().clone()
    }
    /// Makes something by hand.
    pub(crate) fn make(&self, kind: &str, name: &str, stack: Option<&str>) {
        self.named.borrow_mut().insert((kind.to_owned(), name.to_owned()), stack.map(str::to_owned));
    }
    /// The stack that has a resource; `None` where it has none, or there is no such resource.
    pub(crate) fn owner(&self, name: &str) -> Option<String> {
        self.named.borrow().iter().find(|((_, named), _)| named == name).and_then(|(_, owner)| owner.clone())
    }
    pub(crate) fn store(&self, bucket: &str, key: &str, body: &[u8]) {
        self.objects.borrow_mut().insert(format!("{bucket}/{key}"), body.to_vec());
    }
    pub(crate) fn stored(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.objects.borrow().get(&format!("{bucket}/{key}")).cloned()
    }
    pub(crate) fn parameter(&self, stack: &str, name: &str) -> Option<String> {
        self.with(stack, |_, standing| standing.stack.parameters.get(name).cloned()).ok().flatten()
    }
    pub(crate) fn set_status(&self, name: &str, status: &str) {
        let id = self.find(name).unwrap();
        status.clone_into(&mut self.stacks.borrow_mut().get_mut(&id).unwrap().stack.status);
    }
    pub(crate) fn set_body(&self, name: &str, body: &str) {
        self.with(name, |_, standing| body.clone_into(&mut standing.body)).unwrap();
    }
    pub(crate) fn status(&self, name: &str) -> Option<String> {
        self.statuses().get(name).cloned()
    }
    pub(crate) fn statuses(&self) -> BTreeMap<String, String> {
        let stacks = self.stacks.borrow();
        let alive = stacks.iter().filter(|(_, standing)| standing.stack.status != "DELETE_COMPLETE");
        alive.map(|(id, standing)| (name_of(id), standing.stack.status.clone())).collect()
    }
    pub(crate) fn change_sets_left(&self) -> usize {
        self.stacks.borrow().values().filter(|standing| standing.proposed.is_some()).count()
    }

    /// Counts a call, and lets it fail if that is due. `Begins` is throttled by the SDK's own patience and never here.
    fn call(&self, can_be_throttled: bool) -> Result<(), Trouble> {
        let calls = self.calls.get() + 1;
        self.calls.set(calls);
        if self.cut_off.get().is_some_and(|cut| calls > cut) {
            return Err(trouble(Kind::Refused, "the run is over"));
        }
        if can_be_throttled && self.throttle.get().is_some_and(|every| calls.is_multiple_of(every)) {
            return Err(trouble(Kind::Transient, "Rate exceeded"));
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<String> {
        let stacks = self.stacks.borrow();
        if stacks.contains_key(name) {
            return Some(name.to_owned());
        }
        let mut alive = stacks.iter().filter(|(_, standing)| standing.stack.status != "DELETE_COMPLETE");
        alive.find(|(id, _)| name_of(id) == name).map(|(id, _)| id.clone())
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&str, &mut Standing) -> T) -> Result<T, Trouble> {
        let id = self.find(name).ok_or_else(|| trouble(Kind::Missing, "does not exist"))?;
        Ok(act(&name_of(&id), self.stacks.borrow_mut().get_mut(&id).unwrap()))
    }
}

fn template_of(stack: &str) -> &'static Template {
    let is_of =
        |template: &&Template| stack.ends_with(template.name) || stack.contains(&format!("-{}-", template.name));
    TEMPLATES.iter().copied().find(is_of).unwrap()
}

/// What of a stack keeps its name.
fn named_by(stack: &str, parameters: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let template = template_of(stack);
    let key = |one: Leftover| (one.kind.to_owned(), one.name);
    leftovers(template, parameters).into_iter().map(key).collect()
}

/// ARNs here are `NAME/NUMBER`.
fn name_of(id: &str) -> String {
    id.split('/').next().unwrap_or_default().to_owned()
}

impl Standing {
    fn event(&self, resource: &str, kind: &str, status: &str, reason: Option<&str>) -> Event {
        let planned = self.work.as_ref().map_or(0, |(_, _, events)| events.len());
        Event {
            id: format!("{}-{}-{planned}-{status}-{resource}", self.stack.id, self.events.len()),
            resource: resource.to_owned(),
            kind: kind.to_owned(),
            physical: resource.to_lowercase(),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
            is_stack: kind == STACK,
        }
    }

    /// Begins an operation that ends in `end`, with what happens to one resource on the way.
    fn begin(&mut self, verb: &str, end: &str, resource: (&str, &str, &str, Option<&str>)) {
        let name = name_of(&self.stack.id);
        let begun = self.event(&name, STACK, &format!("{verb}_IN_PROGRESS"), None);
        self.events.push(begun);
        self.stack.status = format!("{verb}_IN_PROGRESS");
        let (logical, kind, status, reason) = resource;
        let events = vec![self.event(logical, kind, status, reason), self.event(&name, STACK, end, None)];
        self.work = Some((LOOKS, end.to_owned(), events));
    }

    fn look(&mut self) {
        match self.work.take() {
            Some((0, end, events)) => {
                self.events.extend(events);
                self.stack.status = end;
            }
            Some((looks, end, events)) => self.work = Some((looks - 1, end, events)),
            None => {}
        }
    }
}

impl Cloud for World {
    async fn validate(&self, name: &str, _body: &str) -> Result<(), Trouble> {
        self.call(false)?;
        match self.refused.borrow().as_deref() {
            Some(refused) if refused == name => Err(trouble(Kind::Refused, "Template format error")),
            _ => Ok(()),
        }
    }

    async fn stack(&self, name: &str) -> Result<Option<Stack>, Trouble> {
        self.call(true)?;
        Ok(self
            .with(name, |_, standing| {
                standing.look();
                standing.stack.clone()
            })
            .ok())
    }

    async fn stacks(&self, prefix: &str) -> Result<Vec<String>, Trouble> {
        self.call(false)?;
        Ok(self.statuses().into_keys().filter(|name| name.starts_with(prefix)).collect())
    }

    async fn template(&self, stack: &str) -> Result<String, Trouble> {
        self.call(true)?;
        self.with(stack, |_, standing| standing.body.clone())
    }

    async fn resources(&self, stack: &str) -> Result<Vec<Resource>, Trouble> {
        self.call(true)?;
        let lake = Resource { kind: "AWS::S3::Bucket".to_owned(), physical: "lake".to_owned() };
        Ok(if stack.ends_with("-storage") { vec![lake] } else { Vec::new() })
    }

    async fn propose(&self, proposal: &Proposal<'_>) -> Result<(), Trouble> {
        self.call(false)?;
        if proposal.is_new && self.find(proposal.stack).is_none() {
            let id = format!("{}/{}", proposal.stack, self.stacks.borrow().len());
            let stack = Stack { id: id.clone(), status: "REVIEW_IN_PROGRESS".to_owned(), ..Stack::default() };
            self.stacks.borrow_mut().insert(id, Standing { stack, ..Standing::default() });
        }
        let replacing = self.replacing.borrow().as_deref() == Some(proposal.stack);
        self.with(proposal.stack, |_, standing| {
            if standing.proposed.is_some() {
                return Err(trouble(Kind::AlreadyThere, "ChangeSet already exists"));
            }
            // A stack says its defaults as well.
            let all = template_of(proposal.stack).parameters().into_iter();
            let mut parameters: BTreeMap<String, String> =
                all.filter_map(|one| Some((one.name, one.default?))).collect();
            for (name, value) in &proposal.parameters {
                let kept = standing.stack.parameters.get(name).cloned();
                parameters.insert(name.clone(), value.clone().or(kept).unwrap());
            }
            let is_same = standing.body == proposal.body && standing.stack.parameters == parameters && !replacing;
            let is_import = !proposal.imports.is_empty();
            standing.imported =
                proposal.imports.iter().map(|one| (one.kind.to_owned(), one.identifier.1.clone())).collect();
            if is_import && (!proposal.tags.is_empty() || proposal.body.contains("Outputs:")) {
                return Err(trouble(Kind::Refused, "you cannot modify or add [Outputs]"));
            }
            let named = self.named.borrow();
            if let Some(owner) = standing.imported.iter().find_map(|one| named.get(one).cloned().flatten()) {
                let reason = format!("it already exists in stack {owner}");
                standing.proposed = Some((proposal.body.to_owned(), parameters, ChangeSet::Failed(reason)));
                return Ok(());
            }
            let change = Change {
                action: if is_import {
                    "Import"
                } else if proposal.is_new {
                    "Add"
                } else {
                    "Modify"
                }
                .to_owned(),
                resource: "Table".to_owned(),
                kind: "AWS::DynamoDB::GlobalTable".to_owned(),
                physical: None,
                replacement: if replacing { Replacement::Yes } else { Replacement::No },
                policy: None,
                what: Vec::new(),
            };
            let ready = if is_same { ChangeSet::Empty } else { ChangeSet::Ready(vec![change]) };
            standing.proposed = Some((proposal.body.to_owned(), parameters, ready));
            Ok(())
        })?
    }

    async fn change_set(&self, stack: &str) -> Result<ChangeSet, Trouble> {
        self.call(true)?;
        let missing = trouble(Kind::Missing, "ChangeSet does not exist");
        self.with(stack, |_, standing| standing.proposed.clone().map(|(_, _, ready)| ready))?.ok_or(missing)
    }

    async fn execute(&self, stack: &str, is_import: bool) -> Result<(), Trouble> {
        self.call(false)?;
        self.changes.set(self.changes.get() + 1);
        *self.replacing.borrow_mut() = None;
        let failing = self.failing.borrow().clone().filter(|(name, _)| name == stack).map(|(_, reason)| reason);
        self.with(stack, |name, standing| {
            let (body, parameters, _) = standing.proposed.take().unwrap();
            let is_new = standing.stack.status == "REVIEW_IN_PROGRESS";
            let verb = if is_import {
                "IMPORT"
            } else if is_new {
                "CREATE"
            } else {
                "UPDATE"
            };
            assert_eq!(is_import, !standing.imported.is_empty(), "{name}");
            let mut named = self.named.borrow_mut();
            let wanted = if is_import { standing.imported.clone() } else { named_by(name, &parameters) };
            let is_taken = |one: &&(String, String)| named.get(*one).is_some_and(|of| of.as_deref() != Some(name));
            if let Some((kind, taken)) = wanted.iter().find(is_taken).filter(|_| !is_import) {
                let reason = format!("Resource of type '{kind}' with identifier '{taken}' already exists.");
                standing.begin(verb, "ROLLBACK_COMPLETE", ("Taken", kind, "CREATE_FAILED", Some(&reason)));
                return;
            }
            if let Some(reason) = failing {
                let failed = ("Broken", "AWS::Lambda::Function", "CREATE_FAILED", Some(reason.as_str()));
                standing.begin(verb, "ROLLBACK_COMPLETE", failed);
                return;
            }
            named.extend(wanted.into_iter().map(|one| (one, Some(name.to_owned()))));
            standing.body = body;
            standing.stack.parameters = parameters;
            if is_import {
                standing.begin(
                    verb,
                    "IMPORT_COMPLETE",
                    ("Table", "AWS::DynamoDB::GlobalTable", "IMPORT_COMPLETE", None),
                );
                return;
            }
            let outputs = template_of(name).outputs().into_iter();
            standing.stack.outputs =
                outputs.map(|key| (key.to_owned(), format!("{key}-of-{name}").to_lowercase())).collect();
            let done = format!("{verb}_COMPLETE");
            standing.begin(verb, &done, ("Table", "AWS::DynamoDB::GlobalTable", &done, None));
        })
    }

    async fn discard(&self, stack: &str) -> Result<(), Trouble> {
        self.call(true)?;
        let _was = self.with(stack, |_, standing| standing.proposed.take());
        Ok(())
    }

    async fn delete(&self, stack: &str) -> Result<(), Trouble> {
        self.call(false)?;
        let _found = self.with(stack, |name, standing| {
            standing.proposed = None;
            if standing.stack.status == "REVIEW_IN_PROGRESS" {
                "DELETE_COMPLETE".clone_into(&mut standing.stack.status);
                return;
            }
            let keeps = standing.body.contains("DeletionPolicy: Retain");
            let what = if keeps { "DELETE_SKIPPED" } else { "DELETE_COMPLETE" };
            let mut named = self.named.borrow_mut();
            if keeps {
                named.values_mut().filter(|owner| owner.as_deref() == Some(name)).for_each(|owner| *owner = None);
            } else {
                named.retain(|_, owner| owner.as_deref() != Some(name));
            }
            standing.begin("DELETE", "DELETE_COMPLETE", ("Table", "AWS::DynamoDB::GlobalTable", what, None));
        });
        Ok(())
    }

    async fn resume_rollback(&self, stack: &str) -> Result<(), Trouble> {
        self.call(false)?;
        self.with(stack, |_, standing| {
            let back = ("Table", "AWS::DynamoDB::GlobalTable", "UPDATE_COMPLETE", None);
            standing.begin("UPDATE_ROLLBACK", "UPDATE_ROLLBACK_COMPLETE", back);
        })
    }

    async fn events(&self, stack: &str, after: Option<&str>) -> Result<Vec<Event>, Trouble> {
        self.call(true)?;
        self.with(stack, |_, standing| {
            let from = match after {
                Some(id) => standing.events.iter().position(|event| event.id == id).map(|at| at + 1),
                None => standing.events.iter().rposition(Event::is_beginning),
            };
            standing.events[from.unwrap_or(0)..].to_vec()
        })
    }

    async fn find(&self, kind: &str, name: &str) -> Result<Option<String>, Trouble> {
        self.call(true)?;
        let key = (kind.to_owned(), name.to_owned());
        Ok(self.named.borrow().contains_key(&key).then(|| name.to_owned()))
    }

    async fn table_stream(&self, table: &str) -> Result<Option<String>, Trouble> {
        self.call(true)?;
        let key = ("AWS::DynamoDB::GlobalTable".to_owned(), table.to_owned());
        Ok(self.named.borrow().contains_key(&key).then(|| format!("arn:aws:dynamodb:r:1:table/{table}/stream/s")))
    }

    async fn has_object(&self, bucket: &str, key: &str) -> Result<bool, Trouble> {
        self.call(true)?;
        Ok(self.objects.borrow().contains_key(&format!("{bucket}/{key}")))
    }

    async fn object(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        self.call(true)?;
        Ok(self.objects.borrow().get(&format!("{bucket}/{key}")).cloned())
    }

    async fn put_object(&self, bucket: &str, key: &str, body: Vec<u8>) -> Result<(), Trouble> {
        self.call(true)?;
        self.changes.set(self.changes.get() + 1);
        self.objects.borrow_mut().insert(format!("{bucket}/{key}"), body);
        Ok(())
    }

    async fn empty_bucket(&self, bucket: &str) -> Result<u64, Trouble> {
        self.call(true)?;
        self.emptied.borrow_mut().push(bucket.to_owned());
        Ok(1)
    }
}
