//! SenML packs in JSON (RFC 8428): one array with the readings of one or more devices.
//!
//! A resolved name (base name and name) is device and metric in one. It is split at its last `:` or `/`; a device URN of
//! RFC 9039 (`urn:dev:ow:10e2073a01080063`) is not split inside its four parts. When the partition key is a topic that names
//! the device, `{device}:` or `{device}/` before the metric may be left out, and a URN of another device is refused. Times
//! before 2^28 are seconds relative to the arrival. Values that are texts, truth values or data, and sums, are skipped; units are
//! the profile's business. XML, CBOR and EXI are not read.

use std::fmt;

use anomaly_core::{Finite, Quality, Timestamp};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::json::value::{Key, Scalar, Skip, State, Value};
use crate::json::{Parsed, conclude, names_no_number};
use crate::payload::other_device;
use crate::payload::rows::Row;
use crate::payload::text::{Arena, Text};
use crate::poison::{KEYS_MAX, Poison, PoisonReason, SENML_RECORDS_MAX, Shown};

/// Times below are relative to now (RFC 8428, 4.5.3).
const ABSOLUTE_FROM_SECONDS: f64 = 268_435_456.0;
/// The version of RFC 8428; a pack that asks for a later one is not understood.
const VERSION: f64 = 10.0;

/// Reads `text`, which starts with `[`, into `rows`.
pub(crate) fn read_pack<'p>(
    text: &'p str,
    of_topic: Option<&'p str>,
    arrived: Timestamp,
    arena: &mut Arena,
    rows: &mut Vec<Row<'p>>,
) -> Parsed<()> {
    let mut state = State::new(arena);
    let mut pack = Pack { base: Base::default(), of_topic, arrived, rows };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer
        .deserialize_seq(PackVisitor { state: &mut state, pack: &mut pack })
        .and_then(|()| deserializer.end());
    if pack.rows.is_empty() {
        state.fault(
            PoisonReason::UnknownShape,
            "an array without a SenML value; send one object a record, a SenML pack, or a KPL aggregate",
        );
    }
    conclude(read, state)
}

/// Base fields hold until a later record sets them anew (RFC 8428, 4.1).
#[derive(Debug)]
struct Base<'p> {
    name: Text<'p>,
    time: f64,
    value: f64,
}

impl Default for Base<'_> {
    fn default() -> Self {
        Self { name: Text::EMPTY, time: 0.0, value: 0.0 }
    }
}

struct Pack<'v, 'p> {
    base: Base<'p>,
    of_topic: Option<&'p str>,
    arrived: Timestamp,
    rows: &'v mut Vec<Row<'p>>,
}

/// The fields of one record that do not outlive it.
struct Record<'p> {
    name: Text<'p>,
    time: f64,
    value: Option<f64>,
    /// One bit a label that was there.
    seen: u8,
}

impl<'p> Pack<'_, 'p> {
    fn take(&mut self, record: &mut Record<'p>, label: Text<'p>, value: Scalar<'p>, state: &mut State<'_>) {
        let bit = match state.arena.get(label) {
            "bn" => text(value, state, &mut self.base.name, 0),
            "n" => text(value, state, &mut record.name, 1),
            "bt" => number(value, state, &mut self.base.time, 2),
            "t" => number(value, state, &mut record.time, 3),
            "bv" => number(value, state, &mut self.base.value, 4),
            "v" => number(value, state, record.value.insert(0.0), 5),
            "bver" => {
                let mut version = VERSION;
                let bit = number(value, state, &mut version, 6);
                if version > VERSION {
                    state
                        .fault(PoisonReason::UnknownShape, format_args!("SenML version {version}, known is {VERSION}"));
                }
                bit
            }
            // RFC 8428, 4.4: a label that ends so must be understood.
            unknown if unknown.ends_with('_') => {
                let detail = format!("the SenML label `{}` must be understood and is not", Shown(unknown));
                return state.fault(PoisonReason::UnknownShape, detail);
            }
            _ => return,
        };
        if record.seen & bit != 0 {
            let detail = format!("the SenML label `{}` stands twice in a record", Shown(state.arena.get(label)));
            state.fault(PoisonReason::DuplicateKey, detail);
        }
        record.seen |= bit;
    }

    fn push(&mut self, record: &Record<'p>, state: &mut State<'_>) -> Result<(), Poison> {
        let Some(value) = record.value else { return Ok(()) };
        let value =
            Finite::try_from(self.base.value + value).map_err(|error| Poison::new(PoisonReason::NotFinite, error))?;
        let at = self.at(self.base.time + record.time)?;
        let name = state.arena.join(self.base.name, record.name);
        let (device, metric) = self.split(name, state.arena)?;
        self.rows.push(Row { device, metric, at, value, quality: Quality::Good });
        Ok(())
    }

    fn at(&self, seconds: f64) -> Result<Timestamp, Poison> {
        let millis = (seconds * 1000.0).round() as i64;
        let since = if seconds < ABSOLUTE_FROM_SECONDS { self.arrived.millis() } else { 0 };
        Timestamp::from_millis(millis.saturating_add(since))
            .map_err(|error| Poison::new(PoisonReason::TimeImpossible, error))
    }

    /// Device and metric of a resolved name.
    fn split(&self, name: Text<'p>, arena: &Arena) -> Result<(Text<'p>, Text<'p>), Poison> {
        let full = arena.get(name);
        let is_urn = full.starts_with("urn:");
        if let Some(device) = self.of_topic
            && !is_urn
        {
            let metric = full.strip_prefix(device).and_then(|rest| rest.strip_prefix([':', '/'])).unwrap_or(full);
            return Ok((Text::Borrowed(device), name.part(full.len() - metric.len()..full.len())));
        }
        let in_two = full.rfind([':', '/']).filter(|at| {
            let (device, metric) = (&full[..*at], &full[at + 1..]);
            !device.is_empty() && !metric.is_empty() && (!is_urn || device.split(':').count() >= 4)
        });
        let Some(at) = in_two else {
            let detail =
                format_args!("the SenML name `{}` is not {{device}}:{{metric}} or {{device}}/{{metric}}", Shown(full));
            return Err(Poison::new(PoisonReason::NoDevice, detail));
        };
        match self.of_topic {
            Some(device) if device != &full[..at] => Err(other_device(&full[..at], device)),
            _ => Ok((name.part(0..at), name.part(at + 1..full.len()))),
        }
    }
}

