//! What a stream's ARN says besides its name.

use telemetry::kinesis::Source;

use super::REGION;

/// Where a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The AWS partition.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account's 12 digits.
    pub account: String,
}

/// This process: region [`REGION`], an account of zeros.
impl Default for Origin {
    fn default() -> Self {
        Self { partition: "aws".to_owned(), region: REGION.to_owned(), account: "000000000000".to_owned() }
    }
}

impl Origin {
    /// The ARN of the stream of this name.
    #[must_use]
    pub fn stream_arn(&self, stream: &str) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:kinesis:{region}:{account}:stream/{stream}")
    }

    pub(super) fn source<'a>(&'a self, stream: &'a str, shard: &'a str) -> Source<'a> {
        Source { partition: &self.partition, region: &self.region, account: &self.account, stream, shard }
    }
}
