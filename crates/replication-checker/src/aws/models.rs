//! Models and endpoint configurations in SageMaker.

use account::{Kind, Trouble};
use aws_sdk_sagemaker::types::ContainerDefinition;

use super::Aws;
use crate::gather::gather;
use crate::ports::{EndpointConfig, Listed, Looked, Model, Models};

/// Largest page (Amazon SageMaker API Reference).
const PAGE: usize = 100;

fn page_max(count_max: usize) -> i32 {
    i32::try_from(count_max.clamp(1, PAGE)).unwrap_or(i32::MAX)
}

/// So many of the names, and whether there are more.
fn bounded(mut names: Vec<String>, count_max: usize) -> (Vec<String>, bool) {
    let is_cut = names.len() > count_max;
    names.truncate(count_max);
    (names, is_cut)
}

/// Where the data of a model are: an archive (`infra/models.yaml`), or objects as they are (the same of a former release).
fn data(container: &ContainerDefinition) -> Option<&str> {
    container.model_data_url().or_else(|| container.model_data_source()?.s3_data_source()?.s3_uri())
}

/// `None` of what is not there. SageMaker has no code for that: it is a `ValidationException`, as a malformed name is, and only its
/// words differ. Models are replaced by every deployment of another image, so that a check meets one that has just gone.
fn still_there<T>(found: Looked<T>) -> Looked<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Trouble { kind: Kind::Refused, message, .. }) if message.starts_with("Could not find ") => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

impl Aws {
    /// `None`: gone since the listing.
    async fn model(&self, name: String) -> Looked<Option<Model>> {
        let answer = self.sagemaker.describe_model().model_name(&name).send().await;
        let answer = still_there(answer.map_err(|error| Trouble::of("DescribeModel", &name, &error)))?;
        let Some(answer) = answer else { return Ok(None) };
        let container = answer.primary_container();
        let said = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Ok(Some(Model {
            name,
            image: said(container.and_then(|container| container.image())),
            data: said(container.and_then(data)),
        }))
    }

    /// `None`: gone since the listing.
    async fn endpoint_config(&self, name: String) -> Looked<Option<EndpointConfig>> {
        let answer = self.sagemaker.describe_endpoint_config().endpoint_config_name(&name).send().await;
        let answer = still_there(answer.map_err(|error| Trouble::of("DescribeEndpointConfig", &name, &error)))?;
        let Some(answer) = answer else { return Ok(None) };
        let variants = answer.production_variants().iter().map(|variant| {
            let instance = variant.instance_type().map_or("serverless", |instance| instance.as_str());
            let count = variant.initial_instance_count().unwrap_or_default();
            (variant.model_name().unwrap_or_default().to_owned(), instance.to_owned(), count)
        });
        Ok(Some(EndpointConfig { name, variants: variants.collect() }))
    }
}

impl Models for Aws {
    async fn models(&self, count_max: usize) -> Looked<Listed<Model>> {
        let mut pages = self.sagemaker.list_models().max_results(page_max(count_max)).into_paginator().send();
        let mut names = Vec::new();
        while names.len() <= count_max
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|error| Trouble::of("ListModels", "*", &error))?;
            names.extend(page.models().iter().filter_map(|model| model.model_name()).map(str::to_owned));
        }
        let (names, is_cut) = bounded(names, count_max);
        let all = gather(names.into_iter().map(|name| self.model(name))).await?;
        Ok(Listed { all: all.into_iter().flatten().collect(), is_cut })
    }

    async fn endpoint_configs(&self, count_max: usize) -> Looked<Listed<EndpointConfig>> {
        let mut pages = self.sagemaker.list_endpoint_configs().max_results(page_max(count_max)).into_paginator().send();
        let mut names = Vec::new();
        while names.len() <= count_max
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|error| Trouble::of("ListEndpointConfigs", "*", &error))?;
            let configs = page.endpoint_configs().iter();
            names.extend(configs.filter_map(|config| config.endpoint_config_name()).map(str::to_owned));
        }
        let (names, is_cut) = bounded(names, count_max);
        let all = gather(names.into_iter().map(|name| self.endpoint_config(name))).await?;
        Ok(Listed { all: all.into_iter().flatten().collect(), is_cut })
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sagemaker::types::{ModelDataSource, S3ModelDataSource, S3ModelDataType};

    use super::*;

    #[test]
    fn a_model_has_its_data_in_an_archive_or_as_they_are() {
        let uri = "s3://lake/models/acme/pump/1/model";
        let object = S3ModelDataSource::builder().s3_uri(uri).s3_data_type(S3ModelDataType::S3Object).build();
        let source = ModelDataSource::builder().s3_data_source(object).build();
        let container = ContainerDefinition::builder().image("i");
        assert_eq!(data(&container.clone().build()), None);
        assert_eq!(data(&container.clone().model_data_url(uri).build()), Some(uri));
        assert_eq!(data(&container.model_data_source(source).build()), Some(uri));
    }

    #[test]
    fn what_is_gone_is_told_from_what_is_refused() {
        let trouble = |kind, message: &str| {
            let subject = "m".to_owned();
            still_there::<()>(Err(Trouble { action: "DescribeModel", subject, kind, message: message.to_owned() }))
        };
        let gone = "Could not find model \"arn:aws:sagemaker:us-east-1:000000000000:model/m\".";
        assert_eq!(trouble(Kind::Refused, gone), Ok(None));
        assert!(trouble(Kind::Refused, "1 validation error detected").is_err());
        assert!(trouble(Kind::Forbidden, gone).is_err(), "no permission is never an absence");
        assert_eq!(still_there(Ok(())), Ok(Some(())));
    }
}
