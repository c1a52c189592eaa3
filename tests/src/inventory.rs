//! What an account holds: the names of all that any of our templates or commands can make, by kind.
//!
//! Asked of each service by hand, so that what nobody remembers having made is seen as well.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::stack::every;
use crate::world::World;

/// Lists answered in XML: what it is, service, version, action, further parameters, the element that holds a name.
type Query =
    (&'static str, &'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const QUERIES: [Query; 8] = [
    ("stack", "cloudformation", "2010-05-15", "DescribeStacks", &[], "StackName"),
    ("queue", "sqs", "2012-11-05", "ListQueues", &[], "QueueUrl"),
    ("topic", "sns", "2010-03-31", "ListTopics", &[], "TopicArn"),
    ("subscription", "sns", "2010-03-31", "ListSubscriptions", &[], "SubscriptionArn"),
    ("role", "iam", "2010-05-08", "ListRoles", &[], "RoleName"),
    ("managed-policy", "iam", "2010-05-08", "ListPolicies", &[("Scope", "Local")], "PolicyName"),
    ("alarm", "monitoring", "2010-08-01", "DescribeAlarms", &[], "AlarmName"),
    ("dashboard", "monitoring", "2010-08-01", "ListDashboards", &[], "DashboardName"),
];

/// Lists answered in JSON: what it is, service, path, the target of a POST (else it is a GET), the member that holds the list,
/// the member of each that holds its name.
type List = (&'static str, &'static str, &'static str, Option<&'static str>, &'static str, &'static str);

const LISTS: [List; 9] = [
    ("function", "lambda", "/2015-03-31/functions/", None, "Functions", "FunctionName"),
    ("mapping", "lambda", "/2015-03-31/event-source-mappings/", None, "EventSourceMappings", "UUID"),
    ("thing", "iot", "/things", None, "things", "thingName"),
    ("certificate", "iot", "/certificates", None, "certificates", "certificateId"),
    ("iot-policy", "iot", "/policies", None, "policies", "policyName"),
    ("iot-rule", "iot", "/rules", None, "rules", "ruleName"),
    ("schedule", "scheduler", "/schedules", None, "Schedules", "Name"),
    ("log-group", "logs", "/", Some("Logs_20140328.DescribeLogGroups"), "logGroups", "logGroupName"),
    ("event-rule", "events", "/", Some("AWSEvents.ListRules"), "Rules", "Name"),
];

/// `{kind} {name}` of everything. KMS keys are left out: a key that is deleted stays for days, waiting for its end.
///
/// # Errors
/// A service cannot be asked.
pub async fn inventory(world: &World) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for (kind, service, version, action, form, element) in QUERIES {
        let form: Vec<(String, String)> = form.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let answer = world.query(service, version, action, &form)?;
        found.extend(every(&answer, element).map(|name| format!("{kind} {name}")));
    }
    for (kind, service, path, target, list, member) in LISTS {
        let answer = match target {
            Some(target) => world.rest(service, "POST", path, &[("x-amz-target", target)], "{}")?,
            None => world.rest(service, "GET", path, &[], "")?,
        };
        let answer: Value = serde_json::from_str(&answer).with_context(|| format!("{service} answers no JSON"))?;
        let listed = answer[list].as_array().with_context(|| format!("{service} answers no {list}: {answer}"))?;
        let names = listed.iter().map(|one| one[member].as_str().map(|name| format!("{kind} {name}")));
        found.extend(names.collect::<Option<Vec<_>>>().with_context(|| format!("no {member} in {answer}"))?);
    }
    let buckets = world.s3.list_buckets().send().await.context("cannot list the buckets")?;
    found.extend(buckets.buckets().iter().filter_map(|bucket| bucket.name()).map(|name| format!("bucket {name}")));
    let tables = world.dynamodb.list_tables().send().await.context("cannot list the tables")?;
    found.extend(tables.table_names().iter().map(|name| format!("table {name}")));
    let streams = world.kinesis.list_streams().send().await.context("cannot list the streams")?;
    found.extend(streams.stream_names().iter().map(|name| format!("stream {name}")));
    Ok(found)
}
