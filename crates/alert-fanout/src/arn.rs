//! What a profile names by ARN, in the Region that this is.
//!
//! A pair of Regions shares its profiles, and an ARN names a Region. A topic or secret has the same name in both, made there by
//! the same stack or replicated, and a function may use those of its own Region alone: so the name counts and the Region does
//! not. Otherwise who takes over would go on calling the Region that is lost.

/// The ARN in this Region; what is no ARN as it is.
pub(crate) fn in_region(reference: &str, region: Option<&str>) -> String {
    // arn:partition:service:region:account:resource
    let parts: Vec<&str> = reference.splitn(6, ':').collect();
    match (parts.as_slice(), region) {
        (["arn", partition, service, there, account, resource], Some(here)) if !there.is_empty() => {
            format!("arn:{partition}:{service}:{here}:{account}:{resource}")
        }
        _ => reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_that_of_the_region_one_is_in() {
        for (named, expected) in [
            (
                "arn:aws:sns:us-east-1:123456789012:millrace-prod-tenant-acme",
                "arn:aws:sns:eu-west-1:123456789012:millrace-prod-tenant-acme",
            ),
            (
                "arn:aws:secretsmanager:us-east-1:1:secret:millrace/a-AbCdEf",
                "arn:aws:secretsmanager:eu-west-1:1:secret:millrace/a-AbCdEf",
            ),
            ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket"),
            ("millrace/prod/slack", "millrace/prod/slack"),
            ("arn:aws", "arn:aws"),
        ] {
            assert_eq!(in_region(named, Some("eu-west-1")), expected);
            assert_eq!(in_region(named, None), named);
        }
    }
}
