//! What is asked of AWS `IoT`: things, certificates, and what hangs on what.
//!
//! One verb each. Attaching what is attached and detaching what is not changes nothing (AWS `IoT` API Reference), so that every
//! command can be repeated. [`crate::aws::Aws`] asks the service; the tests have a registry of their own that is cut off
//! between any two calls.

use std::collections::BTreeMap;
use std::future::Future;

use account::Trouble;

/// A thing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Thing {
    /// Its ARN.
    pub arn: String,
    /// Its attributes. Things cannot be tagged (AWS `IoT` Developer Guide, "Tagging your AWS `IoT` resources"), so these are
    /// what says whose it is.
    pub attributes: BTreeMap<String, String>,
}

/// Whether a certificate lets a device in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does.
    Active,
    /// It does not, and may again.
    Inactive,
    /// It never does again.
    Revoked,
    /// On its way to another account, or waiting for its authority.
    Pending,
}

impl Status {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Revoked => "revoked",
            Self::Pending => "pending",
        }
    }
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its id.
    pub id: String,
    /// Its ARN, to which policies and things are attached.
    pub arn: String,
    /// Whether it lets a device in.
    pub status: Status,
    /// Itself.
    pub pem: String,
    /// Until when it is valid, seconds since 1970, where that is told.
    pub expires: Option<i64>,
}

/// Who keeps things and certificates.
pub trait Registry {
    /// The thing, or `None`.
    fn thing(&self, name: &str) -> impl Future<Output = Result<Option<Thing>, Trouble>>;
    /// Makes it. The same again changes nothing.
    fn make_thing(
        &self,
        name: &str,
        attributes: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), Trouble>>;
    /// Deletes it. It is no trouble if there is none.
    fn delete_thing(&self, name: &str) -> impl Future<Output = Result<(), Trouble>>;
    /// Names of the things with this attribute, sorted.
    fn things(&self, attribute: &str, value: &str) -> impl Future<Output = Result<Vec<String>, Trouble>>;
    /// Ids of the certificates that are attached to the thing.
    fn principals(&self, thing: &str) -> impl Future<Output = Result<Vec<String>, Trouble>>;
    /// The certificate, or `None`.
    fn certificate(&self, id: &str) -> impl Future<Output = Result<Option<Certificate>, Trouble>>;
    /// Ids of certificates that are not active, the newest first where the service sorts, at most so many.
    fn inactive_certificates(&self, count_max: usize) -> impl Future<Output = Result<Vec<String>, Trouble>>;
    /// Signs a request. The certificate is not active. The same request again gives another certificate.
    fn sign(&self, csr: &str) -> impl Future<Output = Result<Certificate, Trouble>>;
    /// Makes a certificate known that was signed elsewhere, such as one of another Region, which has the same id. It is not active.
    /// One that is known stays as it is.
    fn register(&self, pem: &str) -> impl Future<Output = Result<(), Trouble>>;
    /// Changes what a certificate is good for.
    fn set_status(&self, id: &str, status: Status) -> impl Future<Output = Result<(), Trouble>>;
    /// Deletes a certificate that is not active and attached to no thing; policies go with it. It is no trouble if there is
    /// none.
    fn delete_certificate(&self, id: &str) -> impl Future<Output = Result<(), Trouble>>;
    /// Attaches a certificate to a thing.
    fn attach_thing(&self, thing: &str, certificate: &str) -> impl Future<Output = Result<(), Trouble>>;
    /// Detaches it.
    fn detach_thing(&self, thing: &str, certificate: &str) -> impl Future<Output = Result<(), Trouble>>;
    /// Attaches a policy to a certificate.
    fn attach_policy(&self, policy: &str, certificate: &str) -> impl Future<Output = Result<(), Trouble>>;
    /// Names of the policies that are attached to a certificate, by its ARN.
    fn policies(&self, certificate: &str) -> impl Future<Output = Result<Vec<String>, Trouble>>;
    /// Ids of the certificates that a policy is attached to; none where there is no such policy.
    fn policy_targets(&self, policy: &str) -> impl Future<Output = Result<Vec<String>, Trouble>>;
    /// Names of the things that a certificate is attached to, by its ARN.
    fn things_of(&self, certificate: &str) -> impl Future<Output = Result<Vec<String>, Trouble>>;
    /// The document of a policy that is in force, or `None` where there is no such policy.
    fn policy_document(&self, policy: &str) -> impl Future<Output = Result<Option<String>, Trouble>>;
    /// The host that devices connect to.
    fn endpoint(&self) -> impl Future<Output = Result<String, Trouble>>;
}
