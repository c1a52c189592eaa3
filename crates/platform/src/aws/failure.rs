//! What an error of the SDK means for the caller, and what an operator can do about it.

use std::error::Error;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::ports::{StoreError, StoreErrorKind};
use StoreErrorKind::{Permanent, Throttled, Unavailable};

/// What is called and on what: enough to say which permission or which setting is wrong.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    /// The verb of the port.
    pub(super) verb: &'static str,
    /// The key, prefix or name.
    pub(super) target: &'a str,
    /// What a policy must allow, for example `dynamodb:GetItem`.
    pub(super) action: &'static str,
    /// What it is called on, for example ``table `results` ``.
    pub(super) resource: String,
    /// The setting that names it.
    pub(super) setting: &'static str,
}

impl Call<'_> {
    fn error(&self, kind: StoreErrorKind, remedy: String, source: Option<Box<dyn Error + Send + Sync>>) -> StoreError {
        StoreError { kind, verb: self.verb, target: self.target.to_owned(), remedy, source }
    }

    /// A failure that another try will not mend.
    pub(super) fn permanent(&self, remedy: String) -> StoreError {
        self.error(Permanent, remedy, None)
    }

    /// A failure that another try may mend, and that may have happened all the same.
    pub(super) fn unavailable(&self, remedy: String, source: impl Error + Send + Sync + 'static) -> StoreError {
        self.error(Unavailable, remedy, Some(Box::new(source)))
    }

    /// A stored item that this version cannot read.
    pub(super) fn unreadable(&self, error: serde_dynamo::Error) -> StoreError {
        let remedy = format!("the item in {} does not have the expected shape ({error}): restore it", self.resource);
        self.error(Permanent, remedy, Some(Box::new(error)))
    }

    /// Any failure of the SDK.
    pub(super) fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let (kind, remedy) = match &error {
            SdkError::TimeoutError(_) => {
                (Unavailable, "no answer in time; it may have happened all the same".to_owned())
            }
            SdkError::ConstructionFailure(_) => (Permanent, never_left(&causes(&error))),
            SdkError::DispatchFailure(failure) => {
                let why = causes(&error);
                if failure.is_user() || (failure.is_other() && is_configuration(&why)) {
                    (Permanent, never_left(&why))
                } else {
                    (
                        Unavailable,
                        format!("{} cannot be reached: check network, VPC endpoints and region", self.resource),
                    )
                }
            }
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                self.of_service(service.err().code().unwrap_or_default(), service.err().message(), status)
            }
            _ => (Unavailable, "the answer could not be read; it may have happened all the same".to_owned()),
        };
        self.error(kind, remedy, Some(Box::new(error)))
    }

    fn of_service(&self, code: &str, message: Option<&str>, status: u16) -> (StoreErrorKind, String) {
        let Self { action, resource, setting, .. } = self;
        match code {
            "ThrottlingException"
            | "Throttling"
            | "ThrottlingError"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "TooManyRequestsException"
            | "SlowDown" => (Throttled, format!("{resource} is throttled ({code}); nothing happened")),
            "TransactionConflictException" => {
                (Throttled, "another transaction changes the same item at this moment; nothing happened".to_owned())
            }
            "ConditionalRequestConflict" | "OperationAborted" => {
                (Unavailable, "another request stores the same object at this moment".to_owned())
            }
            "TransactionInProgressException" | "RequestTimeout" | "InternalError" | "InternalServerError" => {
                (Unavailable, format!("{resource} failed ({code}); it may have happened all the same"))
            }
            "AccessDenied" | "AccessDeniedException" => (Permanent, self.access_denied(message)),
            "ResourceNotFoundException" | "NoSuchBucket" => {
                (Permanent, format!("there is no {resource} in this region: check {setting} and the region"))
            }
            "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "ExpiredToken"
            | "ExpiredTokenException" => {
                (Permanent, format!("AWS does not accept the credentials ({code}): renew them"))
            }
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
                (Permanent, format!("{resource} is in another region: check {setting} and the region"))
            }
            _ if status >= 500 => (Unavailable, format!("{resource} failed ({status} {code})")),
            _ => {
                let said = message.unwrap_or("no message");
                (Permanent, format!("{resource} refused {action} ({status} {code}: {said}); see {setting}"))
            }
        }
    }

    fn access_denied(&self, message: Option<&str>) -> String {
        let Self { action, resource, setting, .. } = self;
        let mut remedy =
            format!("access denied: allow `{action}` on {resource} ({setting}), and the use of its KMS key");
        // S3 hides from who may not list whether an object exists.
        if *action == "s3:GetObject" {
            remedy.push_str("; without `s3:ListBucket` an object that does not exist is denied too");
        }
        if let Some(message) = message {
            remedy.push_str("; AWS said: ");
            remedy.extend(message.chars().flat_map(char::escape_debug));
        }
        remedy
    }
}

fn causes(error: &(dyn Error + 'static)) -> String {
    let mut why = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        why.push_str(&error.to_string());
        why.push_str(": ");
        cause = error.source();
    }
    why
}

/// The SDK has one kind of error for broken connections and for requests that it could not sign or address; the words
/// tell them apart. A provider of credentials that does not answer may do so next time.
fn is_configuration(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    ["credential", "identity", "region", "endpoint"].iter().any(|word| why.contains(word)) && !why.contains("timed out")
}

fn never_left(why: &str) -> String {
    let first_line: String = why.lines().next().unwrap_or_default().chars().take(120).collect();
    format!("the request could not be made ({first_line}…): check credentials, AWS_REGION and AWS_ENDPOINT_URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(action: &'static str) -> Call<'static> {
        let resource = "table `results`".to_owned();
        Call { verb: "commit", target: "k", action, resource, setting: "MILLRACE_RESULTS_TABLE" }
    }

    #[test]
    fn a_missing_permission_names_action_and_resource() {
        let (kind, remedy) = call("dynamodb:PutItem").of_service("AccessDeniedException", Some("User: x"), 400);
        assert_eq!(kind, Permanent);
        assert!(remedy.contains("allow `dynamodb:PutItem` on table `results` (MILLRACE_RESULTS_TABLE)"), "{remedy}");
        assert!(remedy.ends_with("User: x"));
        let (_, remedy) = call("s3:GetObject").of_service("AccessDenied", None, 403);
        assert!(remedy.contains("s3:ListBucket"), "{remedy}");
    }

    #[test]
    fn a_missing_table_names_the_setting() {
        let (kind, remedy) = call("dynamodb:GetItem").of_service("ResourceNotFoundException", None, 400);
        assert_eq!(kind, Permanent);
        assert!(remedy.contains("no table `results`") && remedy.contains("MILLRACE_RESULTS_TABLE"), "{remedy}");
    }

    #[test]
    fn throttles_conflicts_and_server_errors_are_worth_another_try() {
        for (code, status, expected) in [
            ("ProvisionedThroughputExceededException", 400, Throttled),
            ("SlowDown", 503, Throttled),
            ("TransactionConflictException", 400, Throttled),
            ("ConditionalRequestConflict", 409, Unavailable),
            ("InternalServerError", 500, Unavailable),
            ("", 502, Unavailable),
            ("ValidationException", 400, Permanent),
            ("ExpiredTokenException", 400, Permanent),
        ] {
            assert_eq!(call("x").of_service(code, None, status).0, expected, "{code}");
        }
    }
}
