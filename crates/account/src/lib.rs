//! An AWS account as an operator's commands reach it: where it is, and what its refusals mean.
//!
//! Credentials, Region and endpoint are what the SDK's default chain finds (AWS SDKs and Tools Reference Guide): variables,
//! profiles, single sign-on. What this does not do: make the clients of a service, or decide anything. The functions that are
//! deployed have their own way in (`platform::aws`), with fewer tries and shorter patience.

mod trouble;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

pub use trouble::{Kind, Trouble};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The control planes of AWS allow few calls a second to an account; the SDK waits longer before each try.
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

/// How AWS is reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// What clients are made of.
    pub config: SdkConfig,
    /// The Region.
    pub region: String,
    /// Whether another endpoint than that of AWS is asked. It has no names for buckets: they stand in the path.
    pub is_elsewhere: bool,
}

impl Access {
    /// Finds out how AWS is reached. Nothing is called yet but what the chain of credentials needs. `patience` is how long one
    /// try of a call may take.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub async fn find(place: &Place, patience: Duration) -> Result<Self, NoRegion> {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(patience).build();
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
        let is_elsewhere = config.endpoint_url().is_some();
        Ok(Self { config, region, is_elsewhere })
    }
}

/// The account's number.
///
/// # Errors
/// The credentials are not valid, or nobody answers.
pub async fn number(config: &SdkConfig) -> Result<String, Trouble> {
    let answer = aws_sdk_sts::Client::new(config).get_caller_identity().send().await;
    let answer = answer.map_err(|error| Trouble::of("GetCallerIdentity", "yourself", &error))?;
    answer.account.ok_or_else(|| Trouble::incomplete("GetCallerIdentity", "no account"))
}
