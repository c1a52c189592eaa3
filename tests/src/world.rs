//! Where the test run takes place: the emulators' addresses, the programs under test, clients for both.
//!
//! One emulator lets everybody do everything. The other enforces policies and has a broker of MQTT over mutual TLS; its
//! accounts know nothing of each other, so that a test that needs an empty world takes one of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};

/// The Region everything is deployed to where there is one alone.
pub(crate) const REGION: &str = "us-east-1";
/// The account of callers that name none.
const ACCOUNT_DEFAULT: &str = "000000000000";

/// An account of one of the emulators, and the programs, as `cargo xtask` hands them over.
#[derive(Clone)]
pub struct World {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    /// `127.0.0.1:PORT` of the MQTT broker, where policies are enforced.
    pub broker: Option<String>,
    /// The account's number.
    pub account: String,
    /// The Region.
    pub region: String,
    /// Where the other Region of a pair is found.
    pub peer_endpoint: Option<String>,
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
    caller: Caller,
}

/// Whose calls they are.
#[derive(Clone)]
struct Caller {
    access_key: String,
    secret: String,
    /// Of a session.
    token: Option<String>,
}

impl World {
    /// The world of this run where everybody may do everything, or `None`, with a notice, where there is none: a plain
    /// `cargo test` has no emulator.
    #[must_use]
    pub fn find() -> Option<Self> {
        Self::at_variable("MILLRACE_TEST_ENDPOINT", None, "test", ACCOUNT_DEFAULT)
    }

    /// An empty account of the world where policies are enforced, or `None` as in [`Self::find`]. Its clients are those of
    /// the account's root, to whom everything is allowed.
    #[must_use]
    pub fn enforcing() -> Option<Self> {
        static TAKEN: AtomicU16 = AtomicU16::new(0);
        // Unlike that of any other test process, and of another test of this one.
        let number = 100_000_000_000 + u64::from(std::process::id()) * 1_000;
        let account = format!("{}", number + u64::from(TAKEN.fetch_add(1, Ordering::Relaxed)));
        let broker = variable("MILLRACE_TEST_ENFORCED_BROKER");
        Self::at_variable("MILLRACE_TEST_ENFORCED_ENDPOINT", broker, &account, &account)
    }

    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    fn at_variable(endpoint: &str, broker: Option<String>, access_key: &str, account: &str) -> Option<Self> {
        let (Some(address), Some(zip)) = (variable(endpoint), variable("MILLRACE_TEST_ZIP")) else {
            eprintln!("SKIPPED: {endpoint} and MILLRACE_TEST_ZIP are not set; run `cargo xtask e2e`");
            return None;
        };
        let caller = Caller { access_key: access_key.to_owned(), secret: "test".to_owned(), token: None };
        let clients = Clients::new(&address, REGION, &caller);
        Some(Self {
            endpoint: address,
            broker,
            account: account.to_owned(),
            region: REGION.to_owned(),
            peer_endpoint: None,
            zip: zip.into(),
            alerts_zip: variable("MILLRACE_TEST_ALERTS_ZIP").map(PathBuf::from),
            cli: variable("MILLRACE_TEST_CLI").map(PathBuf::from),
            s3: clients.s3,
            dynamodb: clients.dynamodb,
            kinesis: clients.kinesis,
            caller,
        })
    }

    /// The root of an account of an emulator of one's own that plays a Region, or `None` as in [`Self::find`]; that the run's own
    /// emulator is not needed for it does not matter, for a run has all or nothing.
    pub(crate) fn of_region(
        endpoint: &str,
        region: &str,
        broker: Option<String>,
        account: Option<&str>,
    ) -> Option<Self> {
        let mut world = Self::at_variable(
            "MILLRACE_TEST_ENDPOINT",
            broker,
            account.unwrap_or("test"),
            account.unwrap_or(ACCOUNT_DEFAULT),
        )?;
        region.clone_into(&mut world.region);
        Some(world.at(endpoint))
    }

