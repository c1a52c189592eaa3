//! Leftovers against the templates, which are their only source of truth.

use super::*;
use crate::plan::TEMPLATES;
use crate::template::{ALERTS, PIPELINE, STORAGE, TENANT};

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let environment = ("Environment", "test");
    pairs.iter().chain([&environment]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn names(template: &Template, pairs: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    leftovers(template, &values(pairs)).into_iter().map(|one| (one.resource, one.name)).collect()
}

fn all(template: &Template) -> Vec<Import> {
    let leftovers = leftovers(template, &values(&[("Tenant", "acme")])).into_iter();
    let import =
        |one: Leftover| Import { resource: one.resource, kind: one.kind, identifier: (one.property, one.name) };
    leftovers.map(import).collect()
}

#[test]
fn what_keeps_data_is_found_by_the_name_that_the_template_gives_it() {
    let lake = "millrace-test-${AWS::AccountId}-${AWS::Region}".to_owned();
    let expected = [
        ("ResultsTable", "millrace-test-results".to_owned()),
        ("CheckpointsTable", "millrace-test-checkpoints".to_owned()),
        ("Lake", lake.clone()),
        ("LakePolicy", lake),
    ];
    assert_eq!(names(&STORAGE, &[]), expected);
    let own = names(&STORAGE, &[("Tenant", "acme")]);
    assert_eq!(own[0].1, "millrace-test-acme-results");
    assert_eq!(names(&PIPELINE, &[]), [("FailureQueue", "millrace-test-kinesis-scorer-failures".to_owned())]);
    assert_eq!(names(&ALERTS, &[]), [("FailureQueue", "millrace-test-alert-fanout-failures".to_owned())]);
    let tenant = "millrace-test-tenant-acme-rule-failures".to_owned();
    assert_eq!(names(&TENANT, &[("Tenant", "acme")]), [("RuleFailures", tenant)]);
}

/// The tables of the other Region are the primary's.
#[test]
fn what_a_condition_leaves_out_of_the_stack_is_not_adopted() {
    let names = names(&STORAGE, &[("Standing", "dr"), ("PeerRegion", "eu-west-1")]);
    assert_eq!(names.iter().map(|(resource, _)| *resource).collect::<Vec<_>>(), ["Lake", "LakePolicy"]);
}

/// Nothing that is kept under a name can be forgotten: a type that is not imported has no name, or is no resource of its own.
#[test]
fn everything_that_is_kept_is_imported_or_not_in_the_way() {
    for template in TEMPLATES {
        let found = leftovers(template, &values(&[("Tenant", "acme")]));
        for block in template.resources().iter().filter(|block| block.is_kept()) {
            let is_found = found.iter().any(|one| one.resource == block.name);
            let kind = block.value("    Type: ").unwrap_or_default();
            let is_no_hindrance = match kind {
                "AWS::SQS::QueuePolicy" => true,
                // CloudFormation makes a name, and a policy goes with its bucket.
                "AWS::IAM::Role" => block.property("RoleName").is_none(),
                "AWS::S3::Bucket" | "AWS::S3::BucketPolicy" => ["artifacts", "analytics"].contains(&template.name),
                _ => false,
            };
            assert!(is_found != is_no_hindrance, "{} of {}", block.name, template.name);
        }
    }
}

#[test]
fn the_template_of_an_import_has_the_imported_and_speaks_of_nothing_else() {
    for template in TEMPLATES {
        let imports = all(template);
        if imports.is_empty() {
            continue;
        }
        let body = import_body(template, &imports);
        assert!(!body.contains("\nOutputs:"), "{}", template.name);
        for block in template.resources() {
            let is_imported = imports.iter().any(|import| import.resource == block.name);
            assert_eq!(body.contains(&format!("\n  {}:\n", block.name)), is_imported, "{}", block.name);
            assert!(is_imported || !mentions(&body, block.name), "{} is spoken of in {body}", block.name);
        }
        assert_eq!(body.matches("    DeletionPolicy: Retain\n").count(), imports.len(), "{body}");
    }
    let body = import_body(&STORAGE, &all(&STORAGE));
    assert!(body.contains("by_due") && body.contains("VersioningConfiguration"), "{body}");
    assert!(!body.contains("ReplicationConfiguration"), "it names a role: {body}");
}
