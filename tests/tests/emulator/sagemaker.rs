//! The lesson of SageMaker: models, endpoint configurations and endpoints, what they are refused for, and who may do what with them.

use anyhow::{Context, Result};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sagemaker::error::ProvideErrorMetadata;
use aws_sdk_sagemaker::types::{
    ContainerDefinition, EndpointStatus, ModelCompressionType, ModelDataSource, ModelSortKey, OrderKey,
    ProductionVariant, ProductionVariantInstanceType, S3ModelDataSource, S3ModelDataType, Tag,
};
use e2e::{IMAGES, World, holder_of_statement, is_done, push_images, role_of_a_service, until};
use serde_json::{Value, json};

use crate::{WITHIN, may_put};

/// An account with an image, an artifact and a role that gets at both.
struct Served {
    world: World,
    client: aws_sdk_sagemaker::Client,
    role: String,
    digest: String,
}

/// Where the model is in its bucket: as an archive, and as it is.
const ARCHIVE: &str = "models/acme/heat/1/model.tar.gz";
const ARTIFACT: &str = "models/acme/heat/1/model.millrace";
const PULL: [&str; 4] =
    ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer"];

impl Served {
    async fn new() -> Result<Option<Self>> {
        let Some(world) = World::enforcing() else { return Ok(None) };
        let bucket = format!("served-{}", world.account);
        world.s3.create_bucket().bucket(&bucket).send().await.context("create a bucket")?;
        for key in [ARCHIVE, ARTIFACT] {
            world.s3.put_object().bucket(&bucket).key(key).body(ByteStream::from_static(b"a")).send().await?;
        }
        let [digest] = push_images(&world, ["1"])?;
        let actions: Vec<&str> = PULL.into_iter().chain(["s3:GetObject"]).collect();
        let all = json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
        let role = role_of_a_service(&world, "served", "sagemaker.amazonaws.com", &all)?;
        Ok(Some(Self { client: world.sagemaker(), world, role, digest }))
    }

    fn image(&self, digest: &str) -> String {
        format!("{}.dkr.ecr.{}.amazonaws.com/{IMAGES}@{digest}", self.world.account, self.world.region)
    }

    fn uri(&self, key: &str) -> String {
        format!("s3://served-{}/{key}", self.world.account)
    }

    async fn model(&self, name: &str) -> Result<()> {
        let created = creating(&self.client, name, &self.image(&self.digest), &self.uri(ARCHIVE), &self.role);
        created.send().await.with_context(|| format!("create {name}")).map(drop)
    }

    fn configuring(
        &self,
        name: &str,
        model: &str,
        instance: &str,
    ) -> aws_sdk_sagemaker::operation::create_endpoint_config::builders::CreateEndpointConfigFluentBuilder {
        let variant = ProductionVariant::builder().variant_name("all").model_name(model).initial_instance_count(1);
        let variant = variant.instance_type(ProductionVariantInstanceType::from(instance)).build();
        self.client.create_endpoint_config().endpoint_config_name(name).production_variants(variant)
    }

    async fn config(&self, name: &str, model: &str) -> Result<()> {
        let created = self.configuring(name, model, "ml.c7i.large").send().await;
        created.with_context(|| format!("create {name}")).map(drop)
    }

    /// What has become of an endpoint, and of which configuration it is.
    async fn settled(&self, name: &str) -> Result<(EndpointStatus, String, String)> {
        until("the endpoint is settled", WITHIN, || async {
            let endpoint = self.client.describe_endpoint().endpoint_name(name).send().await?;
            let status = endpoint.endpoint_status().context("an endpoint has a status")?.clone();
            let is_settled = !matches!(status, EndpointStatus::Creating | EndpointStatus::Updating);
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let (config, reason) = (text(endpoint.endpoint_config_name()), text(endpoint.failure_reason()));
            Ok(is_settled.then_some((status, config, reason)))
        })
        .await
    }
}

