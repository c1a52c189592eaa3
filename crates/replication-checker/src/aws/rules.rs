//! What a rule of AWS `IoT` does, as JSON.
//!
//! Without roles: `CloudFormation` makes up their names, and a role that is wrong shows in the queue of what failed. An action of
//! a kind that no template here uses is told by its kind alone.

use account::Trouble;
use aws_sdk_iot::types::Action;
use serde_json::{Value, json};

use super::{Aws, there};
use crate::ports::{Looked, Rule};

fn form(action: &Action) -> Value {
    if let Some(kinesis) = action.kinesis() {
        json!({"kinesis": {"stream": kinesis.stream_name(), "key": kinesis.partition_key()}})
    } else if let Some(sqs) = action.sqs() {
        json!({"sqs": {"queue": without_port(sqs.queue_url()), "base64": sqs.use_base64().unwrap_or(false)}})
    } else if let Some(lambda) = action.lambda() {
        json!({"lambda": lambda.function_arn()})
    } else if let Some(sns) = action.sns() {
        json!({"sns": sns.target_arn()})
    } else if let Some(republish) = action.republish() {
        json!({"republish": republish.topic()})
    } else if let Some(s3) = action.s3() {
        json!({"s3": {"bucket": s3.bucket_name(), "key": s3.key()}})
    } else if let Some(firehose) = action.firehose() {
        json!({"firehose": firehose.delivery_stream_name()})
    } else {
        json!("an action of another kind")
    }
}

/// A URL without its port. Those of AWS have none; two emulators differ in nothing else.
fn without_port(url: &str) -> String {
    let port = |text: &str| text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once(':')?))) {
        Some((scheme, (host, rest))) if !host.contains('/') => format!("{scheme}://{host}{}", &rest[port(rest)..]),
        _ => url.to_owned(),
    }
}

impl Aws {
    /// `None`: gone since the listing.
    pub(super) async fn rule(&self, name: String) -> Looked<Option<Rule>> {
        let answer = self.iot.get_topic_rule().rule_name(&name).send().await;
        let found = there(answer.map_err(|error| Trouble::of("GetTopicRule", &name, &error)))?;
        let Some(found) = found else { return Ok(None) };
        let rule = found.rule().ok_or_else(|| Trouble::incomplete("GetTopicRule", "no rule"))?;
        let actions = rule.actions().iter().map(|action| json!({"then": form(action)}));
        let failing = rule.error_action().map(|action| json!({"where that fails": form(action)}));
        Ok(Some(Rule {
            name,
            sql: rule.sql().unwrap_or_default().to_owned(),
            actions: actions.chain(failing).map(|action| action.to_string()).collect(),
            is_disabled: rule.rule_disabled().unwrap_or(false),
        }))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_iot::types::{KinesisAction, SqsAction};

    use super::*;

    #[test]
    fn the_role_of_an_action_is_left_out_and_the_rest_is_there() {
        let action = |role: &str| {
            let kinesis = KinesisAction::builder().role_arn(role).stream_name("s").partition_key("${topic(4)}");
            form(&Action::builder().kinesis(kinesis.build().unwrap()).build())
        };
        assert_eq!(action("a"), action("b"));
        assert_eq!(action("a")["kinesis"]["key"], "${topic(4)}");
        let sqs = SqsAction::builder().role_arn("r").queue_url("https://q").build().unwrap();
        assert_eq!(form(&Action::builder().sqs(sqs).build())["sqs"]["queue"], "https://q");
    }
}
