//! A Region itself: S3, DynamoDB, Kinesis, SageMaker, `IoT` and Lambda through the SDK.
//!
//! One verb a call or a list of pages; nothing is decided here. The two sides of a pair are two of these, of one account.

mod functions;
mod items;
mod models;
mod objects;
mod rules;
mod streams;
mod things;

use std::time::Duration;

use account::{Kind, Trouble};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_types::SdkConfig;

use crate::ports::Looked;

/// The SDK's tries, the first one included. The control planes of AWS allow few calls a second to an account.
const ATTEMPTS_MAX: u32 = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
/// Well below the time of one look ([`crate::Limits::look`]), so that the call is named that did not answer.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// Names of the two tables, which are the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Anomalies, states, incidents.
    pub results: String,
    /// Checkpoints and epochs.
    pub checkpoints: String,
}

/// Clients of one Region. Clones share connections.
#[derive(Debug, Clone)]
pub struct Aws {
    dynamodb: aws_sdk_dynamodb::Client,
    iot: aws_sdk_iot::Client,
    kinesis: aws_sdk_kinesis::Client,
    lambda: aws_sdk_lambda::Client,
    s3: aws_sdk_s3::Client,
    sagemaker: aws_sdk_sagemaker::Client,
    bucket: String,
    tables: Tables,
}

impl Aws {
    /// Clients of the Region of `sdk`, with its credentials, and retries and timeouts of their own. Nothing is called yet.
    #[must_use]
    pub fn new(sdk: &SdkConfig, bucket: &str, tables: Tables, s3_path_style: bool) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT);
        let sdk = sdk
            .to_builder()
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts.build())
            .build();
        let s3 = aws_sdk_s3::config::Builder::from(&sdk).force_path_style(s3_path_style).build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&sdk),
            iot: aws_sdk_iot::Client::new(&sdk),
            kinesis: aws_sdk_kinesis::Client::new(&sdk),
            lambda: aws_sdk_lambda::Client::new(&sdk),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sagemaker: aws_sdk_sagemaker::Client::new(&sdk),
            bucket: bucket.to_owned(),
            tables,
        }
    }
}

/// `None` for what is not there.
fn there<T>(answer: Result<T, Trouble>) -> Looked<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(trouble) if trouble.kind == Kind::Missing => Ok(None),
        Err(trouble) => Err(trouble),
    }
}
