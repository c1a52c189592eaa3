//! Which stacks an environment is made of, in which order, and where each parameter comes from.
//!
//! The order and the outputs that feed parameters are those of `docs/operations/deploy.md`. Everything that can be wrong with
//! a request is found here, all of it at once, before anybody is asked.

use std::collections::BTreeMap;
use std::fmt;

use crate::pair::{Peer, Standing};
use crate::template::{
    ALERTS, ANALYTICS, ARTIFACTS, DEPLOYMENT, DR, MODELS, OBSERVABILITY, PIPELINE, STORAGE, TENANT, Template,
};

/// Every template, in the order of deployment.
pub static TEMPLATES: [&Template; 10] =
    [&ARTIFACTS, &DEPLOYMENT, &STORAGE, &PIPELINE, &ALERTS, &ANALYTICS, &MODELS, &OBSERVABILITY, &DR, &TENANT];

/// Functions with a zip, and the template that deploys each.
pub const FUNCTIONS: [(&str, &str); 4] = [
    ("pipeline", "kinesis-scorer"),
    ("alerts", "alert-fanout"),
    ("models", "batch-analyzer"),
    ("dr", "replication-checker"),
];

/// Templates of the cold path: an environment has them if it is asked for.
pub const OPTIONAL: [&str; 2] = ["analytics", "models"];

/// Parameters of `models` that are outputs of `analytics`, where both are deployed.
const OF_ANALYTICS: [&str; 3] = ["WorkGroupName", "DatabaseName", "ResultsBucketName"];

/// What is to be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Name of the environment.
    pub environment: String,
    /// The other Region of a pair. Without its lake the template `dr` waits: a bucket has to be there before it can be copied to.
    pub peer: Option<Peer>,
    /// Tenants whose stacks are deployed, too.
    pub tenants: Vec<String>,
    /// Which of [`OPTIONAL`] are deployed, too.
    pub with: Vec<String>,
    /// Values of parameters.
    pub settings: Vec<Setting>,
    /// The role CloudFormation acts with. `None`: the one of the stack `millrace-deployment`, which is then deployed, too.
    pub role: Option<String>,
}

/// `STACK:NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// A template's name, or `tenant-NAME` for the stack of one tenant.
    pub stack: String,
    /// The parameter.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(left, value)| Some((left.split_once(':')?, value)));
        match parts {
            Some(((stack, name), value)) if !stack.is_empty() && !name.is_empty() => {
                Ok(Self { stack: stack.to_owned(), name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("expected STACK:NAME=VALUE, such as pipeline:ShardCount=2".to_owned()),
        }
    }
}

/// Where a parameter's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It was said.
    Text(String),
    /// That of a new stack; one that is there keeps its own.
    AtFirst(&'static str),
    /// An output of the stack that this template makes.
    Output {
        /// The template.
        of: &'static str,
        /// The output.
        key: &'static str,
    },
    /// The key of the function's zip.
    Code(&'static str),
}

/// A stack that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackPlan {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub template: &'static Template,
    /// Parameters that are given. The others keep what the stack has, or are the template's defaults.
    pub given: BTreeMap<&'static str, Source>,
    /// Tags of the stack and its resources.
    pub tags: BTreeMap<&'static str, String>,
    /// Whether CloudFormation acts with the role, or as the caller.
    pub with_role: bool,
}

/// Everything that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError(pub Vec<String>);

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing was changed, because: {}", self.0.join("; "))
    }
}

impl std::error::Error for PlanError {}

/// The stack that a template makes in an environment.
#[must_use]
pub fn stack_name(template: &Template, environment: &str) -> String {
    match template.name {
        shared @ ("artifacts" | "deployment") => format!("millrace-{shared}"),
        own => format!("millrace-{environment}-{own}"),
    }
}

/// How the names of an environment's tenants' stacks begin.
#[must_use]
pub fn tenants_prefix(environment: &str) -> String {
    format!("millrace-{environment}-tenant-")
}

