//! Who a device is to the broker: a certificate of its own, under a policy, attached to a thing.
//!
//! Made by hand through the API of `IoT`, for tests of what a policy allows; `millrace tenant add` is tested by its own.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::world::World;

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate's id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Identity {
    /// Makes a certificate that is active and has this policy.
    ///
    /// # Errors
    /// A call fails.
    pub fn new(world: &World, policy: &str) -> Result<Self> {
        let answer = world.rest("iot", "POST", "/keys-and-certificate?setAsActive=true", &[], "{}")?;
        let made: Value = serde_json::from_str(&answer).context("a certificate is described in JSON")?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("the certificate lacks something");
        let identity = Self {
            id: text(&made["certificateId"])?,
            arn: text(&made["certificateArn"])?,
            certificate: text(&made["certificatePem"])?,
            key: text(&made["keyPair"]["PrivateKey"])?,
        };
        let target = json!({ "target": identity.arn }).to_string();
        world.rest("iot", "PUT", &format!("/target-policies/{policy}"), &[], &target)?;
        Ok(identity)
    }

    /// As [`Self::new`], for a thing of this name, which is made as well.
    ///
    /// # Errors
    /// A call fails.
    pub fn of_thing(world: &World, policy: &str, thing: &str) -> Result<Self> {
        let identity = Self::new(world, policy)?;
        world.rest("iot", "POST", &format!("/things/{thing}"), &[], "{}")?;
        identity.attach(world, thing)?;
        Ok(identity)
    }

    /// One that may do everything, to see what arrives at all.
    ///
    /// # Errors
    /// A call fails.
    pub fn of_an_observer(world: &World) -> Result<Self> {
        let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
        let policy = json!({ "policyDocument": document }).to_string();
        world.rest("iot", "POST", "/policies/observer", &[], &policy)?;
        Self::new(world, "observer")
    }

    /// Attaches the certificate to a thing.
    ///
    /// # Errors
    /// The call fails.
    pub fn attach(&self, world: &World, thing: &str) -> Result<()> {
        let principal = [("x-amzn-principal", self.arn.as_str())];
        world.rest("iot", "PUT", &format!("/things/{thing}/principals"), &principal, "").map(drop)
    }

    /// Detaches it again.
    ///
    /// # Errors
    /// The call fails.
    pub fn detach(&self, world: &World, thing: &str) -> Result<()> {
        let principal = [("x-amzn-principal", self.arn.as_str())];
        world.rest("iot", "DELETE", &format!("/things/{thing}/principals"), &principal, "").map(drop)
    }

    /// `ACTIVE`, `INACTIVE` or `REVOKED`.
    ///
    /// # Errors
    /// The call fails.
    pub fn set_status(&self, world: &World, status: &str) -> Result<()> {
        world.rest("iot", "PUT", &format!("/certificates/{}?newStatus={status}", self.id), &[], "").map(drop)
    }
}
