//! One record's bytes to observations.
//!
//! The form is told by the bytes themselves: a KPL aggregate by its magic, a JSON object by `{`, a SenML pack by `[`, raw
//! Sparkplug B by the topic in the partition key. A message gives all its observations or one [`Poison`], never some of
//! them. What a message means for a detector is not known here, and repeated or late readings are left to the engine.
//!
//! Tenant and device come from where the message arrived: the topic that the broker's rule put beside the payload, else a
//! partition key that is such a topic, else the tenant of the stream and the device that the payload names. A payload that
//! contradicts that is refused.

pub(crate) mod protobuf;
pub(crate) mod rows;
pub(crate) mod text;

use std::mem;

use anomaly_core::{Observation, TenantName, Timestamp};

use crate::json::{self, Object, Parsed};
use crate::kinesis::base64;
use crate::kpl;
use crate::poison::{Poison, PoisonReason, RECORD_BYTES_MAX, Shown};
use crate::senml;
use crate::sparkplug::Births;
use crate::topic::{SparkplugMessage, SparkplugTopic, Topic};
use rows::{Origin, Outlet, Row, bad_name, recycle};
use text::{Arena, Text, any_byte};

/// A record that carries nothing but its time of arrival. It is put into a shard in which everything has fallen silent, so
/// that the silence is found: the scorer looks at time when a record arrives (`docs/adr/0012-a-pulse-for-quiet-shards.md`).
pub const PULSE: &str = r#"{"millrace":"pulse"}"#;

/// Where a record arrived.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The tenant of the stream, if the stream is of one tenant. A topic may then name no other.
    pub stream_tenant: Option<TenantName<'a>>,
    /// Whose data it is if neither topic nor stream says.
    pub default_tenant: TenantName<'a>,
    /// When the stream took it: the time of readings without one.
    pub arrived: Timestamp,
    /// The record's partition key. If it is a topic, it stands in for a payload's missing `topic`.
    pub partition_key: &'a str,
}

/// What one message of a record became.
#[derive(Debug)]
pub struct Message<'m> {
    /// Index of the user record in a KPL aggregate, else 0.
    pub sub: u32,
    /// The partition key: the user record's own, or the record's.
    pub partition_key: &'m str,
    /// The bytes: of the user record, or of the record.
    pub bytes: &'m [u8],
    /// Observations ordered by device and time, each device and time once; empty for a message that carries no number
    /// by design (a Sparkplug command, a BIRTH of texts, a [`PULSE`]).
    pub result: Outcome<'m>,
}

/// All observations of a message, or why there are none.
pub type Outcome<'m> = Result<&'m [Observation<'m>], Poison>;

/// How a record's bytes can stand in a line of NDJSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawForm {
    /// Verbatim: one valid JSON value, no line break in it, no white space at either end.
    Json,
    /// As base64 only. Also said of JSON that was given up before its end.
    Bytes,
}

/// Turns records into observations. Holds nothing but memory to use again: what a record gives depends on the record, its
/// context and the [`Births`] alone.
#[derive(Debug, Default)]
pub struct Decoder {
    pub(crate) outlet: Outlet,
    pub(crate) rows: Vec<Row<'static>>,
    pub(crate) name: String,
    keys: Vec<Text<'static>>,
    arena: Arena,
    binary: Vec<u8>,
}

impl Decoder {
    /// A decoder with no memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `sink` the messages of one record in order, at least one. `births` learns from Sparkplug BIRTH and DEATH
    /// messages and must be kept with the state of the shard.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        context: &Context<'_>,
        births: &mut Births,
        sink: &mut impl FnMut(Message<'_>),
    ) -> RawForm {
        let mut whole =
            |result: Outcome<'_>| sink(Message { sub: 0, partition_key: context.partition_key, bytes, result });
        if bytes.len() > RECORD_BYTES_MAX {
            whole(Err(Poison::new(
                PoisonReason::TooLarge,
                format_args!("{} bytes, the limit is {RECORD_BYTES_MAX}", bytes.len()),
            )));
            return RawForm::Bytes;
        }
        match kpl::open(bytes) {
            None => self.message(bytes, context, births, whole),
            Some(Err(poison)) => {
                whole(Err(poison));
                RawForm::Bytes
            }
            Some(Ok(records)) => {
                for (sub, kpl::UserRecord { partition_key, data }) in (0..).zip(records) {
                    let mut emit = |result: Outcome<'_>| sink(Message { sub, partition_key, bytes: data, result });
                    if kpl::is_aggregate(data) {
                        emit(Err(Poison::new(PoisonReason::WrongEncoding, "a KPL aggregate inside a KPL aggregate")));
                        continue;
                    }
                    self.message(data, &Context { partition_key, ..*context }, births, emit);
                }
                RawForm::Bytes
            }
        }
    }

