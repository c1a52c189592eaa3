//! Taking what a former stack has kept into a new one, before the rest is made.
//!
//! `destroy` keeps tables, lakes and queues. Their names are taken, so that a stack which would make them again fails. They are
//! imported first, alone, as CloudFormation wants it, and shown; the update that follows makes the rest and brings them what the
//! template says. Cut off between the two, the next run finds a stack like any other and updates it.

use super::values::Values;
use super::{DeployError, Run, propose};
use crate::Attendant;
use crate::cloud::{Cloud, Kind, Proposal, Stack};
use crate::leftover::{Import, import_body, leftovers};
use crate::plan::StackPlan;
use crate::watch::patiently;

/// What came of it.
pub(super) enum Adopted {
    /// There was nothing to adopt.
    Nothing,
    /// It was shown, and may not be done.
    Shown,
    /// The stack that it was imported into.
    Stack(Stack),
}

impl<C: Cloud, A: Attendant> Run<'_, C, A> {
    /// Imports what exists already under a name that the stack will need. It is asked for: what is in it was somebody's.
    pub(super) async fn adopt(
        &mut self,
        plan: &StackPlan,
        parameters: &Values,
        role: Option<&str>,
    ) -> Result<Adopted, DeployError> {
        let name = plan.name.as_str();
        let given = parameters.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
        let mut imports: Vec<Import> = Vec::new();
        for leftover in leftovers(plan.template, &given) {
            match patiently(|| self.cloud.find(leftover.kind, &leftover.name)).await {
                Ok(Some(value)) => {
                    let identifier = (leftover.property, value);
                    imports.push(Import { resource: leftover.resource, kind: leftover.kind, identifier });
                }
                Ok(None) => {}
                // Who deploys with CloudFormation's role alone may not look: mostly nothing is there, and what is fails with its name.
                Err(trouble) if trouble.kind == Kind::Forbidden => {
                    self.attendant
                        .tell(name, &format!("whether {} is there already is not known: {trouble}", leftover.name));
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
        if imports.is_empty() {
            return Ok(Adopted::Nothing);
        }
        let body = import_body(plan.template, &imports);
        let proposal = Proposal {
            stack: name,
            is_new: true,
            body: &body,
            parameters: parameters.clone(),
            // An import takes none; the update after it does.
            tags: std::collections::BTreeMap::new(),
            role,
            imports: &imports,
        };
        let changes = propose(self.cloud, &proposal).await?.unwrap_or_default();
        self.attendant
            .tell(name, "these exist already, kept by a former stack or made by hand, and are to be imported");
        self.attendant.show(name, &changes);
        if self.settings.is_dry {
            self.drop_change_set(&proposal).await?;
            self.attendant.tell(name, "the rest would be created; what exactly shows when these are imported");
            return Ok(Adopted::Shown);
        }
        let all: Vec<&str> = imports.iter().map(|import| import.identifier.1.as_str()).collect();
        let question = format!("{} and what is in them become part of this environment. Do it?", all.join(", "));
        let declined = match self.attendant.agree(name, &question) {
            Ok(true) => return Ok(Adopted::Stack(self.execute(&proposal).await?)),
            Ok(false) => "it was not agreed to".to_owned(),
            Err(why) => why,
        };
        self.drop_change_set(&proposal).await?;
        Err(DeployError::Declined(name.to_owned(), declined))
    }
}
