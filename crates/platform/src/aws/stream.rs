//! Records of the results table's stream, as Lambda delivers them.
//!
//! One record at a time, so that one which does not read leaves the others alone. The shape: AWS Lambda Developer Guide,
//! "Using AWS Lambda with Amazon DynamoDB"; the attributes: Amazon DynamoDB API Reference, `AttributeValue`.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize;

use super::items::{self, Item, KIND};
use super::json::read_entry;
use crate::model::{Change, EntryKey, Image};

/// Longest record, in bytes of JSON: an event has 6 MB (AWS Lambda Developer Guide, "Lambda quotas").
pub const RECORD_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Why a record of the stream does not read. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum ChangeRecordError {
    /// Longer than [`RECORD_BYTES_MAX`].
    #[error("the stream record has {0} bytes, the limit is {RECORD_BYTES_MAX}: no event of Lambda is longer")]
    TooLong(usize),
    /// No JSON, or not of the shape.
    #[error("the stream record is no record of a DynamoDB stream ({0}): check the function's event source")]
    Shape(#[from] serde_json::Error),
    /// An event of a name that is not known.
    #[error("the stream record's eventName is `{}`, it must be INSERT, MODIFY or REMOVE", .0.escape_debug())]
    EventName(String),
    /// A key that the results table does not have.
    #[error("the stream record's Keys have no text `{0}`: check that the stream is that of the results table")]
    Key(&'static str),
    /// An image is missing.
    #[error("the stream record of `{key}` has no {image}: set the stream's view type to NEW_AND_OLD_IMAGES")]
    NoImage {
        /// Which item.
        key: EntryKey,
        /// `NewImage` or `OldImage`.
        image: &'static str,
    },
    /// Binary data that is no base64.
    #[error("the stream record of `{key}` has binary data that is no base64")]
    Binary {
        /// Which item.
        key: EntryKey,
    },
    /// An image that is not of the shape of its kind.
    #[error("the {image} of `{key}` does not have the shape of its kind ({source})")]
    Image {
        /// Which item.
        key: EntryKey,
        /// `NewImage` or `OldImage`.
        image: &'static str,
        /// What is wrong with it.
        source: serde_dynamo::Error,
    },
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    event_name: String,
    dynamodb: Images,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Images {
    keys: HashMap<String, Attribute>,
    new_image: Option<HashMap<String, Attribute>>,
    old_image: Option<HashMap<String, Attribute>>,
}

#[derive(Deserialize)]
enum Attribute {
    S(String),
    N(String),
    B(String),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(rename = "NULL")]
    Null(bool),
    M(HashMap<String, Self>),
    L(Vec<Self>),
    #[serde(rename = "SS")]
    Texts(Vec<String>),
    #[serde(rename = "NS")]
    Numbers(Vec<String>),
    #[serde(rename = "BS")]
    Binaries(Vec<String>),
}

/// Binary data is no base64.
struct NoBase64;

impl Attribute {
    fn value(self) -> Result<AttributeValue, NoBase64> {
        let blob = |text: String| base64_simd::STANDARD.decode_to_vec(text).map(Blob::new).map_err(|_| NoBase64);
        Ok(match self {
            Self::S(text) => AttributeValue::S(text),
            Self::N(digits) => AttributeValue::N(digits),
            Self::B(text) => AttributeValue::B(blob(text)?),
            Self::Bool(truth) => AttributeValue::Bool(truth),
            Self::Null(is) => AttributeValue::Null(is),
            Self::M(fields) => AttributeValue::M(item(fields)?),
            Self::L(values) => AttributeValue::L(values.into_iter().map(Self::value).collect::<Result<_, _>>()?),
            Self::Texts(texts) => AttributeValue::Ss(texts),
            Self::Numbers(numbers) => AttributeValue::Ns(numbers),
            Self::Binaries(texts) => AttributeValue::Bs(texts.into_iter().map(blob).collect::<Result<_, _>>()?),
        })
    }
}

fn item(fields: HashMap<String, Attribute>) -> Result<Item, NoBase64> {
    fields.into_iter().map(|(name, attribute)| Ok((name, attribute.value()?))).collect()
}

/// What one record of the stream tells: `record` is one element of the event's `Records`, as JSON.
///
/// An item that expired or was deleted has `new: None`. An item of a kind that is not known is [`Image::Unknown`], so that a
/// newer Millrace may write what an older one passes over.
///
/// # Errors
/// [`ChangeRecordError`] names what is malformed.
pub fn parse_change(record: &str) -> Result<Change, ChangeRecordError> {
    if record.len() > RECORD_BYTES_MAX {
        return Err(ChangeRecordError::TooLong(record.len()));
    }
    let Record { event_name, dynamodb: Images { mut keys, new_image, old_image } } = serde_json::from_str(record)?;
    let mut part = |name| match keys.remove(name) {
        Some(Attribute::S(text)) => Ok(text),
        _ => Err(ChangeRecordError::Key(name)),
    };
    let key = EntryKey { pk: part("pk")?, sk: part("sk")? };
    let read = |image, fields: Option<HashMap<String, Attribute>>| {
        let fields = fields.ok_or_else(|| ChangeRecordError::NoImage { key: key.clone(), image })?;
        let item = item(fields).map_err(|NoBase64| ChangeRecordError::Binary { key: key.clone() })?;
        let read = read_image(item).map_err(|source| ChangeRecordError::Image { key: key.clone(), image, source })?;
        Ok::<_, ChangeRecordError>(Some(read))
    };
    let (old, new) = match event_name.as_str() {
        "INSERT" => (None, read("NewImage", new_image)?),
        "MODIFY" => (read("OldImage", old_image)?, read("NewImage", new_image)?),
        "REMOVE" => (read("OldImage", old_image)?, None),
        _ => return Err(ChangeRecordError::EventName(event_name)),
    };
    Ok(Change { key, old, new })
}

fn read_image(item: Item) -> Result<Image, serde_dynamo::Error> {
    let kind = match item.get(KIND) {
        Some(AttributeValue::S(kind)) => kind.clone(),
        _ => return Ok(Image::Unknown),
    };
    match kind.as_str() {
        items::ANOMALY => items::record(item).map(|record| Image::Anomaly(Box::new(record))),
        items::STATE => items::record(item).map(Image::State),
        items::ENTRY => read_entry(item).map(Image::Entry),
        _ => Ok(Image::Unknown),
    }
}

/// The sequence number of a record, also of one that [`parse_change`] refuses: what a partial batch response names.
/// `None`: not even that reads.
#[must_use]
pub fn sequence_number(record: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Record {
        dynamodb: Numbered,
    }
    #[derive(Deserialize)]
    struct Numbered {
        #[serde(rename = "SequenceNumber")]
        sequence_number: String,
    }
    let record: Record = serde_json::from_str(record).ok()?;
    Some(record.dynamodb.sequence_number)
}

#[cfg(test)]
mod tests;
