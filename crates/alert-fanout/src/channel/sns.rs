//! A topic of SNS: text for people, JSON for machines, and attributes that a subscription can filter by.
//!
//! A FIFO topic drops what it has had within five minutes; a standard one sends everything that it is given.

use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::timeout::TimeoutConfig;
use aws_sdk_sns::error::SdkError;
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_types::SdkConfig;
use serde::Serialize;

use super::{CONNECT_TIMEOUT, Channel, Receipt, SendError, in_time};
use crate::arn::in_region;
use crate::message::Message;

/// One of two tries; the whole is bounded by the channel.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// Publishes to a topic.
#[derive(Debug, Clone)]
pub struct Sns {
    name: String,
    client: Client,
    topic: String,
}

impl Sns {
    /// `topic` is the topic's ARN. The topic of that name in the client's Region is used, whichever the ARN names.
    #[must_use]
    pub fn new(name: &str, client: Client, topic: &str) -> Self {
        let topic = in_region(topic, client.config().region().map(AsRef::as_ref));
        Self { name: name.to_owned(), client, topic }
    }

    /// A client with the bounds of a channel.
    #[must_use]
    pub fn client(config: &SdkConfig) -> Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config = aws_sdk_sns::config::Builder::from(config)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts)
            .build();
        Client::from_conf(config)
    }

    fn is_fifo(&self) -> bool {
        self.topic.rsplit_once('.').is_some_and(|(_, end)| end == "fifo")
    }

    async fn publish(&self, message: &Message) -> Result<Receipt, SendError> {
        let unwritable = |what: String| SendError::refused(&self.name, what, "report it");
        let text =
            structured(message).map_err(|error| unwritable(format!("the message cannot be written: {error}")))?;
        let mut call = self
            .client
            .publish()
            .topic_arn(&self.topic)
            .subject(message.subject())
            .message_structure("json")
            .message(text);
        for (name, value) in attributes(message) {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            call = call
                .message_attributes(name, value.map_err(|error| unwritable(format!("attribute `{name}`: {error}")))?);
        }
        if self.is_fifo() {
            call = call
                .message_group_id(message.thread_key(&self.name))
                .message_deduplication_id(message.idempotency_key(&self.name));
        }
        match call.send().await {
            Ok(sent) => Ok(Receipt::with_id(sent.message_id().unwrap_or_default())),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// The codes are those of the API reference, Publish and Common Errors.
    fn failure(&self, error: &SdkError<PublishError, HttpResponse>) -> SendError {
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        let code = error.as_service_error().and_then(|refusal| refusal.meta().code()).unwrap_or("no code");
        let what = match error {
            SdkError::TimeoutError(_) => "SNS did not answer in time".to_owned(),
            SdkError::DispatchFailure(_) => "SNS could not be reached".to_owned(),
            SdkError::ConstructionFailure(_) => "the call to SNS could not be made up".to_owned(),
            _ => format!("SNS answered {status}, {code}"),
        };
        let nothing = "nothing, unless it stays";
        match code {
            "NotFound" | "NotFoundException" | "InvalidParameter" | "InvalidParameterException" => {
                SendError::misconfigured(
                    &self.name,
                    what,
                    "set the ARN of a topic that exists in the function's region",
                )
            }
            "AuthorizationError"
            | "AuthorizationErrorException"
            | "AccessDenied"
            | "AccessDeniedException"
            | "InvalidClientTokenId"
            | "InvalidSecurity"
            | "InvalidSecurityException"
            | "SignatureDoesNotMatch" => {
                SendError::misconfigured(&self.name, what, "allow the function's role `sns:Publish` on the topic")
            }
            "ExpiredToken"
            | "Throttled"
            | "ThrottledException"
            | "Throttling"
            | "ThrottlingException"
            | "KMSThrottling"
            | "KMSThrottlingException" => SendError::retry(&self.name, None, what, nothing),
            _ if code.starts_with("KMS") => SendError::misconfigured(
                &self.name,
                what,
                "allow the function's role `kms:GenerateDataKey*` and `kms:Decrypt` on the topic's key",
            ),
            _ if matches!(error, SdkError::ConstructionFailure(_)) => {
                SendError::misconfigured(&self.name, what, "see the function's region and credentials")
            }
            _ if (400..500).contains(&status) && status != 408 && status != 429 => {
                SendError::refused(&self.name, what, "see CloudTrail for what SNS did not take")
            }
            _ => SendError::retry(&self.name, None, what, nothing),
        }
    }
}

impl Channel for Sns {
    fn name(&self) -> &str {
        &self.name
    }

    fn deduplicates(&self) -> bool {
        self.is_fifo()
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        in_time(&self.name, self.publish(message)).await
    }
}

/// A text for each protocol, for `MessageStructure=json`; `default` is for those not named.
#[derive(Serialize)]
struct Structured<'a> {
    default: &'a str,
    email: &'a str,
    sms: &'a str,
    #[serde(rename = "email-json")]
    email_json: &'a str,
    http: &'a str,
    https: &'a str,
    lambda: &'a str,
    sqs: &'a str,
}

fn structured(message: &Message) -> serde_json::Result<String> {
    let (body, sms, json) = (message.body(), message.sms(), serde_json::to_string(&message.json())?);
    serde_json::to_string(&Structured {
        default: &body,
        email: &body,
        sms: &sms,
        email_json: &json,
        http: &json,
        https: &json,
        lambda: &json,
        sqs: &json,
    })
}

/// What a subscription can filter by. A value is never empty: SNS refuses that.
fn attributes(message: &Message) -> Vec<(&'static str, String)> {
    let mut attributes = vec![
        ("tenant", message.shown_tenant()),
        ("severity", message.severity.as_str().to_owned()),
        ("state", message.state().to_owned()),
    ];
    attributes.extend(message.finding().map(|finding| ("device", finding.shown_device())));
    attributes.retain(|(_, value)| !value.is_empty());
    attributes
}
