//! Where the test run takes place: the emulator's address, the zip under test, clients for both.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

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
    /// The zip of `alert-fanout`, where the run has built it.
    pub alerts_zip: Option<PathBuf>,
    /// The command `millrace`, with AWS, where the run has built it.
    pub cli: Option<PathBuf>,
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
            alerts_zip: variable("MILLRACE_TEST_ALERTS_ZIP").map(PathBuf::from),
            cli: variable("MILLRACE_TEST_CLI").map(PathBuf::from),
            s3: aws_sdk_s3::Client::from_conf(s3),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            kinesis: aws_sdk_kinesis::Client::from_conf(kinesis),
        })
    }

    /// One call of a service by the query protocol, as a form. The answer is XML.
    ///
    /// # Errors
    /// The call fails, or is refused; the message has the answer.
    pub fn query<'f>(
        &self,
        service: &str,
        version: &str,
        action: &str,
        form: impl IntoIterator<Item = &'f (String, String)>,
    ) -> Result<String> {
        let form = [("Action", action), ("Version", version)]
            .into_iter()
            .chain(form.into_iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let mut answer = ureq::post(&self.endpoint)
            .config()
            .http_status_as_error(false)
            .build()
            .header(
                "Authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, \
                     SignedHeaders=host, Signature=none"
                ),
            )
            .send_form(form)
            .with_context(|| format!("{action} was not answered"))?;
        let text = answer.body_mut().read_to_string().with_context(|| format!("{action} was not answered in text"))?;
        if !answer.status().is_success() {
            bail!("{action} failed with {}: {text}", answer.status());
        }
        Ok(text)
    }
}

#[expect(clippy::disallowed_methods, reason = "how the test run hands over its world")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