/// Sets `field` from a text; gives the label's bit.
fn text<'p>(value: Scalar<'p>, state: &mut State<'_>, field: &mut Text<'p>, bit: u8) -> u8 {
    match value {
        Scalar::Text(text) => *field = text,
        _ => state.fault(PoisonReason::UnknownShape, "a SenML name is not a text"),
    }
    1 << bit
}

/// Sets `field` from a number; gives the label's bit.
fn number(value: Scalar<'_>, state: &mut State<'_>, field: &mut f64, bit: u8) -> u8 {
    match value {
        Scalar::Number(number) => *field = number,
        Scalar::Text(text) if names_no_number(state.arena.get(text)) => {
            state.fault(PoisonReason::NotFinite, "a SenML number is not finite");
        }
        _ => state.fault(PoisonReason::UnknownShape, "a SenML time, value or version is not a number"),
    }
    1 << bit
}

struct PackVisitor<'s, 'r, 'v, 'p> {
    state: &'s mut State<'r>,
    pack: &'s mut Pack<'v, 'p>,
}

impl<'p> Visitor<'p> for PackVisitor<'_, '_, '_, 'p> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SenML pack")
    }

    fn visit_seq<A: SeqAccess<'p>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut records = 0;
        while seq.next_element_seed(RecordSeed { state: self.state, pack: self.pack })?.is_some() {
            records += 1;
            if records > SENML_RECORDS_MAX {
                let detail = format_args!("a SenML pack with more than {SENML_RECORDS_MAX} records; split it");
                return Err(self.state.stop(PoisonReason::TooManyRecords, detail));
            }
        }
        Ok(())
    }
}

struct RecordSeed<'s, 'r, 'v, 'p> {
    state: &'s mut State<'r>,
    pack: &'s mut Pack<'v, 'p>,
}

impl RecordSeed<'_, '_, '_, '_> {
    fn not_a_record(self) {
        self.state.fault(PoisonReason::UnknownShape, "a SenML pack holds something else than objects");
    }
}

impl<'p> DeserializeSeed<'p> for RecordSeed<'_, '_, '_, 'p> {
    type Value = ();

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'p> Visitor<'p> for RecordSeed<'_, '_, '_, 'p> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SenML record")
    }

    fn visit_map<A: MapAccess<'p>>(self, mut map: A) -> Result<(), A::Error> {
        let mut record = Record { name: Text::EMPTY, time: 0.0, value: None, seen: 0 };
        let mut keys = 0;
        while let Some(label) = map.next_key_seed(Key(self.state))? {
            keys += 1;
            if keys > KEYS_MAX {
                let detail = format_args!("an object has more than {KEYS_MAX} keys; split it");
                return Err(self.state.stop(PoisonReason::TooManyMetrics, detail));
            }
            let value = map.next_value_seed(Value { state: self.state, depth: 2 })?;
            self.pack.take(&mut record, label, value, self.state);
        }
        if let Err(poison) = self.pack.push(&record, self.state) {
            self.state.fault.get_or_insert(poison);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'p>>(self, seq: A) -> Result<(), A::Error> {
        Skip { state: self.state, depth: 2 }.visit_seq(seq)?;
        self.not_a_record();
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.not_a_record();
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.not_a_record();
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.not_a_record();
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.not_a_record();
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.not_a_record();
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.not_a_record();
        Ok(())
    }
}
