//! What a former stack may have left that a new one cannot make again, because its name is taken; and the template with which it
//! is imported.
//!
//! The templates keep what holds data when a stack goes (`DeletionPolicy: Retain`). What of it has a name is in the way of the
//! next stack, and is adopted; what has none is not. Whether it is there is asked of the services, elsewhere. As in
//! [`crate::template`], a template is read in the one form in which this repository writes them, to which a test holds them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::template::Template;

/// Types that are imported, each with the property that identifies one (CloudFormation registry, `primaryIdentifier`); of a queue it
/// is the URL, which follows from the name. A queue's policy is no resource of its own: to make one is to set an attribute.
const IDENTIFIED: [(&str, &str, &str); 4] = [
    ("AWS::DynamoDB::GlobalTable", "TableName", "TableName"),
    ("AWS::S3::Bucket", "BucketName", "BucketName"),
    ("AWS::S3::BucketPolicy", "Bucket", "Bucket"),
    ("AWS::SQS::Queue", "QueueName", "QueueUrl"),
];

/// A resource that may exist already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its name in the template.
    pub resource: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// The property that identifies it.
    pub property: &'static str,
    /// Its name, where `${AWS::AccountId}` and `${AWS::Region}` stand for what the caller may not know.
    pub name: String,
}

/// A resource that exists and is to be adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its name in the template.
    pub resource: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// The property that identifies it, and its value.
    pub identifier: (&'static str, String),
}

/// What may be in the way of a new stack with these values of its parameters.
#[must_use]
pub fn leftovers(template: &Template, values: &BTreeMap<String, String>) -> Vec<Leftover> {
    let value = |name: &str| {
        let default = || template.parameters().into_iter().find(|one| one.name == name).and_then(|one| one.default);
        values.get(name).cloned().or_else(default).unwrap_or_default()
    };
    let blocks = template.resources();
    let mut found: Vec<Leftover> = Vec::new();
    for block in &blocks {
        let Some((kind, by_name, property)) =
            IDENTIFIED.into_iter().find(|(kind, ..)| block.is("    Type: ", kind) && block.is_kept())
        else {
            continue;
        };
        let holds = block.value("    Condition: ").is_none_or(|condition| template.holds(condition, value));
        let Some(text) = block.property(by_name).filter(|_| holds) else { continue };
        let name = match text.split_once("!Ref ") {
            // A policy's bucket is another resource.
            Some((_, other)) if !text.contains("!Sub") => {
                found.iter().find(|one| one.resource == other.trim()).map(|one| one.name.clone())
            }
            _ => {
                let mut names = text.split("!Sub \"").skip(1).filter_map(|rest| rest.split('"').next());
                let with_tenant = names.next();
                // `!If [HasTenant, with, without]`, or one name for all.
                let without = names.next().or(with_tenant);
                let name = if value("Tenant").is_empty() { without } else { with_tenant };
                name.map(|name| {
                    name.replace("${Environment}", &value("Environment")).replace("${Tenant}", &value("Tenant"))
                })
            }
        };
        found.extend(name.map(|name| Leftover { resource: block.name, kind, property, name }));
    }
    found
}

/// The template with nothing but these resources. An import may add nothing else and no outputs (CloudFormation User Guide, "Import
/// AWS resources into a CloudFormation stack"), so that a property which speaks of another resource is left out; the update that
/// follows, with the whole template, brings it.
#[must_use]
pub fn import_body(template: &Template, imports: &[Import]) -> String {
    let absent: Vec<&str> = template
        .resources()
        .iter()
        .map(|block| block.name)
        .filter(|name| !imports.iter().any(|import| import.resource == *name))
        .collect();
    let mut body = String::new();
    for part in ["Parameters:", "Conditions:"] {
        let lines: Vec<&str> = template.section(part).collect();
        if !lines.is_empty() {
            let _written = write!(body, "{part}\n{}\n", lines.join("\n"));
        }
    }
    body.push_str("Resources:\n");
    for block in template.resources().iter().filter(|block| !absent.contains(&block.name)) {
        let _written = writeln!(body, "  {}:", block.name);
        for entry in block.entries() {
            if !absent.iter().any(|name| mentions(&entry, name)) {
                body.push_str(&entry);
            }
        }
    }
    body
}

/// Whether a text refers to a resource.
fn mentions(text: &str, resource: &str) -> bool {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).any(|line| {
        ["!Ref ", "!GetAtt ", "${"].iter().any(|verb| {
            line.split(verb).skip(1).any(|rest| {
                rest.strip_prefix(resource).is_some_and(|after| !after.starts_with(|next: char| next.is_alphanumeric()))
            })
        })
    })
}

#[cfg(test)]
mod tests;
