//! A model behind an endpoint of SageMaker.

use std::time::Duration;

use aws_sdk_sagemakerruntime::config::retry::RetryConfig;
use aws_sdk_sagemakerruntime::config::timeout::TimeoutConfig;
use aws_sdk_sagemakerruntime::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_sagemakerruntime::primitives::Blob;
use aws_types::SdkConfig;

use super::CONNECT_TIMEOUT;
use super::failure::Call;
use crate::ports::{AskError, AskErrorKind, AskModel};

/// The form of rows and of answers.
const JSON_LINES: &str = "application/jsonlines";

/// One endpoint. Clones share connections.
#[derive(Debug, Clone)]
pub struct Endpoint {
    runtime: aws_sdk_sagemakerruntime::Client,
    name: String,
}

impl Endpoint {
    /// The endpoint `name`, asked once a question: who asks has little time, and asks something else the next time.
    #[must_use]
    pub fn from_config(config: &SdkConfig, name: &str) -> Self {
        let runtime = aws_sdk_sagemakerruntime::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(times(None));
        Self { runtime: aws_sdk_sagemakerruntime::Client::from_conf(runtime.build()), name: name.to_owned() }
    }
}

/// The time to connect is always the same: connections are shared only among calls that agree on it.
fn times(within: Option<Duration>) -> TimeoutConfig {
    let mut timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT);
    timeouts.set_operation_timeout(within);
    timeouts.build()
}

impl AskModel for Endpoint {
    async fn ask_model(&self, rows: &[u8], within: Duration) -> Result<Vec<u8>, AskError> {
        let times = aws_sdk_sagemakerruntime::Config::builder().timeout_config(times(Some(within)));
        let asked = self
            .runtime
            .invoke_endpoint()
            .endpoint_name(&self.name)
            .content_type(JSON_LINES)
            .accept(JSON_LINES)
            .body(Blob::new(rows))
            .customize()
            .config_override(times)
            .send()
            .await;
        let error = match asked {
            Ok(answer) => return Ok(answer.body.map(Blob::into_inner).unwrap_or_default()),
            Err(error) => error,
        };
        let kind = match &error {
            SdkError::TimeoutError(_) => Some(AskErrorKind::Slow),
            SdkError::ServiceError(service) => match service.err().code() {
                Some("ModelError") => Some(AskErrorKind::Model),
                Some("ModelNotReadyException") => Some(AskErrorKind::Unreachable),
                _ => None,
            },
            _ => None,
        };
        let call = Call {
            verb: "ask model",
            target: &self.name,
            action: "sagemaker:InvokeEndpoint",
            resource: format!("endpoint `{}`", self.name),
            setting: "MILLRACE_OPINION_ENDPOINT",
        };
        let failed = AskError::from(call.failed(error));
        Err(AskError { kind: kind.unwrap_or(failed.kind), ..failed })
    }
}
