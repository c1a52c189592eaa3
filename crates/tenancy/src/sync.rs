//! Things and certificates of an environment, brought to the other Region of a pair, so that devices are let in there.
//!
//! A certificate keeps its id, which is the hash of it; the Region that did not sign it takes it without its authority (AWS `IoT`
//! Developer Guide, "Register a client certificate signed by an unregistered CA", which any certificate may be). It is registered without being active,
//! gets its policy and its thing, and only then its status, so that a run that is cut off leaves nobody let in with half of it.
//! What is there stays: nothing is deleted, and no certificate that is revoked anywhere is made active.
//!
//! What this does not do: policies and rules, which are the tenant's stack, and things' attributes that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use account::{Kind, Trouble};

use crate::names::{OWNER, Tenant};
use crate::registry::{Registry, Status};

/// The attribute of a thing that names its environment.
const ENVIRONMENT: &str = "env";

/// What was done, would be, or has to be done by somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A thing was made.
    Thing {
        /// Its name.
        thing: String,
    },
    /// A certificate was registered.
    Certificate {
        /// Its id.
        id: String,
    },
    /// A policy was attached to a certificate.
    Policy {
        /// The policy.
        policy: String,
        /// The certificate.
        id: String,
    },
    /// A certificate was attached to a thing.
    Attachment {
        /// The thing.
        thing: String,
        /// The certificate.
        id: String,
    },
    /// A certificate got the status that it has in the source.
    Status {
        /// The certificate.
        id: String,
        /// Its status.
        status: Status,
    },
    /// The tenant's stack is not there, and with it the policy: its certificates let nobody in.
    NoStack {
        /// The tenant.
        tenant: String,
        /// The policy that is missing.
        policy: String,
    },
    /// The thing is there with other attributes, which stay as they are.
    OtherAttributes {
        /// The thing.
        thing: String,
    },
    /// The certificate is revoked in the target alone. It stays so: revoke it in the source, or give the device another one.
    RevokedThere {
        /// The certificate.
        id: String,
    },
}

impl Step {
    /// Whether somebody has to do something about it.
    #[must_use]
    pub fn is_left(&self) -> bool {
        matches!(self, Self::NoStack { .. } | Self::OtherAttributes { .. } | Self::RevokedThere { .. })
    }

    /// What it is about, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Thing { .. } | Self::OtherAttributes { .. } => "thing",
            Self::Certificate { .. } | Self::RevokedThere { .. } | Self::Status { .. } => "certificate",
            Self::Policy { .. } | Self::NoStack { .. } => "policy",
            Self::Attachment { .. } => "attachment",
        }
    }

    /// Which.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Thing { thing } | Self::OtherAttributes { thing } | Self::Attachment { thing, .. } => thing,
            Self::Certificate { id } | Self::Status { id, .. } | Self::RevokedThere { id } => id,
            Self::Policy { policy, .. } | Self::NoStack { policy, .. } => policy,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thing { .. } => f.write_str("made"),
            Self::Certificate { .. } => f.write_str("registered"),
            Self::Policy { id, .. } => write!(f, "attached to the certificate {id}"),
            Self::Attachment { id, .. } => write!(f, "has the certificate {id}"),
            Self::Status { status, .. } => f.write_str(status.word()),
            Self::NoStack { tenant, .. } => {
                write!(f, "is not there: run `millrace deploy --tenant {tenant}` in that Region, and this once more")
            }
            Self::OtherAttributes { .. } => f.write_str("is there with other attributes, which stay as they are"),
            Self::RevokedThere { .. } => f.write_str(
                "is revoked there and not here; it stays so: revoke it here, too, or give the device another one",
            ),
        }
    }
}

/// Whether anything is done.
#[derive(Debug, Clone, Copy)]
pub enum Mode<'a> {
    /// All of it is.
    Do,
    /// Nothing is: it is only told what would be.
    Dry {
        /// Policies that are not there and would be, because their stacks would be made before.
        policies: &'a BTreeSet<String>,
    },
}

impl Mode<'_> {
    fn is_dry(self) -> bool {
        matches!(self, Self::Dry { .. })
    }

    fn expects(self, policy: &str) -> bool {
        matches!(self, Self::Dry { policies } if policies.contains(policy))
    }
}

