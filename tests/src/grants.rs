//! What calls need of a role, and what a role grants.
//!
//! Calls are mapped to actions as AWS's Service Authorization Reference does: a transaction needs the action of each of its parts, and
//! to be told that an object is not there, instead of that it is forbidden, needs the right to list the bucket (S3 API Reference,
//! `GetObject`).

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::recorder::Call;
use crate::world::World;

/// An action on a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Such as `dynamodb:PutItem`.
    pub action: String,
    /// The ARN, or `*` where the action knows none.
    pub resource: String,
    /// Of a list of objects, what they begin with.
    pub prefix: Option<String>,
    /// The call, or who acts with the function's role.
    pub by: String,
}

/// An action that a statement of a role allows on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The statement.
    pub sid: String,
    /// The action.
    pub action: String,
    /// The resource, with wildcards.
    pub resource: String,
    /// Where lists are allowed only of some objects: what these begin with.
    prefix: Option<String>,
}

impl Grant {
    /// Whether it allows this.
    #[must_use]
    pub fn allows(&self, need: &Need) -> bool {
        let prefix = match (&self.prefix, &need.prefix) {
            (None, _) => true,
            (Some(pattern), Some(prefix)) => matches(pattern, prefix),
            (Some(_), None) => false,
        };
        prefix && self.action == need.action && matches(&self.resource, &need.resource)
    }
}

/// `*` is any text and `?` any character (IAM User Guide, "Resource").
fn matches(pattern: &str, text: &str) -> bool {
    let (mut rest, mut pattern) = (text, pattern);
    loop {
        match (pattern.chars().next(), rest.chars().next()) {
            (None, left) => return left.is_none(),
            (Some('*'), _) => {
                let after = &pattern[1..];
                return rest.char_indices().any(|(at, _)| matches(after, &rest[at..])) || matches(after, "");
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                pattern = &pattern[wanted.len_utf8()..];
                rest = &rest[found.len_utf8()..];
            }
            _ => return false,
        }
    }
}

/// What a role's own policies grant, as they stand in the account: every name is filled in.
///
/// # Errors
/// The role cannot be read, or denies or excludes something, which nobody here would understand.
pub fn grants(world: &World, function: &str) -> Result<Vec<Grant>> {
    let path = format!("/2015-03-31/functions/{function}/configuration");
    let configuration: Value = serde_json::from_str(&world.rest("lambda", "GET", &path, &[], "")?)?;
    let role =
        configuration["Role"].as_str().and_then(|arn| arn.rsplit('/').next()).context("the function has no role")?;
    let role = ("RoleName".to_owned(), role.to_owned());
    let listed = world.query("iam", "2010-05-08", "ListRolePolicies", std::slice::from_ref(&role))?;
    let mut found = Vec::new();
    for name in crate::stack::every(&listed, "member") {
        let policy = ("PolicyName".to_owned(), name.to_owned());
        let answer = world.query("iam", "2010-05-08", "GetRolePolicy", &[role.clone(), policy])?;
        let encoded = crate::stack::every(&answer, "PolicyDocument").next().context("the policy has no document")?;
        let document: Value = serde_json::from_str(&decoded(encoded)).context("the policy is no JSON")?;
        for statement in document["Statement"].as_array().context("the policy has no statements")? {
            ensure!(statement["Effect"] == "Allow", "not an Allow: {statement}");
            ensure!(statement["NotAction"].is_null() && statement["NotResource"].is_null(), "all but: {statement}");
            let prefix = statement["Condition"]["StringLike"]["s3:prefix"].as_str().map(str::to_owned);
            for action in texts(&statement["Action"]) {
                for resource in texts(&statement["Resource"]) {
                    let sid = statement["Sid"].as_str().unwrap_or_default().to_owned();
                    found.push(Grant { sid, action: action.clone(), resource, prefix: prefix.clone() });
                }
            }
        }
    }
    Ok(found)
}

/// One text, or a list of them.
fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    value.as_array().map_or_else(|| text(value).into_iter().collect(), |list| list.iter().filter_map(text).collect())
}

