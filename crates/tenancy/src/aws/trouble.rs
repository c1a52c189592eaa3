//! What an error of the SDK means for the caller: ask again, make do, or give up.

use aws_sdk_iot::config::http::HttpResponse;
use aws_sdk_iot::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::trouble::{Kind, Trouble};

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
        _ => kind(service.and_then(ProvideErrorMetadata::code), status),
    };
    let message = message.filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| DisplayErrorContext(error).to_string());
    Trouble { action, subject: subject.to_owned(), kind, message }
}

/// By the error's code (AWS `IoT`, Kinesis, DynamoDB, SNS and CloudWatch Logs API References, "Common errors"; S3, "List of
/// error codes"), and where there is none, as in an answer to `HEAD`, by the status.
fn kind(code: Option<&str>, status: Option<u16>) -> Kind {
    match code {
        Some(
            "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "SlowDown"
            | "ProvisionedThroughputExceededException"
            | "LimitExceededException"
            | "ServiceUnavailableException"
            | "InternalFailureException"
            | "RequestLimitExceeded",
        ) => Kind::Transient,
        Some("ResourceAlreadyExistsException" | "PreconditionFailed" | "ConditionalRequestConflict") => {
            Kind::AlreadyThere
        }
        Some("ResourceNotFoundException" | "NoSuchBucket" | "NoSuchKey" | "NotFound" | "NotFoundException") => {
            Kind::Missing
        }
        Some(
            "AccessDenied"
            | "AccessDeniedException"
            | "AuthorizationError"
            | "AuthorizationErrorException"
            | "UnauthorizedException"
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

/// An answer without what every such answer has.
pub(super) fn incomplete(action: &'static str, what: &str) -> Trouble {
    let message = format!("the answer is not whole: {what}");
    Trouble { action, subject: "answer".to_owned(), kind: Kind::Refused, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_whether_to_ask_again() {
        for (code, status, expected) in [
            (Some("ThrottlingException"), 429, Kind::Transient),
            (None, 503, Kind::Transient),
            (Some("ResourceNotFoundException"), 404, Kind::Missing),
            (Some("PreconditionFailed"), 412, Kind::AlreadyThere),
            (Some("UnauthorizedException"), 401, Kind::Forbidden),
            (Some("InvalidRequestException"), 400, Kind::Refused),
        ] {
            assert_eq!(kind(code, Some(status)), expected, "{code:?} {status}");
        }
    }
}