    fn message(
        &mut self,
        bytes: &[u8],
        context: &Context<'_>,
        births: &mut Births,
        emit: impl FnOnce(Outcome<'_>),
    ) -> RawForm {
        let well_formed = match Form::of(bytes, context) {
            Form::Object(text) => self.object(text, context, births, emit),
            Form::Pack(text) => self.pack(text, context, emit),
            Form::Sparkplug(topic) => {
                self.sparkplug(bytes, &topic, context, context.arrived, births, emit);
                false
            }
            Form::Pulse => {
                emit(Ok(&[]));
                true
            }
            Form::OtherJson(text) => {
                let Parsed { well_formed, outcome } = json::read_other(text);
                emit(outcome.map(|()| [].as_slice()));
                well_formed
            }
            Form::Unreadable(poison) => {
                emit(Err(poison));
                false
            }
        };
        if well_formed && stands_in_a_line(bytes) { RawForm::Json } else { RawForm::Bytes }
    }

    /// Says whether the text is well-formed JSON.
    fn object(
        &mut self,
        text: &str,
        context: &Context<'_>,
        births: &mut Births,
        emit: impl FnOnce(Outcome<'_>),
    ) -> bool {
        let mut arena = mem::take(&mut self.arena);
        arena.clear();
        let mut keys = recycle(mem::take(&mut self.keys));
        let mut rows = recycle(mem::take(&mut self.rows));
        let Parsed { well_formed, outcome } = json::read_object(text, &mut arena, &mut keys, &mut rows);
        self.keys = recycle(keys);
        let read = outcome.map(|object| (topic_of(&object, &arena, context), object));
        match read {
            Ok((Topic::Sparkplug(topic), object)) => {
                self.rows = recycle(rows);
                self.wrapped(&object, &topic, &arena, context, births, emit);
            }
            Ok((topic, object)) => {
                let mut rows = rows;
                match place(&object, topic, &arena, context, &mut rows) {
                    Ok(origin) => _ = self.outlet.deliver(origin, &mut rows, &arena, emit),
                    Err(poison) => emit(Err(poison)),
                }
                self.rows = recycle(rows);
            }
            Err(poison) => {
                self.rows = recycle(rows);
                emit(Err(poison));
            }
        }
        self.arena = arena;
        well_formed
    }

    /// An object in which the broker's rule wrapped a binary payload: `{"topic": …, "ts": …, "data": base64}`.
    fn wrapped(
        &mut self,
        object: &Object<'_>,
        topic: &SparkplugTopic<'_>,
        arena: &Arena,
        context: &Context<'_>,
        births: &mut Births,
        emit: impl FnOnce(Outcome<'_>),
    ) {
        let mut binary = mem::take(&mut self.binary);
        binary.clear();
        let unwrapped = object.at(arena, context.arrived).and_then(|at| match object.data {
            Some(data) => base64(arena.get(data), &mut binary).map(|()| at),
            None if topic.message == SparkplugMessage::Command => Ok(at),
            None => Err(Poison::new(
                PoisonReason::UnknownShape,
                "a Sparkplug topic without its payload; let the rule add encode(*, 'base64') AS data",
            )),
        });
        match unwrapped {
            Ok(at) => self.sparkplug(&binary, topic, context, at, births, emit),
            Err(poison) => emit(Err(poison)),
        }
        self.binary = binary;
    }

    /// Says whether the text is well-formed JSON.
    fn pack(&mut self, text: &str, context: &Context<'_>, emit: impl FnOnce(Outcome<'_>)) -> bool {
        let topic = Topic::parse(context.partition_key);
        let of_topic = if let Topic::Device { device, .. } = topic { Some(device) } else { None };
        let mut arena = mem::take(&mut self.arena);
        arena.clear();
        let mut rows = recycle(mem::take(&mut self.rows));
        let Parsed { well_formed, outcome } = senml::read_pack(text, of_topic, context.arrived, &mut arena, &mut rows);
        match outcome.and_then(|()| origin(topic.tenant(), context)) {
            Ok(origin) => _ = self.outlet.deliver(origin, &mut rows, &arena, emit),
            Err(poison) => emit(Err(poison)),
        }
        self.rows = recycle(rows);
        self.arena = arena;
        well_formed
    }
}

/// What the first bytes tell.
enum Form<'p> {
    Pulse,
    Object(&'p str),
    Pack(&'p str),
    OtherJson(&'p str),
    Sparkplug(SparkplugTopic<'p>),
    Unreadable(Poison),
}

impl<'p> Form<'p> {
    fn of(bytes: &'p [u8], context: &Context<'p>) -> Self {
        if bytes == PULSE.as_bytes() {
            return Self::Pulse;
        }
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if !matches!(first, Some(b'{' | b'[')) {
            // No field that Sparkplug defines begins with the byte of `{` or `[`.
            if let Topic::Sparkplug(topic) = Topic::parse(context.partition_key) {
                return Self::Sparkplug(topic);
            }
        }
        if let Some(encoding) = foreign_encoding(bytes) {
            let detail = format_args!("{encoding}; send UTF-8 JSON, Sparkplug B or a KPL aggregate");
            return Self::Unreadable(Poison::new(PoisonReason::WrongEncoding, detail));
        }
        match (utf8(bytes), first) {
            (Ok(text), Some(b'{')) => Self::Object(text),
            (Ok(text), Some(b'[')) => Self::Pack(text),
            (Ok(text), _) => Self::OtherJson(text),
            (Err(error), _) => {
                Self::Unreadable(Poison::new(PoisonReason::NotUtf8, format_args!("from byte {}", error.valid_up_to())))
            }
        }
    }
}

/// The text that `bytes` are; the error comes from the standard library, which says where it is.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, std::str::Utf8Error> {
    simdutf8::basic::from_utf8(bytes).or_else(|_| std::str::from_utf8(bytes))
}

/// Encodings that producers turn on by accident, told by how they begin.
fn foreign_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("LZ4"),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some("zlib"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..] => Some("UTF-16"),
        [0xef, 0xbb, 0xbf, ..] => Some("a byte order mark"),
        _ => None,
    }
}

fn stands_in_a_line(bytes: &[u8]) -> bool {
    let ends = [bytes.first(), bytes.last()];
    let breaks = any_byte(bytes, |byte| matches!(byte, b'\n' | b'\r'));
    !breaks && ends.iter().flatten().all(|byte| !byte.is_ascii_whitespace())
}

/// The payload's topic if it tells anything, else the partition key's.
fn topic_of<'m>(object: &Object<'m>, arena: &'m Arena, context: &Context<'m>) -> Topic<'m> {
    match object.topic.map(|text| Topic::parse(arena.get(text))) {
        None | Some(Topic::Other) => Topic::parse(context.partition_key),
        Some(topic) => topic,
    }
}

