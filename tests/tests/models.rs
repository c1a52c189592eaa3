//! Models on the emulator, with policies enforced: what batch inference leaves in the lake, read by the real zip; and a model in
//! SageMaker with its endpoint, as the template makes it and goes over to the next one.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{IMAGES, JOB, Stack, World, anomalies, change, fault_begins_ms, push_images, put_job, report, until};

const WITHIN: Duration = Duration::from_mins(1);

#[tokio::test]
async fn the_last_result_of_a_job_brings_its_findings_once() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let stack = Stack::deploy_models(&world).await?;
    put_job(&stack).await?;
    let report = until("the job has its report", WITHIN, || report(&stack, JOB)).await?;
    assert_eq!((report["rows"].as_u64(), report["alone"].as_u64()), (Some(1_200), Some(1)), "{report}");
    assert_eq!(report["refused"], serde_json::json!({ "no_score": 1 }));
    let found = anomalies(&stack).await?;
    let found: Vec<(&str, i64)> = found.iter().map(|one| (one.device.as_str(), one.onset_ms)).collect();
    assert_eq!(found, [("acme#pump-2", fault_begins_ms())]);
    Ok(())
}

/// What there is in SageMaker, by the names that `CloudFormation` has made.
#[derive(Debug, PartialEq, Eq)]
struct Served {
    /// Each with the key of its data.
    models: Vec<(String, String)>,
    /// Each with its model.
    configs: Vec<(String, String)>,
    /// Each with its configuration, if it is in service.
    endpoints: Vec<(String, Option<String>)>,
}

async fn served(world: &World, bucket: &str) -> Result<Served> {
    let sagemaker = world.sagemaker();
    let mut served = Served { models: Vec::new(), configs: Vec::new(), endpoints: Vec::new() };
    for model in sagemaker.list_models().send().await.context("list the models")?.models() {
        let name = model.model_name().context("a model has a name")?;
        let model = sagemaker.describe_model().model_name(name).send().await.context("describe a model")?;
        let data = model.primary_container().and_then(|one| one.model_data_url());
        let data = data.and_then(|uri| uri.strip_prefix(&format!("s3://{bucket}/"))).context("data of elsewhere")?;
        served.models.push((name.to_owned(), data.to_owned()));
    }
    for config in sagemaker.list_endpoint_configs().send().await.context("list what serves")?.endpoint_configs() {
        let name = config.endpoint_config_name().context("a configuration has a name")?;
        let config = sagemaker.describe_endpoint_config().endpoint_config_name(name).send().await?;
        let [variant] = config.production_variants() else { anyhow::bail!("{config:?}") };
        served.configs.push((name.to_owned(), variant.model_name().unwrap_or_default().to_owned()));
    }
    for endpoint in sagemaker.list_endpoints().send().await.context("list the endpoints")?.endpoints() {
        let name = endpoint.endpoint_name().context("an endpoint has a name")?;
        let endpoint = sagemaker.describe_endpoint().endpoint_name(name).send().await?;
        let is_serving = endpoint.endpoint_status().is_some_and(|status| status.as_str() == "InService");
        let config = endpoint.endpoint_config_name().filter(|_| is_serving).map(str::to_owned);
        served.endpoints.push((name.to_owned(), config));
    }
    Ok(served)
}

/// The one model is of this artifact, the one configuration of that model, the one endpoint of that configuration.
fn is_whole(served: &Served, artifact: &str) -> bool {
    let ([(model, data)], [(config, of)], [(_, serving)]) =
        (&served.models[..], &served.configs[..], &served.endpoints[..])
    else {
        return false;
    };
    data == artifact && of == model && serving.as_ref() == Some(config)
}

#[tokio::test]
async fn an_endpoint_goes_over_to_another_artifact_and_stays_where_there_is_none() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let models = Stack::deploy_models(&world).await?;
    let bucket = models.output("LakeBucketName");
    let environment = models.output("AnalyzerName").trim_start_matches("millrace-").trim_end_matches("-batch-analyzer");
    let stack = format!("millrace-{environment}-models");
    assert_eq!(served(&world, bucket).await?.models, [], "there is no model where no image is named");

    let artifact = |version: u32| format!("models/acme/heat/{version}/model.tar.gz");
    for version in 1..=2 {
        let put = world.s3.put_object().bucket(bucket).key(artifact(version)).body(b"abcd".to_vec().into());
        put.send().await.context("publish an archive")?;
    }
    let [digest] = push_images(&world, ["1"])?;
    let first = artifact(1);
    let model = [("ModelRepository", IMAGES), ("ModelDigest", &digest), ("ModelData", &first)];
    change(&world, &stack, &[&model[..], &[("EndpointInstance", "ml.c7i.large")]].concat()).await?;
    let before = served(&world, bucket).await?;
    assert!(is_whole(&before, &first), "{before:?}");

    // A model and a configuration never change: there are others, and the endpoint is the same.
    change(&world, &stack, &[("ModelData", &artifact(2))]).await?;
    let after = served(&world, bucket).await?;
    assert!(is_whole(&after, &artifact(2)), "{after:?}");
    assert_ne!(before.models[0].0, after.models[0].0, "the model was changed in place");
    assert_ne!(before.configs[0].0, after.configs[0].0, "the configuration was changed in place");
    assert_eq!(before.endpoints[0].0, after.endpoints[0].0, "who asks the endpoint would not find it any more");

    // An artifact that nobody has published.
    let refused = change(&world, &stack, &[("ModelData", &artifact(3))]).await.map_err(|error| error.to_string());
    let words = format!("Could not find model data at s3://{bucket}/{}", artifact(3));
    assert!(refused.as_ref().is_err_and(|said| said.contains(&words)), "{refused:?}");
    until("the stack is rolled back", WITHIN, || async {
        let form = [("StackName".to_owned(), stack.clone())];
        let description = world.query("cloudformation", "2010-05-15", "DescribeStacks", &form)?;
        Ok(description.contains("UPDATE_ROLLBACK_COMPLETE<").then_some(()))
    })
    .await?;
    assert_eq!(served(&world, bucket).await?, after, "a refused update leaves something behind");

    models.delete().await?;
    let gone = served(&world, bucket).await?;
    assert_eq!(gone, Served { models: Vec::new(), configs: Vec::new(), endpoints: Vec::new() });
    Ok(())
}
