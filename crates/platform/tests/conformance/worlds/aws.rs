//! Tables, a bucket and a stream of their own for each test, on the endpoint of `MILLRACE_TEST_ENDPOINT`.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use aws_sdk_kinesis::types::StreamStatus;
use aws_types::SdkConfig;
use platform::aws::{Aws, AwsSettings, from_environment};

use super::Setup;

const ENDPOINT: &str = "MILLRACE_TEST_ENDPOINT";

/// AWS as far as an emulator has it.
pub(crate) struct OnEndpoint {
    aws: Aws,
    config: SdkConfig,
    stream: String,
}

/// `None` without an endpoint.
pub(crate) async fn aws() -> Option<OnEndpoint> {
    let endpoint = endpoint()?;
    let config = from_environment(|name| match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
        _ => None,
    })
    .unwrap();
    // Unique: a process a test, or at least a time.
    let name = format!("conformance-{}-{}", std::process::id(), uniquely());
    let settings = AwsSettings {
        bucket: name.clone(),
        results_table: format!("{name}-results"),
        checkpoints_table: format!("{name}-checkpoints"),
        s3_path_style: true,
    };
    make_tables(&config, &settings).await;
    let s3 = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    s3.create_bucket().bucket(&name).send().await.unwrap();
    Some(OnEndpoint { aws: Aws::from_config(&config, settings), config, stream: name })
}

#[expect(clippy::disallowed_methods, reason = "a test is told by the environment where its world is")]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn endpoint() -> Option<String> {
    let endpoint = std::env::var(ENDPOINT).ok();
    if endpoint.is_none() {
        eprintln!("skipped: {ENDPOINT} is not set; `cargo xtask test` starts an emulator and sets it");
    }
    endpoint
}

fn uniquely() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", platform::clock::now().millis(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn attribute(name: &str) -> AttributeDefinition {
    let definition = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
    definition.build().unwrap()
}

fn keys(hash: &str, range: Option<&str>) -> Vec<KeySchemaElement> {
    let element = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    std::iter::once(element(hash, KeyType::Hash)).chain(range.map(|name| element(name, KeyType::Range))).collect()
}

/// As `infra/storage.yaml` makes them, as far as keys and indexes go.
async fn make_tables(config: &SdkConfig, settings: &AwsSettings) {
    let dynamodb = aws_sdk_dynamodb::Client::new(config);
    let index = |name: &str, hash: &str, range: &str| {
        let index = GlobalSecondaryIndex::builder().index_name(name).set_key_schema(Some(keys(hash, Some(range))));
        index.projection(Projection::builder().projection_type(ProjectionType::All).build()).build().unwrap()
    };
    let indexes = vec![index("by_day", "day", "at"), index("by_due", "queue", "due")];
    let results = dynamodb.create_table().table_name(&settings.results_table);
    let results = results.set_key_schema(Some(keys("pk", Some("sk")))).billing_mode(BillingMode::PayPerRequest);
    let attributes = ["pk", "sk", "day", "at", "queue", "due"].map(attribute).to_vec();
    let results = results.set_attribute_definitions(Some(attributes)).set_global_secondary_indexes(Some(indexes));
    results.send().await.unwrap();
    let checkpoints = dynamodb.create_table().table_name(&settings.checkpoints_table);
    let checkpoints = checkpoints.set_key_schema(Some(keys("pk", None))).billing_mode(BillingMode::PayPerRequest);
    checkpoints.attribute_definitions(attribute("pk")).send().await.unwrap();
}

impl OnEndpoint {
    /// Where the endpoint is and who asks.
    pub(crate) fn config(&self) -> &SdkConfig {
        &self.config
    }

    async fn wait_until_active(&self, kinesis: &aws_sdk_kinesis::Client) {
        for _ in 0..200 {
            let summary = kinesis.describe_stream_summary().stream_name(&self.stream).send().await.unwrap();
            let status = summary.stream_description_summary().map(|summary| summary.stream_status().clone());
            if status == Some(StreamStatus::Active) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("stream {} is not active after 10 s", self.stream);
    }
}

impl Setup for OnEndpoint {
    type World = Aws;

    /// The emulator forgets a shard when it is split.
    const LISTS_CLOSED_SHARDS: bool = false;

    fn world(&self) -> &Aws {
        &self.aws
    }

    async fn split_stream(&self) -> String {
        let kinesis = aws_sdk_kinesis::Client::new(&self.config);
        kinesis.create_stream().stream_name(&self.stream).shard_count(2).send().await.unwrap();
        self.wait_until_active(&kinesis).await;
        let split = kinesis.split_shard().stream_name(&self.stream).shard_to_split("shardId-000000000000");
        split.new_starting_hash_key((1_u128 << 126).to_string()).send().await.unwrap();
        self.wait_until_active(&kinesis).await;
        self.stream.clone()
    }
}
