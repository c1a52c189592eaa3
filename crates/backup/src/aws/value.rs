//! Attributes of DynamoDB as JSON in the form of its exports, and back.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64_simd::STANDARD;
use serde_json::{Value, json};

use crate::item::Item;

/// An item as the SDK has it.
pub(super) type Attributes = HashMap<String, AttributeValue>;

/// The item in an export's form; a type that is not known is its name.
pub(super) fn to_item(attributes: Attributes) -> Result<Item, String> {
    let mut item = Item::new();
    for (name, value) in attributes {
        let value = to_json(value).map_err(|kind| format!("`{name}` is of a type that is not known: {kind}"))?;
        item.insert(name, value);
    }
    Ok(item)
}

fn to_json(value: AttributeValue) -> Result<Value, String> {
    let binary = |blob: &Blob| STANDARD.encode_to_string(blob.as_ref());
    Ok(match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(digits) => json!({ "N": digits }),
        AttributeValue::Bool(truth) => json!({ "BOOL": truth }),
        AttributeValue::Null(_) => json!({ "NULL": true }),
        AttributeValue::B(blob) => json!({ "B": binary(&blob) }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(blobs) => json!({ "BS": blobs.iter().map(binary).collect::<Vec<_>>() }),
        AttributeValue::L(values) => json!({ "L": values.into_iter().map(to_json).collect::<Result<Vec<_>, _>>()? }),
        AttributeValue::M(fields) => {
            let fields: Result<Item, String> =
                fields.into_iter().map(|(name, value)| Ok((name, to_json(value)?))).collect();
            json!({ "M": fields? })
        }
        other => return Err(format!("{other:?}")),
    })
}

/// The item as the SDK takes it; `None`: it has a value that is none of DynamoDB's.
pub(super) fn of_item(item: &Item) -> Option<Attributes> {
    item.iter().map(|(name, value)| Some((name.clone(), of_json(value)?))).collect()
}

fn of_json(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object().filter(|fields| fields.len() == 1)?.iter().next()?;
    let text = || value.as_str().map(str::to_owned);
    let texts = || value.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    let binary = |text: &str| STANDARD.decode_to_vec(text).ok().map(Blob::new);
    Some(match kind.as_str() {
        "S" => AttributeValue::S(text()?),
        "N" => AttributeValue::N(text()?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(true),
        "B" => AttributeValue::B(binary(value.as_str()?)?),
        "SS" => AttributeValue::Ss(texts()?),
        "NS" => AttributeValue::Ns(texts()?),
        "BS" => AttributeValue::Bs(texts()?.iter().map(|one| binary(one)).collect::<Option<_>>()?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(of_json).collect::<Option<_>>()?),
        "M" => {
            let fields = value.as_object()?.iter().map(|(name, value)| Some((name.clone(), of_json(value)?)));
            AttributeValue::M(fields.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back() {
        let item = json!({
            "s": {"S": "a"}, "n": {"N": "1.5"}, "b": {"BOOL": true}, "z": {"NULL": true}, "y": {"B": "AQID"},
            "ss": {"SS": ["a"]}, "ns": {"NS": ["1"]}, "bs": {"BS": ["AQ=="]},
            "l": {"L": [{"S": "a"}, {"M": {"x": {"N": "1"}}}]}
        });
        let item = item.as_object().unwrap();
        assert_eq!(to_item(of_item(item).unwrap()).unwrap(), *item);
        assert!(of_item(json!({"a": {"X": 1}}).as_object().unwrap()).is_none());
    }
}
