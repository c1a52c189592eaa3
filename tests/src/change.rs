//! Another value of a parameter, as an update of a stack by hand.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::stack::every;
use crate::wait::until;
use crate::world::World;

const WITHIN: Duration = Duration::from_mins(1);

/// Changes parameters of a stack that is there; the others keep their values.
///
/// # Errors
/// The stack is not updated; the message has the events.
pub async fn change(world: &World, stack: &str, changes: &[(&str, &str)]) -> Result<()> {
    let cloudformation = |action: &str, form: &[(String, String)]| {
        let of_this = [("StackName".to_owned(), stack.to_owned())];
        world.query("cloudformation", "2010-05-15", action, of_this.iter().chain(form))
    };
    let mut form = vec![
        ("UsePreviousTemplate".to_owned(), "true".to_owned()),
        ("Capabilities.member.1".to_owned(), "CAPABILITY_IAM".to_owned()),
    ];
    for (at, name) in every(&cloudformation("DescribeStacks", &[])?, "ParameterKey").enumerate() {
        let part = |part: &str| format!("Parameters.member.{}.{part}", at + 1);
        match changes.iter().find(|(changed, _)| *changed == name) {
            Some((_, value)) => form.push((part("ParameterValue"), (*value).to_owned())),
            None => form.push((part("UsePreviousValue"), "true".to_owned())),
        }
        form.push((part("ParameterKey"), name.to_owned()));
    }
    cloudformation("UpdateStack", &form)?;
    until("the stack is updated", WITHIN, || async {
        let description = cloudformation("DescribeStacks", &[])?;
        let status = every(&description, "StackStatus").next().context("no status")?;
        ensure!(!status.contains("ROLLBACK"), "{stack} is {status}: {}", cloudformation("DescribeStackEvents", &[])?);
        Ok((status == "UPDATE_COMPLETE").then_some(()))
    })
    .await
}
