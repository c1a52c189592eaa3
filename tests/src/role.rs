//! Somebody who may do what a policy says and nothing else: a role with it, assumed.

use anyhow::Result;
use serde_json::{Value, json};

use crate::world::World;

const IAM: &str = "2010-05-08";

/// The clients of somebody with a role of this name, to which only the managed policy of this ARN is attached.
///
/// # Errors
/// A call fails.
pub fn holder_of(world: &World, role: &str, policy_arn: &str) -> Result<World> {
    create(world, role)?;
    let form = [("RoleName".to_owned(), role.to_owned()), ("PolicyArn".to_owned(), policy_arn.to_owned())];
    world.query("iam", IAM, "AttachRolePolicy", &form)?;
    world.assuming(role)
}

/// As [`holder_of`], with a policy of the test's own: its one statement.
///
/// # Errors
/// As [`holder_of`].
pub fn holder_of_statement(world: &World, role: &str, statement: &Value) -> Result<World> {
    create(world, role)?;
    put_policy(world, role, statement)?;
    world.assuming(role)
}

/// Makes a role for a service, such as `iot.amazonaws.com`, with one statement. Returns its ARN.
///
/// # Errors
/// A call fails.
pub fn role_of_a_service(world: &World, role: &str, service: &str, statement: &Value) -> Result<String> {
    create_for(world, role, &json!({ "Service": service }))?;
    put_policy(world, role, statement)?;
    Ok(format!("arn:aws:iam::{}:role/{role}", world.account))
}

fn create(world: &World, role: &str) -> Result<()> {
    create_for(world, role, &json!({ "AWS": format!("arn:aws:iam::{}:root", world.account) }))
}

fn create_for(world: &World, role: &str, principal: &Value) -> Result<()> {
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" }],
    });
    let form = [("RoleName".to_owned(), role.to_owned()), ("AssumeRolePolicyDocument".to_owned(), trust.to_string())];
    world.query("iam", IAM, "CreateRole", &form).map(drop)
}

fn put_policy(world: &World, role: &str, statement: &Value) -> Result<()> {
    let document = json!({ "Version": "2012-10-17", "Statement": [statement] });
    let form = [
        ("RoleName".to_owned(), role.to_owned()),
        ("PolicyName".to_owned(), "only".to_owned()),
        ("PolicyDocument".to_owned(), document.to_string()),
    ];
    world.query("iam", IAM, "PutRolePolicy", &form).map(drop)
}
