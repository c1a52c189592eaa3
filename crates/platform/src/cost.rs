//! What a batch costs on AWS: counted at the ports, sized by the services' rules, priced by one file.
//!
//! - [`prices`]: `prices.toml`, read and checked; also the assumptions that no count can replace.
//! - [`item`]: how large DynamoDB takes an item to be.
//! - [`meter`]: [`Metered`], an adapter around any store that counts what goes through it.
//! - [`emit`]: [`Costed`], which puts the cost of a batch beside its metrics.
//!
//! The same adapter and the same prices serve the running function and `cargo xtask cost`, so that both say the same.
//!
//! What is not in a figure: what costs by the month whatever is read (metrics, alarms, keeping objects and items), shards
//! that are not full, data transfer between Regions, the initialisation of a function, calls that the SDK repeats on its
//! own, invocations that commit nothing, and what happens after the commit (alerts, queries).

pub mod emit;
pub mod item;
pub mod meter;
pub mod prices;

use std::ops::AddAssign;

pub use emit::{Costed, Rate, metered};
pub use meter::{Meter, Metered};
pub use prices::{Architecture, Prices, PricesError};

/// Bytes of a gigabyte, as logs are charged by.
const GB: f64 = 1e9;
const MILLION: f64 = 1e6;

/// What was used of each service.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// PUT requests to S3, those that were refused included.
    pub s3_puts: u64,
    /// GET requests to S3.
    pub s3_gets: u64,
    /// LIST requests to S3, one a page of 1,000 keys.
    pub s3_lists: u64,
    /// Bytes put to S3.
    pub s3_bytes_put: u64,
    /// Bytes got from S3.
    pub s3_bytes_got: u64,
    /// Requests to DynamoDB.
    pub dynamodb_calls: u64,
    /// Write request units of tables: 1 KB each, twice in a transaction.
    pub dynamodb_write_units: u64,
    /// Write request units of indexes: 1 KB each; a transaction does not double them, and in a global table they stay plain
    /// (Developer Guide, "Understanding Amazon DynamoDB billing for global tables").
    pub dynamodb_index_write_units: u64,
    /// Read request units: 4 KB of a strongly consistent read each.
    pub dynamodb_read_units: u64,
    /// Requests to Kinesis' control plane; they are free.
    pub kinesis_calls: u64,
    /// PUT payload units of Kinesis: 25 KB of one record each. Producers pay them, a function cannot count them.
    pub kinesis_put_units: u64,
    /// Hours of shards.
    pub kinesis_shard_hours: f64,
    /// Invocations of the function.
    pub lambda_requests: u64,
    /// Gigabytes of the memory setting times seconds.
    pub lambda_gb_seconds: f64,
    /// `PutMetricData` requests.
    pub metric_calls: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
}

impl Usage {
    /// Calls to stores: S3, DynamoDB and Kinesis.
    #[must_use]
    pub fn store_calls(&self) -> u64 {
        self.s3_puts + self.s3_gets + self.s3_lists + self.dynamodb_calls + self.kinesis_calls
    }

    /// What it costs, service by service. `replicas`: Regions that a global table has beside this one; DynamoDB's writes are
    /// paid in each of them. Whether a replica is charged for both phases of a transaction is not documented: it is counted
    /// as if, so the figure is not too low.
    #[must_use]
    pub fn dollars(&self, prices: &Prices, architecture: Architecture, replicas: u32) -> Cost {
        let million = |count: u64, price: prices::Amount| count as f64 / MILLION * price.get();
        let writes = (self.dynamodb_write_units + self.dynamodb_index_write_units) * u64::from(1 + replicas);
        Cost {
            s3: million(self.s3_puts, prices.s3.put_dollars_per_million)
                + million(self.s3_gets, prices.s3.get_dollars_per_million)
                + million(self.s3_lists, prices.s3.list_dollars_per_million),
            dynamodb: million(writes, prices.dynamodb.write_dollars_per_million)
                + million(self.dynamodb_read_units, prices.dynamodb.read_dollars_per_million),
            lambda: million(self.lambda_requests, prices.lambda.request_dollars_per_million)
                + self.lambda_gb_seconds * prices.gb_second(architecture),
            cloudwatch: million(self.metric_calls, prices.cloudwatch.put_metric_data_dollars_per_million)
                + self.log_bytes as f64 / GB * prices.cloudwatch.log_dollars_per_gb.get(),
            kinesis: million(self.kinesis_put_units, prices.kinesis.put_dollars_per_million)
                + self.kinesis_shard_hours * prices.kinesis.shard_dollars_per_hour.get(),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.s3_puts += more.s3_puts;
        self.s3_gets += more.s3_gets;
        self.s3_lists += more.s3_lists;
        self.s3_bytes_put += more.s3_bytes_put;
        self.s3_bytes_got += more.s3_bytes_got;
        self.dynamodb_calls += more.dynamodb_calls;
        self.dynamodb_write_units += more.dynamodb_write_units;
        self.dynamodb_index_write_units += more.dynamodb_index_write_units;
        self.dynamodb_read_units += more.dynamodb_read_units;
        self.kinesis_calls += more.kinesis_calls;
        self.kinesis_put_units += more.kinesis_put_units;
        self.kinesis_shard_hours += more.kinesis_shard_hours;
        self.lambda_requests += more.lambda_requests;
        self.lambda_gb_seconds += more.lambda_gb_seconds;
        self.metric_calls += more.metric_calls;
        self.log_bytes += more.log_bytes;
    }
}

/// US dollars, service by service.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Requests to S3.
    pub s3: f64,
    /// Reads and writes of DynamoDB.
    pub dynamodb: f64,
    /// Requests and duration of the function.
    pub lambda: f64,
    /// Log lines and metric calls.
    pub cloudwatch: f64,
    /// Payload units and shard hours.
    pub kinesis: f64,
}

