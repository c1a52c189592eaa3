//! Where the test run takes place: the emulator's address, the zip under test, clients for both.

use std::path::PathBuf;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};

/// The Region everything is deployed to.
pub(crate) const REGION: &str = "us-east-1";

/// The emulator and the zip, as `cargo xtask` hands them over.
#[derive(Clone)]
pub struct World {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    /// The zip of `kinesis-scorer`.
    pub zip: PathBuf,
    /// Client of the lake.
    pub s3: aws_sdk_s3::Client,
    /// Client of the two tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Client of the stream.
    pub kinesis: aws_sdk_kinesis::Client,
}

impl World {
    /// The world of this run, or `None`, with a notice, where there is none: a plain `cargo test` has no emulator.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    pub fn find() -> Option<Self> {
        let (Some(endpoint), Some(zip)) = (variable("MILLRACE_TEST_ENDPOINT"), variable("MILLRACE_TEST_ZIP")) else {
            eprintln!("SKIPPED: MILLRACE_TEST_ENDPOINT and MILLRACE_TEST_ZIP are not set; run `cargo xtask e2e`");
            return None;
        };
        let credentials = Credentials::new("test", "test", None, None, "end-to-end tests");
        let region = Region::from_static(REGION);
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .force_path_style(true)
            .build();
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .build();
        let kinesis = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .region(region)
            .credentials_provider(credentials)
            .build();
        Some(Self {
            endpoint,
            zip: zip.into(),
            s3: aws_sdk_s3::Client::from_conf(s3),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            kinesis: aws_sdk_kinesis::Client::from_conf(kinesis),
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "how the test run hands over its world")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