/// The stacks in the order of deployment.
///
/// # Errors
/// A parameter is not of the template, has a value that it does not take, or has none; a stack is not one of these.
pub fn plan(request: &Request) -> Result<Vec<StackPlan>, PlanError> {
    let mut stacks: Vec<(String, StackPlan)> = Vec::new();
    for template in TEMPLATES {
        let skip = match template.name {
            "deployment" => request.role.is_some(),
            "tenant" => true,
            "dr" => request.peer.is_none(),
            name => OPTIONAL.contains(&name) && !request.with.iter().any(|with| with == name),
        };
        if !skip {
            stacks.push((template.name.to_owned(), stack(template, request, None)));
        }
    }
    for tenant in &request.tenants {
        stacks.push((format!("tenant-{tenant}"), stack(&TENANT, request, Some(tenant))));
    }
    let mut mistakes = Vec::new();
    for name in request.with.iter().filter(|name| !OPTIONAL.contains(&name.as_str())) {
        mistakes.push(format!("`{name}` is no stack that can be asked for: {} are", OPTIONAL.join(" and ")));
    }
    for setting in &request.settings {
        let Setting { stack, name, value } = setting;
        let mut is_known = false;
        for (own_name, plan) in &mut stacks {
            if own_name == stack || (plan.template.name == "tenant" && stack == "tenant") {
                is_known = true;
                match plan.template.parameters().iter().find(|parameter| parameter.name == *name) {
                    None => mistakes.push(format!("`{}` has no parameter `{name}`", plan.template.name)),
                    Some(_) if ["Environment", "CodeKey", "CodeBucket"].contains(&name.as_str()) => {
                        mistakes
                            .push(format!("{stack}:{name} follows from --environment and --code and cannot be set"));
                    }
                    // The template lives as long as the program, but what was parsed of it does not.
                    Some(_) => match name_in(plan.template, name) {
                        Some(name) => drop(plan.given.insert(name, Source::Text(value.clone()))),
                        None => mistakes.push(format!("`{}` has no parameter `{name}`", plan.template.name)),
                    },
                }
            }
        }
        if !is_known {
            let known: Vec<&str> = stacks.iter().map(|(name, _)| name.as_str()).collect();
            mistakes.push(format!("there is no stack `{stack}` to set `{name}` of, only {}", known.join(", ")));
        }
    }
    for (own_name, plan) in &stacks {
        for parameter in plan.template.parameters() {
            if let Some(Source::Text(value)) = plan.given.get(parameter.name.as_str())
                && let Some(objection) = parameter.objection(value)
            {
                mistakes.push(format!("{own_name}:{} {objection}", parameter.name));
            } else if parameter.default.is_none()
                && !plan.given.contains_key(parameter.name.as_str())
                && !waits(plan, request)
            {
                mistakes.push(format!("{own_name}:{0} has no value: say --parameter {own_name}:{0}=…", parameter.name));
            }
        }
    }
    mistakes.dedup();
    if mistakes.is_empty() {
        Ok(stacks.into_iter().map(|(_, plan)| plan).filter(|plan| !waits(plan, request)).collect())
    } else {
        Err(PlanError(mistakes))
    }
}

/// Whether a stack cannot be made yet: what looks at both lakes needs both.
fn waits(plan: &StackPlan, request: &Request) -> bool {
    plan.template.name == "dr" && request.peer.as_ref().is_some_and(|peer| peer.lake.is_none())
}

