//! Sparkplug B payloads (Eclipse Sparkplug 3.0, `sparkplug_b.proto`).
//!
//! The device is `{group}:{node}` or `{group}:{node}:{device}` of the topic. A BIRTH tells each metric's name, alias and type,
//! and the DATA that follow name metrics by alias alone, so [`Births`] is part of the state of a shard, and all messages of
//! one edge node must go to one shard: let the rule take the partition key from group and node, not from the whole topic
//! (which holds the message type); a producer of raw payloads keeps its topic as the key and sets an explicit hash key.
//!
//! Readings are the metrics of the integer and float types. Truth values, texts, dates, arrays, data sets and templates
//! are not, nor are metrics that are null, `bdSeq`, and those under `Node Control/` and `Device Control/`. A property
//! `Quality` of 0, 192 or 500 makes a reading bad, good or, as stale, uncertain. Sequence numbers are not checked: the order
//! of a shard is the stream's. Compressed payloads are refused.

mod births;
mod metric;

use std::fmt::Write as _;
use std::mem;

use anomaly_core::{Finite, Timestamp};

use crate::payload::protobuf::{Fields, Malformed};
use crate::payload::rows::{Row, recycle};
use crate::payload::text::{Arena, Text};
use crate::payload::{Context, Decoder, Outcome, origin};
use crate::poison::{Poison, PoisonReason, SPARKPLUG_METRICS_MAX, Shown};
use crate::topic::{SparkplugMessage, SparkplugTopic};
use births::BirthBuilder;
use metric::Metric;

pub use births::{Birth, Births};

/// The `uuid` of a payload whose body is compressed.
const COMPRESSED: &str = "SPBV1.0_COMPRESSED";
/// Tells one session of a node from the next; in its BIRTH and its DEATH.
const SESSION: &str = "bdSeq";

impl Decoder {
    /// Decodes the payload of one Sparkplug message. `at` is the time of metrics that have none.
    pub(crate) fn sparkplug(
        &mut self,
        bytes: &[u8],
        topic: &SparkplugTopic<'_>,
        context: &Context<'_>,
        at: Timestamp,
        births: &mut Births,
        emit: impl FnOnce(Outcome<'_>),
    ) {
        let mut key = mem::take(&mut self.name);
        let mut rows = recycle(mem::take(&mut self.rows));
        let read = origin(topic.tenant, context).and_then(|origin| {
            let device_from = births_key(origin.tenant.as_str(), topic, &mut key)?;
            let birth = births.get(&key);
            let device = &key[device_from..];
            let born = read_message(bytes, topic, device, birth, at, &mut rows)?;
            if born.is_some() { births.check_room(&key) } else { Ok(()) }.map(|()| (origin, born))
        });
        match read {
            Ok((origin, born)) => {
                let good = self.outlet.deliver(origin, &mut rows, &Arena::default(), emit);
                // The rows borrow names from the births, which may change now.
                self.rows = recycle(rows);
                match (born, topic.message) {
                    (Some(birth), _) if good => births.insert(&key, birth),
                    (None, SparkplugMessage::Death) => births.end(&key, topic.device.is_none(), session(bytes)),
                    _ => {}
                }
            }
            Err(poison) => {
                self.rows = recycle(rows);
                emit(Err(poison));
            }
        }
        self.name = key;
    }
}

/// Writes `{tenant}/{device name}` into `key`; gives where the device name begins.
fn births_key(tenant: &str, topic: &SparkplugTopic<'_>, key: &mut String) -> Result<usize, Poison> {
    let levels = [Some(topic.group), Some(topic.node), topic.device];
    // The names are joined with `:`, so one inside them would make two devices look like one.
    if let Some(level) = levels.iter().flatten().find(|level| level.is_empty() || level.contains(':')) {
        return Err(Poison::new(
            PoisonReason::BadName,
            format_args!("the Sparkplug id `{}` is empty or contains `:`", Shown(level)),
        ));
    }
    key.clear();
    key.push_str(tenant);
    for (level, mark) in levels.into_iter().flatten().zip(['/', ':', ':']) {
        let written = write!(key, "{mark}{level}");
        debug_assert!(written.is_ok(), "a string takes every text");
    }
    Ok(tenant.len() + 1)
}

/// Reads a message's metrics into `rows`, and what a BIRTH told of them.
fn read_message<'p>(
    bytes: &'p [u8],
    topic: &SparkplugTopic<'p>,
    device: &'p str,
    birth: Option<&'p Birth>,
    at: Timestamp,
    rows: &mut Vec<Row<'p>>,
) -> Result<Option<Birth>, Poison> {
    if topic.message == SparkplugMessage::Command {
        return Ok(None);
    }
    let head = Head::of(bytes)?;
    if topic.message == SparkplugMessage::Death {
        return Ok(None);
    }
    let at = head.timestamp.map_or(Ok(at), instant)?;
    let mut born = (topic.message == SparkplugMessage::Birth).then(BirthBuilder::default);
    for metric in metrics(bytes) {
        let metric = metric.map_err(malformed)?;
        if let Some(born) = &mut born {
            born.learn(&metric)?;
        }
        let told = birth.filter(|_| born.is_none());
        if let Some((name, value)) = metric.reading(told)? {
            let value = Finite::try_from(value)
                .map_err(|error| Poison::new(PoisonReason::NotFinite, format_args!("`{}`: {error}", Shown(name))))?;
            let at = metric.timestamp.map_or(Ok(at), instant)?;
            let (device, metric_name) = (Text::Borrowed(device), Text::Borrowed(name));
            rows.push(Row { device, metric: metric_name, at, value, quality: metric.quality });
        }
    }
    born.map(BirthBuilder::finish).transpose()
}

/// What of a payload is not a metric.
#[derive(Debug, Default)]
struct Head {
    timestamp: Option<u64>,
}

impl Head {
    fn of(bytes: &[u8]) -> Result<Self, Poison> {
        let mut head = Self::default();
        let mut metrics = 0;
        for field in Fields::of(bytes) {
            match field.map_err(malformed)? {
                (1, timestamp) => head.timestamp = Some(timestamp.varint().map_err(malformed)?),
                (2, _) => metrics += 1,
                (4, uuid) if uuid.text().map_err(malformed)? == COMPRESSED => {
                    return Err(Poison::new(
                        PoisonReason::WrongEncoding,
                        "a compressed Sparkplug payload; turn compression off at the edge node",
                    ));
                }
                _ => {}
            }
        }
        if metrics > SPARKPLUG_METRICS_MAX {
            return Err(Poison::new(
                PoisonReason::TooManyMetrics,
                format_args!("{metrics} metrics in one Sparkplug payload, the limit is {SPARKPLUG_METRICS_MAX}"),
            ));
        }
        Ok(head)
    }
}

fn metrics(bytes: &[u8]) -> impl Iterator<Item = Result<Metric<'_>, Malformed>> {
    Fields::of(bytes).filter_map(|field| match field {
        Ok((2, metric)) => Some(metric.bytes().and_then(Metric::read)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

/// The `bdSeq` of a BIRTH or DEATH.
fn session(bytes: &[u8]) -> Option<u64> {
    metrics(bytes).flatten().find(|metric| metric.name == Some(SESSION)).and_then(|metric| metric.whole())
}

fn instant(millis: u64) -> Result<Timestamp, Poison> {
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
        .map_err(|error| Poison::new(PoisonReason::TimeImpossible, error))
}

fn malformed(_: Malformed) -> Poison {
    Poison::new(
        PoisonReason::WrongEncoding,
        "not a Sparkplug B payload, although its topic is one of Sparkplug B (spBv1.0)",
    )
}
