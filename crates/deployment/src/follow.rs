//! A Region whose stacks follow those of the other one of a pair: the cold path and the tenants, and with them models, endpoint
//! configurations, policies and rules.
//!
//! A stack follows in its template, its function's code and its parameters, but for what is each Region's own: outputs of its
//! stacks, what it knows of its peer, and whether it is the standby. Nothing is deleted: a stack that is in the other Region alone
//! stays. What this does not do: the stacks that every Region has, which `deploy` makes in the order that a pair needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::Attendant;
use crate::cloud::{Cloud, Kind, Stack, Trouble};
use crate::deploy::{DeployError, Settings, Summary, deploy};
use crate::pair::{PairError, find};
use crate::plan::{
    OPTIONAL, PlanError, Request, Setting, Source, StackPlan, TEMPLATES, plan, stack_name, tenants_prefix,
};
use crate::readiness::{Readiness, readiness};
use crate::revision;
use crate::template::{ARTIFACTS, STORAGE, TENANT, Template};
use crate::watch::patiently;

/// Parameters that no Region takes from another, beside those that its plan gives.
const OWN: [&str; 6] = ["Environment", "Tenant", "Standby", "CodeBucket", "CodeKey", revision::PARAMETER];
/// The parameter of `models` that names an object of the lake, which has to be there before the stack.
const ARTIFACT: &str = "ModelData";

/// A stack that is not as in the Region that it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Its name.
    pub stack: String,
    /// What is not the same.
    pub what: What,
}

/// What is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It is not there.
    Missing,
    /// Parameters, `code`, `template`, or the state it is in.
    Differs(Vec<String>),
    /// It is being changed in the Region that is followed, or could not be: its state there.
    Unsettled(String),
    /// The Region that is followed has it from another template than this program's.
    OtherTemplate,
    /// The model's artifact is not in the lake yet.
    NotArrived {
        /// The object.
        key: String,
        /// The lake.
        lake: String,
    },
}

impl Behind {
    /// Whether [`Following::bring`] leaves it, so that somebody has to do something.
    #[must_use]
    pub fn is_left(&self) -> bool {
        matches!(self.what, What::Unsettled(_) | What::OtherTemplate | What::NotArrived { .. })
    }
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Missing => f.write_str("made"),
            What::Differs(what) => write!(f, "as in the source: {}", what.join(", ")),
            What::Unsettled(status) => {
                write!(f, "is {status} in the source: see to that with `millrace deploy` there, and run this once more")
            }
            What::OtherTemplate => f.write_str(
                "was deployed in the source by another version of this program: run `millrace deploy` there, and this once more",
            ),
            What::NotArrived { key, lake } => {
                write!(f, "waits for {key}, which has not arrived in {lake}: run this again when it has")
            }
        }
    }
}

/// Why it cannot be said what is behind.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The two Regions are no pair.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// What the stacks there say cannot be deployed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// AWS refused.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// There is no environment to bring anything to.
    #[error("`{stack}` is not in {region}: run `millrace deploy --region {region} --peer {from}` first")]
    NoEnvironment {
        /// The stack.
        stack: String,
        /// The Region.
        region: String,
        /// The other one.
        from: String,
    },
}

/// What there is to do in a Region.
#[derive(Debug)]
pub struct Following {
    /// The stacks that are not as they should be, in the order of deployment.
    pub behind: Vec<Behind>,
    plan: Vec<StackPlan>,
    /// Bucket in the Region that is followed, and key there and here.
    code: Vec<(String, String)>,
}

/// A stack of the Region that is followed: its template, and what settings call it.
struct Followed {
    template: &'static Template,
    alias: String,
    name: String,
}

/// Finds out which stacks of the second Region do not follow the first. Nothing is changed.
///
/// # Errors
/// See [`FollowError`].
pub async fn look(
    [(from, from_name), (to, to_name)]: [(&impl Cloud, &str); 2],
    environment: &str,
) -> Result<Following, FollowError> {
    let storage = stack_name(&STORAGE, environment);
    let Some(lake) =
        patiently(|| to.stack(&storage)).await?.and_then(|stack| stack.outputs.get("LakeBucketName").cloned())
    else {
        return Err(FollowError::NoEnvironment {
            stack: storage,
            region: to_name.to_owned(),
            from: from_name.to_owned(),
        });
    };
    let peer = find([(to, to_name), (from, from_name)], environment, None).await?;
    let followed = followed(from, environment).await?;
    let of = |template: &Template| followed.iter().filter(|one| one.template.name == template.name).collect::<Vec<_>>();
    let with = TEMPLATES.iter().filter(|template| OPTIONAL.contains(&template.name) && !of(template).is_empty());
    let tenants = of(&TENANT).into_iter().filter_map(|one| one.alias.strip_prefix("tenant-")).map(str::to_owned);
    let mut request = Request {
        environment: environment.to_owned(),
        peer: Some(peer),
        tenants: tenants.collect(),
        with: with.map(|template| template.name.to_owned()).collect(),
        ..Request::default()
    };
    let bare: BTreeMap<String, StackPlan> =
        plan(&request)?.into_iter().map(|stack| (stack.name.clone(), stack)).collect();
    let mut following = Following { behind: Vec::new(), plan: Vec::new(), code: Vec::new() };
    let mut keys = BTreeMap::new();
    for one in followed {
        let Some(planned) = bare.get(&one.name) else { continue };
        let Some(own) = patiently(|| from.stack(&one.name)).await? else { continue };
        let Some((what, settings)) = compare(from, to, &one, planned, &own).await? else { continue };
        let artifact = own.parameters.get(ARTIFACT).filter(|key| !key.is_empty());
        let what = match artifact {
            Some(key) if !patiently(|| to.has_object(&lake, key)).await? => {
                What::NotArrived { key: key.clone(), lake: lake.clone() }
            }
            _ => what,
        };
        let behind = Behind { stack: one.name, what };
        if !behind.is_left() {
            request.settings.extend(settings);
            if let (Some(bucket), Some(key)) = (own.parameters.get("CodeBucket"), own.parameters.get("CodeKey")) {
                following.code.push((bucket.clone(), key.clone()));
                keys.insert(behind.stack.clone(), key.clone());
            }
        }
        following.behind.push(behind);
    }
    following.plan = plan(&request)?;
    // The code that runs in the one Region, and not what is on this machine.
    for stack in &mut following.plan {
        if let Some(key) = keys.remove(&stack.name) {
            stack.given.insert("CodeKey", Source::Text(key));
        }
    }
    Ok(following)
}

