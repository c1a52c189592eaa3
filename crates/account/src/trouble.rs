//! What AWS answered when it did not do what it was asked, and what that means for the caller: ask again, make do, or give up.

use aws_sdk_sts::config::http::HttpResponse;
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// Why AWS did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action} `{subject}`: {message}{}", .kind.hint())]
pub struct Trouble {
    /// What was asked, as the service names it.
    pub action: &'static str,
    /// The stack, thing, bucket, table, …
    pub subject: String,
    /// What to make of it.
    pub kind: Kind,
    /// In the service's words.
    pub message: String,
}

/// What to make of a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Too many calls, or nobody answered: may be asked again.
    Transient,
    /// There is no such thing.
    Missing,
    /// There is such a thing already.
    AlreadyThere,
    /// The credentials do not allow it, or are not valid.
    Forbidden,
    /// The request cannot be fulfilled.
    Refused,
}

impl Kind {
    fn hint(self) -> &'static str {
        match self {
            Self::Transient => " (tried several times; run the command again)",
            Self::Forbidden => " (`millrace doctor` tells which credentials are used)",
            Self::Missing | Self::AlreadyThere | Self::Refused => "",
        }
    }
}

impl Trouble {
    /// Reads an error of the SDK.
    #[must_use]
    pub fn of<E>(action: &'static str, subject: &str, error: &SdkError<E, HttpResponse>) -> Self
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
        Self { action, subject: subject.to_owned(), kind, message }
    }

    /// An answer without what every such answer has.
    #[must_use]
    pub fn incomplete(action: &'static str, what: &str) -> Self {
        let message = format!("the answer is not whole: {what}");
        Self { action, subject: "answer".to_owned(), kind: Kind::Refused, message }
    }
}

/// By the error's code (API References of the services, "Common errors"; of S3, "List of error codes"), and where there is none,
/// as in an answer to `HEAD`, by the status.
fn kind(code: Option<&str>, status: Option<u16>, message: &str) -> Kind {
    match code {
        Some(
            "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "SlowDown"
            | "ProvisionedThroughputExceededException"
            | "ServiceUnavailableException"
            | "InternalFailureException"
            // A change set that is still worked out cannot be deleted yet.
            | "InvalidChangeSetStatus",
        ) => Kind::Transient,
        Some(
            "AlreadyExistsException"
            | "ResourceAlreadyExistsException"
            | "PreconditionFailed"
            | "ConditionalRequestConflict",
        ) => Kind::AlreadyThere,
        Some(
            "ResourceNotFoundException"
            | "NoSuchBucket"
            | "NoSuchBucketPolicy"
            | "NoSuchKey"
            | "NotFound"
            | "NotFoundException"
            | "ChangeSetNotFound"
            | "ChangeSetNotFoundException"
            | "QueueDoesNotExist"
            | "AWS.SimpleQueueService.NonExistentQueue",
        ) => Kind::Missing,
        // What DescribeStacks answers for a stack that is not there.
        Some("ValidationError") if message.contains("does not exist") => Kind::Missing,
        Some(
            "AccessDenied"
            | "AccessDeniedException"
            | "AuthorizationError"
            | "AuthorizationErrorException"
            | "UnauthorizedException"
            | "UnauthorizedOperation"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidAccessKeyId",
        ) => Kind::Forbidden,
        Some(_) if status.is_none_or(|status| status < 500) => Kind::Refused,
        _ => match status {
            Some(404) => Kind::Missing,
            Some(401 | 403) => Kind::Forbidden,
            Some(412) => Kind::AlreadyThere,
            Some(429 | 500..) => Kind::Transient,
            _ => Kind::Refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_whether_to_ask_again() {
        for (code, status, message, expected) in [
            (Some("Throttling"), 400, "Rate exceeded", Kind::Transient),
            (Some("InternalFailure"), 500, "", Kind::Transient),
            (Some("ThrottlingException"), 429, "", Kind::Transient),
            (None, 503, "", Kind::Transient),
            (Some("ValidationError"), 400, "Stack with id x does not exist", Kind::Missing),
            (Some("ValidationError"), 400, "Template format error", Kind::Refused),
            (Some("ResourceNotFoundException"), 404, "", Kind::Missing),
            (None, 404, "", Kind::Missing),
            (Some("ExpiredToken"), 403, "", Kind::Forbidden),
            (Some("UnauthorizedException"), 401, "", Kind::Forbidden),
            (Some("AlreadyExistsException"), 400, "", Kind::AlreadyThere),
            (Some("PreconditionFailed"), 412, "", Kind::AlreadyThere),
            (Some("InvalidRequestException"), 400, "", Kind::Refused),
        ] {
            assert_eq!(kind(code, Some(status), message), expected, "{code:?} {status}");
        }
    }
}