impl Cost {
    /// All but Kinesis: what the choice of a stream, and how full its shards are, leaves alone.
    #[must_use]
    pub fn without_kinesis(&self) -> f64 {
        self.s3 + self.dynamodb + self.lambda + self.cloudwatch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_kinesis(usage: Usage, replicas: u32) -> f64 {
        let prices = Prices::built_in().unwrap();
        usage.dollars(&prices, Architecture::Arm64, replicas).without_kinesis()
    }

    fn check(usage: Usage, dollars: f64) {
        let found = without_kinesis(usage, 0);
        assert!((found - dollars).abs() < 1e-9, "{usage:?} costs {found}, not {dollars}");
    }

    #[test]
    fn a_million_of_each_costs_what_the_price_list_says() {
        let million = 1_000_000;
        check(Usage { s3_puts: million, ..Usage::default() }, 5.0);
        check(Usage { s3_gets: million, ..Usage::default() }, 0.4);
        check(Usage { s3_lists: million, ..Usage::default() }, 5.0);
        check(Usage { dynamodb_write_units: million, ..Usage::default() }, 0.625);
        check(Usage { dynamodb_index_write_units: million, ..Usage::default() }, 0.625);
        check(Usage { dynamodb_read_units: million, ..Usage::default() }, 0.125);
        check(Usage { lambda_requests: million, ..Usage::default() }, 0.2);
        check(Usage { lambda_gb_seconds: 1e6, ..Usage::default() }, 13.3334);
        check(Usage { metric_calls: million, ..Usage::default() }, 10.0);
        check(Usage { log_bytes: 1_000_000_000, ..Usage::default() }, 0.5);
        check(Usage { kinesis_calls: million, kinesis_put_units: million, ..Usage::default() }, 0.0);
    }

    #[test]
    fn writes_are_paid_in_every_region_of_a_global_table() {
        let usage = Usage { dynamodb_write_units: 10, dynamodb_index_write_units: 4, ..Usage::default() };
        assert!((without_kinesis(usage, 2) - 3.0 * without_kinesis(usage, 0)).abs() < 1e-12);
        let reads = Usage { dynamodb_read_units: 10, ..Usage::default() };
        assert!((without_kinesis(reads, 2) - without_kinesis(reads, 0)).abs() < 1e-12);
    }

    #[test]
    fn sums_leave_nothing_out() {
        let one = Usage {
            s3_puts: 1,
            s3_gets: 2,
            s3_lists: 3,
            s3_bytes_put: 4,
            s3_bytes_got: 5,
            dynamodb_calls: 6,
            dynamodb_write_units: 7,
            dynamodb_index_write_units: 8,
            dynamodb_read_units: 9,
            kinesis_calls: 10,
            kinesis_put_units: 11,
            kinesis_shard_hours: 12.0,
            lambda_requests: 13,
            lambda_gb_seconds: 14.0,
            metric_calls: 15,
            log_bytes: 16,
        };
        let mut sum = Usage::default();
        sum += one;
        assert_eq!(sum, one);
        assert_eq!(sum.store_calls(), 1 + 2 + 3 + 6 + 10);
    }
}
