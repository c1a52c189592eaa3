//! One JSON object, read once, without a tree.
//!
//! Three shapes are the same thing to this module, an object with reserved keys and numbers:
//! - `deviceId` + `sensorType` + `value`: the number under `value` is the metric that `sensorType` names;
//! - `topic` + numbers: tenant and device come from the topic;
//! - `device_id` + numbers.
//!
//! Every number under a key that is not reserved is a metric, in all three. Texts, truth values, null and what is nested are
//! attributes and are skipped, except that the text `NaN` or `Infinity` in place of a number is refused: a device sends it
//! when its sensor is broken. Reserved keys:
//! - `topic`; `data` (only under a Sparkplug topic, see [`crate::sparkplug`]);
//! - `timestamp`, `time`, `ts`: the time; the first of them in this order that is there and not null holds, since the rule
//!   that forwards a message adds `ts` beside what the device says;
//! - `deviceId`, `device_id`, `device`: the device, a text or a whole number; all that are there must agree;
//! - `tenant`, `tenantId`, `tenant_id`: must be the tenant that the message arrived for;
//! - `sensorType`, `value`; without `sensorType`, `value` is a metric of that name;
//! - `quality`: the text `good`, `uncertain` or `bad`, of all readings; any other text is an attribute, a number is a metric;
//! - [`IGNORED`]: numbers that are no measurements.

pub(crate) mod scan;
pub(crate) mod time;
pub(crate) mod value;

use std::fmt;

use anomaly_core::{Finite, Quality, Timestamp};
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use crate::payload::rows::{Row, too_many_metrics};
use crate::payload::text::{Arena, Text};
use crate::poison::{KEYS_MAX, METRICS_MAX, Poison, PoisonReason, Shown};
use scan::Scanner;
use value::{Key, Scalar, State, Value};

/// Keys whose numbers are no measurements.
const IGNORED: [&str; 10] =
    ["unit", "seq", "sequence", "id", "version", "location", "lat", "lon", "latitude", "longitude"];

/// What became of a text.
#[derive(Debug)]
pub(crate) struct Parsed<T> {
    /// The whole text is known to be valid JSON, whatever it means.
    pub(crate) well_formed: bool,
    pub(crate) outcome: Result<T, Poison>,
}

/// The reserved keys of an object.
#[derive(Debug, Default)]
pub(crate) struct Object<'p> {
    pub(crate) topic: Option<Text<'p>>,
    pub(crate) data: Option<Text<'p>>,
    pub(crate) device: Option<Text<'p>>,
    pub(crate) tenant: Option<Text<'p>>,
    quality: Quality,
    sensor_type: Option<Text<'p>>,
    /// Index of the row that came from `value`.
    value_row: Option<usize>,
    /// The time and how much it is preferred: lower is better.
    time: Option<(u8, Scalar<'p>)>,
}

/// Reads `text`, which starts with `{`. The metrics become `rows`, still without device and time.
pub(crate) fn read_object<'p>(
    text: &'p str,
    arena: &mut Arena,
    keys: &mut Vec<Text<'p>>,
    rows: &mut Vec<Row<'p>>,
) -> Parsed<Object<'p>> {
    if let Some(parsed) = read_plain(text, arena, keys, rows) {
        return parsed;
    }
    arena.clear();
    keys.clear();
    rows.clear();
    read_any(text, arena, keys, rows)
}

/// [`read_object`] with the whole grammar.
fn read_any<'p>(
    text: &'p str,
    arena: &mut Arena,
    keys: &mut Vec<Text<'p>>,
    rows: &mut Vec<Row<'p>>,
) -> Parsed<Object<'p>> {
    let mut state = State::new(arena);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer
        .deserialize_map(ObjectVisitor { state: &mut state, keys, marks: 0, rows })
        .and_then(|object| deserializer.end().map(|()| object));
    conclude(read, state)
}

