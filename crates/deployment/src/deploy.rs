//! Making and changing an environment: each stack in order, by a change set that is shown before it is executed.
//!
//! Nothing is remembered between runs but what CloudFormation has: a stack is looked at, brought into a state in which it can
//! be changed, and changed if there is a difference. So a second run finds nothing to do, and one after an interruption
//! finishes what the first began.

mod adopt;
mod ready;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Attendant;
use crate::cause::{first_cause, remedy};
use crate::cloud::{Change, ChangeSet, Cloud, Event, Kind, Proposal, Replacement, Stack, Trouble};
use crate::code::{self, CodeError, Zip};
use crate::plan::{Source, StackPlan};
use crate::watch::{WatchError, patiently, until_ended};
use adopt::Adopted;

/// Looks at a change set that is worked out: half an hour and more. CloudFormation takes seconds.
const CHANGE_SET_LOOKS_MAX: u32 = 2_000;
const CHANGE_SET_LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// How it is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The role CloudFormation acts with; `None`: the one that the stack `millrace-deployment` has made.
    pub role: Option<String>,
    /// Shows what would be done, and leaves everything as it was.
    pub is_dry: bool,
    /// The stacks that may be changed, by name; `None`: all. The others are asked for their outputs.
    pub only: Option<BTreeSet<String>>,
}

impl Settings {
    fn changes(&self, plan: &StackPlan) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&plan.name))
    }
}

/// What was done, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Stacks that are new.
    pub created: usize,
    /// Stacks that were changed.
    pub updated: usize,
    /// Stacks that were as they should be.
    pub unchanged: usize,
}

/// Why an environment is not, or not wholly, deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A zip is missing.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// AWS refused.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// It took too long.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// A template is broken.
    #[error("nothing was changed: CloudFormation does not take the template `{0}`: {1}")]
    Template(&'static str, String),
    /// A parameter has no value.
    #[error(
        "`{stack}` needs {parameter}, and `{from}` has no such output: give it with --parameter {template}:{parameter}=…"
    )]
    NoOutput {
        /// The stack.
        stack: String,
        /// Its template.
        template: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// Where it should have come from.
        from: &'static str,
    },
    /// A change set cannot be made.
    #[error("the change set of `{0}` cannot be made: {1}")]
    ChangeSet(String, String),
    /// An operation failed.
    #[error("`{stack}` is {status}: {cause}\n{remedy}")]
    Failed {
        /// The stack.
        stack: String,
        /// The state it ended in.
        status: String,
        /// The first cause: resource, type, reason.
        cause: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Nobody agreed, or could be asked.
    #[error("`{0}` is left as it is: {1}")]
    Declined(String, String),
    /// The stack is in a state that cannot be left from here.
    #[error("`{0}` is {1} and cannot be changed: finish or delete it in the CloudFormation console, then run again")]
    Stuck(String, String),
}

/// Deploys the stacks of a plan, in its order. `code` is the folder of the zips.
///
/// # Errors
/// See [`DeployError`]. What was deployed before stays; the same call goes on from there.
pub async fn deploy(
    cloud: &impl Cloud,
    plan: &[StackPlan],
    code: &Path,
    settings: &Settings,
    attendant: &mut impl Attendant,
) -> Result<Summary, DeployError> {
    let mut zips = BTreeMap::new();
    for source in plan.iter().filter(|stack| settings.changes(stack)).flat_map(|stack| stack.given.values()) {
        if let Source::Code(function) = source {
            zips.insert(*function, code::find(code, function)?);
        }
    }
    let mut checked: Vec<&str> = Vec::new();
    for template in plan.iter().filter(|stack| settings.changes(stack)).map(|stack| stack.template) {
        if !checked.contains(&template.name) {
            checked.push(template.name);
            cloud.validate(template.name, template.body).await.map_err(|trouble| match trouble.kind {
                Kind::Refused => DeployError::Template(template.name, trouble.message),
                _ => trouble.into(),
            })?;
        }
    }
    let mut run = Run { cloud, settings, zips, attendant, outputs: BTreeMap::new(), summary: Summary::default() };
    for stack in plan {
        if settings.changes(stack) {
            run.stack(stack).await?;
        } else if let Some(found) = patiently(|| cloud.stack(&stack.name)).await? {
            run.outputs.insert(stack.template.name, found.outputs);
        }
    }
    Ok(run.summary)
}