async fn followed(from: &impl Cloud, environment: &str) -> Result<Vec<Followed>, Trouble> {
    let mut all = Vec::new();
    for template in TEMPLATES.iter().filter(|template| OPTIONAL.contains(&template.name)) {
        let name = stack_name(template, environment);
        if patiently(|| from.stack(&name)).await?.is_some() {
            all.push(Followed { template, alias: template.name.to_owned(), name });
        }
    }
    let prefix = tenants_prefix(environment);
    for name in patiently(|| from.stacks(&prefix)).await? {
        let alias = format!("tenant-{}", name.strip_prefix(&prefix).unwrap_or_default());
        all.push(Followed { template: &TENANT, alias, name });
    }
    Ok(all)
}

/// What is not the same, and the values that make it the same; `None` where all is.
async fn compare(
    from: &impl Cloud,
    to: &impl Cloud,
    one: &Followed,
    planned: &StackPlan,
    own: &Stack,
) -> Result<Option<(What, Vec<Setting>)>, Trouble> {
    if readiness(Some(&own.status)) != Readiness::Ready {
        return Ok(Some((What::Unsettled(own.status.clone()), Vec::new())));
    }
    if patiently(|| from.template(&one.name)).await? != one.template.body {
        return Ok(Some((What::OtherTemplate, Vec::new())));
    }
    let other = patiently(|| to.stack(&one.name)).await?;
    // One whose creation was rolled back has nothing.
    let is_nothing = |stack: &Stack| matches!(readiness(Some(&stack.status)), Readiness::New(_) | Readiness::Remains);
    let other = other.filter(|stack| !is_nothing(stack));
    let (mut what, mut settings) = (Vec::new(), Vec::new());
    for parameter in one.template.parameters() {
        let name = parameter.name.as_str();
        if OWN.contains(&name) || planned.given.contains_key(name) {
            continue;
        }
        let value = |stack: Option<&Stack>| {
            stack.and_then(|it| it.parameters.get(name)).or(parameter.default.as_ref()).cloned()
        };
        let wanted = value(Some(own));
        if wanted != value(other.as_ref()) {
            what.push(name.to_owned());
            let (stack, name) = (one.alias.clone(), name.to_owned());
            settings.push(Setting { stack, name, value: wanted.unwrap_or_default() });
        }
    }
    let Some(other) = other else { return Ok(Some((What::Missing, settings))) };
    if other.parameters.get("CodeKey") != own.parameters.get("CodeKey") {
        what.push("code".to_owned());
    }
    if patiently(|| to.template(&one.name)).await? != one.template.body {
        what.push("template".to_owned());
    }
    if readiness(Some(&other.status)) != Readiness::Ready {
        what.push(other.status);
    }
    Ok((!what.is_empty()).then_some((What::Differs(what), settings)))
}

impl Following {
    /// Brings the second Region up to the first, as far as nothing stands against it. `role` as in [`Settings`]. Safe to repeat,
    /// and to be cut off anywhere: what is behind then is found again.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub async fn bring(
        &self,
        from: &impl Cloud,
        to: &impl Cloud,
        role: Option<&str>,
        attendant: &mut impl Attendant,
    ) -> Result<Summary, DeployError> {
        let only: BTreeSet<String> =
            self.behind.iter().filter(|one| !one.is_left()).map(|one| one.stack.clone()).collect();
        if only.is_empty() {
            return Ok(Summary::default());
        }
        for (bucket, key) in &self.code {
            copy(from, bucket, to, key).await?;
        }
        let settings = Settings { role: role.map(str::to_owned), only: Some(only), ..Settings::default() };
        // No zip of this machine is in the plan.
        deploy(to, &self.plan, Path::new(""), &settings, attendant).await
    }
}

/// Copies a function's zip to the bucket for code of the other Region, unless it is there.
async fn copy(from: &impl Cloud, bucket: &str, to: &impl Cloud, key: &str) -> Result<(), Trouble> {
    let missing = |action, subject: &str, message: String| Trouble {
        action,
        subject: subject.to_owned(),
        kind: Kind::Missing,
        message,
    };
    let artifacts = stack_name(&ARTIFACTS, "");
    let found = patiently(|| to.stack(&artifacts)).await?.and_then(|stack| stack.outputs.get("CodeBucket").cloned());
    let target = found.ok_or_else(|| {
        missing(
            "DescribeStacks",
            &artifacts,
            "it has no bucket for code: run `millrace deploy` in that Region".to_owned(),
        )
    })?;
    if patiently(|| to.has_object(&target, key)).await? {
        return Ok(());
    }
    let body = patiently(|| from.object(bucket, key)).await?.ok_or_else(|| {
        missing(
            "GetObject",
            bucket,
            format!("{key}, which the function runs, is not there: run `millrace deploy` in that Region"),
        )
    })?;
    patiently(|| to.put_object(&target, key, body.clone())).await
}
