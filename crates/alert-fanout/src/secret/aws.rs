//! Secrets from AWS Secrets Manager, by name or ARN. Keep them as plain text, not as a table of keys and values.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_types::SdkConfig;

use super::{Secret, SecretError, SecretRef, Secrets};
use crate::arn::in_region;
use crate::channel::CONNECT_TIMEOUT;

/// Asks Secrets Manager for the current version. One call each: a [`Keyring`](super::Keyring) belongs before it.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
}

impl SecretsManager {
    /// Asks through this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// A client whose time-outs leave room for the sending itself: two tries of 2 s.
    #[must_use]
    pub fn from_config(config: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT / 2)
            .operation_attempt_timeout(CONNECT_TIMEOUT / 2)
            .operation_timeout(CONNECT_TIMEOUT)
            .build();
        let config = aws_sdk_secretsmanager::config::Builder::from(config)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts)
            .build();
        Self::new(Client::from_conf(config))
    }
}

impl Secrets for SecretsManager {
    async fn secret(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let id = in_region(reference.as_str(), self.client.config().region().map(AsRef::as_ref));
        let answer = self.client.get_secret_value().secret_id(id).send().await;
        let value = answer.map_err(|error| failure(reference, &error))?;
        match value.secret_string {
            Some(text) => Secret::new(reference, text),
            None => Err(SecretError::NotAllowed {
                reference: reference.clone(),
                why: "it is binary".to_owned(),
                remedy: "store it as text (`aws secretsmanager put-secret-value --secret-string …`)".to_owned(),
            }),
        }
    }
}

/// What a failed call means. Messages of the service are left out: the code says enough, and they may quote.
fn failure<R>(reference: &SecretRef, error: &SdkError<GetSecretValueError, R>) -> SecretError {
    let reference = reference.clone();
    let Some(refusal) = error.as_service_error() else {
        let why = match error {
            SdkError::TimeoutError(_) => "Secrets Manager did not answer in time",
            SdkError::DispatchFailure(_) => "Secrets Manager could not be reached",
            _ => "Secrets Manager's answer could not be read",
        };
        return SecretError::Unavailable { reference, why: why.to_owned() };
    };
    let code = refusal.meta().code().unwrap_or("no code").to_owned();
    match code.as_str() {
        "ResourceNotFoundException" => SecretError::NotFound {
            remedy: format!("create it: `aws secretsmanager create-secret --name {reference} --secret-string …`"),
            reference,
        },
        "AccessDeniedException" => SecretError::NotAllowed {
            reference,
            why: "the function may not read it".to_owned(),
            remedy: "allow `secretsmanager:GetSecretValue` on it, and `kms:Decrypt` on its key".to_owned(),
        },
        "DecryptionFailure"
        | "DecryptionFailureException"
        | "InvalidRequestException"
        | "InvalidParameterException" => SecretError::NotAllowed {
            reference,
            why: format!("Secrets Manager refuses it ({code})"),
            remedy: "see whether it is marked for deletion or its key disabled".to_owned(),
        },
        _ => SecretError::Unavailable { reference, why: format!("Secrets Manager answered {code}") },
    }
}