/// Without percent signs and the entities of XML.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        if let Some(byte) = byte.filter(|_| *first == b'%') {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).replace("&quot;", "\"").replace("&amp;", "&")
}

/// What a call needs.
///
/// # Errors
/// It is of a kind that is not known here: whoever adds a call says what it needs.
pub fn needs(call: &Call, account: &str) -> Result<Vec<Need>> {
    let region = &call.region;
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{region}:{account}:{rest}");
    let operation = call.target.as_deref().and_then(|target| target.rsplit('.').next());
    let operation = operation.or_else(|| call.path.rsplit_once("/operation/").map(|(_, operation)| operation));
    let json = || serde_json::from_slice::<Value>(&call.body).with_context(|| format!("no JSON: {call:?}"));
    let need = |action: String, resource: String, by: &str| Need { action, resource, prefix: None, by: by.to_owned() };
    match (call.service.as_str(), operation) {
        ("dynamodb", Some(operation)) => {
            let request = json()?;
            let table = |request: &Value| {
                arn("dynamodb", &format!("table/{}", request["TableName"].as_str().unwrap_or_default()))
            };
            if let Some(parts) = request["TransactItems"].as_array() {
                let parts = parts.iter().filter_map(Value::as_object).flatten();
                return Ok(parts
                    .map(|(kind, part)| {
                        let action = if kind == "ConditionCheck" {
                            "ConditionCheckItem".to_owned()
                        } else {
                            format!("{kind}Item")
                        };
                        need(format!("dynamodb:{action}"), table(part), operation)
                    })
                    .collect());
            }
            let index = request["IndexName"].as_str().map(|index| format!("/index/{index}")).unwrap_or_default();
            Ok(vec![need(format!("dynamodb:{operation}"), table(&request) + &index, operation)])
        }
        ("kinesis", Some(operation)) => {
            let request = json()?;
            // A further page names no stream.
            let Some(stream) = request["StreamName"].as_str() else { return Ok(Vec::new()) };
            Ok(vec![need(format!("kinesis:{operation}"), arn("kinesis", &format!("stream/{stream}")), operation)])
        }
        ("secretsmanager", Some(operation)) => {
            let request = json()?;
            let name = request["SecretId"].as_str().unwrap_or_default();
            // Six characters that Secrets Manager adds.
            let secret = arn("secretsmanager", &format!("secret:{name}-AbCdEf"));
            Ok(vec![need(format!("secretsmanager:{operation}"), secret, operation)])
        }
        ("monitoring", Some(operation)) => Ok(vec![need(format!("cloudwatch:{operation}"), "*".to_owned(), operation)]),
        ("sns", _) => {
            let form = decoded(&String::from_utf8_lossy(&call.body));
            let field = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            let action = field("Action").context("a call of SNS without an action")?;
            Ok(vec![need(format!("sns:{action}"), field("TopicArn").unwrap_or_default().to_owned(), action)])
        }
        ("sagemaker", Some(operation)) => {
            let request = json()?;
            let named = [("ModelName", "model"), ("EndpointConfigName", "endpoint-config")];
            let mut named = named.iter().filter_map(|(name, kind)| Some(format!("{kind}/{}", request[name].as_str()?)));
            // Lists name nothing.
            let resource = named.next().map_or_else(|| "*".to_owned(), |resource| arn("sagemaker", &resource));
            Ok(vec![need(format!("sagemaker:{operation}"), resource, operation)])
        }
        ("lambda", _) => Ok(vec![of_a_function(call, account)?]),
        ("iot", _) => Ok(vec![of_devices(call, account)?]),
        ("s3", _) => {
            let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
            let path = decoded(path.trim_start_matches('/'));
            let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
            let of_bucket = format!("arn:aws:s3:::{bucket}");
            let list = |prefix: Option<String>, by: &str| Need {
                prefix,
                ..need("s3:ListBucket".to_owned(), of_bucket.clone(), by)
            };
            let object = |action: &str, by: &str| need(format!("s3:{action}"), format!("{of_bucket}/{key}"), by);
            Ok(match (call.method.as_str(), key.is_empty()) {
                ("GET", true) => {
                    let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).map(decoded);
                    vec![list(prefix, "ListObjectsV2")]
                }
                ("GET" | "HEAD", false) if call.status == 404 => {
                    vec![object("GetObject", "GetObject"), list(None, "GetObject of what is not there")]
                }
                ("GET" | "HEAD", false) => vec![object("GetObject", "GetObject")],
                ("PUT", false) => vec![object("PutObject", "PutObject")],
                _ => anyhow::bail!("what does it need? {} {}", call.method, call.path),
            })
        }
        _ => anyhow::bail!("what does it need? {call:?}"),
    }
}

