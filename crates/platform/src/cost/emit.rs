//! Puts what a batch cost beside its other metrics.

use std::sync::Arc;

use anomaly_core::Timestamp;

use super::{Architecture, Meter, Metered, Prices, Usage};
use crate::metrics::{BatchMetrics, EmitMetrics};

/// Megabytes of a gigabyte, as memory settings count.
const MB_PER_GB: f64 = 1024.0;

/// What a batch is charged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// The prices.
    pub prices: Prices,
    /// The processor.
    pub architecture: Architecture,
    /// The function's memory setting, megabytes.
    pub memory_mb: u32,
    /// `PutMetricData` requests a batch: 1 where metrics are calls, 0 where they are log lines.
    pub metric_calls: u64,
}

impl Rate {
    /// Adds to what the stores counted what one invocation of so many milliseconds is charged beside it.
    #[must_use]
    pub fn invocation(&self, mut stores: Usage, elapsed_ms: u64) -> Usage {
        stores.lambda_requests += 1;
        stores.lambda_gb_seconds += f64::from(self.memory_mb) / MB_PER_GB * elapsed_ms.max(1) as f64 / 1000.0;
        stores.metric_calls += self.metric_calls;
        stores.log_bytes += self.prices.assumed.log_bytes_per_invocation.get() as u64;
        stores
    }

    /// Millionths of a dollar, without Kinesis, in this Region alone.
    #[must_use]
    pub fn microdollars(&self, usage: &Usage) -> f64 {
        usage.dollars(&self.prices, self.architecture, 0).without_kinesis() * 1e6
    }
}

/// Fills in the cost and hands on.
#[derive(Debug)]
pub struct Costed<M> {
    inner: M,
    meter: Arc<Meter>,
    rate: Rate,
}

impl<M> Costed<M> {
    /// Charges what `meter` counts by `rate`.
    pub fn new(inner: M, meter: Arc<Meter>, rate: Rate) -> Self {
        Self { inner, meter, rate }
    }

    /// Where the metrics go.
    pub fn inner(&self) -> &M {
        &self.inner
    }
}

impl<M: EmitMetrics + Sync> EmitMetrics for Costed<M> {
    /// Everything since the batch before is this one's: tries that were not committed as well, and with several shards in
    /// one process perhaps a call of a neighbour. Over time the sum is right.
    async fn emit(&self, metrics: &BatchMetrics, environment: &str, at: Timestamp) {
        let usage = self.rate.invocation(self.meter.take(), metrics.elapsed_ms);
        let costed = BatchMetrics { cost_microdollars: self.rate.microdollars(&usage), ..*metrics };
        self.inner.emit(&costed, environment, at).await;
    }
}

/// A store and a sink that share a meter.
pub fn metered<W, M>(world: W, sink: M, rate: Rate) -> (Metered<W>, Costed<M>) {
    let meter = Arc::new(Meter::default());
    (Metered::new(world, Arc::clone(&meter)), Costed::new(sink, meter, rate))
}
