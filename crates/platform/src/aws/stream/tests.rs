//! Records as DynamoDB has them, made from the items that are written, and records that are damaged.

use serde_json::{Value, json};

use super::*;
use crate::aws::json::entry;
use crate::model::{AnomalyRecord, DayPlace, Due, Entry, StateRecord};

fn anomaly() -> AnomalyRecord {
    serde_json::from_value(json!({
        "id": "00ff", "tenant": "acme", "device": "pump-7", "metrics": ["temperature"], "detector": "limit",
        "onset": 1_700_000_000_123_i64, "score": 1.25, "severity": "warning",
        "explanation": { "score": 1.25, "summary": "zu heiß", "contributions": [{
            "metric": "temperature", "unit": null, "observed": 95.5, "expected": 80.0, "spread": 0.0,
            "detector": "limit", "strength": -1.25, "tail": 1e-138, "outcome": "scored", "sentence": "it is"
        }] },
        "detected_at": 1_700_000_000_500_i64, "seq": "123", "shard": "eu-west-1/s/h", "profiles": "0",
        "expires_at": 1_800_000_000
    }))
    .unwrap()
}

fn state(status: &str) -> StateRecord {
    serde_json::from_value(json!({
        "tenant": "acme", "device": "pump-7", "status": status, "since": 1_700_000_000_000_i64, "score": 0.125,
        "seq": "123", "expires_at": 1_800_000_000
    }))
    .unwrap()
}

fn incident(version: u64) -> Entry {
    let at = anomaly().anomaly.onset;
    Entry {
        key: EntryKey::new("acme#pump-7", "I#1"),
        version,
        due: Some(Due { queue: "due#3".to_owned(), at }),
        day: Some(DayPlace { day: "acme#2023-11-14".to_owned(), at }),
        expires_at: Some(1_800_000_000),
        body: json!({ "tail": 1e-138, "none": {}, "list": [[], null, true, -1], "f64": {"f64": "text"}, "ä": "→" }),
    }
}

/// As Lambda has it.
fn typed(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(digits) => json!({ "N": digits }),
        AttributeValue::Bool(truth) => json!({ "BOOL": truth }),
        AttributeValue::Null(is) => json!({ "NULL": is }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(typed).collect::<Vec<_>>() }),
        AttributeValue::M(fields) => json!({ "M": typed_item(fields) }),
        other => panic!("{other:?}"),
    }
}

fn typed_item(item: &Item) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), typed(value))).collect())
}

fn record(event_name: &str, old: Option<&Item>, new: Option<&Item>) -> Value {
    let item = new.or(old).unwrap();
    let mut record = json!({
        "eventID": "1", "eventName": event_name, "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_700_000_000,
            "Keys": { "pk": typed(&item["pk"]), "sk": typed(&item["sk"]) },
            "SequenceNumber": "4421584500000000017450439091", "SizeBytes": 26, "StreamViewType": "NEW_AND_OLD_IMAGES"
        },
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/results/stream/2026-11-21T00:00:00.000"
    });
    for (name, image) in [("OldImage", old), ("NewImage", new)] {
        if let Some(image) = image {
            record["dynamodb"][name] = typed_item(image);
        }
    }
    record
}

fn parsed(record: &Value) -> Change {
    parse_change(&record.to_string()).unwrap()
}

fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut record = record("INSERT", None, Some(&items::state(&state("abnormal")).unwrap()));
    change(&mut record);
    parse_change(&record.to_string()).unwrap_err().to_string()
}

#[test]
fn an_anomaly_that_is_inserted_comes_back_as_it_was_stored() {
    let item = items::anomaly(&anomaly()).unwrap();
    let change = parsed(&record("INSERT", None, Some(&item)));
    let key = EntryKey::new(anomaly().partition_key(), anomaly().sort_key());
    assert_eq!(change, Change { key, old: None, new: Some(Image::Anomaly(Box::new(anomaly()))) });
}

#[test]
fn a_state_that_is_changed_has_both_images() {
    let [old, new] = [state("normal"), state("abnormal")];
    let items = [&old, &new].map(|state| items::state(state).unwrap());
    let change = parsed(&record("MODIFY", Some(&items[0]), Some(&items[1])));
    assert_eq!((change.old, change.new), (Some(Image::State(old)), Some(Image::State(new))));
    assert_eq!(change.key, EntryKey::new("acme#pump-7", "S"));
}

