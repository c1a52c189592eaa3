//! An entry as an item of DynamoDB and back; its body is JSON of any shape.
//!
//! What the numbers of a body look like is as in `items`: one that DynamoDB does not take is the map `{"f64": "1e-138"}`.
//! A map of the body's own that looks so gets a `'` at the end of its one name, which is taken away again.

use std::collections::HashMap;

use anomaly_core::Timestamp;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::Error as _;
use serde_dynamo::Error;
use serde_json::{Map, Number, Value};

use super::items::{ENTRY, Item, KIND, MAGNITUDES, WIDE, text};
use crate::model::{DayPlace, Due, Entry, EntryKey};

const ESCAPE: char = '\'';

/// The item of an entry.
pub(crate) fn entry(entry: &Entry) -> Item {
    let mut item: Item = HashMap::new();
    let mut put = |name: &str, value| {
        item.insert(name.to_owned(), value);
    };
    put("pk", text(&entry.key.pk));
    put("sk", text(&entry.key.sk));
    put(KIND, text(ENTRY));
    put("version", AttributeValue::N(entry.version.to_string()));
    put("body", of_json(&entry.body));
    if let Some(Due { queue, at }) = &entry.due {
        put("queue", text(queue));
        put("due", text(at.to_string()));
    }
    if let Some(DayPlace { day, at }) = &entry.day {
        put("day", text(day));
        put("at", text(at.to_string()));
    }
    if let Some(expires_at) = entry.expires_at {
        put("expires_at", AttributeValue::N(expires_at.to_string()));
    }
    item
}

/// The entry that an item was made of. What is there beside its attributes is passed over.
pub(super) fn read_entry(mut item: Item) -> Result<Entry, Error> {
    let body = item.remove("body").ok_or_else(|| Error::custom("it has no `body`"))?;
    let due = match (text_of(&mut item, "queue")?, text_of(&mut item, "due")?) {
        (Some(queue), Some(due)) => Some(Due { queue, at: instant("due", &due)? }),
        (None, None) => None,
        _ => return Err(Error::custom("it has one of `queue` and `due`, both or none are needed")),
    };
    let day = match (text_of(&mut item, "day")?, text_of(&mut item, "at")?) {
        (Some(day), Some(at)) => Some(DayPlace { day, at: instant("at", &at)? }),
        (None, None) => None,
        _ => return Err(Error::custom("it has one of `day` and `at`, both or none are needed")),
    };
    let needed =
        |name: &str, found: Option<String>| found.ok_or_else(|| Error::custom(format_args!("it has no `{name}`")));
    let pk = needed("pk", text_of(&mut item, "pk")?)?;
    let sk = needed("sk", text_of(&mut item, "sk")?)?;
    let version = number_of(&mut item, "version")?.ok_or_else(|| Error::custom("it has no `version`"))?;
    let expires_at = number_of(&mut item, "expires_at")?;
    Ok(Entry { key: EntryKey { pk, sk }, version, due, day, expires_at, body: to_json(body)? })
}

/// Whether an item is of this kind.
pub(super) fn is_of_kind(item: &Item, kind: &str) -> bool {
    matches!(item.get(KIND), Some(AttributeValue::S(of)) if of == kind)
}

fn text_of(item: &mut Item, name: &str) -> Result<Option<String>, Error> {
    match item.remove(name) {
        None => Ok(None),
        Some(AttributeValue::S(text)) => Ok(Some(text)),
        Some(_) => Err(Error::custom(format_args!("`{name}` is no text"))),
    }
}