/// A deployment under way.
struct Run<'a, C, A> {
    cloud: &'a C,
    settings: &'a Settings,
    zips: BTreeMap<&'static str, Zip>,
    attendant: &'a mut A,
    /// Of the stacks so far, by template.
    outputs: BTreeMap<&'static str, BTreeMap<String, String>>,
    summary: Summary,
}

impl<C: Cloud, A: Attendant> Run<'_, C, A> {
    async fn stack(&mut self, plan: &StackPlan) -> Result<(), DeployError> {
        let name = plan.name.as_str();
        let Some(standing) = ready::make_ready(self.cloud, name, self.settings.is_dry, self.attendant).await? else {
            return Ok(());
        };
        let is_new = standing.is_none();
        let Some(parameters) = self.parameters(plan, standing.as_ref())? else {
            self.attendant.tell(name, "would be created; what exactly shows when those before it exist");
            self.summary.created += 1;
            return Ok(());
        };
        let role = self.settings.role.as_deref().or_else(|| self.output("deployment", "DeploymentRoleArn"));
        let role = role.filter(|_| plan.with_role).map(str::to_owned);
        let standing = match standing {
            None => match self.adopt(plan, &parameters, role.as_deref()).await? {
                Adopted::Nothing => None,
                Adopted::Shown => {
                    self.summary.created += 1;
                    return Ok(());
                }
                Adopted::Stack(stack) => Some(stack),
            },
            standing => standing,
        };
        if !self.settings.is_dry {
            self.upload(plan).await?;
        }
        let proposal = Proposal {
            stack: name,
            is_new: standing.is_none(),
            body: plan.template.body,
            parameters,
            tags: plan.tags.clone(),
            role: role.as_deref(),
            imports: &[],
        };
        let changes = propose(self.cloud, &proposal).await?;
        let outputs = match changes {
            None => {
                self.drop_change_set(&proposal).await?;
                self.attendant.tell(name, "nothing to change");
                self.summary.unchanged += 1;
                standing.map(|stack| stack.outputs).unwrap_or_default()
            }
            Some(changes) => {
                *(if is_new { &mut self.summary.created } else { &mut self.summary.updated }) += 1;
                self.attendant.tell(name, if proposal.is_new { "to be created" } else { "to be updated" });
                self.attendant.show(name, &changes);
                if self.settings.is_dry {
                    self.drop_change_set(&proposal).await?;
                    standing.map(|stack| stack.outputs).unwrap_or_default()
                } else {
                    self.agree(&proposal, &changes).await?;
                    self.execute(&proposal).await?.outputs
                }
            }
        };
        self.outputs.insert(plan.template.name, outputs);
        Ok(())
    }

    fn output(&self, template: &str, key: &str) -> Option<&str> {
        self.outputs.get(template)?.get(key).map(String::as_str)
    }

    /// Stores the zip of the stack's function, unless it is there.
    async fn upload(&mut self, plan: &StackPlan) -> Result<(), DeployError> {
        let function = plan.given.values().find_map(|source| match source {
            Source::Code(function) => Some(*function),
            _ => None,
        });
        let Some(zip) = function.and_then(|function| self.zips.get(function)) else { return Ok(()) };
        let Some(bucket) = self.output("artifacts", "CodeBucket") else { return Ok(()) };
        if patiently(|| self.cloud.has_object(bucket, &zip.key)).await? {
            return Ok(());
        }
        let bytes =
            std::fs::read(&zip.path).map_err(|source| CodeError::Unreadable { path: zip.path.clone(), source })?;
        let words = format!("uploading {} ({} KiB)", zip.key, bytes.len() / 1024);
        patiently(|| self.cloud.put_object(bucket, &zip.key, bytes.clone())).await?;
        self.attendant.tell(&plan.name, &words);
        Ok(())
    }

    /// Asks, where something that exists would go.
    async fn agree(&mut self, proposal: &Proposal<'_>, changes: &[Change]) -> Result<(), DeployError> {
        let drastic: Vec<String> = changes.iter().filter(|change| change.is_drastic()).map(in_words).collect();
        if drastic.is_empty() {
            return Ok(());
        }
        let answer = self.attendant.agree(proposal.stack, &format!("{}. Do it?", drastic.join(", ")));
        let declined = match answer {
            Ok(true) => return Ok(()),
            Ok(false) => "it was not agreed to".to_owned(),
            Err(why) => why,
        };
        self.drop_change_set(proposal).await?;
        Err(DeployError::Declined(proposal.stack.to_owned(), declined))
    }

    /// Takes the change set away, and with it the empty stack that it was made for.
    async fn drop_change_set(&self, proposal: &Proposal<'_>) -> Result<(), DeployError> {
        withdraw(self.cloud, proposal).await.map_err(DeployError::from)
    }

    async fn execute(&mut self, proposal: &Proposal<'_>) -> Result<Stack, DeployError> {
        let name = proposal.stack;
        let before = patiently(|| self.cloud.stack(name)).await?.ok_or_else(|| gone(name))?;
        let last = patiently(|| self.cloud.events(&before.id, None)).await?.last().map(|event| event.id.clone());
        self.cloud.execute(name, !proposal.imports.is_empty()).await?;
        let ended = until_ended(self.cloud, name, &before.id, last.as_deref(), self.attendant).await?;
        let stack = ended.stack.ok_or_else(|| gone(name))?;
        match stack.status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => {
                self.attendant.tell(name, &stack.status);
                Ok(stack)
            }
            status => Err(failed(name, status, &ended.events)),
        }
    }
}

