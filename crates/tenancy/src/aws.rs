//! The services themselves.
//!
//! Credentials, Region and endpoint are what the SDK's default chain finds (AWS SDKs and Tools Reference Guide). Nothing is
//! decided here.

mod lake;
mod people;
mod registry;
mod results;
mod trouble;
mod witness;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// AWS `IoT` allows ten calls a second of most kinds; the SDK waits longer before each try.
const ATTEMPTS_MAX: u32 = 6;

/// Where to find AWS, beside what the environment says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The Region.
    pub region: Option<String>,
    /// Another endpoint for every service.
    pub endpoint: Option<String>,
    /// A named profile.
    pub profile: Option<String>,
}

/// No Region is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no Region is set: say --region, or set AWS_REGION, or `region` in the profile (`aws configure`)")]
pub struct NoRegion;

/// Clients of the services.
#[derive(Debug, Clone)]
pub struct Aws {
    iot: aws_sdk_iot::Client,
    s3: aws_sdk_s3::Client,
    sns: aws_sdk_sns::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    kinesis: aws_sdk_kinesis::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    region: String,
}

impl Aws {
    /// Makes the clients. Nothing is called yet but what the chain of credentials needs.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub async fn connect(place: &Place) -> Result<Self, NoRegion> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts);
        if let Some(region) = &place.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &place.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(profile) = &place.profile {
            loader = loader.profile_name(profile);
        }
        let config = loader.load().await;
        let region = config.region().ok_or(NoRegion)?.to_string();
        // Whoever names another endpoint means one that has no bucket in its host's name.
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(config.endpoint_url().is_some()).build();
        Ok(Self {
            iot: aws_sdk_iot::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sns: aws_sdk_sns::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            kinesis: aws_sdk_kinesis::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            region,
        })
    }

    /// The Region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }
}
