//! What a function learns of itself from its environment, and nowhere else.
//!
//! Lambda gives a function its region and its role's credentials as variables (AWS Lambda Developer Guide, "Defined runtime
//! environment variables"). The SDK's default chain would look for profiles, for a web identity and for a metadata service
//! as well: code that no function needs, a tenth of the zip, and on a machine without credentials a request to whoever
//! answers at the metadata address.

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_types::SdkConfig;
use aws_types::origin::Origin;

/// Variables that must be set, with what is wrong otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not set: {}; Lambda sets them, elsewhere `aws configure export-credentials --format env` prints them", .0.join(", "))]
pub struct EnvironmentError(Vec<&'static str>);

/// Region, credentials and endpoint from variables: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
/// `AWS_SESSION_TOKEN`, and, where they are set, `AWS_ENDPOINT_URL`, `AWS_USE_FIPS_ENDPOINT` and
/// `AWS_USE_DUALSTACK_ENDPOINT` (AWS SDKs and Tools Reference Guide).
///
/// # Errors
/// [`EnvironmentError`] names everything that is missing.
pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<SdkConfig, EnvironmentError> {
    let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let mut missing = Vec::new();
    let mut required = |name: &'static str| {
        let value = set(name);
        if value.is_none() {
            missing.push(name);
        }
        value.unwrap_or_default()
    };
    let region = required("AWS_REGION");
    let (id, secret) = (required("AWS_ACCESS_KEY_ID"), required("AWS_SECRET_ACCESS_KEY"));
    if !missing.is_empty() {
        return Err(EnvironmentError(missing));
    }
    let credentials = Credentials::new(id, secret, set("AWS_SESSION_TOKEN"), None, "environment");
    let is_true = |name| set(name).map(|value| value.eq_ignore_ascii_case("true"));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    config.set_endpoint_url(set("AWS_ENDPOINT_URL"));
    config.set_use_fips(is_true("AWS_USE_FIPS_ENDPOINT"));
    config.set_use_dual_stack(is_true("AWS_USE_DUALSTACK_ENDPOINT"));
    Ok(config.build())
}

/// The same account in another Region, such as the other one of a pair. `endpoint` is where that Region is found, if it is
/// neither AWS nor where `config` points: each Region of an emulated pair has an address of its own.
#[must_use]
pub fn in_region(config: &SdkConfig, region: &str, endpoint: Option<&str>) -> SdkConfig {
    let mut there = config.to_builder().region(Region::new(region.to_owned()));
    if let Some(endpoint) = endpoint {
        there.set_endpoint_url(Some(endpoint.to_owned()));
        // Said here: else the SDK's clients would prefer `AWS_ENDPOINT_URL`, which is of the Region that `config` points to.
        there.insert_origin("endpoint_url", Origin::shared_config());
    }
    there.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(set: &[(&str, &str)]) -> Result<SdkConfig, EnvironmentError> {
        from_environment(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    const ALL: [(&str, &str); 4] = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_USE_FIPS_ENDPOINT", "TRUE"),
    ];

    #[test]
    fn the_variables_of_a_function_suffice() {
        let config = config(&ALL).unwrap();
        assert_eq!(config.region().unwrap().as_ref(), "eu-west-1");
        assert!(config.credentials_provider().is_some());
        assert_eq!((config.endpoint_url(), config.use_fips()), (None, Some(true)));
    }

    #[test]
    fn the_other_region_is_found_where_it_is_said_to_be() {
        let here = SdkConfig::builder().region(Region::new("us-east-1")).endpoint_url("http://127.0.0.1:1").build();
        let there = in_region(&here, "eu-west-1", Some("http://127.0.0.1:2"));
        assert_eq!(
            (there.region().map(Region::as_ref), there.endpoint_url()),
            (Some("eu-west-1"), Some("http://127.0.0.1:2"))
        );
        assert_eq!(in_region(&here, "eu-west-1", None).endpoint_url(), Some("http://127.0.0.1:1"));
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once_and_nothing_is_shown() {
        let error = config(&[("AWS_ACCESS_KEY_ID", "id"), ("AWS_REGION", "")]).unwrap_err().to_string();
        assert!(error.starts_with("not set: AWS_REGION, AWS_SECRET_ACCESS_KEY;"), "{error}");
    }
}
