//! Environments in AWS: the stacks of `infra/` planned, shown as a difference, made, looked at and taken down.
//!
//! CloudFormation does the work and remembers what there is; nothing is kept on this machine, so a run that was interrupted
//! anywhere is finished by the next, from any machine. What this crate does not do: talk to a person (that is
//! [`Attendant`]), build zips, or touch what is inside the stacks, but for emptying buckets whose deletion was asked for.

pub mod aws;
pub mod block;
pub mod cause;
pub mod cloud;
pub mod code;
pub mod deploy;
pub mod destroy;
pub mod doctor;
pub mod follow;
pub mod leftover;
pub mod pair;
pub mod parameter;
pub mod plan;
pub mod readiness;
pub mod revision;
pub mod template;
mod watch;

use cloud::{Change, Event};

/// Who watches and decides.
pub trait Attendant {
    /// A stack, and what happens to it now, such as "nothing to change".
    fn tell(&mut self, stack: &str, words: &str);
    /// What a change set of the stack would do, before it does.
    fn show(&mut self, stack: &str, changes: &[Change]);
    /// Something happened to a resource.
    fn follow(&mut self, stack: &str, event: &Event);
    /// Whether something that replaces or deletes resources may be done.
    ///
    /// # Errors
    /// Nobody can be asked; in words, with the remedy.
    fn agree(&mut self, stack: &str, question: &str) -> Result<bool, String>;
}
