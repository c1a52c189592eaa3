//! What the SDK's builders say.

use aws_sdk_cloudformation::error::BuildError;

use crate::cloud::{Kind, Trouble};

/// What the SDK's builders say where a field is missing that is always set here.
pub(super) fn built<T>(result: Result<T, impl Into<BuildError>>) -> Result<T, Trouble> {
    result.map_err(|error| {
        let message = error.into().to_string();
        Trouble { action: "request", subject: "itself".to_owned(), kind: Kind::Refused, message }
    })
}
