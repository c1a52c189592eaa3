//! What an error of the SDK means for the caller: ask again, make do, or give up.

use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::cloud::{Kind, Trouble};

/// Reads an error.
pub(super) fn trouble<E>(action: &'static str, subject: &str, error: &SdkError<E, HttpResponse>) -> Trouble
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let service = error.as_service_error();
    let message = service.and_then(ProvideErrorMetadata::message).map(str::to_owned);
    let kind = match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Kind::Transient,
        SdkError::DispatchFailure(failure) if failure.is_timeout() || failure.is_io() => Kind::Transient,
        // No credentials were found, or they could not be fetched.
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => Kind::Forbidden,
        _ => kind(service.and_then(ProvideErrorMetadata::code), status, message.as_deref().unwrap_or_default()),
    };
    let message = message.filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| DisplayErrorContext(error).to_string());
    Trouble { action, subject: subject.to_owned(), kind, message }
}

/// By the error's code (CloudFormation API Reference, "Common errors"; S3, "List of error codes"), and where there is none, as
/// in an answer to `HEAD`, by the status.
fn kind(code: Option<&str>, status: Option<u16>, message: &str) -> Kind {
    match code {
        Some(
            "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown"
            // A change set that is still worked out cannot be deleted yet.
            | "InvalidChangeSetStatus",
        ) => Kind::Transient,
        Some("AlreadyExistsException") => Kind::AlreadyThere,
        Some(
            "ChangeSetNotFound" | "ChangeSetNotFoundException" | "NoSuchBucket" | "NoSuchBucketPolicy" | "NoSuchKey" | "NotFound"
            | "ResourceNotFoundException" | "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue",
        ) => Kind::Missing,
        // What DescribeStacks answers for a stack that is not there.
        Some("ValidationError") if message.contains("does not exist") => Kind::Missing,
        Some(
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "ExpiredToken" | "ExpiredTokenException"
            | "InvalidClientTokenId" | "UnrecognizedClientException" | "SignatureDoesNotMatch" | "InvalidAccessKeyId",
        ) => Kind::Forbidden,
        Some(_) if status.is_none_or(|status| status < 500) => Kind::Refused,
        _ => match status {
            Some(404) => Kind::Missing,
            Some(401 | 403) => Kind::Forbidden,
            Some(429 | 500..) => Kind::Transient,
            _ => Kind::Refused,
        },
    }
}

/// What the SDK's builders say where a field is missing that is always set here.
pub(super) fn built<T>(result: Result<T, impl Into<BuildError>>) -> Result<T, Trouble> {
    result.map_err(|error| {
        let message = error.into().to_string();
        Trouble { action: "request", subject: "itself".to_owned(), kind: Kind::Refused, message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_whether_to_ask_again() {
        for (code, status, message, expected) in [
            (Some("Throttling"), 400, "Rate exceeded", Kind::Transient),
            (Some("InternalFailure"), 500, "", Kind::Transient),
            (None, 503, "", Kind::Transient),
            (Some("ValidationError"), 400, "Stack with id x does not exist", Kind::Missing),
            (Some("ValidationError"), 400, "Template format error", Kind::Refused),
            (None, 404, "", Kind::Missing),
            (Some("ExpiredToken"), 403, "", Kind::Forbidden),
            (Some("AlreadyExistsException"), 400, "", Kind::AlreadyThere),
        ] {
            assert_eq!(kind(code, Some(status), message), expected, "{code:?} {status}");
        }
    }
}
