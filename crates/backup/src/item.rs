//! Items in the form of DynamoDB's export to S3: `{"Item":{"pk":{"S":"…"},…}}`, a line each (Amazon DynamoDB Developer Guide, "Table
//! export output format"); and the records in them.

use platform::model::{AnomalyRecord, Checkpoint, Epoch, ShardId, StateRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

/// Attributes by name, each `{"S": …}`, `{"N": …}`, ….
pub type Item = Map<String, Value>;

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The item.
    #[serde(rename = "Item")]
    pub item: Item,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// All that is committed of a shard.
    Checkpoint(ShardId, Box<Checkpoint>),
    /// Which Region has the say over a stream.
    Epoch(String, Epoch),
    /// A finding.
    Anomaly(Box<AnomalyRecord>),
    /// How a device is.
    State(Box<StateRecord>),
    /// Incidents, deliveries, silences, …: by its partition and sort key.
    Entry(String, String),
}

/// Text of an attribute.
#[must_use]
pub fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.get("S")?.as_str()
}

/// Text as an attribute.
#[must_use]
pub fn of_text(text: &str) -> Value {
    json!({ "S": text })
}

/// A whole number as an attribute.
#[must_use]
pub fn of_number(number: u64) -> Value {
    json!({ "N": number.to_string() })
}

/// Its keys, for people: `pk` or `pk, sk`.
#[must_use]
pub fn name(item: &Item) -> String {
    let keys = ["pk", "sk"].into_iter().filter_map(|key| text(item, key));
    keys.collect::<Vec<_>>().join(", ")
}

/// The shard of a checkpoint's key; an epoch's has no `#`.
#[must_use]
pub fn shard(pk: &str) -> Option<ShardId> {
    let (region, rest) = pk.split_once('#')?;
    let (stream, shard) = rest.split_once('#')?;
    Some(ShardId { region: region.to_owned(), stream: stream.to_owned(), shard: shard.to_owned() })
}

/// Reads an item of the checkpoints.
///
/// # Errors
/// What it lacks.
pub fn of_checkpoints(item: &Item) -> Result<Record, String> {
    let pk = text(item, "pk").ok_or("it has no `pk`")?;
    let Some(shard) = shard(pk) else {
        return read(item).map(|epoch| Record::Epoch(pk.to_owned(), epoch));
    };
    read(item).map(|checkpoint| Record::Checkpoint(shard, Box::new(checkpoint)))
}

/// Reads an item of the results.
///
/// # Errors
/// What it lacks.
pub fn of_results(item: &Item) -> Result<Record, String> {
    let key = |name: &str| text(item, name).map(str::to_owned).ok_or_else(|| format!("it has no `{name}`"));
    match text(item, "kind") {
        Some("anomaly") => read(item).map(|anomaly| Record::Anomaly(Box::new(anomaly))),
        Some("state") => read(item).map(|state| Record::State(Box::new(state))),
        _ => Ok(Record::Entry(key("pk")?, key("sk")?)),
    }
}

fn read<T: serde::de::DeserializeOwned>(item: &Item) -> Result<T, String> {
    let plain: Result<Map<String, Value>, String> =
        item.iter().map(|(name, value)| Ok((name.clone(), plain(value)?))).collect();
    serde_json::from_value(Value::Object(plain?)).map_err(|error| error.to_string())
}

/// A value of DynamoDB as JSON. A number that DynamoDB does not take is stored as the map `{"f64": "1e-138"}`.
fn plain(value: &Value) -> Result<Value, String> {
    let only = value.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.iter().next());
    let (kind, value) = only.ok_or_else(|| format!("`{value}` is no value of DynamoDB"))?;
    let wrong = || format!("`{value}` is no value of type {kind}");
    match (kind.as_str(), value) {
        ("S", Value::String(_)) | ("BOOL", Value::Bool(_)) => Ok(value.clone()),
        ("NULL", _) => Ok(Value::Null),
        ("N", Value::String(digits)) => number(digits).map(Value::Number).ok_or_else(wrong),
        ("L", Value::Array(values)) => values.iter().map(plain).collect::<Result<_, _>>().map(Value::Array),
        ("M", Value::Object(fields)) => {
            let wide = fields.get("f64").filter(|_| fields.len() == 1).and_then(|wide| wide.get("S")?.as_str());
            if let Some(digits) = wide {
                return number(digits).map(Value::Number).ok_or_else(wrong);
            }
            let fields: Result<Map<String, Value>, String> =
                fields.iter().map(|(name, value)| Ok((name.clone(), plain(value)?))).collect();
            fields.map(Value::Object)
        }
        _ => Err(wrong()),
    }
}

fn number(digits: &str) -> Option<Number> {
    let whole = digits.parse::<u64>().map(Number::from).or_else(|_| digits.parse::<i64>().map(Number::from)).ok();
    whole.or_else(|| digits.parse().ok().and_then(Number::from_f64))
}

/// JSON as a value of DynamoDB; numbers are such as DynamoDB takes.
#[must_use]
pub fn of_json(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(truth) => json!({ "BOOL": truth }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(text) => json!({ "S": text }),
        Value::Array(values) => json!({ "L": values.iter().map(of_json).collect::<Vec<_>>() }),
        Value::Object(fields) => {
            json!({ "M": fields.iter().map(|(name, value)| (name.clone(), of_json(value))).collect::<Map<_, _>>() })
        }
    }
}

/// The item of a checkpoint.
///
/// # Errors
/// It cannot be written as JSON.
pub fn of_checkpoint(shard: &ShardId, checkpoint: &Checkpoint) -> Result<Item, serde_json::Error> {
    let value = serde_json::to_value(checkpoint)?;
    let fields = value.as_object().cloned().unwrap_or_default();
    let mut item: Item = fields.iter().map(|(name, value)| (name.clone(), of_json(value))).collect();
    item.insert("pk".to_owned(), of_text(&shard.partition_key()));
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_from_its_item() {
        let shard = ShardId { region: "r".into(), stream: "s".into(), shard: "h".into() };
        let checkpoint: Checkpoint = serde_json::from_value(json!({
            "version": 3, "last_seq": "7", "stream_time": 1_700_000_000_000_i64, "batch": "b", "snapshot": null,
            "segments": [{"object": {"key": "bronze/1", "sha256": "0"}, "last_seq": "7", "readings": 3, "profiles": "0"}],
            "epoch": 2
        }))
        .unwrap();
        let item = of_checkpoint(&shard, &checkpoint).unwrap();
        assert_eq!(of_checkpoints(&item).unwrap(), Record::Checkpoint(shard, Box::new(checkpoint)));
    }

    #[test]
    fn numbers_too_small_for_dynamodb_are_read() {
        assert_eq!(plain(&json!({"M": {"f64": {"S": "1e-138"}}})).unwrap(), json!(1e-138));
        assert_eq!(plain(&json!({"N": "38"})).unwrap(), json!(38));
        assert!(plain(&json!({"N": "x"})).is_err());
        assert!(plain(&json!({"SS": ["a"]})).is_err());
    }

    #[test]
    fn an_epoch_is_told_from_a_checkpoint_by_its_key() {
        let item =
            json!({"pk": {"S": "stream"}, "epoch": {"N": "2"}, "active": {"S": "r"}, "since": {"N": "1700000000000"}});
        let found = of_checkpoints(item.as_object().unwrap()).unwrap();
        assert!(matches!(found, Record::Epoch(stream, epoch) if stream == "stream" && epoch.epoch == 2));
    }
}