/// Brings everything over that is not there. Returns the tenants that have things. Safe to repeat, and to be cut off anywhere.
///
/// # Errors
/// A service refuses; what was done stays.
pub async fn sync(
    from: &impl Registry,
    to: &impl Registry,
    environment: &str,
    mode: Mode<'_>,
    mut tell: impl FnMut(Step),
) -> Result<BTreeSet<String>, Trouble> {
    let mut tenants = BTreeSet::new();
    // Certificates, each with the things that it is of.
    let mut certificates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for thing in from.things(ENVIRONMENT, environment).await? {
        let Some(found) = from.thing(&thing).await? else { continue };
        tenants.extend(found.attributes.get(OWNER).cloned());
        match to.thing(&thing).await? {
            None => {
                if !mode.is_dry() {
                    to.make_thing(&thing, &found.attributes).await?;
                }
                tell(Step::Thing { thing: thing.clone() });
            }
            Some(there) if there.attributes != found.attributes => tell(Step::OtherAttributes { thing: thing.clone() }),
            Some(_) => {}
        }
        for id in from.principals(&thing).await? {
            certificates.entry(id).or_default().insert(thing.clone());
        }
    }
    let mut policies = BTreeSet::new();
    for name in &tenants {
        // A thing of a name that no tenant has is somebody else's.
        let Ok(tenant) = Tenant::new(environment, name) else { continue };
        let policy = tenant.device_policy();
        // Those that hang on no thing: a device whose thing is gone, or not made yet.
        for id in from.policy_targets(&policy).await? {
            certificates.entry(id).or_default();
        }
        if to.policy_document(&policy).await?.is_some() || mode.expects(&policy) {
            policies.insert(policy);
        } else {
            tell(Step::NoStack { tenant: name.clone(), policy });
        }
    }
    for (id, things) in certificates {
        certificate(from, to, (&id, &things), &policies, mode.is_dry(), &mut tell).await?;
    }
    Ok(tenants)
}

/// Brings one certificate over with what hangs on it, its status last.
async fn certificate(
    from: &impl Registry,
    to: &impl Registry,
    (id, things): (&str, &BTreeSet<String>),
    policies_there: &BTreeSet<String>,
    is_dry: bool,
    tell: &mut impl FnMut(Step),
) -> Result<(), Trouble> {
    let Some(source) = from.certificate(id).await? else { return Ok(()) };
    let mut target = to.certificate(id).await?;
    let had = target.is_some();
    if !had {
        if !is_dry {
            to.register(&source.pem).await?;
            target = to.certificate(id).await?;
        }
        tell(Step::Certificate { id: id.to_owned() });
    }
    let wanted = from.policies(&source.arn).await?;
    let (mut has_policies, mut has_things) = (Vec::new(), Vec::new());
    if let Some(there) = target.as_ref().filter(|_| had) {
        has_policies = to.policies(&there.arn).await?;
        has_things = to.things_of(&there.arn).await?;
    }
    for policy in wanted.into_iter().filter(|policy| policies_there.contains(policy) && !has_policies.contains(policy))
    {
        if let Some(there) = target.as_ref().filter(|_| !is_dry) {
            to.attach_policy(&policy, &there.arn).await?;
        }
        tell(Step::Policy { policy, id: id.to_owned() });
    }
    for thing in things.iter().filter(|thing| !has_things.contains(thing)) {
        if let Some(there) = target.as_ref().filter(|_| !is_dry) {
            to.attach_thing(thing, &there.arn).await?;
        }
        tell(Step::Attachment { thing: thing.clone(), id: id.to_owned() });
    }
    // Asked once more: it may have been revoked meanwhile.
    let now = from.certificate(id).await?.map_or(Status::Revoked, |certificate| certificate.status);
    let there = target.as_ref().map_or(Status::Inactive, |certificate| certificate.status);
    if there == Status::Revoked && now != Status::Revoked {
        tell(Step::RevokedThere { id: id.to_owned() });
    } else if there != now && now != Status::Pending {
        if !is_dry {
            to.set_status(id, now).await?;
        }
        tell(Step::Status { id: id.to_owned(), status: now });
    }
    if target.is_none() && !is_dry {
        let message = "it was registered and is not there; run this once more".to_owned();
        return Err(Trouble { action: "DescribeCertificate", subject: id.to_owned(), kind: Kind::Transient, message });
    }
    Ok(())
}
