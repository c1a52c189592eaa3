//! Where one side of a pair is, and how its things are called; and texts without what has to differ between the two.

use serde_json::Value;

/// One side: the names that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The Region.
    pub region: String,
    /// The account, where it is known. A pair is of one account; it is written out as a word only where it is this one.
    pub account: Option<String>,
    /// The lake.
    pub bucket: String,
}

impl Ground {
    /// The text with words in the place of this side's names. What is left of another Region's name on this side is a
    /// difference, as it should be: a policy that was copied as it is allows nothing here.
    #[must_use]
    pub fn plain(&self, text: &str) -> String {
        // The bucket first: its name has the other two in it.
        let mut plain = text.replace(&self.bucket, "LAKE");
        if let Some(account) = self.account.as_deref().filter(|account| !account.is_empty()) {
            plain = plain.replace(account, "ACCOUNT");
        }
        plain.replace(&self.region, "REGION")
    }

    /// A JSON document in one form whatever the order of its keys and lists, one value or a list of it; the text as it is
    /// where it is no JSON.
    #[must_use]
    pub fn plain_json(&self, text: &str) -> String {
        let plain = self.plain(text);
        serde_json::from_str(&plain).map_or(plain, |value: Value| ordered(value).to_string())
    }
}

/// Objects are in order of key already.
fn ordered(value: Value) -> Value {
    match value {
        Value::Array(all) => {
            let mut all: Vec<Value> = all.into_iter().map(ordered).collect();
            all.sort_by_cached_key(Value::to_string);
            if all.len() == 1 { all.remove(0) } else { Value::Array(all) }
        }
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(key, value)| (key, ordered(value))).collect()),
        other => other,
    }
}

/// Names that follow from the environment, and from the tenant where it has a pipeline of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The environment.
    pub environment: String,
    /// The one tenant whose pipeline this is.
    pub tenant: Option<String>,
}

impl Names {
    /// Functions that an environment may have.
    pub const FUNCTIONS: [&str; 4] = ["kinesis-scorer", "alert-fanout", "batch-analyzer", "replication-checker"];

    /// How the names of its functions, policies, … begin.
    #[must_use]
    pub fn prefix(&self) -> String {
        match &self.tenant {
            Some(tenant) => format!("millrace-{}-{tenant}-", self.environment),
            None => format!("millrace-{}-", self.environment),
        }
    }

    /// How the names of its rules begin; they know no dash.
    #[must_use]
    pub fn rules_prefix(&self) -> String {
        self.prefix().replace('-', "_")
    }

    /// A function.
    #[must_use]
    pub fn function(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(region: &str) -> Ground {
        let bucket = format!("millrace-prod-123456789012-{region}");
        Ground { region: region.to_owned(), account: Some("123456789012".to_owned()), bucket }
    }

    #[test]
    fn a_policy_says_the_same_in_both_regions() {
        let document = |region: &str, resource: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Resource":"arn:aws:iot:{region}:123456789012:{resource}","Action":["iot:Connect"]}}]}}"#
            )
        };
        let here = ground("eu-west-1").plain_json(&document("eu-west-1", "client/x"));
        let other_order = r#"{ "Statement": { "Action": "iot:Connect", "Effect": "Allow", "Resource": ["arn:aws:iot:eu-central-1:123456789012:client/x"] }, "Version": "2012-10-17" }"#;
        assert_eq!(here, ground("eu-central-1").plain_json(other_order));
        assert_ne!(here, ground("eu-central-1").plain_json(&document("eu-central-1", "*")), "wider");
        assert_ne!(here, ground("eu-central-1").plain_json(&document("eu-west-1", "client/x")), "of the other Region");
        assert_ne!(
            here,
            ground("eu-central-1").plain_json(&other_order.replace("123456789012", "210987654321")),
            "of another account"
        );
    }

    #[test]
    fn names_are_those_that_the_templates_give() {
        let shared = Names { environment: "prod".to_owned(), tenant: None };
        assert_eq!(shared.function("kinesis-scorer"), "millrace-prod-kinesis-scorer");
        let own = Names { environment: "prod-a".to_owned(), tenant: Some("acme".to_owned()) };
        assert_eq!(own.rules_prefix(), "millrace_prod_a_acme_");
    }
}
