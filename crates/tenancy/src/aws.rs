//! The services themselves. Nothing is decided here.

mod lake;
mod people;
mod registry;
mod results;
mod witness;

use std::time::Duration;

use account::{Access, NoRegion, Place};

const PATIENCE: Duration = Duration::from_secs(30);

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
        let Access { config, region, is_elsewhere } = Access::find(place, PATIENCE).await?;
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(is_elsewhere).build();
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
