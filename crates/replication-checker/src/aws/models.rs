//! Models and endpoint configurations in SageMaker.

use account::Trouble;

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

impl Aws {
    async fn model(&self, name: String) -> Looked<Model> {
        let answer = self.sagemaker.describe_model().model_name(&name).send().await;
        let answer = answer.map_err(|error| Trouble::of("DescribeModel", &name, &error))?;
        let container = answer.primary_container();
        let said = |text: Option<&str>| text.unwrap_or_default().to_owned();
        // An artifact that is no archive has its place in the data source (`infra/models.yaml`).
        let source = container.and_then(|container| container.model_data_source()?.s3_data_source()?.s3_uri());
        let archive = container.and_then(|container| container.model_data_url());
        Ok(Model {
            name,
            image: said(container.and_then(|container| container.image())),
            data: said(source.or(archive)),
        })
    }

    async fn endpoint_config(&self, name: String) -> Looked<EndpointConfig> {
        let answer = self.sagemaker.describe_endpoint_config().endpoint_config_name(&name).send().await;
        let answer = answer.map_err(|error| Trouble::of("DescribeEndpointConfig", &name, &error))?;
        let variants = answer.production_variants().iter().map(|variant| {
            let instance = variant.instance_type().map_or("serverless", |instance| instance.as_str());
            let count = variant.initial_instance_count().unwrap_or_default();
            (variant.model_name().unwrap_or_default().to_owned(), instance.to_owned(), count)
        });
        Ok(EndpointConfig { name, variants: variants.collect() })
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
        Ok(Listed { all: gather(names.into_iter().map(|name| self.model(name))).await?, is_cut })
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
        Ok(Listed { all: gather(names.into_iter().map(|name| self.endpoint_config(name))).await?, is_cut })
    }
}