/// What a question about a function needs.
fn of_a_function(call: &Call, account: &str) -> Result<Need> {
    // /2015-03-31/functions/NAME/configuration?Qualifier=ALIAS
    let parts: Vec<&str> = call.path.trim_start_matches('/').split(['/', '?']).collect();
    let [_, "functions", name, "configuration", alias] = parts[..] else {
        anyhow::bail!("what does it need? {} {}", call.method, call.path)
    };
    let (region, alias) = (&call.region, alias.trim_start_matches("Qualifier="));
    let action = "GetFunctionConfiguration";
    Ok(Need {
        action: format!("lambda:{action}"),
        resource: format!("arn:aws:lambda:{region}:{account}:function:{name}:{alias}"),
        prefix: None,
        by: action.to_owned(),
    })
}

/// What a question about things, certificates, policies or rules needs.
fn of_devices(call: &Call, account: &str) -> Result<Need> {
    let region = &call.region;
    let arn = |rest: &str| format!("arn:aws:iot:{region}:{account}:{rest}");
    let path = decoded(call.path.split('?').next().unwrap_or_default());
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (action, resource) = match (call.method.as_str(), &parts[..]) {
        ("GET", ["things"]) => ("ListThings", "*".to_owned()),
        ("GET", ["things", name, "principals"]) => ("ListThingPrincipals", arn(&format!("thing/{name}"))),
        ("GET", ["certificates"]) => ("ListCertificates", "*".to_owned()),
        ("GET", ["policies"]) => ("ListPolicies", "*".to_owned()),
        ("GET", ["policies", name]) => ("GetPolicy", arn(&format!("policy/{name}"))),
        ("POST", ["policy-targets", name]) => ("ListTargetsForPolicy", arn(&format!("policy/{name}"))),
        ("GET", ["rules"]) => ("ListTopicRules", "*".to_owned()),
        ("GET", ["rules", name]) => ("GetTopicRule", arn(&format!("rule/{name}"))),
        _ => anyhow::bail!("what does it need? {} {}", call.method, call.path),
    };
    Ok(Need { action: format!("iot:{action}"), resource, prefix: None, by: action.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_read_as_iam_does() {
        assert!(matches("arn:aws:s3:::lake/config/*", "arn:aws:s3:::lake/config/acme/profile.toml"));
        assert!(!matches("arn:aws:s3:::lake/config/*", "arn:aws:s3:::lake/state/x"));
        assert!(matches("*", "") && matches("a?c", "abc") && !matches("a?c", "ac") && !matches("abc", "ab"));
        assert!(matches("a*b*c", "axxbyyc") && !matches("a*b*c", "axxbyy"));
    }

    #[test]
    fn a_list_under_a_condition_is_none_of_everything() {
        let grant = |prefix: Option<&str>| Grant {
            sid: String::new(),
            action: "s3:ListBucket".to_owned(),
            resource: "arn:aws:s3:::lake".to_owned(),
            prefix: prefix.map(str::to_owned),
        };
        let need = |prefix: Option<&str>| Need {
            action: "s3:ListBucket".to_owned(),
            resource: "arn:aws:s3:::lake".to_owned(),
            prefix: prefix.map(str::to_owned),
            by: String::new(),
        };
        assert!(grant(None).allows(&need(None)) && grant(Some("config/*")).allows(&need(Some("config/"))));
        assert!(!grant(Some("config/*")).allows(&need(None)) && !grant(Some("config/*")).allows(&need(Some("state/"))));
    }
}