/// [`read_object`] for a flat object of plain texts and numbers; `None` for any other, and then nothing that was collected
/// counts.
fn read_plain<'p>(
    text: &'p str,
    arena: &mut Arena,
    keys: &mut Vec<Text<'p>>,
    rows: &mut Vec<Row<'p>>,
) -> Option<Parsed<Object<'p>>> {
    let mut state = State::new(arena);
    let mut visitor = ObjectVisitor { state: &mut state, keys, marks: 0, rows };
    let mut object = Object::default();
    let mut scanner = Scanner::new(text);
    scanner.expect(b'{')?;
    // An empty one and one of too many keys are for the other reader.
    loop {
        let name = scanner.text()?;
        scanner.expect(b':')?;
        let value = match scanner.peek()? {
            b'"' => Scalar::Text(Text::Borrowed(scanner.text()?)),
            b't' => scanner.word("true").map(|()| Scalar::Bool)?,
            b'f' => scanner.word("false").map(|()| Scalar::Bool)?,
            b'n' => scanner.word("null").map(|()| Scalar::Null)?,
            _ => Scalar::Number(scanner.number()?),
        };
        if visitor.keys.len() == KEYS_MAX {
            return None;
        }
        visitor.key(Text::Borrowed(name));
        visitor.take(&mut object, Text::Borrowed(name), value);
        if !scanner.more(b'}')? {
            break;
        }
    }
    if !scanner.is_at_end() {
        return None;
    }
    visitor.finish(&object);
    Some(conclude(Ok(object), state))
}

/// Reads a text that is neither object nor array.
pub(crate) fn read_other(text: &str) -> Parsed<()> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Parsed {
            well_formed: true,
            outcome: Err(Poison::new(PoisonReason::UnknownShape, "JSON, but neither an object nor a SenML array")),
        },
        Err(error) => Parsed { well_formed: false, outcome: Err(syntax(&error)) },
    }
}

/// What was given up or is not JSON comes before what JSON says.
pub(crate) fn conclude<T>(read: Result<T, serde_json::Error>, state: State<'_>) -> Parsed<T> {
    match (read, state) {
        (_, State { stop: Some(poison), .. }) => Parsed { well_formed: false, outcome: Err(poison) },
        (Err(error), _) => Parsed { well_formed: false, outcome: Err(syntax(&error)) },
        (Ok(_), State { fault: Some(poison), .. }) => Parsed { well_formed: true, outcome: Err(poison) },
        (Ok(value), _) => Parsed { well_formed: true, outcome: Ok(value) },
    }
}

fn syntax(error: &serde_json::Error) -> Poison {
    let text = error.to_string();
    // The only way in which serde_json tells a number like 1e999 from a mistake in the grammar.
    let reason = if text.starts_with("number out of range") { PoisonReason::NotFinite } else { PoisonReason::NotJson };
    Poison::new(reason, text)
}

/// Whether a text stands for a number that is not finite, as JavaScript, Python, C and Java write it.
pub(crate) fn names_no_number(text: &str) -> bool {
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    bare.len() <= 8 && ["nan", "inf", "infinity"].iter().any(|name| bare.eq_ignore_ascii_case(name))
}

struct ObjectVisitor<'s, 'r, 'p> {
    state: &'s mut State<'r>,
    keys: &'s mut Vec<Text<'p>>,
    /// One bit for each sort of key that was seen.
    marks: u64,
    rows: &'s mut Vec<Row<'p>>,
}

impl<'p> Visitor<'p> for ObjectVisitor<'_, '_, 'p> {
    type Value = Object<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'p>>(mut self, mut map: A) -> Result<Object<'p>, A::Error> {
        let mut object = Object::default();
        while let Some(key) = map.next_key_seed(Key(self.state))? {
            if self.keys.len() == KEYS_MAX {
                let detail = format_args!("an object has more than {KEYS_MAX} keys; split it");
                return Err(self.state.stop(PoisonReason::TooManyMetrics, detail));
            }
            self.key(key);
            let value = map.next_value_seed(Value { state: self.state, depth: 1 })?;
            self.take(&mut object, key, value);
        }
        self.finish(&object);
        Ok(object)
    }
}