#[test]
fn a_state_says_of_which_epoch_it_is_and_before_the_first_nothing_of_it() {
    let (first, then) = (state("normal"), StateRecord { epoch: 2, ..state("abnormal") });
    let items = [&first, &then].map(|state| items::state(state).unwrap());
    assert_eq!((items[0].get("epoch"), &items[1]["epoch"]), (None, &AttributeValue::N("2".to_owned())));
    let change = parsed(&record("MODIFY", Some(&items[0]), Some(&items[1])));
    assert_eq!((change.old, change.new), (Some(Image::State(first)), Some(Image::State(then))));
}

#[test]
fn an_entry_that_expired_is_there_no_more() {
    let change = parsed(&record("REMOVE", Some(&entry(&incident(2))), None));
    assert_eq!((change.old, change.new), (Some(Image::Entry(incident(2))), None));
}

#[test]
fn an_entry_comes_back_as_it_was_stored() {
    let [old, new] = [1, 2].map(incident);
    let change = parsed(&record("MODIFY", Some(&entry(&old)), Some(&entry(&new))));
    assert_eq!((change.old, change.new), (Some(Image::Entry(old)), Some(Image::Entry(new))));
}

#[test]
fn an_item_of_another_kind_is_unknown_whatever_it_holds() {
    let mut record = record("INSERT", None, Some(&entry(&incident(1))));
    let image = &mut record["dynamodb"]["NewImage"];
    image["kind"] = json!({ "S": "of tomorrow" });
    image["more"] = json!({ "L": [{ "B": "AAEC" }, { "SS": ["a"] }, { "NS": ["1"] }, { "BS": ["AA=="] }] });
    assert_eq!(parsed(&record).new, Some(Image::Unknown));
    record["dynamodb"]["NewImage"].as_object_mut().unwrap().remove("kind");
    assert_eq!(parsed(&record).new, Some(Image::Unknown));
}

#[test]
fn a_malformed_record_is_named_by_what_is_wrong_with_it() {
    for (error, expected) in [
        (refused(|record| record["eventName"] = json!("UPSERT")), "eventName is `UPSERT`"),
        (refused(|record| *record = json!({})), "missing field `eventName`"),
        (refused(|record| *record = json!([1])), "no record of a DynamoDB stream"),
        (refused(|record| record["dynamodb"]["Keys"]["sk"] = json!({ "N": "1" })), "no text `sk`"),
        (refused(|record| record["dynamodb"]["Keys"] = json!({})), "no text `pk`"),
        (
            refused(|record| record["eventName"] = json!("MODIFY")),
            "`acme#pump-7 S` has no OldImage: set the stream's view",
        ),
        (
            refused(|record| record["dynamodb"]["NewImage"]["score"] = json!({ "S": "x" })),
            "NewImage of `acme#pump-7 S`",
        ),
        (refused(|record| record["dynamodb"]["NewImage"]["score"] = json!({ "X": "x" })), "unknown variant `X`"),
        (refused(|record| record["dynamodb"]["NewImage"]["score"] = json!({ "B": "%" })), "no base64"),
        (refused(|record| record["pad"] = json!(" ".repeat(RECORD_BYTES_MAX))), "the limit is 6291456"),
    ] {
        assert!(error.contains(expected), "{error}");
    }
    assert!(matches!(parse_change("{"), Err(ChangeRecordError::Shape(_))));
    let deep = format!("{{\"eventName\":{}", "[".repeat(100_000));
    assert!(matches!(parse_change(&deep), Err(ChangeRecordError::Shape(_))), "nesting has a bound");
}

#[test]
fn a_record_that_does_not_read_still_has_its_sequence_number() {
    let mut record = record("INSERT", None, Some(&entry(&incident(1))));
    record["eventName"] = json!(7);
    record["dynamodb"]["NewImage"] = json!("damaged");
    assert_eq!(sequence_number(&record.to_string()).as_deref(), Some("4421584500000000017450439091"));
    assert_eq!(sequence_number("{}"), None);
}