/// Has a change set worked out. `None`: there is nothing to change.
pub(crate) async fn propose(cloud: &impl Cloud, proposal: &Proposal<'_>) -> Result<Option<Vec<Change>>, DeployError> {
    match cloud.propose(proposal).await {
        Err(trouble) if trouble.kind == Kind::AlreadyThere => {
            // Of a run that was interrupted before it executed or deleted it.
            patiently(|| cloud.discard(proposal.stack)).await?;
            cloud.propose(proposal).await?;
        }
        answer => answer?,
    }
    for _ in 0..CHANGE_SET_LOOKS_MAX {
        match patiently(|| cloud.change_set(proposal.stack)).await? {
            ChangeSet::Ready(changes) => return Ok(Some(changes)),
            ChangeSet::Empty => return Ok(None),
            ChangeSet::Failed(reason) => {
                withdraw(cloud, proposal).await?;
                let words = format!("{reason}\n{}", remedy(&reason));
                return Err(DeployError::ChangeSet(proposal.stack.to_owned(), words));
            }
            ChangeSet::Pending => tokio::time::sleep(CHANGE_SET_LOOK_EVERY).await,
        }
    }
    let reason = "CloudFormation works on it for too long; run again".to_owned();
    Err(DeployError::ChangeSet(proposal.stack.to_owned(), reason))
}

async fn withdraw(cloud: &impl Cloud, proposal: &Proposal<'_>) -> Result<(), Trouble> {
    patiently(|| cloud.discard(proposal.stack)).await?;
    if proposal.is_new {
        patiently(|| cloud.delete(proposal.stack)).await?;
    }
    Ok(())
}

/// The error of an operation that ended in `status`.
pub(crate) fn failed(stack: &str, status: &str, events: &[Event]) -> DeployError {
    let (cause, remedy) = match first_cause(events) {
        Some(event) => {
            let reason = event.reason.clone().unwrap_or_default();
            (format!("{} ({}): {reason}", event.resource, event.kind), remedy(&reason))
        }
        None => ("CloudFormation names no cause".to_owned(), remedy("")),
    };
    DeployError::Failed { stack: stack.to_owned(), status: status.to_owned(), cause, remedy }
}

fn gone(name: &str) -> Trouble {
    let message = "the stack was deleted meanwhile; run again".to_owned();
    Trouble { action: "DescribeStacks", subject: name.to_owned(), kind: Kind::Missing, message }
}

fn in_words(change: &Change) -> String {
    let verb = match (change.action.as_str(), change.replacement) {
        ("Remove", _) if change.policy.as_deref().is_some_and(|policy| policy.starts_with("Retain")) => {
            "leaves the stack"
        }
        ("Remove", _) => "is deleted",
        (_, Replacement::Maybe) => "may be replaced",
        _ => "is replaced",
    };
    format!("{} ({}) {verb}", change.resource, change.kind)
}
