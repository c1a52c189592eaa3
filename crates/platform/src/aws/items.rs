//! Records as items of DynamoDB and back.
//!
//! A record's fields are attributes at the top level, beside the keys and what the index needs. DynamoDB's numbers have 38
//! digits and reach from 1E-130 to 9.9E+125 (Developer Guide, "Supported data types and naming rules"); the tail of a
//! 25-sigma reading is smaller than that. A number that does not fit is the map `{"f64": "1e-138"}`.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{AnomalyRecord, Checkpoint, Epoch, StateRecord};

pub(crate) type Item = HashMap<String, AttributeValue>;

/// What tells anomalies, states and entries apart.
pub(super) const KIND: &str = "kind";
pub(super) const ANOMALY: &str = "anomaly";
pub(super) const STATE: &str = "state";
pub(super) const ENTRY: &str = "entry";

/// Marks a number that is no DynamoDB number.
pub(super) const WIDE: &str = "f64";

/// Magnitudes that surely fit.
pub(super) const MAGNITUDES: std::ops::Range<f64> = 1e-128..1e125;

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn checkpoint(pk: &str, checkpoint: &Checkpoint) -> Result<Item, serde_dynamo::Error> {
    with(checkpoint, [("pk", text(pk))])
}

pub(crate) fn anomaly(record: &AnomalyRecord) -> Result<Item, serde_dynamo::Error> {
    let keys = [
        ("pk", text(record.partition_key())),
        ("sk", text(record.sort_key())),
        (KIND, text(ANOMALY)),
        ("day", text(record.day())),
        ("at", text(record.anomaly.onset.to_string())),
    ];
    with(record, keys)
}

pub(crate) fn state(record: &StateRecord) -> Result<Item, serde_dynamo::Error> {
    let keys = [("pk", text(record.partition_key())), ("sk", text(StateRecord::SORT_KEY)), (KIND, text(STATE))];
    with(record, keys)
}

pub(super) fn epoch(stream: &str, epoch: &Epoch) -> Result<Item, serde_dynamo::Error> {
    with(epoch, [("pk", text(Epoch::partition_key(stream)))])
}

/// The record an item was made of. What is there beside its fields is passed over.
pub(super) fn record<T: DeserializeOwned>(item: Item) -> Result<T, serde_dynamo::Error> {
    serde_dynamo::from_item(item.into_iter().map(|(name, value)| (name, widen(value))).collect::<Item>())
}

fn with<const N: usize>(
    record: &impl Serialize,
    keys: [(&str, AttributeValue); N],
) -> Result<Item, serde_dynamo::Error> {
    let item: Item = serde_dynamo::to_item(record)?;
    let fields = item.into_iter().map(|(name, value)| (name, narrow(value)));
    Ok(fields.chain(keys.map(|(name, value)| (name.to_owned(), value))).collect())
}

fn narrow(value: AttributeValue) -> AttributeValue {
    match value {
        AttributeValue::N(digits) if digits.len() > 20 => number(digits),
        AttributeValue::N(digits) if digits.parse().is_ok_and(|number: f64| !number.is_finite()) => number(digits),
        AttributeValue::M(fields) => {
            AttributeValue::M(fields.into_iter().map(|(name, value)| (name, narrow(value))).collect())
        }
        AttributeValue::L(values) => AttributeValue::L(values.into_iter().map(narrow).collect()),
        other => other,
    }
}

/// A long number: in scientific notation where it fits.
fn number(digits: String) -> AttributeValue {
    match digits.parse::<f64>() {
        Ok(number) if MAGNITUDES.contains(&number.abs()) => AttributeValue::N(format!("{number:e}")),
        Ok(number) => AttributeValue::M(HashMap::from([(WIDE.to_owned(), text(format!("{number:e}")))])),
        Err(_) => AttributeValue::N(digits),
    }
}

fn widen(value: AttributeValue) -> AttributeValue {
    match value {
        AttributeValue::M(fields) => match fields.get(WIDE) {
            Some(AttributeValue::S(digits)) if fields.len() == 1 => AttributeValue::N(digits.clone()),
            _ => AttributeValue::M(fields.into_iter().map(|(name, value)| (name, widen(value))).collect()),
        },
        AttributeValue::L(values) => AttributeValue::L(values.into_iter().map(widen).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Numbers {
        list: Vec<f64>,
        one: f64,
        count: u64,
        signed: i64,
    }

    fn back(numbers: &Numbers) -> (Item, Numbers) {
        let item = with(numbers, [("pk", text("k"))]).unwrap();
        (item.clone(), record(item).unwrap())
    }

    #[test]
    fn numbers_that_dynamodb_would_refuse_are_maps() {
        for (number, stored) in [
            (5e-324, None),
            (1e-138, None),
            (-1e126, None),
            (f64::MAX, None),
            (1e-100, Some("1e-100")),
            (-1.5e100, Some("-1.5e100")),
            (0.1, Some("0.1")),
            (1e21, Some("1e21")),
            (0.0, Some("0")),
        ] {
            let (item, _) = back(&Numbers { list: vec![], one: number, count: 0, signed: 0 });
            match (&item["one"], stored) {
                (AttributeValue::N(digits), Some(expected)) => assert_eq!(digits, expected),
                (AttributeValue::M(fields), None) => assert!(fields.contains_key(WIDE)),
                (other, _) => panic!("{number:e} is {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(list in prop::collection::vec(any::<f64>(), 0..5), one: f64, count: u64, signed: i64) {
            let numbers = Numbers { list, one, count, signed };
            let (_, back) = back(&numbers);
            prop_assert_eq!(back, numbers);
        }
    }
}
