//! Somebody who has subscribed to a topic: a queue, and what came into it.
//!
//! SNS and SQS are called by hand, by the query protocol, for the reasons that CloudFormation is.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::stack::every;
use crate::world::World;

/// A queue that is subscribed to a topic.
pub struct Subscriber {
    world: World,
    queue: String,
    subscription: String,
}

/// A message that came through the topic.
#[derive(Debug, Clone)]
pub struct Told {
    /// The body, which is JSON for machines.
    pub body: Value,
    /// The attributes that subscriptions filter by.
    pub attributes: Value,
    /// The subject, which a mail has.
    pub subject: String,
    /// When it came to the queue, milliseconds since 1970.
    pub at_ms: u64,
}

fn pair(key: &str, value: impl Into<String>) -> (String, String) {
    (key.to_owned(), value.into())
}

impl Subscriber {
    /// Makes a queue of this name and subscribes it.
    ///
    /// # Errors
    /// A call fails.
    pub fn new(world: &World, topic: &str, name: &str) -> Result<Self> {
        let account = topic.split(':').nth(4).context("the topic's ARN has no account")?;
        let arn = format!("arn:aws:sqs:{}:{account}:{name}", world.region);
        // A queue takes from a topic what its own policy lets the topic send.
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "sns.amazonaws.com" },
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": { "ArnEquals": { "aws:SourceArn": topic } },
            }],
        });
        let form = [
            pair("QueueName", name),
            pair("Attribute.1.Name", "Policy"),
            pair("Attribute.1.Value", policy.to_string()),
        ];
        let made = world.query("sqs", "2012-11-05", "CreateQueue", &form)?;
        let queue = every(&made, "QueueUrl").next().context("CreateQueue names no queue")?.to_owned();
        let form = [pair("TopicArn", topic), pair("Protocol", "sqs"), pair("Endpoint", arn)];
        let made = world.query("sns", "2010-03-31", "Subscribe", &form)?;
        let subscription = every(&made, "SubscriptionArn").next().context("Subscribe names none")?.to_owned();
        Ok(Self { world: world.clone(), queue, subscription })
    }

    /// Ends the subscription, and removes the queue.
    ///
    /// # Errors
    /// A call fails.
    pub fn remove(&self) -> Result<()> {
        self.world.query("sns", "2010-03-31", "Unsubscribe", &[pair("SubscriptionArn", self.subscription.as_str())])?;
        self.world.query("sqs", "2012-11-05", "DeleteQueue", &[pair("QueueUrl", self.queue.as_str())]).map(drop)
    }

    /// Takes what has come since the last time.
    ///
    /// # Errors
    /// A call fails, or a message is none of SNS.
    pub fn take(&self) -> Result<Vec<Told>> {
        let mut told = Vec::new();
        loop {
            let form = [
                pair("QueueUrl", self.queue.as_str()),
                pair("MaxNumberOfMessages", "10"),
                pair("AttributeName.1", "SentTimestamp"),
            ];
            let answer = self.world.query("sqs", "2012-11-05", "ReceiveMessage", &form)?;
            let bodies: Vec<String> = every(&answer, "Body").map(unescape).collect();
            if bodies.is_empty() {
                return Ok(told);
            }
            for handle in every(&answer, "ReceiptHandle") {
                let form = [pair("QueueUrl", self.queue.as_str()), pair("ReceiptHandle", unescape(handle))];
                self.world.query("sqs", "2012-11-05", "DeleteMessage", &form)?;
            }
            // The one attribute that was asked for.
            let times: Vec<&str> = every(&answer, "Value").collect();
            ensure!(times.len() == bodies.len(), "not every message has a time: {answer}");
            for (body, at) in bodies.into_iter().zip(times) {
                let envelope: Value = serde_json::from_str(&body).context("what SNS sends is JSON")?;
                let message = envelope["Message"].as_str().context("what SNS sends has a message")?;
                told.push(Told {
                    body: serde_json::from_str(message).with_context(|| format!("no JSON: {message}"))?,
                    attributes: envelope["MessageAttributes"].clone(),
                    subject: envelope["Subject"].as_str().unwrap_or_default().to_owned(),
                    at_ms: at.parse().with_context(|| format!("no time: {at}"))?,
                });
            }
        }
    }
}

/// The five entities of XML.
pub(crate) fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#34;", "\"");
    text.replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&#xA;", "\n")
        .replace("&#10;", "\n")
        .replace("&amp;", "&")
}
