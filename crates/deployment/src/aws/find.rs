//! Whether a resource exists, asked of the service that has it: CloudFormation finds out only when it is too late.

use super::Aws;
use crate::cloud::{Kind, Trouble};

impl Aws {
    /// What identifies the resource in an import; `None` where there is none.
    pub(super) async fn find_resource(&self, kind: &str, name: &str) -> Result<Option<String>, Trouble> {
        let name = self.with_place(name).await?;
        let found = match kind {
            "AWS::DynamoDB::GlobalTable" => {
                let answer = self.dynamodb.describe_table().table_name(&name).send().await;
                answer.map(drop).map_err(|error| Trouble::of("DescribeTable", &name, &error))
            }
            // One that is somebody else's is forbidden, and not missing.
            "AWS::S3::Bucket" => {
                let answer = self.s3.head_bucket().bucket(&name).send().await;
                answer.map(drop).map_err(|error| Trouble::of("HeadBucket", &name, &error))
            }
            "AWS::S3::BucketPolicy" => {
                let answer = self.s3.get_bucket_policy().bucket(&name).send().await;
                answer.map(drop).map_err(|error| Trouble::of("GetBucketPolicy", &name, &error))
            }
            "AWS::SQS::Queue" => {
                let answer = self.sqs.get_queue_url().queue_name(&name).send().await;
                let answer = answer.map_err(|error| Trouble::of("GetQueueUrl", &name, &error));
                return unless_missing(answer.map(|answer| answer.queue_url));
            }
            other => {
                let message = format!("`{other}` is not a type that is imported");
                return Err(Trouble { action: "import", subject: name, kind: Kind::Refused, message });
            }
        };
        unless_missing(found.map(|()| Some(name)))
    }

    /// The ARN of a table's newest stream.
    pub(super) async fn newest_stream(&self, table: &str) -> Result<Option<String>, Trouble> {
        let answer = self.dynamodb.describe_table().table_name(table).send().await;
        let answer = answer.map_err(|error| Trouble::of("DescribeTable", table, &error));
        unless_missing(answer.map(|answer| answer.table.and_then(|table| table.latest_stream_arn)))
    }

    /// The name with account and Region filled in.
    async fn with_place(&self, name: &str) -> Result<String, Trouble> {
        if !name.contains("${AWS::") {
            return Ok(name.to_owned());
        }
        let caller = self.sts.get_caller_identity().send().await;
        let caller = caller.map_err(|error| Trouble::of("GetCallerIdentity", "yourself", &error))?;
        let account = caller.account().unwrap_or_default();
        Ok(name.replace("${AWS::AccountId}", account).replace("${AWS::Region}", &self.region))
    }
}

fn unless_missing(found: Result<Option<String>, Trouble>) -> Result<Option<String>, Trouble> {
    match found {
        Err(trouble) if trouble.kind == Kind::Missing => Ok(None),
        found => found,
    }
}
