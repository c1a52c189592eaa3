//! The one file of prices and assumptions, read and checked.

use serde::Deserialize;

/// A price, a duration or a size: finite and not negative. Its unit is in the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Amount(f64);

/// Not something to pay or to wait for.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is neither a price nor an amount: it must be finite and not negative")]
pub struct AmountError(f64);

impl Amount {
    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Amount {
    type Error = AmountError;
    fn try_from(number: f64) -> Result<Self, AmountError> {
        if number.is_finite() && number >= 0.0 { Ok(Self(number)) } else { Err(AmountError(number)) }
    }
}

/// The processor that a function runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Graviton.
    Arm64,
    /// Intel and AMD.
    X86_64,
}

impl Architecture {
    /// What this program was compiled for.
    #[must_use]
    pub const fn here() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X86_64 }
    }
}

/// `prices.toml`. Units, dates and sources stand there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Amazon S3.
    pub s3: S3,
    /// Amazon DynamoDB.
    pub dynamodb: DynamoDb,
    /// AWS Lambda.
    pub lambda: Lambda,
    /// Amazon Kinesis Data Streams.
    pub kinesis: Kinesis,
    /// Amazon CloudWatch.
    pub cloudwatch: CloudWatch,
    /// What nobody can count.
    pub assumed: Assumed,
    /// The design that this one is compared with.
    pub naive: Naive,
}

/// Amazon S3.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it with their units; prices.toml has the rules and sources")]
pub struct S3 {
    pub put_dollars_per_million: Amount,
    pub list_dollars_per_million: Amount,
    pub get_dollars_per_million: Amount,
    pub storage_dollars_per_gb_month: Amount,
}

/// Amazon DynamoDB, in request units.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it with their units; prices.toml has the rules and sources")]
pub struct DynamoDb {
    pub write_dollars_per_million: Amount,
    pub read_dollars_per_million: Amount,
}

/// AWS Lambda.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it with their units; prices.toml has the rules and sources")]
pub struct Lambda {
    pub request_dollars_per_million: Amount,
    pub arm64_dollars_per_gb_second: Amount,
    pub x86_64_dollars_per_gb_second: Amount,
}

/// Amazon Kinesis Data Streams.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it with their units; prices.toml has the rules and sources")]
pub struct Kinesis {
    pub put_dollars_per_million: Amount,
    pub shard_dollars_per_hour: Amount,
}

/// Amazon CloudWatch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it with their units; prices.toml has the rules and sources")]
pub struct CloudWatch {
    pub log_dollars_per_gb: Amount,
    pub put_metric_data_dollars_per_million: Amount,
    pub metric_dollars_per_month: Amount,
}

/// What nobody can count: how long a service takes to answer, and what goes on below the ports.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it with their units; prices.toml has the reasons")]
pub struct Assumed {
    pub s3_wait_ms: Amount,
    pub dynamodb_item_wait_ms: Amount,
    pub dynamodb_transaction_wait_ms: Amount,
    pub kinesis_wait_ms: Amount,
    pub bytes_per_second: Amount,
    pub cpu_ms_per_call: Amount,
    pub log_bytes_per_invocation: Amount,
}

/// The design that this one is compared with.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it with their units; prices.toml has the reasons")]
pub struct Naive {
    pub memory_mb: Amount,
    pub batch_records: Amount,
    pub cpu_ms_per_reading: Amount,
    pub log_bytes_beside_payload: Amount,
}

/// The file of prices is no such file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("prices.toml: {0}")]
pub struct PricesError(String);

impl Prices {
    /// The prices that this program was built with. They are parsed each time: ask once.
    ///
    /// # Errors
    /// [`PricesError`] with the line, when the file lacks a price, has one too many, or one that is no amount.
    pub fn built_in() -> Result<Self, PricesError> {
        Self::parse(include_str!("../../prices.toml"))
    }

    /// Reads prices from text in the form of `prices.toml`.
    ///
    /// # Errors
    /// As [`Self::built_in`].
    pub fn parse(text: &str) -> Result<Self, PricesError> {
        toml::from_str(text).map_err(|error| PricesError(error.to_string()))
    }

    /// Dollars for a GB-second.
    #[must_use]
    pub fn gb_second(&self, architecture: Architecture) -> f64 {
        match architecture {
            Architecture::Arm64 => self.lambda.arm64_dollars_per_gb_second.get(),
            Architecture::X86_64 => self.lambda.x86_64_dollars_per_gb_second.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../prices.toml");

    #[test]
    fn the_file_is_complete() {
        Prices::built_in().unwrap();
    }

    #[test]
    fn a_price_that_is_missing_unknown_or_impossible_is_named_with_its_line() {
        let put = "put_dollars_per_million = 5.0";
        for (changed, part) in [
            ("", "missing field `put_dollars_per_million`"),
            ("put_dollars_per_million = -5.0", "-5 is neither a price nor an amount"),
            ("put_dollars_per_million = inf", "inf is neither a price nor an amount"),
            ("put_dollars_per_million = 5.0\nput_euros = 5.0", "unknown field `put_euros`"),
        ] {
            let error = Prices::parse(&FILE.replacen(put, changed, 1)).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("line"), "{error}");
        }
    }
}
