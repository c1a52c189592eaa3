//! A Region itself: the pulse by Kinesis, the word to devices by `IoT`'s data plane, the tick by an invocation. The stores are
//! `platform`'s.

use std::time::Duration;

use account::{Kind, Trouble};
use alert_fanout::pulse;
use aws_sdk_iotdataplane::config::retry::RetryConfig;
use aws_sdk_iotdataplane::config::timeout::TimeoutConfig;
use aws_sdk_iotdataplane::primitives::Blob;
use aws_types::SdkConfig;
use platform::aws::{Aws, AwsSettings};
use platform::model::ShardInfo;
use platform::ports::{PutRecord as _, StoreError, StoreErrorKind};
use telemetry::payload::PULSE;

use crate::side::{Reach, Side};

const ATTEMPTS_MAX: u32 = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The tick looks at everything that is due.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);
/// As a schedule's event, by hand.
const TICK: &str = r#"{"source":"millrace.tick"}"#;

/// Names of one Region's things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The stores.
    pub stores: AwsSettings,
    /// The function that tells people, without its alias.
    pub fanout: String,
    /// Where devices connect to; `None` where the endpoint of `sdk` plays it.
    pub devices_endpoint: Option<String>,
}

/// What is reached in a Region beside its stores.
#[derive(Debug, Clone)]
pub struct Reached {
    stream: Aws,
    devices: aws_sdk_iotdataplane::Client,
    functions: aws_sdk_lambda::Client,
    fanout: String,
}

/// A side of the pair: clients of the Region that `sdk` names. Nothing is called yet.
#[must_use]
pub fn side(sdk: &SdkConfig, region: &str, names: Names) -> Side<Aws, Reached> {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
    let sdk = sdk
        .to_builder()
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(timeouts.build())
        .build();
    let stores = Aws::from_config(&sdk, names.stores);
    let devices = aws_sdk_iotdataplane::config::Builder::from(&sdk);
    let devices = match names.devices_endpoint {
        Some(host) => devices.endpoint_url(format!("https://{host}")),
        None => devices,
    };
    let reach = Reached {
        stream: stores.clone(),
        devices: aws_sdk_iotdataplane::Client::from_conf(devices.build()),
        functions: aws_sdk_lambda::Client::new(&sdk),
        fanout: names.fanout,
    };
    Side { region: region.to_owned(), stores, reach }
}

impl Reach for Reached {
    async fn pulse(&self, stream: &str, shard: &ShardInfo) -> Result<(), StoreError> {
        self.stream.put_record(stream, shard, pulse::KEY, PULSE.as_bytes()).await
    }

    async fn publish_retained(&self, topic: &str, payload: &[u8]) -> Result<(), StoreError> {
        let publish = self.devices.publish().topic(topic).payload(Blob::new(payload)).retain(true).qos(1);
        let published = publish.send().await.map(drop);
        published.map_err(|error| store_error(&Trouble::of("iot:Publish", topic, &error), "iot:RetainPublish"))
    }

    async fn tick_alerts(&self) -> Result<(), StoreError> {
        let invoke = self.functions.invoke().function_name(&self.fanout).qualifier("live").payload(Blob::new(TICK));
        let answer = invoke.send().await;
        let answer = answer.map_err(|error| {
            store_error(&Trouble::of("lambda:InvokeFunction", &self.fanout, &error), "lambda:InvokeFunction")
        })?;
        let Some(failed) = answer.function_error else { return Ok(()) };
        let said = answer.payload.map(|payload| String::from_utf8_lossy(payload.as_ref()).into_owned());
        let remedy = format!("{failed}: {}; its log says more", said.unwrap_or_default());
        Err(StoreError::permanent("tick", &self.fanout, remedy))
    }
}

fn store_error(trouble: &Trouble, action: &str) -> StoreError {
    let kind = match trouble.kind {
        Kind::Transient => StoreErrorKind::Unavailable,
        Kind::Missing | Kind::AlreadyThere | Kind::Forbidden | Kind::Refused => StoreErrorKind::Permanent,
    };
    let remedy = format!("{}; whoever moves needs {action} on it", trouble.message);
    StoreError { kind, ..StoreError::permanent(trouble.action, trouble.subject.clone(), remedy) }
}