impl<'p> ObjectVisitor<'_, '_, 'p> {
    fn key(&mut self, key: Text<'p>) {
        let name = self.state.arena.get(key);
        // A mark that no key before has had says that the key is new without comparing it.
        let mark = 1 << ((name.len() + usize::from(name.bytes().next_back().unwrap_or_default())) % 64);
        let is_new = self.marks & mark == 0;
        self.marks |= mark;
        if !is_new && self.keys.iter().any(|known| self.state.arena.get(*known) == name) {
            let poison = format!("the key `{}` stands twice", Shown(name));
            self.state.fault(PoisonReason::DuplicateKey, poison);
        }
        self.keys.push(key);
    }

    fn take(&mut self, object: &mut Object<'p>, key: Text<'p>, value: Scalar<'p>) {
        match (self.state.arena.get(key), value) {
            ("topic", Scalar::Text(text)) => object.topic = Some(text),
            ("timestamp", value) => object.prefer_time(0, value),
            ("time", value) => object.prefer_time(1, value),
            ("ts", value) => object.prefer_time(2, value),
            ("deviceId" | "device_id" | "device", value) => self.device(object, value),
            ("tenant" | "tenantId" | "tenant_id", value) => self.tenant(object, value),
            ("sensorType", value) => self.sensor_type(object, value),
            ("value", Scalar::Number(number)) => {
                object.value_row = Some(self.rows.len());
                self.metric(key, number);
            }
            ("quality", Scalar::Text(text)) => object.quality = quality(self.state.arena.get(text)),
            (name, _) if IGNORED.contains(&name) => {}
            (_, Scalar::Number(number)) => self.metric(key, number),
            (name, Scalar::Text(text)) => {
                if name == "data" {
                    object.data = Some(text);
                }
                if names_no_number(self.state.arena.get(text)) {
                    let detail = format!("`{}` is not a finite number", Shown(name));
                    self.state.fault(PoisonReason::NotFinite, detail);
                }
            }
            (_, Scalar::Bool | Scalar::Null | Scalar::Nested) => {}
        }
    }

    fn metric(&mut self, metric: Text<'p>, number: f64) {
        let Ok(value) = Finite::try_from(number) else {
            return self.state.fault(PoisonReason::NotFinite, "a number is not finite");
        };
        if self.rows.len() == METRICS_MAX {
            self.state.fault.get_or_insert_with(|| too_many_metrics(METRICS_MAX + 1));
            return;
        }
        let row = Row { device: Text::EMPTY, metric, at: Timestamp::MIN, value, quality: Quality::Good };
        self.rows.push(row);
    }

    fn device(&mut self, object: &mut Object<'p>, value: Scalar<'p>) {
        let device = match value {
            Scalar::Text(text) => text,
            // A whole number that a double holds exactly.
            Scalar::Number(number) if number.fract() == 0.0 && (0.0..9e15).contains(&number) => {
                self.state.arena.keep(number as u64)
            }
            Scalar::Number(_) | Scalar::Bool | Scalar::Null | Scalar::Nested => return,
        };
        let arena = &*self.state.arena;
        match object.device {
            Some(other) if arena.get(other) != arena.get(device) => {
                let detail =
                    format!("the payload names `{}` and `{}`", Shown(arena.get(other)), Shown(arena.get(device)));
                self.state.fault(PoisonReason::OtherDevice, detail);
            }
            _ => object.device = Some(device),
        }
    }

    fn tenant(&mut self, object: &mut Object<'p>, value: Scalar<'p>) {
        let arena = &*self.state.arena;
        let detail = match (value, object.tenant) {
            (Scalar::Null, _) => return,
            (Scalar::Text(text), Some(other)) if arena.get(text) != arena.get(other) => "the payload names two tenants",
            (Scalar::Text(text), _) => {
                object.tenant = Some(text);
                return;
            }
            _ => "the payload's tenant is not a text",
        };
        self.state.fault(PoisonReason::OtherTenant, detail);
    }

    fn sensor_type(&mut self, object: &mut Object<'p>, value: Scalar<'p>) {
        match value {
            Scalar::Text(text) => object.sensor_type = Some(text),
            Scalar::Null => {}
            _ => self.state.fault(PoisonReason::UnknownShape, "`sensorType` is not a text"),
        }
    }