/// The name as the template has it.
fn name_in(template: &'static Template, name: &str) -> Option<&'static str> {
    let line = format!("\n  {name}:\n");
    let at = template.body.find(&line)?;
    template.body.get(at + 3..at + 3 + name.len())
}

fn stack(template: &'static Template, request: &Request, tenant: Option<&str>) -> StackPlan {
    let mut given = BTreeMap::new();
    let mut tags = BTreeMap::from([("project", "millrace".to_owned())]);
    if !["artifacts", "deployment"].contains(&template.name) {
        given.insert("Environment", Source::Text(request.environment.clone()));
        tags.insert("env", request.environment.clone());
    }
    if let Some(tenant) = tenant {
        given.insert("Tenant", Source::Text(tenant.to_owned()));
        tags.insert("tenant", tenant.to_owned());
    }
    if let Some(peer) = &request.peer {
        given.extend(of_peer(peer, template.name).into_iter().map(|(name, value)| (name, Source::Text(value))));
    }
    // What a standby would be charged for rests there, until somebody says otherwise.
    if template.name == "models" && request.peer.as_ref().is_some_and(|peer| peer.standing == Standing::Dr) {
        given.insert("Standby", Source::AtFirst("true"));
    }
    if template.name == "models" && request.with.iter().any(|with| with == "analytics") {
        for name in OF_ANALYTICS {
            given.insert(name, Source::Output { of: "analytics", key: name });
        }
    }
    // Who reads the results of batch inference is woken by the events of the lake.
    if template.name == "storage" && request.with.iter().any(|with| with == "models") {
        given.insert("ObjectEvents", Source::Text("true".to_owned()));
    }
    if let Some((_, function)) = FUNCTIONS.iter().find(|(of, _)| *of == template.name) {
        given.insert("CodeKey", Source::Code(function));
    }
    for (parameter, of, key) in fed(template.name) {
        given.entry(parameter).or_insert(Source::Output { of, key });
    }
    let name = match tenant {
        Some(tenant) => format!("{}{tenant}", tenants_prefix(&request.environment)),
        None => stack_name(template, &request.environment),
    };
    StackPlan { name, template, given, tags, with_role: !["artifacts", "deployment"].contains(&template.name) }
}

/// Parameters that follow from the other Region.
fn of_peer(peer: &Peer, template: &str) -> Vec<(&'static str, String)> {
    let region = ("PeerRegion", peer.region.clone());
    let endpoint = peer.endpoint.clone().map(|endpoint| ("PeerEndpointUrl", endpoint));
    let copied_to = peer.lake.clone().map(|lake| ("ReplicaBucketName", lake));
    match template {
        "storage" => [region, ("Standing", peer.standing.word().to_owned())].into_iter().chain(copied_to).collect(),
        "observability" => [region].into_iter().chain(copied_to).collect(),
        "pipeline" | "analytics" => vec![region],
        "alerts" => {
            // A replica has a stream of its own, which is no output of the storage beside it.
            let stream = peer.results_stream.clone().filter(|_| peer.standing == Standing::Dr);
            [region].into_iter().chain(stream.map(|stream| ("ResultsStreamArn", stream))).chain(endpoint).collect()
        }
        "dr" => {
            let lake = peer.lake.clone().map(|lake| ("PeerLakeBucketName", lake));
            [region].into_iter().chain(lake).chain(endpoint).collect()
        }
        _ => Vec::new(),
    }
}

/// Parameters that are other stacks' outputs: the parameter, the template, its output.
fn fed(template: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    let results = ("ResultsTableName", "storage", "ResultsTableName");
    let checkpoints = ("CheckpointsTableName", "storage", "CheckpointsTableName");
    let lake = ("LakeBucketName", "storage", "LakeBucketName");
    let code = ("CodeBucket", "artifacts", "CodeBucket");
    let stream = ("StreamName", "pipeline", "StreamName");
    match template {
        "deployment" => vec![code],
        "pipeline" | "models" => vec![code, results, checkpoints, lake],
        "alerts" => vec![code, results, checkpoints, lake, stream, ("ResultsStreamArn", "storage", "ResultsStreamArn")],
        "analytics" => vec![lake],
        "observability" => vec![
            results,
            checkpoints,
            lake,
            stream,
            ("ScorerName", "pipeline", "ScorerName"),
            ("ScorerFailureQueueName", "pipeline", "FailureQueueName"),
            ("FanoutName", "alerts", "FanoutName"),
            ("FanoutFailureQueueName", "alerts", "FailureQueueName"),
        ],
        "dr" => {
            vec![code, results, checkpoints, lake, stream, ("AlarmTopicArn", "observability", "AlarmTopicArn")]
        }
        "tenant" => vec![results, lake, stream, ("AlarmTopicArn", "observability", "AlarmTopicArn")],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