fn number_of<N: std::str::FromStr>(item: &mut Item, name: &str) -> Result<Option<N>, Error> {
    let wrong = || Error::custom(format_args!("`{name}` is no whole number within its bounds"));
    match item.remove(name) {
        None => Ok(None),
        Some(AttributeValue::N(digits)) => digits.parse().map(Some).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

fn instant(name: &str, text: &str) -> Result<Timestamp, Error> {
    let wrong = || Error::custom(format_args!("`{name}` is no time in RFC 3339 from 1980 to 2200"));
    let at: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    Timestamp::from_millis(at.as_millisecond()).map_err(|_| wrong())
}

fn of_json(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Number(number) => of_number(number),
        Value::String(string) => text(string),
        Value::Array(values) => AttributeValue::L(values.iter().map(of_json).collect()),
        Value::Object(fields) => {
            let escaped = fields.len() == 1;
            let field = |(name, value): (&String, &Value)| match name.strip_prefix(WIDE) {
                Some(rest) if escaped && rest.chars().all(|sign| sign == ESCAPE) => {
                    (format!("{name}{ESCAPE}"), of_json(value))
                }
                _ => (name.clone(), of_json(value)),
            };
            AttributeValue::M(fields.iter().map(field).collect())
        }
    }
}

fn of_number(number: &Number) -> AttributeValue {
    match number.as_f64() {
        Some(float) if number.is_f64() => {
            let digits = format!("{float:e}");
            if float == 0.0 || MAGNITUDES.contains(&float.abs()) {
                AttributeValue::N(digits)
            } else {
                AttributeValue::M(HashMap::from([(WIDE.to_owned(), text(digits))]))
            }
        }
        _ => AttributeValue::N(number.to_string()),
    }
}

fn to_json(value: AttributeValue) -> Result<Value, Error> {
    Ok(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(truth) => Value::Bool(truth),
        AttributeValue::S(string) => Value::String(string),
        AttributeValue::N(digits) => Value::Number(to_number(&digits)?),
        AttributeValue::L(values) => Value::Array(values.into_iter().map(to_json).collect::<Result<_, _>>()?),
        AttributeValue::M(fields) if fields.len() == 1 => {
            let only = fields.into_iter().next().ok_or_else(|| Error::custom("a map lost its field"))?;
            match only {
                (name, AttributeValue::S(digits)) if name == WIDE => Value::Number(to_number(&digits)?),
                (mut name, value) => {
                    let rest = name.strip_prefix(WIDE).unwrap_or_default();
                    if !rest.is_empty() && rest.chars().all(|sign| sign == ESCAPE) {
                        name.pop();
                    }
                    Value::Object(Map::from_iter([(name, to_json(value)?)]))
                }
            }
        }
        AttributeValue::M(fields) => {
            let fields = fields.into_iter().map(|(name, value)| Ok((name, to_json(value)?)));
            Value::Object(fields.collect::<Result<_, Error>>()?)
        }
        _ => return Err(Error::custom("its body holds binary data or a set, which JSON does not have")),
    })
}

fn to_number(digits: &str) -> Result<Number, Error> {
    let whole = digits.parse::<u64>().map(Number::from).or_else(|_| digits.parse::<i64>().map(Number::from)).ok();
    let number = whole.or_else(|| digits.parse().ok().and_then(Number::from_f64));
    number.ok_or_else(|| Error::custom(format_args!("`{}` is no number", digits.escape_debug())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("f64'{0,2}|[a-c]", inner, 0..3)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + seconds * 1000).unwrap()
    }

    proptest! {
        #[test]
        fn every_entry_comes_back(body in json_value(), version: u64, due: bool, day: bool, expires_at: Option<i64>) {
            let stored = Entry {
                key: EntryKey::new("acme#pump-1", "I#1"),
                version,
                due: due.then(|| Due { queue: "due#0".to_owned(), at: at(1) }),
                day: day.then(|| DayPlace { day: "acme#2023-11-14".to_owned(), at: at(2) }),
                expires_at,
                body,
            };
            prop_assert_eq!(read_entry(entry(&stored)).unwrap(), stored);
        }
    }

    #[test]
    fn numbers_that_dynamodb_would_refuse_are_maps() {
        for (number, is_map) in [(1e-138, true), (1e126, true), (5e-324, true), (1e-100, false), (0.0, false)] {
            assert_eq!(matches!(of_json(&json!(number)), AttributeValue::M(_)), is_map, "{number:e}");
        }
    }

    #[test]
    fn an_item_that_is_no_entry_is_named_by_what_it_lacks() {
        let whole = entry(&Entry {
            key: EntryKey::new("a", "b"),
            version: 1,
            due: Some(Due { queue: "q".to_owned(), at: at(0) }),
            day: None,
            expires_at: None,
            body: json!({}),
        });
        for (name, value, expected) in [
            ("body", None, "it has no `body`"),
            ("version", Some(text("1")), "`version` is no whole number"),
            ("version", Some(AttributeValue::N("-1".to_owned())), "`version` is no whole number"),
            ("due", Some(text("soon")), "`due` is no time"),
            ("queue", None, "one of `queue` and `due`"),
            ("sk", Some(AttributeValue::Bool(true)), "`sk` is no text"),
            ("body", Some(AttributeValue::Ss(vec![])), "binary data or a set"),
        ] {
            let mut item = whole.clone();
            item.remove(name);
            item.extend(value.map(|value| (name.to_owned(), value)));
            let error = read_entry(item).unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
