//! CloudFormation and S3 themselves.
//!
//! Nothing is decided here; waiting and its patience are a level above.

mod doctor;
mod find;
mod read;
mod trouble;

use std::time::Duration;

use account::{Access, NoRegion, Place};
use aws_sdk_cloudformation::types::{Capability, ChangeSetType, Parameter, ResourceToImport, Tag};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use crate::cloud::{CHANGE_SET, Change, ChangeSet, Cloud, Event, Kind, Proposal, Resource, Stack, Trouble, cut};

pub use doctor::account;
use trouble::built;

const PATIENCE: Duration = Duration::from_mins(2);

/// Clients of the services.
#[derive(Debug, Clone)]
pub struct Aws {
    cloudformation: aws_sdk_cloudformation::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    sts: aws_sdk_sts::Client,
    region: String,
    endpoint: Option<String>,
    /// Whether another endpoint than that of AWS is asked.
    is_elsewhere: bool,
}

impl Aws {
    /// Makes the clients. Nothing is called yet but what the chain of credentials needs.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub async fn connect(place: &Place) -> Result<Self, NoRegion> {
        let Access { config, region, is_elsewhere } = Access::find(place, PATIENCE).await?;
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(is_elsewhere).build();
        Ok(Self {
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            region,
            endpoint: config.endpoint_url().map(str::to_owned),
            is_elsewhere,
        })
    }
}

impl Aws {
    /// The Region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where its services are found, if not at AWS.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// What the validation of the newest operations found, as events of the resources.
    async fn found_by_validation(&self, stack: &str) -> Result<Vec<Event>, Trouble> {
        let answer = self.cloudformation.describe_events().stack_name(stack).send().await;
        let answer = answer.map_err(|error| Trouble::of("DescribeEvents", stack, &error))?;
        Ok(answer.operation_events().iter().filter_map(read::validation).collect())
    }
}

impl Cloud for Aws {
    async fn validate(&self, name: &str, body: &str) -> Result<(), Trouble> {
        let answer = self.cloudformation.validate_template().template_body(body).send().await;
        match answer.map_err(|error| Trouble::of("ValidateTemplate", name, &error)) {
            // An emulator does not play every service. It checks again when the change set is made, and then only what the
            // conditions leave of the template.
            Err(trouble) if self.is_elsewhere && trouble.message.contains("Unrecognized resource types") => Ok(()),
            answer => answer.map(drop),
        }
    }

    async fn stack(&self, name: &str) -> Result<Option<Stack>, Trouble> {
        match self.cloudformation.describe_stacks().stack_name(name).send().await {
            Ok(answer) => Ok(answer.stacks().first().map(read::stack)),
            Err(error) => match Trouble::of("DescribeStacks", name, &error) {
                missing if missing.kind == Kind::Missing => Ok(None),
                other => Err(other),
            },
        }
    }

