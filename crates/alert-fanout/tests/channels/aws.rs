//! SNS and Secrets Manager: the SDK's own clients against a server that reads what they write. That messages reach a
//! queue is shown on the emulator.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use alert_fanout::channel::sns::Sns;
use alert_fanout::channel::{Channel as _, FailureKind};
use alert_fanout::message::{Course, Message, News};
use alert_fanout::secret::Secrets as _;
use alert_fanout::secret::aws::SecretsManager;
use aws_sdk_sns::config::{BehaviorVersion, Credentials, Region};

use crate::golden::{indented, keep};
use crate::support::http::{Received, Reply, Server};
use crate::support::messages::{digest, hostile, incident};
use crate::support::{reference, send};

const TOPIC: &str = "arn:aws:sns:eu-central-1:000000000000:alerts";

fn credentials() -> Credentials {
    Credentials::new("made-up", "made-up", None, None, "test")
}

fn sns(server: &Server, topic: &str) -> Sns {
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(credentials())
        .retry_config(aws_sdk_sns::config::retry::RetryConfig::disabled())
        .endpoint_url(server.url(""))
        .build();
    Sns::new("topic", aws_sdk_sns::Client::from_conf(config), topic)
}

/// The fields of a form.
fn form(request: &Received) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

async fn published(topic: &str, message: &Message) -> BTreeMap<String, String> {
    let server = Server::start(|_| {
        Reply::with_body(
            200,
            "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>",
        )
    })
    .await;
    let receipt = send(&sns(&server, topic), message, &[]).await.unwrap();
    assert_eq!(receipt.id.as_deref(), Some("m-1"));
    form(&server.received()[0])
}

#[tokio::test]
async fn sns_golden() {
    for (name, message) in [("opened", incident(Course::Opened)), ("digest", digest()), ("hostile", hostile())] {
        let form = published(TOPIC, &message).await;
        let mut text = format!("TopicArn: {}\nSubject: {}\n", form["TopicArn"], form["Subject"]);
        for (attribute, value) in attributes(&form) {
            writeln!(text, "attribute {attribute}: {value}").unwrap();
        }
        keep(&format!("sns-{name}"), &format!("{text}\n{}\n", indented(&form["Message"])));
    }
}

/// The attributes: their order on the wire is nobody's promise.
fn attributes(form: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let of = |n: usize, part: &str| form.get(&format!("MessageAttributes.entry.{n}.{part}")).map(String::as_str);
    (1..).map_while(|n| Some((of(n, "Name")?, of(n, "Value.StringValue")?))).collect()
}

#[tokio::test]
async fn what_may_be_filtered_by_is_an_attribute() {
    let form = published(TOPIC, &incident(Course::Resolved)).await;
    let expected = [("device", "pump-7"), ("severity", "critical"), ("state", "resolved"), ("tenant", "acme")];
    assert_eq!(attributes(&form), BTreeMap::from(expected));
    assert!(
        !attributes(&published(TOPIC, &digest()).await).contains_key("device"),
        "an empty attribute is refused by SNS"
    );
}

#[tokio::test]
async fn the_longest_message_is_one_that_sns_takes() {
    for worst in ["\"", "\\", "\u{1f6a8}"] {
        let mut message = hostile();
        message.summary = worst.repeat(2_000);
        if let News::Incident(_, finding) = &mut message.news {
            finding.metrics = vec![worst.repeat(500); 100];
            finding.explanation = vec![worst.repeat(2_000); 100];
        }
        let bytes = published(TOPIC, &message).await["Message"].len();
        assert!(bytes < 256 * 1024, "{worst}: {bytes}");
    }
}