/// A model of this image and of the archive at this address; the tag says whose it is.
fn creating(
    by: &aws_sdk_sagemaker::Client,
    name: &str,
    image: &str,
    uri: &str,
    role: &str,
) -> aws_sdk_sagemaker::operation::create_model::builders::CreateModelFluentBuilder {
    let container = ContainerDefinition::builder().image(image).model_data_url(uri).build();
    let tag = Tag::builder().key("of").value(name).build();
    by.create_model().model_name(name).primary_container(container).execution_role_arn(role).tags(tag)
}

/// The object at this address, which is no archive.
fn as_it_is(uri: &str) -> ModelDataSource {
    let data = S3ModelDataSource::builder().s3_uri(uri).s3_data_type(S3ModelDataType::S3Object);
    let data = data.compression_type(ModelCompressionType::None).build();
    ModelDataSource::builder().s3_data_source(data).build()
}

/// What a call was refused for; that it was done, or had another code, is an error.
fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(called: Result<T, E>) -> Result<String> {
    let error = called.err().context("it was done")?;
    anyhow::ensure!(error.code() == Some("ValidationException"), "{error:?}");
    Ok(error.message().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_model_is_made_of_an_image_and_an_artifact_of_its_region_and_once() -> Result<()> {
    let Some(served) = Served::new().await? else { return Ok(()) };
    let (image, uri) = (served.image(&served.digest), served.uri(ARCHIVE));
    let elsewhere = role_of_a_service(&served.world, "elsewhere", "lambda.amazonaws.com", &may_put("x"))?;
    let blind = role_of_a_service(&served.world, "blind", "sagemaker.amazonaws.com", &may_put("x"))?;
    let other = served.image(&format!("sha256:{}", "0".repeat(64)));
    let abroad = image.replace("us-east-1", "eu-west-1");
    for (name, image, uri, role, said) in [
        ("m_1", &image, &uri, &served.role, "failed to satisfy constraint"),
        ("m", &other, &uri, &served.role, "Requested image"),
        ("m", &abroad, &uri, &served.role, "Requested image"),
        ("m", &"python:3".to_owned(), &uri, &served.role, "Using non-ECR image"),
        ("m", &image, &served.uri("models/none"), &served.role, "Could not find model data at s3://"),
        ("m", &image, &uri, &elsewhere, "Could not access model data at s3://"),
        ("m", &image, &uri, &blind, "Could not access model data at s3://"),
    ] {
        let made = refused(creating(&served.client, name, image, uri, role).send().await)?;
        assert!(made.contains(said), "{name} {image} {uri} {role}: {made}");
    }
    served.model("m").await?;
    let again = refused(creating(&served.client, "m", &image, &uri, &served.role).send().await)?;
    assert!(again.starts_with("Cannot create already existing model "), "{again}");
    let found = served.client.describe_model().model_name("m").send().await?;
    let container = found.primary_container().context("a model has a container")?;
    assert_eq!((container.image(), container.model_data_url()), (Some(image.as_str()), Some(uri.as_str())));
    for (key, said) in [("models/none", Some("Could not find model data at s3://")), (ARTIFACT, None)] {
        let uri = served.uri(key);
        let container = ContainerDefinition::builder().image(&image).model_data_source(as_it_is(&uri)).build();
        let made = served.client.create_model().model_name("as-it-is").primary_container(container);
        let made = made.execution_role_arn(&served.role).send().await;
        let Some(said) = said else {
            made.context("create a model of an artifact as it is")?;
            continue;
        };
        let made = refused(made)?;
        assert!(made.starts_with(said), "{uri}: {made}");
    }
    // Another Region knows nothing of it.
    let abroad = served.world.in_region("eu-west-1").sagemaker();
    let unknown = refused(abroad.describe_model().model_name("m").send().await)?;
    assert!(unknown.starts_with("Could not find model \"arn:aws:sagemaker:eu-west-1:"), "{unknown}");
    served.client.delete_model().model_name("m").send().await?;
    let gone = refused(served.client.delete_model().model_name("m").send().await)?;
    assert!(gone.starts_with("Could not find model "), "{gone}");
    Ok(())
}

#[tokio::test]
async fn a_list_goes_on_behind_the_last_one_whatever_is_deleted_between_two_pages() -> Result<()> {
    let Some(served) = Served::new().await? else { return Ok(()) };
    for number in 0..7 {
        served.model(&format!("m{number}")).await?;
    }
    let page_of = || {
        let list = served.client.list_models().sort_by(ModelSortKey::Name).sort_order(OrderKey::Ascending);
        list.max_results(3)
    };
    let names = |page: &aws_sdk_sagemaker::operation::list_models::ListModelsOutput| -> Vec<String> {
        page.models().iter().filter_map(|model| model.model_name()).map(str::to_owned).collect()
    };
    let first = page_of().send().await?;
    assert_eq!(names(&first), ["m0", "m1", "m2"]);
    for name in ["m0", "m2"] {
        served.client.delete_model().model_name(name).send().await?;
    }
    let second = page_of().set_next_token(first.next_token).send().await?;
    assert_eq!(names(&second), ["m3", "m4", "m5"]);
    let last = page_of().set_next_token(second.next_token).send().await?;
    assert_eq!((names(&last), last.next_token), (vec!["m6".to_owned()], None));
    // Without a word the newest comes first; a part of a name is looked for anywhere in it.
    let newest = served.client.list_models().max_results(1).send().await?;
    assert_eq!(names(&newest), ["m6"]);
    assert_eq!(names(&served.client.list_models().name_contains("4").send().await?), ["m4"]);
    let beyond = refused(served.client.list_models().next_token("nothing").send().await)?;
    assert!(beyond.contains("NextToken"), "{beyond}");
    Ok(())
}

#[tokio::test]
async fn an_endpoint_serves_a_configuration_of_models_that_are_there() -> Result<()> {
    let Some(served) = Served::new().await? else { return Ok(()) };
    let client = &served.client;
    let unknown = refused(served.configuring("c1", "m", "ml.c7i.large").send().await)?;
    assert!(unknown.starts_with("Could not find model "), "{unknown}");
    served.model("m").await?;
    let instance = refused(served.configuring("c1", "m", "ml.abacus").send().await)?;
    assert!(instance.contains("Member must satisfy enum value set"), "{instance}");
    served.config("c1", "m").await?;
    let again = refused(served.configuring("c1", "m", "ml.c7i.large").send().await)?;
    assert!(again.starts_with("Cannot create already existing endpoint configuration "), "{again}");

    let create = |name: &str, config: &str| client.create_endpoint().endpoint_name(name).endpoint_config_name(config);
    let unknown = refused(create("e", "c2").send().await)?;
    assert!(unknown.starts_with("Could not find endpoint configuration "), "{unknown}");
    create("e", "c1").send().await?;
    let busy = refused(client.delete_endpoint().endpoint_name("e").send().await)?;
    assert!(busy.starts_with("Cannot update in-progress endpoint "), "{busy}");
    assert_eq!(served.settled("e").await?, (EndpointStatus::InService, "c1".to_owned(), String::new()));

    // Another configuration takes over; one whose image is not pulled does not.
    let blind = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" });
    let blind = role_of_a_service(&served.world, "blind", "sagemaker.amazonaws.com", &blind)?;
    let (image, uri) = (served.image(&served.digest), served.uri(ARCHIVE));
    creating(client, "unpulled", &image, &uri, &blind).send().await.context("create a model")?;
    served.config("c2", "m").await?;
    served.config("c3", "unpulled").await?;
    let update = |config: &str| client.update_endpoint().endpoint_name("e").endpoint_config_name(config);
    update("c2").send().await?;
    assert_eq!(served.settled("e").await?, (EndpointStatus::InService, "c2".to_owned(), String::new()));
    update("c3").send().await?;
    let (status, config, reason) = served.settled("e").await?;
    assert_eq!((status, config.as_str()), (EndpointStatus::InService, "c2"), "{reason}");
    assert!(reason.contains("permissions to access them"), "{reason}");
    create("f", "c3").send().await?;
    let (status, _, reason) = served.settled("f").await?;
    assert!(status == EndpointStatus::Failed && reason.contains("permissions to access them"), "{status} {reason}");
    let failed = refused(client.update_endpoint().endpoint_name("f").endpoint_config_name("c1").send().await)?;
    assert!(failed.starts_with("Cannot update failed endpoint "), "{failed}");

    // What is left has to be there for what comes.
    client.delete_endpoint_config().endpoint_config_name("c2").send().await?;
    let left = refused(update("c1").send().await)?;
    assert!(left.starts_with("Could not find endpoint configuration ") && left.contains("/c2"), "{left}");
    Ok(())
}

#[tokio::test]
async fn models_are_each_their_own_to_a_policy() -> Result<()> {
    let Some(served) = Served::new().await? else { return Ok(()) };
    for name in ["mine", "yours"] {
        served.model(name).await?;
    }
    served.config("mine", "mine").await?;
    let arn = |resource: &str| format!("arn:aws:sagemaker:us-east-1:{}:{resource}", served.world.account);
    let holder = |role: &str, action: &str, resource: &str, condition: &Value| -> Result<aws_sdk_sagemaker::Client> {
        let mut statement = json!({ "Effect": "Allow", "Action": action, "Resource": resource });
        if !condition.is_null() {
            statement["Condition"] = condition.clone();
        }
        Ok(holder_of_statement(&served.world, role, &statement)?.sagemaker())
    };
    let reader = holder("reader", "sagemaker:DescribeModel", &arn("model/mine"), &Value::Null)?;
    let tagged = json!({ "StringEquals": { "aws:ResourceTag/of": "mine" } });
    let by_tag = holder("by-tag", "sagemaker:DescribeModel", "*", &tagged)?;
    for (name, is_mine) in [("mine", true), ("yours", false)] {
        assert_eq!(is_done(reader.describe_model().model_name(name).send().await)?, is_mine, "{name} by name");
        assert_eq!(is_done(by_tag.describe_model().model_name(name).send().await)?, is_mine, "{name} by tag");
    }
    assert!(!is_done(reader.list_models().send().await)?, "a list is another action");
    let lister = holder("lister", "sagemaker:ListModels", "*", &Value::Null)?;
    assert!(is_done(lister.list_models().send().await)?);
    let config = || lister.describe_endpoint_config().endpoint_config_name("mine");
    assert!(!is_done(config().send().await)?, "nor is a configuration a model");

    // An endpoint is made of two things, and a model takes its role with it.
    let half = holder("half", "sagemaker:CreateEndpoint", &arn("endpoint/*"), &Value::Null)?;
    let whole = holder("whole", "sagemaker:CreateEndpoint", &arn("endpoint*"), &Value::Null)?;
    for (client, may) in [(half, false), (whole, true)] {
        let made = client.create_endpoint().endpoint_name("mine").endpoint_config_name("mine").send().await;
        assert_eq!(is_done(made)?, may);
    }
    let (image, uri) = (served.image(&served.digest), served.uri(ARCHIVE));
    let maker = holder("maker", "sagemaker:CreateModel", "*", &Value::Null)?;
    assert!(!is_done(creating(&maker, "theirs", &image, &uri, &served.role).send().await)?);
    let passing = json!(["sagemaker:CreateModel", "iam:PassRole"]);
    let passing = json!({ "Effect": "Allow", "Action": passing, "Resource": "*" });
    let passer = holder_of_statement(&served.world, "passer", &passing)?.sagemaker();
    assert!(is_done(creating(&passer, "theirs", &image, &uri, &served.role).send().await)?);
    Ok(())
}
