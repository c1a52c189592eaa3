//! Tenants of an environment: devices and their certificates brought on, proven, renewed, revoked and taken off.
//!
//! What belongs to a tenant as such (rules, policy, topic) is its CloudFormation stack, which this crate only reads of. Things
//! and certificates come and go without a deployment, and are made here. Nothing is kept on this machine but what a device
//! needs: its key and its certificate. A run that was cut off anywhere is finished by the next.
//!
//! What this crate does not do: deploy stacks, or talk to a person.

pub mod aws;
pub mod folder;
pub mod issue;
pub mod keys;
pub mod lake;
pub mod names;
pub mod onboard;
pub mod people;
pub mod policy;
pub mod profile;
pub mod record;
pub mod registry;
pub mod remove;
pub mod results;
pub mod revoke;
pub mod rotate;
pub mod sync;
pub mod verify;
