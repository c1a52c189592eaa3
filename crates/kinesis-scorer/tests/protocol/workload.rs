//! Records to deliver and ways to deliver them.

use std::sync::Arc;
use std::time::Duration;

use anomaly_core::Timestamp;
use kinesis_scorer::{Config, Invocation, Scorer};
use platform::metrics::{EmitMetrics, NoMetrics};
use platform::model::ShardId;
use platform::ports::AskModel;
use platform::sim::SimWorld;
use telemetry::kinesis::{BatchResponse, RecordOut, Source, write_event};
use telemetry::sequence::SequenceNumber;

pub(crate) const T0: i64 = 1_790_000_000_000;
pub(crate) const STREAM: &str = "plant";
pub(crate) const SHARD: &str = "shardId-000000000000";

/// One record of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) seq: SequenceNumber,
    pub(crate) key: String,
    pub(crate) data: Vec<u8>,
    pub(crate) arrived: Timestamp,
}

pub(crate) fn shard(name: &str) -> ShardId {
    ShardId { region: "eu-west-1".into(), stream: STREAM.into(), shard: name.into() }
}

pub(crate) fn at(offset_ms: i64) -> Timestamp {
    Timestamp::from_millis(T0 + offset_ms).unwrap()
}

pub(crate) fn sequence(index: usize) -> SequenceNumber {
    format!("495{index:053}").parse().unwrap()
}

/// A message of `device` with two metrics, arriving `minute` minutes after the start.
pub(crate) fn message(index: usize, device: &str, minute: i64, temperature: f64, vibration: f64) -> Record {
    let ts = T0 + minute * 60_000;
    let data = format!(
        r#"{{"topic":"tenants/acme/devices/{device}/telemetry","ts":{ts},"temperature":{temperature},"vibration":{vibration}}}"#
    );
    Record { seq: sequence(index), key: device.into(), data: data.into_bytes(), arrived: at(minute * 60_000 + 300) }
}

/// A record of any bytes.
pub(crate) fn raw(index: usize, key: &str, minute: i64, data: &[u8]) -> Record {
    Record { seq: sequence(index), key: key.into(), data: data.to_vec(), arrived: at(minute * 60_000 + 300) }
}

/// A Sparkplug payload with one metric: by name and alias in a BIRTH, by alias alone in DATA.
pub(crate) fn sparkplug(name: Option<&str>, alias: u8, value: f64, minute: i64) -> Vec<u8> {
    let ts = u64::try_from(T0 + minute * 60_000).unwrap();
    let varint = |mut value: u64| {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let mut metric = Vec::new();
    if let Some(name) = name {
        metric.extend([0x0a, u8::try_from(name.len()).unwrap()]);
        metric.extend(name.as_bytes());
    }
    metric.extend([0x10, alias, 0x20, 10, 0x69]);
    metric.extend(value.to_le_bytes());
    let mut payload = vec![0x08];
    payload.extend(varint(ts));
    payload.extend([0x12, u8::try_from(metric.len()).unwrap()]);
    payload.extend(metric);
    payload
}

/// The devices of the mixed stream.
pub(crate) const DEVICES: [&str; 8] = ["pump-1", "pump-2", "pump-3", "press-1", "press-2", "fan-1", "fan-2", "motor-1"];

/// A mixed stream of `count` records: eight devices, each with a hot spell of its own, late and repeated messages, a Sparkplug node that
/// announces its aliases once, and poison.
pub(crate) fn mixed(count: usize, salt: u64) -> Vec<Record> {
    let noise = |index: usize, lane: u64| {
        let mixed =
            (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ lane;
        (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / f64::from(1_u32 << 24)
    };
    let record = |index: usize| {
        let minute = index as i64;
        match (index, index % 11) {
            (0, _) => raw(index, "spBv1.0/hall/NBIRTH/node", minute, &sparkplug(Some("speed"), 7, 1_400.0, minute)),
            (_, 3) => {
                raw(index, "spBv1.0/hall/NDATA/node", minute, &sparkplug(None, 7, 1_400.0 + noise(index, 1), minute))
            }
            (_, 7) if index.is_multiple_of(2) => raw(index, "pump-1", minute, b"{\"nonsense\""),
            (_, 8) => message(index, "pump-2", minute - 30, 50.0, 1.0),
            _ => {
                let device = index % DEVICES.len();
                let hot = (index / 20) % DEVICES.len() == device;
                message(
                    index,
                    DEVICES[device],
                    minute,
                    if hot { 90.0 } else { 55.0 } + noise(index, 2),
                    2.0 + noise(index, 3),
                )
            }
        }
    };
    (0..count).map(record).collect()
}

pub(crate) type SimScorer = Scorer<SimWorld, NoMetrics>;

pub(crate) fn config() -> Config {
    Config { snapshot_seconds: 900, ..Config::local("unused") }
}

/// A process that has just started.
pub(crate) fn scorer(world: &SimWorld) -> Arc<SimScorer> {
    Arc::new(Scorer::new(world.clone(), NoMetrics, config()))
}

pub(crate) fn event(shard: &str, records: &[Record]) -> Vec<u8> {
    let source = Source { partition: "aws", region: "eu-west-1", account: "123456789012", stream: STREAM, shard };
    let mut event = Vec::new();
    write_event(
        records.iter().map(|record| RecordOut {
            sequence: record.seq,
            partition_key: &record.key,
            data: &record.data,
            arrived: record.arrived,
        }),
        &source,
        &mut event,
    );
    event
}

/// Delivers records as one batch, with time to spare.
pub(crate) async fn deliver<M: EmitMetrics + Sync>(
    scorer: &Scorer<SimWorld, M>,
    shard: &str,
    records: &[Record],
) -> BatchResponse {
    deliver_within(scorer, shard, records, &|| Duration::from_mins(1)).await
}

/// Delivers records as one batch; `remaining` is asked for the time that is left.
pub(crate) async fn deliver_within<M: EmitMetrics + Sync, A: AskModel + Sync>(
    scorer: &Scorer<SimWorld, M, A>,
    shard: &str,
    records: &[Record],
    remaining: &(dyn Fn() -> Duration + Sync),
) -> BatchResponse {
    let now = records.last().map_or(at(0), |record| record.arrived);
    let invocation = Invocation { now, remaining, request_id: "test" };
    scorer.handle(&event(shard, records), &invocation).await.expect("the event is well-formed")
}

/// Where the mapping would go on after this answer: an index into `records`.
pub(crate) fn resume(records: &[Record], response: &BatchResponse) -> usize {
    let Some(failure) = response.batch_item_failures.first() else { return records.len() };
    let position = records.iter().position(|record| record.seq.trimmed() == failure.item_identifier);
    position.expect("a failure names a record of the batch")
}

/// Delivers everything as the event source mapping would, in batches of `size`, until all of it is committed.
pub(crate) async fn deliver_all(scorer: &SimScorer, shard: &str, records: &[Record], size: usize) {
    let (mut next, mut rounds) = (0, 0);
    while next < records.len() {
        let batch = &records[next..(next + size).min(records.len())];
        next += resume(batch, &deliver(scorer, shard, batch).await);
        rounds += 1;
        assert!(rounds < 10_000, "no progress at record {next}");
    }
}

/// Runs a test on one thread with time that passes only when everything waits.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}
