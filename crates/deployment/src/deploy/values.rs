//! Where the values of a stack's parameters come from.

use std::collections::BTreeMap;

use super::{DeployError, Run};
use crate::Attendant;
use crate::cloud::{Cloud, Stack};
use crate::parameter::Parameter;
use crate::plan::{Source, StackPlan};
use crate::revision;
use crate::template::Template;

/// By parameter; `None` keeps the value that the stack has.
pub(super) type Values = BTreeMap<String, Option<String>>;

impl<C: Cloud, A: Attendant> Run<'_, C, A> {
    /// Values of the parameters, or `None` where one cannot be known before a stack exists that this run does not make.
    pub(super) fn parameters(&self, plan: &StackPlan, standing: Option<&Stack>) -> Result<Option<Values>, DeployError> {
        let mut values = BTreeMap::new();
        for parameter in plan.template.parameters() {
            let has = standing.is_some_and(|stack| stack.parameters.contains_key(&parameter.name));
            let value = match plan.given.get_key_value(parameter.name.as_str()) {
                None => has.then_some(None),
                Some((_, Source::Text(text))) => Some(Some(text.clone())),
                Some((_, Source::AtFirst(text))) => Some((!has).then(|| (*text).to_owned())),
                Some((_, Source::Code(function))) => self.zips.get(function).map(|zip| Some(zip.key.clone())),
                Some((name, Source::Output { of, key })) => match self.output(of, key) {
                    Some(value) => Some(Some(value.to_owned())),
                    None if has => Some(None),
                    None if self.settings.is_dry => return Ok(None),
                    None if parameter.default.is_some() => None,
                    None => {
                        return Err(DeployError::NoOutput {
                            stack: plan.name.clone(),
                            template: plan.template.name,
                            parameter: name,
                            from: of,
                        });
                    }
                },
            };
            if let Some(value) = value {
                values.insert(parameter.name, value);
            }
        }
        let has_revision = plan.template.parameters().iter().any(|parameter| parameter.name == revision::PARAMETER);
        if has_revision && !plan.given.contains_key(revision::PARAMETER) {
            let name = revision::revision(plan.template.body, &effective(plan.template, &values, standing));
            values.insert(revision::PARAMETER.to_owned(), Some(name));
        }
        Ok(Some(values))
    }
}

/// The values that the stack will have: a stack that is there says its defaults as well, so that a new one has to.
fn effective(template: &Template, values: &Values, standing: Option<&Stack>) -> BTreeMap<String, String> {
    let kept = |name: &str| standing.and_then(|stack| stack.parameters.get(name)).cloned();
    let value = |parameter: Parameter| {
        let value = match values.get(&parameter.name) {
            Some(Some(given)) => Some(given.clone()),
            Some(None) => kept(&parameter.name),
            None => parameter.default,
        };
        Some((parameter.name, value?))
    };
    template.parameters().into_iter().filter_map(value).collect()
}
