//! The workload through the scorer, counted, timed and priced.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anomaly_core::Timestamp;
use anyhow::{Context as _, Result, ensure};
use kinesis_scorer::{Config, Invocation, Scorer};
use platform::cost::{Architecture, Cost, Meter, Metered, Prices, Rate, Usage, metered};
use platform::metrics::{BatchMetrics, EmitMetrics};
use rustix::time::{ClockId, clock_gettime};

use crate::mapping::{Event, Mapping};
use crate::waiting::Waiting;
use crate::workload::Workload;

/// Megabytes of memory that buy one whole processor (AWS Lambda Developer Guide, "Configure Lambda function memory").
const WHOLE_PROCESSOR_MB: f64 = 1_769.0;
/// What the template gives an invocation.
const TIMEOUT: Duration = Duration::from_mins(2);
/// What one shard takes in a second: records and bytes (Amazon Kinesis Data Streams Developer Guide, "Quotas and limits").
const SHARD_RECORDS: f64 = 1_000.0;
const SHARD_BYTES: f64 = 1_048_576.0;
/// Bytes of a PUT payload unit.
const PUT_UNIT_BYTES: u64 = 25 * 1024;

/// What to run and on what.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The messages.
    pub workload: Workload,
    /// How many readings, rounded up to whole messages.
    pub readings: u64,
    /// The mapping's batch window.
    pub window_seconds: u32,
    /// The function's memory setting.
    pub memory_mb: u32,
    /// The function's processor, for its price alone.
    pub architecture: Architecture,
    /// Regions that the tables have beside this one.
    pub replicas: u32,
    /// Prices and assumptions.
    pub prices: Prices,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Readings taken in.
    pub readings: u64,
    /// Records they came in.
    pub records: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Batches, each an invocation.
    pub batches: u64,
    /// Anomalies stored.
    pub anomalies: u64,
    /// Processor time of the handler, seconds of a whole processor of this machine.
    pub cpu_seconds: f64,
    /// Duration that is charged, seconds: processor time at the function's share, and waits.
    pub billed_seconds: f64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Their bytes.
    pub snapshot_bytes: u64,
    /// Sum of the metric that the function emits of each batch, dollars.
    pub emitted_dollars: f64,
    /// From the first to the last arrival, seconds.
    pub stream_seconds: f64,
    /// What was used.
    pub usage: Usage,
    /// What that costs.
    pub cost: Cost,
}

/// Sums up what the batches report.
#[derive(Debug, Clone, Default)]
struct Ledger(Arc<Mutex<Sums>>);

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    readings: u64,
    anomalies: u64,
    quarantined: u64,
    batches: u64,
    elapsed_ms: u64,
    microdollars: f64,
}

impl Ledger {
    fn sums(&self) -> Sums {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EmitMetrics for Ledger {
    async fn emit(&self, metrics: &BatchMetrics, _: &str, _: Timestamp) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sums.readings += metrics.readings;
        sums.anomalies += metrics.anomalies;
        sums.quarantined += metrics.quarantined;
        sums.batches += 1;
        sums.elapsed_ms += metrics.elapsed_ms;
        sums.microdollars += metrics.cost_microdollars;
    }
}

/// Processor time that this thread has used.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Counts twice: once for the function's own metric, once for what is printed.
type Stores = Metered<Metered<Waiting>>;

struct Bench {
    scorer: Scorer<Stores, platform::cost::Costed<Ledger>>,
    store: Waiting,
    /// Of a whole processor.
    share: f64,
    cpu_per_call: Duration,
}

impl Bench {
    /// Hands one event over; answers the processor time that the handler took.
    async fn hand_over(&self, event: &Event) -> Result<Duration> {
        let (began, cpu_before, calls_before) = (tokio::time::Instant::now(), processor_time(), self.store.calls());
        let remaining = || {
            let calls = u32::try_from(self.store.calls() - calls_before).unwrap_or(u32::MAX);
            let cpu = processor_time().saturating_sub(cpu_before) + self.cpu_per_call * calls;
            TIMEOUT.saturating_sub(began.elapsed() + cpu.div_f64(self.share))
        };
        let invocation = Invocation { now: event.newest, remaining: &remaining, request_id: "cost" };
        let response = self.scorer.handle(&event.bytes, &invocation).await?;
        let cpu = processor_time().saturating_sub(cpu_before);
        ensure!(
            response.batch_item_failures.is_empty(),
            "a batch was not committed whole: give the function more memory"
        );
        self.store.forget_objects();
        Ok(cpu)
    }
}

/// Runs the workload; `progress` hears the readings so far.
///
/// # Errors
/// An event that the scorer does not take, or a workload that it does not take as readings.
pub fn run(setting: &Setting, mut progress: impl FnMut(u64)) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("no runtime for virtual time")?;
    let rate = Rate {
        prices: setting.prices.clone(),
        architecture: setting.architecture,
        memory_mb: setting.memory_mb,
        metric_calls: 0,
    };
    let (store, ledger, meter) = (Waiting::new(setting.prices.assumed.clone()), Ledger::default(), Arc::default());
    let (world, metrics) =
        metered(Metered::new(store.clone(), Arc::<Meter>::clone(&meter)), ledger.clone(), rate.clone());
    let bench = Bench {
        scorer: Scorer::new(world, metrics, Config { memory_mb: setting.memory_mb, ..Config::local("unused") }),
        store,
        share: f64::from(setting.memory_mb) / WHOLE_PROCESSOR_MB,
        cpu_per_call: Duration::from_secs_f64(setting.prices.assumed.cpu_ms_per_call.get() / 1_000.0),
    };
    let (mut usage, mut cpu) = (Usage::default(), Duration::ZERO);
    let (mut records, mut payload_bytes, mut span) = (0, 0, None);
    for event in Mapping::new(setting.workload, setting.readings, setting.window_seconds) {
        let before = ledger.sums();
        cpu += runtime.block_on(bench.hand_over(&event))?;
        let sums = ledger.sums();
        ensure!(
            sums.batches == before.batches + 1 && sums.quarantined == 0,
            "the scorer refuses the workload's messages"
        );
        usage += rate.invocation(meter.take(), sums.elapsed_ms - before.elapsed_ms);
        usage.kinesis_put_units += event.records * (event.payload_bytes / event.records).div_ceil(PUT_UNIT_BYTES);
        records += event.records;
        payload_bytes += event.payload_bytes;
        let (first, _) = *span.get_or_insert((event.newest, event.newest));
        span = Some((first, event.newest));
        progress(sums.readings);
    }
    usage.kinesis_shard_hours = (records as f64 / SHARD_RECORDS).max(payload_bytes as f64 / SHARD_BYTES) / 3_600.0;
    let sums = ledger.sums();
    let (snapshots, snapshot_bytes) = bench.store.snapshots();
    Ok(Outcome {
        readings: sums.readings,
        records,
        payload_bytes,
        batches: sums.batches,
        anomalies: sums.anomalies,
        cpu_seconds: cpu.as_secs_f64(),
        billed_seconds: sums.elapsed_ms as f64 / 1_000.0,
        snapshots,
        snapshot_bytes,
        emitted_dollars: sums.microdollars / 1e6,
        stream_seconds: span.map_or(0.0, |(first, last)| (last.millis() - first.millis()) as f64 / 1_000.0),
        usage,
        cost: usage.dollars(&setting.prices, setting.architecture, setting.replicas),
    })
}