#[tokio::test]
async fn a_message_has_a_text_for_each_protocol() {
    for message in [incident(Course::Opened), digest(), hostile()] {
        let form = published(TOPIC, &message).await;
        assert_eq!(form["MessageStructure"], "json");
        let subject = &form["Subject"];
        assert!(subject.len() <= 100 && subject.starts_with(|c: char| c.is_ascii_alphanumeric()), "{subject}");
        let texts: BTreeMap<String, String> = serde_json::from_str(&form["Message"]).unwrap();
        assert!(texts["sms"].len() <= 140 && texts["sms"].is_ascii(), "{}", texts["sms"]);
        assert!(texts.contains_key("default") && texts["email"] == texts["default"]);
        for machine in ["sqs", "lambda", "https"] {
            let json: serde_json::Value = serde_json::from_str(&texts[machine]).unwrap();
            assert_eq!(json["state"], message.state());
        }
    }
}

#[tokio::test]
async fn only_a_fifo_topic_deduplicates() {
    let server = Server::start(|_| Reply::status(500)).await;
    assert!(!sns(&server, TOPIC).deduplicates());
    let fifo = format!("{TOPIC}.fifo");
    assert!(sns(&server, &fifo).deduplicates());
    let (one, other) =
        (published(&fifo, &incident(Course::Opened)).await, published(&fifo, &incident(Course::Worse)).await);
    assert_eq!(one["MessageGroupId"], other["MessageGroupId"]);
    assert_ne!(one["MessageDeduplicationId"], other["MessageDeduplicationId"]);
    assert!(!published(TOPIC, &incident(Course::Opened)).await.contains_key("MessageGroupId"));
}

#[tokio::test]
async fn what_sns_says_decides() {
    for (status, code, expected) in [
        (404, "NotFound", FailureKind::Misconfigured),
        (403, "AuthorizationError", FailureKind::Misconfigured),
        (400, "KMSDisabled", FailureKind::Misconfigured),
        (400, "InvalidParameter", FailureKind::Misconfigured),
        (413, "TooLarge", FailureKind::Refused),
        (400, "Throttled", FailureKind::Retry { after: None }),
        (500, "InternalError", FailureKind::Retry { after: None }),
        (503, "ServiceUnavailable", FailureKind::Retry { after: None }),
    ] {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
        );
        let server = Server::start(move |_| Reply::with_body(status, &body)).await;
        let error = send(&sns(&server, TOPIC), &incident(Course::Opened), &[]).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.what().contains(code), "{error}");
    }
}

#[tokio::test]
async fn secrets_are_those_of_the_manager() {
    let server = Server::start(|request| match request.json()["SecretId"].as_str().unwrap() {
        "slack" => Reply::with_body(200, r#"{"Name":"slack","SecretString":"geheim\n"}"#),
        "binary" => Reply::with_body(200, r#"{"Name":"binary","SecretBinary":"AAAA"}"#),
        "denied" => Reply::with_body(400, r#"{"__type":"AccessDeniedException","Message":"geheim"}"#),
        "busy" => Reply::with_body(400, r#"{"__type":"ThrottlingException","Message":"geheim"}"#),
        _ => Reply::with_body(400, r#"{"__type":"ResourceNotFoundException","Message":"geheim"}"#),
    })
    .await;
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(aws_sdk_secretsmanager::config::BehaviorVersion::latest())
        .region(aws_sdk_secretsmanager::config::Region::new("eu-central-1"))
        .credentials_provider(credentials())
        .retry_config(aws_sdk_secretsmanager::config::retry::RetryConfig::disabled())
        .endpoint_url(server.url(""))
        .build();
    let manager = SecretsManager::new(aws_sdk_secretsmanager::Client::from_conf(config));
    assert_eq!(manager.secret(&reference("slack")).await.unwrap().reveal(), "geheim");
    for (name, expected, is_transient) in [
        ("binary", "binary", false),
        ("denied", "GetSecretValue", false),
        ("busy", "Throttling", true),
        ("none", "create", false),
    ] {
        let error = manager.secret(&reference(name)).await.unwrap_err();
        assert!(error.to_string().contains(expected) && !error.to_string().contains("geheim"), "{error}");
        assert_eq!(error.is_transient(), is_transient, "{error}");
    }
}
