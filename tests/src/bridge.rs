//! What the broker's rules make of a published message.
//!
//! The emulator keeps a rule's `kinesis` action and never fires it. So the SQL of a deployed rule is put into a rule of the
//! test's own, whose `sqs` action it does fire, and the test carries over to the stream what comes out. The emulator knows
//! no `CASE`: a time that the rule would add is left out here, and one that the device sends is kept as it is on AWS.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::stack::every;
use crate::subscriber::unescape;
use crate::world::{REGION, World};

/// A rule of the test's own with the SQL of a deployed one.
pub struct Bridge {
    world: World,
    queue: String,
}

impl Bridge {
    /// The deployed rule of this name, as the broker has it.
    ///
    /// # Errors
    /// There is no such rule.
    pub fn rule(world: &World, name: &str) -> Result<Value> {
        let answer = call(world, "iot", &format!("/rules/{name}"), None)?;
        let mut described: Value = serde_json::from_str(&answer).context("a rule is described in JSON")?;
        Ok(described["rule"].take())
    }

    /// Makes a rule and its queue, both of this name, with the SQL of `rule`.
    ///
    /// # Errors
    /// A call fails.
    pub fn new(world: &World, rule: &Value, name: &str) -> Result<Self> {
        let named = ("QueueName".to_owned(), name.to_owned());
        let made = world.query("sqs", "2012-11-05", "CreateQueue", &[named])?;
        let queue = every(&made, "QueueUrl").next().context("CreateQueue names no queue")?.to_owned();
        let payload = json!({
            "sql": rule["sql"],
            "awsIotSqlVersion": rule["awsIotSqlVersion"],
            "actions": [{ "sqs": { "roleArn": "arn:aws:iam::000000000000:role/bridge", "queueUrl": queue, "useBase64": false } }],
        });
        call(world, "iot", &format!("/rules/{}", name.replace('-', "_")), Some(&payload.to_string()))?;
        Ok(Self { world: world.clone(), queue })
    }

    /// Publishes a message to a topic, and returns what the rule has made of all that was published.
    ///
    /// # Errors
    /// A call fails.
    pub fn publish(&self, topic: &str, payload: &str) -> Result<Vec<String>> {
        call(&self.world, "iotdata", &format!("/topics/{}?qos=1", topic.replace('/', "%2F")), Some(payload))?;
        let receive = [
            ("QueueUrl".to_owned(), self.queue.clone()),
            ("MaxNumberOfMessages".to_owned(), "10".to_owned()),
            ("VisibilityTimeout".to_owned(), "0".to_owned()),
        ];
        let answer = self.world.query("sqs", "2012-11-05", "ReceiveMessage", &receive)?;
        Ok(every(&answer, "Body").map(unescape).collect())
    }
}

/// A call of a service that speaks REST: a POST of the body, or a GET without one.
fn call(world: &World, service: &str, path: &str, body: Option<&str>) -> Result<String> {
    let address = format!("{}{path}", world.endpoint);
    let signature = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=none"
    );
    let answer = match body {
        Some(body) => ureq::post(&address)
            .config()
            .http_status_as_error(false)
            .build()
            .header("Authorization", signature)
            .header("Content-Type", "application/json")
            .send(body),
        None => {
            ureq::get(&address).config().http_status_as_error(false).build().header("Authorization", signature).call()
        }
    };
    let mut answer = answer.with_context(|| format!("{path} was not answered"))?;
    let text = answer.body_mut().read_to_string().with_context(|| format!("{path} was not answered in text"))?;
    if !answer.status().is_success() {
        bail!("{path} failed with {}: {text}", answer.status());
    }
    Ok(text)
}
