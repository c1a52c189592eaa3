use serde_json::json;

use super::*;

fn checkpoint(segments: u64) -> Checkpoint {
    let object = |key: String| json!({ "key": key, "sha256": "a".repeat(64) });
    let segment = |index: u64| {
        let key = format!("bronze/dt=2026-11-21/hour=07/eu-west-1/telemetry/shardId-000000000000/{index}.ndjson.zst");
        json!({ "object": object(key), "last_seq": index.to_string(), "readings": 7_700, "profiles": "0".repeat(16) })
    };
    let segments: Vec<_> = (1..=segments).map(segment).collect();
    serde_json::from_value(json!({
        "version": 120, "last_seq": "4950", "stream_time": 1_790_000_000_000_i64, "batch": "0123456789ab",
        "snapshot": { "object": object("state/x.snap".to_owned()), "at": 1_790_000_000_000_i64 },
        "segments": segments,
    }))
    .unwrap()
}

fn anomaly(tail: f64) -> AnomalyRecord {
    serde_json::from_value(json!({
        "id": "00ff", "tenant": "acme", "device": "pump-7", "metrics": ["temperature"], "detector": "limit",
        "onset": 1_700_000_000_123_i64, "score": 1.25, "severity": "warning",
        "explanation": { "score": 1.25, "summary": "zu heiß", "contributions": [{
            "metric": "temperature", "unit": "°C", "observed": 95.5, "expected": 80.0, "spread": 0.0,
            "detector": "limit", "strength": -1.25, "tail": tail, "outcome": "scored", "sentence": "it is"
        }] },
        "detected_at": 1_700_000_000_500_i64, "seq": "123", "shard": "eu-west-1/s/h", "profiles": "0", "expires_at": 1_800_000_000
    }))
    .unwrap()
}

fn state() -> StateRecord {
    serde_json::from_value(json!({
        "tenant": "acme", "device": "pump-7", "status": "normal", "since": 1_700_000_000_000_i64, "score": 0.125,
        "seq": "123", "expires_at": 1_800_000_000
    }))
    .unwrap()
}

fn shard() -> ShardId {
    ShardId { region: "eu-west-1".to_owned(), stream: "telemetry".to_owned(), shard: "shardId-000000000000".to_owned() }
}

#[test]
fn a_unit_is_begun_by_its_first_byte() {
    assert_eq!([0, 1, 1024, 1025, 2048, 2049].map(write_units), [1, 1, 1, 2, 2, 3]);
    assert_eq!([0, 1, 4096, 4097].map(read_units), [1, 1, 1, 2]);
}

#[test]
fn a_number_takes_half_a_byte_a_significant_digit_and_one_more() {
    for (number, bytes) in [(0.0, 2), (5.0, 2), (25.0, 2), (125.0, 3), (1e21, 2), (-0.125, 3), (1.0 / 3.0, 9)] {
        assert_eq!(float_bytes(number), bytes, "{number}");
    }
    // The map {"f64": "1e-138"}.
    assert_eq!(float_bytes(1e-138), 3 + 1 + 3 + 6);
}

#[test]
fn a_small_item_is_counted_by_hand() {
    #[derive(serde::Serialize)]
    struct Small {
        name: &'static str,
        numbers: [u64; 2],
        nothing: Option<u64>,
        flag: bool,
    }
    let small = Small { name: "äb", numbers: [1_700, 3], nothing: None, flag: true };
    assert_eq!(fields(&small), (4 + 3) + (7 + 3 + (1 + 2) + (1 + 2)) + (7 + 1) + (4 + 1));
}

#[test]
fn a_checkpoint_grows_by_each_segment_of_its_replay() {
    let of = |segments| checkpoint_bytes(&shard(), &checkpoint(segments));
    let each = of(2) - of(1);
    assert!((200..300).contains(&each), "{each}");
    assert_eq!(write_units(of(0)), 1);
}

#[cfg(feature = "aws")]
mod against_what_is_sent {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;
    use crate::aws::items::{self, Item};
    use crate::aws::json;
    use crate::model::{DayPlace, Due};

    fn entry(with_places: bool) -> Entry {
        let body = json!({ "none": null, "list": [[], {}, 1e-138, 1.5, -20, true], "summary": "zu heiß" });
        let mut entry: Entry = serde_json::from_value(json!({
            "key": { "pk": "acme#pump-7", "sk": "I#1" }, "version": 1_200, "body": body
        }))
        .unwrap();
        if with_places {
            let at = Timestamp::MIN;
            entry.due = Some(Due { queue: "due#3".to_owned(), at });
            entry.day = Some(DayPlace { day: "acme#1980-01-01".to_owned(), at });
            entry.expires_at = Some(1_800_000_000);
        }
        entry
    }

    fn value(of: &AttributeValue) -> u64 {
        match of {
            AttributeValue::S(text) => text.len() as u64,
            AttributeValue::N(digits) => {
                let mantissa = digits.split('e').next().unwrap();
                let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
                let significant = digits.trim_start_matches('0').trim_end_matches('0').len().max(1) as u64;
                significant.div_ceil(2) + 1
            }
            AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
            AttributeValue::L(values) => 3 + values.iter().map(|nested| 1 + value(nested)).sum::<u64>(),
            AttributeValue::M(fields) => 3 + fields.len() as u64 + item(fields),
            other => panic!("{other:?}"),
        }
    }

    fn item(item: &Item) -> u64 {
        item.iter().map(|(name, field)| name.len() as u64 + value(field)).sum()
    }

    #[test]
    fn the_sizes_are_those_of_the_items() {
        for segments in [0, 1, 32] {
            let record = checkpoint(segments);
            let sent = items::checkpoint(&shard().partition_key(), &record).unwrap();
            assert_eq!(checkpoint_bytes(&shard(), &record), item(&sent));
        }
        for tail in [1e-138, 1e-7, 0.123_456_789_012_345_67] {
            let record = anomaly(tail);
            assert_eq!(anomaly_bytes(&record), item(&items::anomaly(&record).unwrap()), "{tail}");
        }
        assert_eq!(state_bytes(&state()), item(&items::state(&state()).unwrap()));
        for entry in [entry(false), entry(true)] {
            assert_eq!(entry_bytes(&entry), item(&json::entry(&entry)));
        }
    }
}

#[test]
fn an_anomaly_and_a_state_are_about_as_large_as_their_text() {
    assert!((400..800).contains(&anomaly_bytes(&anomaly(1e-7))));
    assert!((80..200).contains(&state_bytes(&state())));
}
