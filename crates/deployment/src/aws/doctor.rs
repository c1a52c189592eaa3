//! Looks at the account: who is asking, where, whether the services answer, and how much room there is.

use aws_sdk_cloudformation::types::AccountLimit;

use super::Aws;
use crate::cloud::{Cloud as _, Kind, Trouble};
use crate::doctor::{Finding, Health};
use crate::readiness::remark;

/// Stacks that one environment and a tenant need at most.
const STACKS_NEEDED: usize = 7;

/// Looks at it. Nothing is changed.
pub async fn account(aws: &Aws) -> Vec<Finding> {
    let mut findings = vec![Finding::fine("Region", &aws.region), credentials(aws).await];
    let stacks = aws.stacks("").await;
    findings.push(match &stacks {
        Ok(_) => Finding::fine("CloudFormation", "answers"),
        Err(trouble) => unreachable("CloudFormation", trouble, "cloudformation:DescribeStacks"),
    });
    let buckets = aws.s3.list_buckets().max_buckets(1).send().await;
    findings.push(match buckets.map_err(|error| Trouble::of("ListBuckets", "*", &error)) {
        Ok(_) => Finding::fine("S3", "answers"),
        // Who may put zips may well not list buckets.
        Err(trouble) if trouble.message.contains("s3:ListAllMyBuckets") => Finding::fine("S3", "answers"),
        Err(trouble) => unreachable("S3", &trouble, "s3:PutObject on the bucket for code"),
    });
    if let Ok(stacks) = stacks {
        findings.push(room(aws, stacks.len()).await);
        for name in stacks.iter().filter(|name| name.starts_with("millrace-")) {
            if let Ok(Some(stack)) = aws.stack(name).await
                && let Some(remark) = remark(&stack.status)
            {
                findings.push(Finding::amiss(Health::Unknown, &format!("stack {name}"), stack.status, remark));
            }
        }
    }
    findings
}

async fn credentials(aws: &Aws) -> Finding {
    match aws.sts.get_caller_identity().send().await {
        Ok(identity) => Finding::fine("credentials", identity.arn().unwrap_or("valid, of nobody in particular")),
        Err(error) => {
            let trouble = Trouble::of("GetCallerIdentity", "yourself", &error);
            let remedy = "`aws configure sso` or `aws configure`, then `aws sso login`; or set AWS_PROFILE";
            Finding::amiss(Health::Missing, "credentials", trouble.message, remedy)
        }
    }
}

fn unreachable(service: &str, trouble: &Trouble, right: &str) -> Finding {
    let remedy = match trouble.kind {
        Kind::Transient => "check the network, a proxy, and --endpoint or AWS_ENDPOINT_URL".to_owned(),
        _ => format!("use credentials that may {right}"),
    };
    Finding::amiss(Health::Missing, service, trouble.message.clone(), &remedy)
}

/// How many more stacks the account may have.
async fn room(aws: &Aws, used: usize) -> Finding {
    let check = "quota of stacks";
    let limits = match aws.cloudformation.describe_account_limits().send().await {
        Ok(limits) => limits,
        Err(error) => {
            let message = Trouble::of("DescribeAccountLimits", "account", &error).message;
            let remedy = "not needed; cloudformation:DescribeAccountLimits would show it";
            return Finding::amiss(Health::Unknown, check, message, remedy);
        }
    };
    let max =
        limits.account_limits().iter().find(|limit| limit.name() == Some("StackLimit")).and_then(AccountLimit::value);
    match max.and_then(|max| usize::try_from(max).ok()) {
        Some(max) if used + STACKS_NEEDED > max => {
            let remedy = "have `Stack count` of AWS CloudFormation raised in Service Quotas";
            Finding::amiss(Health::Missing, check, format!("{used} of {max} are used"), remedy)
        }
        Some(max) => Finding::fine(check, format!("{used} of {max} are used")),
        None => Finding::amiss(Health::Unknown, check, "CloudFormation does not say", "nothing to do"),
    }
}