    /// Gives the rows what can stand anywhere in the object.
    fn finish(&mut self, object: &Object<'p>) {
        for row in &mut *self.rows {
            row.quality = object.quality;
        }
        if let (Some(row), Some(name)) = (object.value_row.and_then(|at| self.rows.get_mut(at)), object.sensor_type) {
            row.metric = name;
        }
    }
}

impl<'p> Object<'p> {
    fn prefer_time(&mut self, rank: u8, value: Scalar<'p>) {
        let better = self.time.is_none_or(|(known, _)| rank < known);
        if better && !matches!(value, Scalar::Null) {
            self.time = Some((rank, value));
        }
    }

    /// When it was measured; `arrived` if the object does not say.
    pub(crate) fn at(&self, arena: &Arena, arrived: Timestamp) -> Result<Timestamp, Poison> {
        match self.time {
            None => Ok(arrived),
            Some((_, Scalar::Number(number))) => time::from_number(number),
            Some((_, Scalar::Text(text))) => time::from_text(arena.get(text)),
            Some(_) => Err(Poison::new(PoisonReason::TimeImpossible, "the time is neither a number nor a text")),
        }
    }
}

fn quality(text: &str) -> Quality {
    let is = |name| text.eq_ignore_ascii_case(name);
    if is("bad") {
        Quality::Bad
    } else if is("uncertain") {
        Quality::Uncertain
    } else {
        Quality::Good
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Reader = for<'p> fn(&'p str, &mut Arena, &mut Vec<Text<'p>>, &mut Vec<Row<'p>>) -> Option<Parsed<Object<'p>>>;

    /// All that a reader makes of a text, in words.
    fn made(text: &str, read: Reader) -> Option<String> {
        let (mut arena, mut keys, mut rows) = (Arena::default(), Vec::new(), Vec::new());
        let parsed = read(text, &mut arena, &mut keys, &mut rows)?;
        // What was collected counts only where the message is good.
        let good = parsed.outcome.is_ok();
        Some(if good { format!("{parsed:?} {keys:?} {rows:?}") } else { format!("{parsed:?}") })
    }

    fn part(of: &'static [&'static str]) -> impl Strategy<Value = &'static str> + Clone {
        prop::sample::select(of)
    }

    /// Objects that are nearly flat and plain, and some that are not.
    fn nearly() -> impl Strategy<Value = String> {
        let key = part(&[
            "topic",
            "ts",
            "time",
            "timestamp",
            "deviceId",
            "device_id",
            "tenant",
            "sensorType",
            "value",
            "quality",
            "data",
            "seq",
            "temperature",
            "vibration",
            "a\\u0062",
            "é",
            "",
        ]);
        let value = part(&[
            "1",
            "-0",
            "25.50",
            "1764000000",
            "1764000000250",
            "1e3",
            "1e999",
            "01",
            "-",
            "12345678901234567890",
            "0.1",
            "true",
            "false",
            "null",
            "nul",
            "\"bad\"",
            "\"pump-7\"",
            "\"NaN\"",
            "\"a\\n\"",
            "\"tenants/t/devices/d/telemetry\"",
            "{}",
            "[1,2]",
            "\"2026-11-01T12:00:00Z\"",
            "",
        ]);
        let space = part(&["", " ", "\n", "\t \r"]);
        let pair = (space.clone(), key, space.clone(), value, space.clone())
            .prop_map(|(a, key, b, value, c)| format!("{a}\"{key}\"{b}:{a}{value}{c}"));
        (prop::collection::vec(pair, 0..7), space, part(&["", "", "", "x", ",", "}"]))
            .prop_map(|(pairs, space, end)| format!("{{{}}}{space}{end}", pairs.join(",")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_read_as_plain_is_what_the_whole_grammar_reads(text in nearly()) {
            if let Some(plain) = made(&text, read_plain) {
                let whole = made(&text, |text, arena, keys, rows| Some(read_any(text, arena, keys, rows)));
                prop_assert_eq!(Some(plain), whole, "{}", text);
            }
        }
    }
}
