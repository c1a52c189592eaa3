//! Whether a call was done, or denied to the caller.

use anyhow::{Result, anyhow};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;

/// `true`: done. `false`: denied by a policy.
///
/// # Errors
/// Neither: refused for any other reason, so that a mistake in a test does not look like a policy at work.
pub fn is_done<T, E: ProvideErrorMetadata + std::fmt::Debug>(called: Result<T, E>) -> Result<bool> {
    match called {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.code(), Some("AccessDeniedException" | "AccessDenied")) => Ok(false),
        Err(error) => Err(anyhow!("neither done nor denied: {error:?}")),
    }
}
