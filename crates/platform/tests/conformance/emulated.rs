//! What only the services can get wrong: pages, missing names, connections.

use platform::aws::{Aws, AwsSettings, CloudWatchMetrics};
use platform::metrics::{BatchMetrics, EmitMetrics as _, NAMESPACE};
use platform::ports::{ListObjects as _, ListShards as _, LoadCheckpoint as _, PutIfAbsent as _, StoreErrorKind};

use super::records::{key, shard};
use super::worlds::{OnEndpoint, Setup as _};

pub(crate) async fn a_listing_goes_over_several_pages(setup: &OnEndpoint) {
    let world = setup.world();
    for index in 0..1_001 {
        world.put_if_absent(&key(&format!("gold/{index:04}")), b"").await.unwrap();
    }
    let listed = world.list_objects("gold/", 2_000).await.unwrap();
    assert_eq!(listed.len(), 1_001);
    assert!(listed.is_sorted_by(|a, b| a.key < b.key));
}

pub(crate) async fn a_name_that_is_not_there_is_permanent_and_names_its_setting(setup: &OnEndpoint) {
    let none = AwsSettings {
        bucket: "no-such-bucket".to_owned(),
        results_table: "none".to_owned(),
        checkpoints_table: "none".to_owned(),
        s3_path_style: true,
    };
    let world = Aws::from_config(setup.config(), none);
    let table = world.load_checkpoint(&shard("shardId-000000000000")).await.unwrap_err();
    let bucket = world.list_objects("config/", 1).await.unwrap_err();
    let stream = world.list_shards("no-such-stream").await.unwrap_err();
    for (error, setting) in
        [(table, "MILLRACE_CHECKPOINTS_TABLE"), (bucket, "MILLRACE_BUCKET"), (stream, "no-such-stream")]
    {
        assert_eq!(error.kind, StoreErrorKind::Permanent, "{error}");
        assert!(error.to_string().contains(setting), "{error}");
        assert!(error.source.is_some(), "{error}");
    }
    world.warm_up().await;
}

pub(crate) async fn a_service_that_does_not_answer_is_worth_another_try(setup: &OnEndpoint) {
    // Port 9 (discard) of this machine: nothing listens.
    let config = setup.config().clone().into_builder().endpoint_url("http://127.0.0.1:9").build();
    let world = Aws::from_config(&config, setup.world().settings().clone());
    let error = world.load_checkpoint(&shard("shardId-000000000000")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

pub(crate) async fn a_request_without_credentials_is_permanent(setup: &OnEndpoint) {
    let mut builder = setup.config().clone().into_builder();
    builder.set_credentials_provider(None);
    let world = Aws::from_config(&builder.build(), setup.world().settings().clone());
    let error = world.load_checkpoint(&shard("shardId-000000000000")).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("check credentials"), "{error}");
}

#[expect(clippy::print_stderr, reason = "a test that skips says so")]
pub(crate) async fn metrics_arrive_in_cloudwatch(setup: &OnEndpoint) {
    let metrics = BatchMetrics { readings: 7_700, ..BatchMetrics::default() };
    let environment = &setup.world().settings().bucket;
    CloudWatchMetrics::from_config(setup.config()).emit(&metrics, environment, platform::clock::now()).await;
    let cloudwatch = aws_sdk_cloudwatch::Client::new(setup.config());
    let Ok(listed) = cloudwatch.list_metrics().namespace(NAMESPACE).send().await else {
        eprintln!("skipped: the emulator's CloudWatch does not speak CBOR; it needs the Python package cbor2");
        return;
    };
    let ours = listed
        .metrics()
        .iter()
        .filter(|metric| metric.dimensions().iter().any(|dimension| dimension.value() == Some(environment.as_str())));
    let mut names: Vec<&str> = ours.filter_map(|metric| metric.metric_name()).collect();
    names.sort_unstable();
    let mut expected = metrics.entries().into_iter().map(|(name, _, _)| name).collect::<Vec<_>>();
    expected.sort_unstable();
    assert_eq!(names, expected);
}