/// Gives the rows of an object their device and time.
fn place<'m>(
    object: &Object<'m>,
    topic: Topic<'m>,
    arena: &'m Arena,
    context: &Context<'m>,
    rows: &mut [Row<'m>],
) -> Result<Origin<'m>, Poison> {
    let origin = origin(topic.tenant(), context)?;
    if let Some(named) = object.tenant.map(|text| arena.get(text))
        && named != origin.tenant.as_str()
    {
        return Err(other_tenant(named, origin.tenant));
    }
    let device = match (topic, object.device) {
        (Topic::Device { device, .. }, Some(named)) if arena.get(named) != device => {
            return Err(other_device(arena.get(named), device));
        }
        (Topic::Device { device, .. }, _) => Text::Borrowed(device),
        (_, Some(named)) => named,
        (_, None) => {
            return Err(Poison::new(
                PoisonReason::NoDevice,
                "no `deviceId`, `device_id` or `device`, and no topic that names one",
            ));
        }
    };
    let at = object.at(arena, context.arrived)?;
    if rows.is_empty() {
        return Err(Poison::new(
            PoisonReason::UnknownShape,
            "no number to score; send `sensorType` and `value`, or a number under the metric's name",
        ));
    }
    for row in rows {
        (row.device, row.at) = (device, at);
    }
    Ok(origin)
}

/// Whose message it is, by the tenant level of its topic and by its stream.
pub(crate) fn origin<'m>(topic: Option<&'m str>, context: &Context<'m>) -> Result<Origin<'m>, Poison> {
    let tenant = match (topic, context.stream_tenant) {
        (Some(named), Some(stream)) if named != stream.as_str() => return Err(other_tenant(named, stream)),
        (Some(named), _) => TenantName::new(named).map_err(bad_name)?,
        (None, Some(stream)) => stream,
        (None, None) => context.default_tenant,
    };
    Ok(Origin { tenant, arrived: context.arrived })
}

fn other_tenant(named: &str, tenant: TenantName<'_>) -> Poison {
    Poison::new(PoisonReason::OtherTenant, format_args!("names `{}`, but arrived for `{tenant}`", Shown(named)))
}

pub(crate) fn other_device(named: &str, device: &str) -> Poison {
    Poison::new(
        PoisonReason::OtherDevice,
        format_args!("names `{}`, but its topic is of `{}`", Shown(named), Shown(device)),
    )
}