    /// The same account in another Region that the same emulator plays.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self.clone() }.at(&self.endpoint)
    }

    /// The same account and Region, where another emulator plays them.
    #[must_use]
    pub fn at(&self, endpoint: &str) -> Self {
        let Clients { s3, dynamodb, kinesis } = Clients::new(endpoint, &self.region, &self.caller);
        Self { endpoint: endpoint.to_owned(), s3, dynamodb, kinesis, ..self.clone() }
    }

    /// The program `mosquitto_pub`, or `None`, with a notice, where the run has found none.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    pub fn mosquitto_pub() -> Option<PathBuf> {
        let found = variable("MILLRACE_TEST_MOSQUITTO_PUB").map(PathBuf::from);
        if found.is_none() {
            eprintln!("SKIPPED: MILLRACE_TEST_MOSQUITTO_PUB is not set: install the Debian package mosquitto-clients");
        }
        found
    }

    /// The interpreter that has the emulator, for a test that starts one of its own.
    #[must_use]
    pub fn python() -> Option<PathBuf> {
        variable("MILLRACE_TEST_PYTHON").map(PathBuf::from)
    }

    /// Where a test leaves what people are to read.
    #[must_use]
    pub fn record() -> Option<PathBuf> {
        variable("MILLRACE_TEST_RECORD").map(PathBuf::from)
    }

    /// The clients of this account as somebody with a session of a role's: what the role may not do is refused.
    ///
    /// # Errors
    /// The role cannot be assumed.
    pub fn assuming(&self, role: &str) -> Result<Self> {
        let form = [
            ("RoleArn".to_owned(), format!("arn:aws:iam::{}:role/{role}", self.account)),
            ("RoleSessionName".to_owned(), "end-to-end-tests".to_owned()),
        ];
        let answer = self.query("sts", "2011-06-15", "AssumeRole", &form)?;
        let part = |name: &str| {
            let found = crate::stack::every(&answer, name).next().map(str::to_owned);
            found.with_context(|| format!("AssumeRole says no {name}"))
        };
        let caller = Caller {
            access_key: part("AccessKeyId")?,
            secret: part("SecretAccessKey")?,
            token: Some(part("SessionToken")?),
        };
        let Clients { s3, dynamodb, kinesis } = Clients::new(&self.endpoint, &self.region, &caller);
        Ok(Self { s3, dynamodb, kinesis, caller, ..self.clone() })
    }

    /// Client of models and endpoints. Few tests have it, so it is none of those that every world has.
    #[must_use]
    pub fn sagemaker(&self) -> aws_sdk_sagemaker::Client {
        let Caller { access_key, secret, token } = self.caller.clone();
        let config = aws_sdk_sagemaker::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.endpoint)
            .region(Region::new(self.region.clone()))
            .credentials_provider(Credentials::new(access_key, secret, token, None, "end-to-end tests"))
            .build();
        aws_sdk_sagemaker::Client::from_conf(config)
    }

    /// A program that calls AWS as this world's caller: this endpoint, these credentials, and nothing of the machine's own.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", self.caller.access_key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &self.caller.secret),
            ("AWS_REGION", &self.region),
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ] {
            command.env(name, value);
        }
        match &self.caller.token {
            Some(token) => command.env("AWS_SESSION_TOKEN", token),
            None => command.env_remove("AWS_SESSION_TOKEN"),
        };
        match &self.peer_endpoint {
            Some(endpoint) => command.env("MILLRACE_PEER_ENDPOINT_URL", endpoint),
            None => command.env_remove("MILLRACE_PEER_ENDPOINT_URL"),
        };
        command
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
        let request = ureq::post(&self.endpoint).config().http_status_as_error(false).build();
        let answer = request.header("Authorization", self.signature(service)).send_form(form);
        text_of(action, answer)
    }

    /// One call of a service that speaks REST, with a body of JSON.
    ///
    /// # Errors
    /// The call fails, or is refused; the message has the answer.
    pub fn rest(&self, service: &str, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Result<String> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header("Authorization", self.signature(service))
            .header("Content-Type", "application/json");
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned()).with_context(|| format!("{method} {path} is no request"))?;
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        text_of(&format!("{method} {path}"), agent.run(request))
    }

    /// Enough of one for a caller who is the account's root: the emulator reads who it is and what service is meant.
    fn signature(&self, service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential={}/20260101/{}/{service}/aws4_request, SignedHeaders=host, Signature=none",
            self.caller.access_key, self.region
        )
    }
}

/// One caller's.
struct Clients {
    s3: aws_sdk_s3::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    kinesis: aws_sdk_kinesis::Client,
}

impl Clients {
    fn new(endpoint: &str, region: &str, caller: &Caller) -> Self {
        let Caller { access_key, secret, token } = caller.clone();
        let credentials = Credentials::new(access_key, secret, token, None, "end-to-end tests");
        let region = Region::new(region.to_owned());
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .force_path_style(true)
            .build();
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .build();
        let kinesis = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(region)
            .credentials_provider(credentials)
            .build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            kinesis: aws_sdk_kinesis::Client::from_conf(kinesis),
        }
    }
}

fn text_of(call: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<String> {
    let mut answer = answer.with_context(|| format!("{call} was not answered"))?;
    let text = answer.body_mut().read_to_string().with_context(|| format!("{call} was not answered in text"))?;
    if !answer.status().is_success() {
        bail!("{call} failed with {}: {text}", answer.status());
    }
    Ok(text)
}

#[expect(clippy::disallowed_methods, reason = "how the test run hands over its world")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
