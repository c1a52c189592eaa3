//! What the policy of a tenant's devices has to say: the same as `infra/tenant.yaml`, to compare with what is in force.
//!
//! A policy that was widened by hand lets everything through, and no reading would tell.

use serde_json::{Value, json};

use crate::names::Tenant;

/// Where ARNs are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground<'a> {
    /// Such as `aws`.
    pub partition: &'a str,
    /// The Region.
    pub region: &'a str,
    /// The account.
    pub account: &'a str,
}

/// The document that the template makes.
#[must_use]
pub fn expected(tenant: &Tenant, ground: Ground<'_>, has_sensor_topics: bool) -> Value {
    const THING: &str = "${iot:Connection.Thing.ThingName}";
    let Ground { partition, region, account } = ground;
    let arn = |rest: String| format!("arn:{partition}:iot:{region}:{account}:{rest}");
    let mut topics = vec![arn(format!("topic/{}", tenant.telemetry_topic(THING)))];
    if has_sensor_topics {
        topics.push(arn(format!("topic/sensor/{THING}/data")));
    }
    let heard = [tenant.commands_topic(THING), tenant.region_topic()];
    let heard = |kind: &str| heard.iter().map(|topic| arn(format!("{kind}/{topic}"))).collect::<Vec<_>>();
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iot:Connect",
                "Resource": arn(format!("client/{THING}")),
                "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": ["true"]}},
            },
            {"Effect": "Allow", "Action": "iot:Publish", "Resource": topics},
            {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": heard("topicfilter")},
            {"Effect": "Allow", "Action": "iot:Receive", "Resource": heard("topic")},
        ],
    })
}

/// Whether two documents say the same: one value and a list of it are equal, and so are lists in another order.
#[must_use]
pub fn says_the_same(a: &Value, b: &Value) -> bool {
    plain(a) == plain(b)
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Array(all) => {
            let mut all: Vec<Value> = all.iter().map(plain).collect();
            all.sort_by_key(Value::to_string);
            if all.len() == 1 { all.remove(0) } else { Value::Array(all) }
        }
        Value::Object(fields) => Value::Object(fields.iter().map(|(key, value)| (key.clone(), plain(value))).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = include_str!("../../../infra/tenant.yaml");

    #[test]
    fn the_template_says_what_is_expected() {
        let begin = TEMPLATE.find("  DevicePolicy:\n").unwrap();
        let end = begin + TEMPLATE[begin..].find("      Tags:\n").unwrap();
        let policy = TEMPLATE[begin..end].replace("${!", "${");
        let tenant = Tenant { environment: "dev".to_owned(), name: "${Tenant}".to_owned() };
        let ground = Ground { partition: "${AWS::Partition}", region: "${AWS::Region}", account: "${AWS::AccountId}" };
        let expected = expected(&tenant, ground, true);
        let statements = expected["Statement"].as_array().unwrap();
        assert_eq!(policy.matches("- Effect: Allow").count(), statements.len());
        let mut resources = 0;
        for statement in statements {
            assert!(policy.contains(&format!("Action: {}\n", statement["Action"].as_str().unwrap())), "{statement}");
            for resource in
                plain(&json!([statement["Resource"]])).as_array().unwrap_or(&vec![statement["Resource"].clone()])
            {
                assert!(policy.contains(&format!("\"{}\"", resource.as_str().unwrap())), "{resource}");
                resources += 1;
            }
        }
        assert_eq!(policy.matches("\"arn:").count(), resources, "the template allows more than is expected here");
        assert!(policy.contains(r#"Condition: {Bool: {iot:Connection.Thing.IsAttached: ["true"]}}"#));
    }

    #[test]
    fn a_wider_policy_does_not_say_the_same() {
        let tenant = Tenant::new("dev", "acme").unwrap();
        let ground = Ground { partition: "aws", region: "eu-west-1", account: "123456789012" };
        let expected = expected(&tenant, ground, false);
        let mut found = expected.clone();
        found["Statement"][3]["Resource"] = json!([expected["Statement"][3]["Resource"]]);
        found["Statement"].as_array_mut().unwrap().reverse();
        assert!(says_the_same(&expected, &found));
        found["Statement"][0]["Resource"] = json!("*");
        assert!(!says_the_same(&expected, &found));
    }
}
