//! The templates of `infra/`, inside the program: it deploys what it was built with, from any folder.
//!
//! Not a reader of YAML: of a template only the parameters, the names of the outputs, simple conditions and the outlines of its
//! resources are read, in the one form in which this repository writes them. Tests hold every template to that form.

use crate::block::Block;
use crate::parameter::Parameter;

/// A template.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    /// As its file is called, without the ending.
    pub name: &'static str,
    /// The text.
    pub body: &'static str,
}

/// Bucket for code.
pub static ARTIFACTS: Template = Template { name: "artifacts", body: include_str!("../../../infra/artifacts.yaml") };
/// The role that deploys the others.
pub static DEPLOYMENT: Template = Template { name: "deployment", body: include_str!("../../../infra/deployment.yaml") };
/// Lake and tables.
pub static STORAGE: Template = Template { name: "storage", body: include_str!("../../../infra/storage.yaml") };
/// Stream and scorer.
pub static PIPELINE: Template = Template { name: "pipeline", body: include_str!("../../../infra/pipeline.yaml") };
/// The fan-out.
pub static ALERTS: Template = Template { name: "alerts", body: include_str!("../../../infra/alerts.yaml") };
/// The lake's tables and queries.
pub static ANALYTICS: Template = Template { name: "analytics", body: include_str!("../../../infra/analytics.yaml") };
/// Batch inference, and a model in SageMaker.
pub static MODELS: Template = Template { name: "models", body: include_str!("../../../infra/models.yaml") };
/// Alarms and the dashboard.
pub static OBSERVABILITY: Template =
    Template { name: "observability", body: include_str!("../../../infra/observability.yaml") };
/// Whether the other Region of a pair is ready.
pub static DR: Template = Template { name: "dr", body: include_str!("../../../infra/dr.yaml") };
/// A tenant.
pub static TENANT: Template = Template { name: "tenant", body: include_str!("../../../infra/tenant.yaml") };

impl Template {
    /// Its parameters.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for line in self.section("Parameters:") {
            if let Some(name) = line.strip_prefix("  ").and_then(name_of) {
                parameters.push(Parameter::named(name));
            } else if let (Some(parameter), Some((key, value))) =
                (parameters.last_mut(), line.strip_prefix("    ").and_then(|line| line.split_once(": ")))
            {
                parameter.learn(key, value);
            }
        }
        parameters
    }

    /// Names of its outputs.
    #[must_use]
    pub fn outputs(&self) -> Vec<&'static str> {
        self.section("Outputs:").filter_map(|line| line.strip_prefix("  ").and_then(name_of)).collect()
    }

    /// Its resources.
    #[must_use]
    pub fn resources(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for line in self.section("Resources:") {
            if let Some(name) = line.strip_prefix("  ").and_then(name_of) {
                blocks.push(Block { name, lines: Vec::new() });
            } else if let Some(block) = blocks.last_mut() {
                block.lines.push(line);
            }
        }
        blocks
    }

    /// Whether a condition holds with these values: one that compares a parameter with a value. Of any other it is taken to hold.
    pub(crate) fn holds(&self, condition: &str, value: impl Fn(&str) -> String) -> bool {
        let start = format!("  {condition}: ");
        let Some(text) = self.section("Conditions:").find_map(|line| line.strip_prefix(&start)) else { return true };
        let (is_not, text) = match text.strip_prefix("!Not [").and_then(|text| text.strip_suffix(']')) {
            Some(inner) => (true, inner),
            None => (false, text),
        };
        let compared = text.strip_prefix("!Equals [!Ref ").and_then(|text| text.strip_suffix(']'));
        let Some((parameter, wanted)) = compared.and_then(|text| text.split_once(", ")) else { return true };
        (value(parameter) == wanted.trim_matches('"')) != is_not
    }

    /// The lines below a key of the first level.
    pub(crate) fn section(&self, key: &'static str) -> impl Iterator<Item = &'static str> + use<> {
        let below = self.body.lines().skip_while(move |line| *line != key).skip(1);
        below.take_while(|line| line.is_empty() || line.starts_with(' '))
    }
}

/// `Name` of `Name:` at the beginning of its level.
fn name_of(line: &'static str) -> Option<&'static str> {
    line.strip_suffix(':').filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
