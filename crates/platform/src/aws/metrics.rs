//! Metrics by a call to CloudWatch, where log lines in the embedded metric format are not wanted.

use anomaly_core::Timestamp;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use aws_types::SdkConfig;

use super::{retries, timeouts};
use crate::metrics::{BatchMetrics, EmitMetrics, NAMESPACE};

/// One `PutMetricData` a batch. What fails is logged: the batch is committed by then.
#[derive(Debug, Clone)]
pub struct CloudWatchMetrics {
    cloudwatch: aws_sdk_cloudwatch::Client,
}

impl CloudWatchMetrics {
    /// A client from `config`, with retries and timeouts of its own.
    #[must_use]
    pub fn from_config(config: &SdkConfig) -> Self {
        let cloudwatch = aws_sdk_cloudwatch::config::Builder::from(config);
        let cloudwatch = cloudwatch.retry_config(retries()).timeout_config(timeouts()).build();
        Self { cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch) }
    }
}

impl EmitMetrics for CloudWatchMetrics {
    async fn emit(&self, metrics: &BatchMetrics, environment: &str, at: Timestamp) {
        let dimension = Dimension::builder().name("Environment").value(environment).build();
        let data = metrics.entries().into_iter().map(|(name, unit, value)| {
            MetricDatum::builder()
                .metric_name(name)
                .unit(StandardUnit::from(unit))
                .value(value)
                .timestamp(DateTime::from_millis(at.millis()))
                .dimensions(dimension.clone())
                .build()
        });
        let put = self.cloudwatch.put_metric_data().namespace(NAMESPACE).set_metric_data(Some(data.collect()));
        if let Err(error) = put.send().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "metrics could not be put: the role needs cloudwatch:PutMetricData"
            );
        }
    }
}