    async fn stacks(&self, prefix: &str) -> Result<Vec<String>, Trouble> {
        let mut pages = self.cloudformation.describe_stacks().into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("DescribeStacks", prefix, &error))?;
            let all = page.stacks().iter().filter(|stack| read::stack(stack).status != "DELETE_COMPLETE");
            names.extend(
                all.filter_map(|stack| stack.stack_name()).filter(|name| name.starts_with(prefix)).map(str::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }

    async fn template(&self, stack: &str) -> Result<String, Trouble> {
        let answer = self.cloudformation.get_template().stack_name(stack).send().await;
        let answer = answer.map_err(|error| Trouble::of("GetTemplate", stack, &error))?;
        Ok(answer.template_body().unwrap_or_default().to_owned())
    }

    async fn resources(&self, stack: &str) -> Result<Vec<Resource>, Trouble> {
        let mut pages = self.cloudformation.list_stack_resources().stack_name(stack).into_paginator().send();
        let mut resources = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("ListStackResources", stack, &error))?;
            resources.extend(page.stack_resource_summaries().iter().filter_map(read::resource));
        }
        Ok(resources)
    }

    async fn propose(&self, proposal: &Proposal<'_>) -> Result<(), Trouble> {
        let kind = match (proposal.imports, proposal.is_new) {
            ([], true) => ChangeSetType::Create,
            ([], false) => ChangeSetType::Update,
            _ => ChangeSetType::Import,
        };
        let imports = proposal.imports.iter().map(|import| {
            let resource = ResourceToImport::builder().logical_resource_id(import.resource).resource_type(import.kind);
            resource.resource_identifier(import.identifier.0, &import.identifier.1).build()
        });
        let parameters = proposal.parameters.iter().map(|(name, value)| {
            let parameter = Parameter::builder().parameter_key(name);
            match value {
                Some(value) => parameter.parameter_value(value).build(),
                None => parameter.use_previous_value(true).build(),
            }
        });
        let tags = proposal.tags.iter().map(|(key, value)| Tag::builder().key(*key).value(value).build());
        let call = self
            .cloudformation
            .create_change_set()
            .stack_name(proposal.stack)
            .change_set_name(CHANGE_SET)
            .change_set_type(kind)
            .template_body(proposal.body)
            // The templates name no IAM resource, so they ask for no more than this.
            .capabilities(Capability::CapabilityIam)
            .set_parameters(Some(parameters.collect()))
            .set_resources_to_import((!proposal.imports.is_empty()).then(|| imports.collect()))
            .set_tags((!proposal.tags.is_empty()).then(|| tags.collect()))
            .set_role_arn(proposal.role.map(str::to_owned));
        call.send().await.map(drop).map_err(|error| Trouble::of("CreateChangeSet", proposal.stack, &error))
    }

    async fn change_set(&self, stack: &str) -> Result<ChangeSet, Trouble> {
        let mut changes: Vec<Change> = Vec::new();
        let mut token = None;
        loop {
            let call = self.cloudformation.describe_change_set().stack_name(stack).change_set_name(CHANGE_SET);
            let page = call.include_property_values(true).set_next_token(token).send().await;
            let page = page.map_err(|error| Trouble::of("DescribeChangeSet", stack, &error))?;
            match read::progress(page.status(), page.execution_status(), page.status_reason()) {
                ChangeSet::Ready(_) => changes.extend(page.changes().iter().filter_map(read::change)),
                other => return Ok(other),
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(ChangeSet::Ready(changes));
            }
        }
    }

    async fn execute(&self, stack: &str, is_import: bool) -> Result<(), Trouble> {
        let call = self.cloudformation.execute_change_set().stack_name(stack).change_set_name(CHANGE_SET);
        // A creation that fails leaves no empty table behind, whose name the next one would need.
        let answer = call.set_retain_except_on_create((!is_import).then_some(true)).send().await;
        answer.map(drop).map_err(|error| Trouble::of("ExecuteChangeSet", stack, &error))
    }

    async fn discard(&self, stack: &str) -> Result<(), Trouble> {
        let call = self.cloudformation.delete_change_set().stack_name(stack).change_set_name(CHANGE_SET);
        match call.send().await.map_err(|error| Trouble::of("DeleteChangeSet", stack, &error)) {
            Err(trouble) if trouble.kind != Kind::Missing => Err(trouble),
            _ => Ok(()),
        }
    }

    async fn delete(&self, stack: &str) -> Result<(), Trouble> {
        let answer = self.cloudformation.delete_stack().stack_name(stack).send().await;
        answer.map(drop).map_err(|error| Trouble::of("DeleteStack", stack, &error))
    }

    async fn resume_rollback(&self, stack: &str) -> Result<(), Trouble> {
        let answer = self.cloudformation.continue_update_rollback().stack_name(stack).send().await;
        answer.map(drop).map_err(|error| Trouble::of("ContinueUpdateRollback", stack, &error))
    }

    async fn events(&self, stack: &str, after: Option<&str>) -> Result<Vec<Event>, Trouble> {
        let mut pages = self.cloudformation.describe_stack_events().stack_name(stack).into_paginator().send();
        let mut newest_first = Vec::new();
        let mut kept = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("DescribeStackEvents", stack, &error))?;
            newest_first.extend(page.stack_events().iter().map(read::event));
            let (events, is_all) = cut(newest_first.clone(), after);
            kept = events;
            if is_all {
                break;
            }
        }
        // A validation fails before any resource is begun; what it found is told elsewhere.
        let validated = |event: &Event| event.reason.as_deref().is_some_and(|reason| reason.contains("DescribeEvents"));
        if let Some(at) = kept.iter().position(validated) {
            let found = self.found_by_validation(stack).await?;
            kept.splice(at..at, found);
        }
        Ok(kept)
    }

    async fn find(&self, kind: &str, name: &str) -> Result<Option<String>, Trouble> {
        self.find_resource(kind, name).await
    }

    async fn table_stream(&self, table: &str) -> Result<Option<String>, Trouble> {
        self.newest_stream(table).await
    }

    async fn has_object(&self, bucket: &str, key: &str) -> Result<bool, Trouble> {
        let answer = self.s3.head_object().bucket(bucket).key(key).send().await;
        match answer.map_err(|error| Trouble::of("HeadObject", bucket, &error)) {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.kind == Kind::Missing => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    async fn object(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let answer = self.s3.get_object().bucket(bucket).key(key).send().await;
        let answer = match answer.map_err(|error| Trouble::of("GetObject", bucket, &error)) {
            Err(trouble) if trouble.kind == Kind::Missing => return Ok(None),
            answer => answer?,
        };
        match answer.body.collect().await {
            Ok(body) => Ok(Some(body.to_vec())),
            Err(error) => {
                let message = error.to_string();
                Err(Trouble { action: "GetObject", subject: key.to_owned(), kind: Kind::Transient, message })
            }
        }
    }

    async fn put_object(&self, bucket: &str, key: &str, body: Vec<u8>) -> Result<(), Trouble> {
        let answer = self.s3.put_object().bucket(bucket).key(key).body(ByteStream::from(body)).send().await;
        answer.map(drop).map_err(|error| Trouble::of("PutObject", bucket, &error))
    }

    async fn empty_bucket(&self, bucket: &str) -> Result<u64, Trouble> {
        let mut deleted = 0;
        loop {
            // The first page again and again: what it listed is deleted.
            let page = self.s3.list_object_versions().bucket(bucket).max_keys(1_000).send().await;
            let page = page.map_err(|error| Trouble::of("ListObjectVersions", bucket, &error))?;
            let versions = page.versions().iter().map(|version| (version.key(), version.version_id()));
            let markers = page.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
            let listed: Vec<ObjectIdentifier> = versions
                .chain(markers)
                .map(|(key, version)| {
                    let object = ObjectIdentifier::builder().key(key.unwrap_or_default());
                    built(object.set_version_id(version.map(str::to_owned)).build())
                })
                .collect::<Result<_, _>>()?;
            if listed.is_empty() {
                return Ok(deleted);
            }
            deleted += listed.len() as u64;
            let delete = built(Delete::builder().set_objects(Some(listed)).quiet(true).build())?;
            let answer = self.s3.delete_objects().bucket(bucket).delete(delete).send().await;
            let answer = answer.map_err(|error| Trouble::of("DeleteObjects", bucket, &error))?;
            if let Some(error) = answer.errors().first() {
                let message = format!("{}: {}", error.key().unwrap_or_default(), error.message().unwrap_or_default());
                return Err(Trouble {
                    action: "DeleteObjects",
                    subject: bucket.to_owned(),
                    kind: Kind::Refused,
                    message,
                });
            }
        }
    }
}
