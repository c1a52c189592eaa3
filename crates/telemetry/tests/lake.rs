//! The stored forms of the lake: what goes in comes out, the bytes are the same every time, and what was stored once stays
//! readable.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod lake_plant;

use std::borrow::Cow;
use std::path::PathBuf;

use anomaly_core::{Outcome, Quality, Timestamp};
use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use proptest::prelude::*;
use telemetry::bronze::{BronzeReader, BronzeWriter, LakeError};
use telemetry::quarantine::{QuarantineReader, QuarantineRecord, QuarantineWriter};
use telemetry::sequence::SequenceNumber;
use telemetry::silver::{OPINION, SCHEMA, SilverReader, SilverRow, SilverWriter};

const MIB: usize = 1 << 20;

fn seq(text: &str) -> SequenceNumber {
    text.parse().unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Three records: JSON in place, bytes that are no JSON, and a key with characters that must be escaped.
fn three_records() -> Vec<u8> {
    let mut writer = BronzeWriter::new();
    let first = seq("49590338271490256608559692538361571095921575989136588898");
    writer.push(&first, at(1_700_000_000_123), "pump-7", br#"{"ts":1700000000, "temperature":83.2}"#, true);
    writer.push(&seq("7"), at(1_700_000_000_124), "pump-8", &[0, 1, 2, 0xff], false);
    writer.push(&seq("8"), at(1_700_000_000_125), "a\"b\\c\n\u{1}ä", b"{\n}", true);
    writer.finish().unwrap()
}

fn one_refusal() -> Vec<u8> {
    let mut writer = QuarantineWriter::new();
    let record = QuarantineRecord {
        seq: seq("9"),
        arrived: at(1_700_000_000_126),
        partition_key: Cow::Borrowed("pump-9"),
        sub: 3,
        reason: Cow::Borrowed("not_json"),
        detail: Cow::Borrowed("expected value at line 1 column 1: `\u{202e}\"`"),
        data: Cow::Borrowed(b"<xml/>"),
    };
    writer.push(&record, false);
    writer.finish().unwrap()
}

#[test]
fn the_text_of_bronze_is_what_it_was_in_the_first_release() {
    let reader = BronzeReader::new(&three_records(), MIB).unwrap();
    let expected = std::fs::read(golden("bronze-v1.ndjson")).unwrap();
    assert_eq!(String::from_utf8_lossy(reader.text()), String::from_utf8_lossy(&expected));
}

#[test]
fn the_text_of_quarantine_is_what_it_was_in_the_first_release() {
    let reader = QuarantineReader::new(&one_refusal(), MIB).unwrap();
    let expected = std::fs::read(golden("quarantine-v1.ndjson")).unwrap();
    assert_eq!(String::from_utf8_lossy(reader.text()), String::from_utf8_lossy(&expected));
}

#[test]
fn objects_of_the_first_release_stay_readable() {
    let stored = std::fs::read(golden("bronze-v1.ndjson.zst")).unwrap();
    let reader = BronzeReader::new(&stored, MIB).unwrap();
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 3);
    assert_eq!(&*records[0].data, br#"{"ts":1700000000, "temperature":83.2}"#);
    assert!(matches!(records[0].data, Cow::Borrowed(_)) && matches!(records[0].partition_key, Cow::Borrowed(_)));
    assert_eq!((&*records[1].data, records[1].seq), (&[0, 1, 2, 0xff][..], seq("7")));
    assert_eq!((&*records[2].data, &*records[2].partition_key), (&b"{\n}"[..], "a\"b\\c\n\u{1}ä"));
    let stored = std::fs::read(golden("quarantine-v1.ndjson.zst")).unwrap();
    let reader = QuarantineReader::new(&stored, MIB).unwrap();
    let refused = reader.records().next().unwrap().unwrap();
    assert_eq!((refused.sub, &*refused.reason, &*refused.data), (3, "not_json", &b"<xml/>"[..]));
    let stored = std::fs::read(golden("silver-v1.parquet")).unwrap();
    let reader = SilverReader::new(stored, MIB).unwrap();
    let rows: Vec<_> = reader.rows().collect();
    assert_eq!(rows, [lake_plant::row(seq("7"), at(1_700_000_000_123)).kept()]);
    let stored = std::fs::read(golden("silver-v1-opinions.parquet")).unwrap();
    let reader = SilverReader::new(stored, MIB).unwrap();
    let opinions: Vec<_> = reader.rows().map(|row| row.opinion).collect();
    assert_eq!(opinions, [None, Some(0.3), None]);
}

fn three_rows_and_one_opinion() -> SilverWriter {
    let mut writer = SilverWriter::new();
    let row = lake_plant::row(seq("7"), at(1_700_000_000_123));
    for opinion in [None, Some(0.3), None] {
        writer.push(&SilverRow { opinion, ..row });
    }
    writer
}

/// The schema that an object says it has, by the names that this repository has for the types.
fn schema_of(object: Vec<u8>) -> String {
    let file = SerializedFileReader::new(Bytes::from(object)).unwrap();
    let mut text = Vec::new();
    parquet::schema::printer::print_schema(&mut text, file.metadata().file_metadata().schema());
    String::from_utf8(text).unwrap().replace("(STRING)", "(UTF8)")
}

#[test]
fn an_opinion_is_a_column_at_the_end_that_objects_without_any_lack() {
    let mut writer = three_rows_and_one_opinion();
    let expected = SCHEMA.replace("}\n", &format!("  {OPINION};\n}}\n"));
    assert_eq!(schema_of(writer.finish().unwrap()), expected);
    let row = lake_plant::row(seq("7"), at(1_700_000_000_123));
    writer.push(&row);
    let (used, mut new) = (writer.finish().unwrap(), SilverWriter::new());
    new.push(&row);
    assert_eq!(used, new.finish().unwrap());
    assert_eq!(schema_of(used), SCHEMA);
}

#[test]
fn an_opinion_of_several_rows_is_in_each_of_them() {
    let mut writer = SilverWriter::new();
    let row = lake_plant::row(seq("7"), at(1_700_000_000_123));
    (0..40).for_each(|_| writer.push(&row));
    writer.opinion(3..5, 1.5);
    writer.opinion(5..39, -0.25);
    let reader = SilverReader::new(writer.finish().unwrap(), MIB).unwrap();
    let expected = |row| match row {
        3..5 => Some(1.5),
        5..39 => Some(-0.25),
        _ => None,
    };
    assert_eq!(reader.rows().map(|row| row.opinion).collect::<Vec<_>>(), (0..40).map(expected).collect::<Vec<_>>());
}

/// Stores the golden objects anew; run by hand after a deliberate change of a format, under a new version's name.
#[test]
#[ignore = "writes the golden files of a new format version"]
fn write_the_golden_objects() {
    let bronze = three_records();
    let refusal = one_refusal();
    let mut writer = SilverWriter::new();
    writer.push(&lake_plant::row(seq("7"), at(1_700_000_000_123)));
    std::fs::create_dir_all(golden("")).unwrap();
    std::fs::write(golden("bronze-v1.ndjson"), BronzeReader::new(&bronze, MIB).unwrap().text()).unwrap();
    std::fs::write(golden("bronze-v1.ndjson.zst"), bronze).unwrap();
    std::fs::write(golden("quarantine-v1.ndjson"), QuarantineReader::new(&refusal, MIB).unwrap().text()).unwrap();
    std::fs::write(golden("quarantine-v1.ndjson.zst"), refusal).unwrap();
    std::fs::write(golden("silver-v1.parquet"), writer.finish().unwrap()).unwrap();
}

/// The same of silver with opinions, which came later.
#[test]
#[ignore = "writes the golden file of a new format version"]
fn write_the_golden_opinions() {
    std::fs::write(golden("silver-v1-opinions.parquet"), three_rows_and_one_opinion().finish().unwrap()).unwrap();
}

#[test]
fn equal_records_give_equal_objects_and_a_writer_is_empty_after_each() {
    assert_eq!(three_records(), three_records());
    let mut writer = BronzeWriter::new();
    writer.push(&seq("1"), at(1_700_000_000_000), "k", b"1", true);
    assert_eq!(writer.len(), 1);
    let first = writer.finish().unwrap();
    assert!(writer.is_empty());
    writer.push(&seq("1"), at(1_700_000_000_000), "k", b"1", true);
    assert_eq!(writer.finish().unwrap(), first);
    let nothing = writer.finish().unwrap();
    assert_eq!(BronzeReader::new(&nothing, MIB).unwrap().records().count(), 0);
}

#[test]
fn a_carriage_return_or_an_empty_payload_never_stands_in_a_line() {
    let mut writer = BronzeWriter::new();
    writer.push(&seq("1"), at(1_700_000_000_000), "k", b"{\r}", true);
    writer.push(&seq("2"), at(1_700_000_000_000), "k", b"", true);
    let reader = BronzeReader::new(&writer.finish().unwrap(), MIB).unwrap();
    assert!(!reader.text().contains(&b'\r'));
    let data: Vec<_> = reader.records().map(|record| record.unwrap().data.into_owned()).collect();
    assert_eq!(data, [b"{\r}".to_vec(), Vec::new()]);
}

#[test]
fn an_object_that_unpacks_beyond_the_limit_is_refused_with_the_limit() {
    let mut writer = BronzeWriter::new();
    let zeros = vec![b'0'; 10 * MIB];
    writer.push(&seq("1"), at(1_700_000_000_000), "k", &zeros, true);
    let bomb = writer.finish().unwrap();
    assert!(bomb.len() < MIB / 100);
    let error = BronzeReader::new(&bomb, MIB).unwrap_err();
    assert!(matches!(error, LakeError::TooLarge { bytes_max: MIB, .. }), "{error}");
    assert!(error.to_string().contains("1048576 bytes"), "{error}");
    assert!(BronzeReader::new(&bomb, 11 * MIB).is_ok());
}

#[test]
fn a_record_larger_than_kinesis_gives_is_refused_when_written() {
    let mut writer = BronzeWriter::new();
    writer.push(&seq("1"), at(1_700_000_000_000), "k", b"1", true);
    writer.push(&seq("2"), at(1_700_000_000_000), "k", &vec![b'0'; 17 * MIB], true);
    let error = writer.finish().unwrap_err();
    assert!(matches!(error, LakeError::LineTooLong { line: 2, .. }), "{error}");
    assert!(writer.is_empty());
}

#[test]
fn a_damaged_object_is_refused_wherever_the_damage_is() {
    let whole = three_records();
    for place in 0..whole.len() {
        assert!(BronzeReader::new(&whole[..place], MIB).is_err(), "cut at {place}");
        let mut flipped = whole.clone();
        flipped[place] ^= 0x10;
        let same = BronzeReader::new(&flipped, MIB)
            .map(|reader| reader.text() == BronzeReader::new(&whole, MIB).unwrap().text());
        assert!(same.is_err() || same.is_ok_and(|same| same), "flipped at {place}");
    }
}

#[test]
fn a_changed_line_is_named_with_its_place_and_what_was_expected() {
    let text = String::from_utf8(BronzeReader::new(&three_records(), MIB).unwrap().text().to_vec()).unwrap();
    for (from, to, line, expected) in [
        ("\"seq\":\"4959", "\"seq\":\"x959", 1, "56 digits"),
        ("1700000000124", "124", 2, "between 1980 and 2200"),
        ("1700000000124", "", 2, "a whole number"),
        ("\"pk\":\"pump-8\"", "\"key\":\"pump-8\"", 2, "\"pk\":"),
        ("\"b64\":\"AAEC/w==\"", "\"b64\":\"AAEC/w=\"", 2, "base64"),
        ("\"json\":", "\"text\":", 1, "the payload"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let reader = BronzeReader::from_text(changed.into_bytes());
        let results: Vec<_> = reader.records().collect();
        assert_eq!(results.len(), line, "{from}");
        let error = results.last().unwrap().as_ref().unwrap_err().to_string();
        assert!(error.contains(&format!("line {line} ")) && error.contains(expected), "{error}");
    }
}

#[test]
fn the_schema_of_silver_is_what_it_was_in_the_first_release() {
    let expected = std::fs::read_to_string(golden("silver-v1.schema")).unwrap();
    assert_eq!(SCHEMA, expected);
}

#[test]
fn silver_without_rows_is_an_object_without_rows() {
    let object = SilverWriter::new().finish().unwrap();
    assert_eq!(SilverReader::count(object.clone()).unwrap(), 0);
    assert!(SilverReader::new(object, MIB).unwrap().is_empty());
}

#[test]
fn silver_beyond_the_limit_or_of_other_bytes_is_refused() {
    let mut writer = SilverWriter::new();
    lake_plant::batch(300, |row| writer.push(row), |_, _, _, _| ());
    let object = writer.finish().unwrap();
    assert!(matches!(SilverReader::new(object.clone(), 1000), Err(LakeError::TooLarge { bytes_max: 1000, .. })));
    assert!(SilverReader::new(object[..object.len() - 9].to_vec(), MIB).is_err());
    assert!(SilverReader::new(b"timestamp,value\n".to_vec(), MIB).is_err());
}

#[test]
fn a_reading_costs_at_most_thirteen_bytes_in_bronze_and_silver_together() {
    let (mut bronze, mut silver) = (BronzeWriter::new(), SilverWriter::new());
    lake_plant::batch(
        1500,
        |row| silver.push(row),
        |seq, arrived, device, data| {
            bronze.push(seq, arrived, device, data, true);
        },
    );
    let rows = silver.len();
    let (bronze, silver) = (bronze.finish().unwrap(), silver.finish().unwrap());
    let each = |bytes: usize| bytes as f64 / rows as f64;
    println!("{rows} readings: bronze {:.2}, silver {:.2} bytes each", each(bronze.len()), each(silver.len()));
    assert_eq!(SilverReader::count(silver.clone()).unwrap(), rows as u64);
    assert!(each(bronze.len() + silver.len()) <= 13.0);
}

#[test]
fn equal_rows_give_equal_silver_from_a_new_writer_and_from_a_used_one() {
    let mut used = SilverWriter::new();
    lake_plant::batch(40, |row| used.push(row), |_, _, _, _| ());
    used.finish().unwrap();
    lake_plant::batch(100, |row| used.push(row), |_, _, _, _| ());
    let mut new = SilverWriter::new();
    lake_plant::batch(100, |row| new.push(row), |_, _, _, _| ());
    assert_eq!(used.finish().unwrap(), new.finish().unwrap());
}

fn times() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.millis()..=Timestamp::MAX.millis()).prop_map(at)
}

fn sequences() -> impl Strategy<Value = SequenceNumber> {
    "[0-9]{1,56}".prop_map(|text| seq(&text))
}

type Record = (SequenceNumber, Timestamp, String, Vec<u8>, bool);

fn records() -> impl Strategy<Value = Vec<Record>> {
    let data = prop_oneof![any::<Vec<u8>>(), "\\PC*".prop_map(String::into_bytes), Just(b"{\"a\":[1,\"}\"]}".to_vec())];
    proptest::collection::vec((sequences(), times(), any::<String>(), data, any::<bool>()), 0..20)
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    use Outcome::{BadQuality, Future, Late, Repeated, Scored, Warming};
    proptest::sample::select(vec![Scored, Warming, Late, Repeated, Future, BadQuality])
}

fn qualities() -> impl Strategy<Value = Quality> {
    proptest::sample::select(vec![Quality::Good, Quality::Uncertain, Quality::Bad])
}

type Names = (String, String, String);
type Cells = (Timestamp, f64, f32, f32, f64, Outcome, Quality, SequenceNumber, u32, (Timestamp, Option<f32>));

fn rows() -> impl Strategy<Value = Vec<(Names, Cells)>> {
    let names = ("[ab]{1,2}", "[a-z0-9.-]{1,9}", "\\PC{1,9}");
    let number = || proptest::num::f64::NORMAL | proptest::num::f64::ZERO | proptest::num::f64::SUBNORMAL;
    let score = || proptest::num::f32::POSITIVE | proptest::num::f32::ZERO;
    let opinion = proptest::option::weighted(0.3, proptest::num::f32::NORMAL);
    let cells = (
        times(),
        number(),
        score(),
        score(),
        number(),
        outcomes(),
        qualities(),
        sequences(),
        any::<u32>(),
        (times(), opinion),
    );
    proptest::collection::vec((names, cells), 0..60)
}

proptest! {
    #[test]
    fn bronze_gives_back_the_very_bytes(records in records()) {
        let mut writer = BronzeWriter::new();
        for (seq, arrived, key, data, embeds) in &records {
            writer.push(seq, *arrived, key, data, *embeds);
        }
        let reader = BronzeReader::new(&writer.finish().unwrap(), MIB).unwrap();
        let back: Vec<_> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(back.len(), records.len());
        for (record, (seq, arrived, key, data, _)) in back.iter().zip(&records) {
            prop_assert_eq!((&record.seq, &record.arrived), (seq, arrived));
            prop_assert_eq!((&*record.partition_key, &*record.data), (&**key, &**data));
        }
    }

    #[test]
    fn quarantine_gives_back_the_very_bytes(records in records(), sub: u32, reason: String, detail: String) {
        let records: Vec<_> = records.iter().map(|(seq, arrived, key, data, embeds)| (QuarantineRecord {
            seq: *seq,
            arrived: *arrived,
            partition_key: Cow::Borrowed(key),
            sub,
            reason: Cow::Borrowed(&reason),
            detail: Cow::Borrowed(&detail),
            data: Cow::Borrowed(data),
        }, *embeds)).collect();
        let mut writer = QuarantineWriter::new();
        for (record, embeds) in &records {
            writer.push(record, *embeds);
        }
        let reader = QuarantineReader::new(&writer.finish().unwrap(), MIB).unwrap();
        let back: Vec<_> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(back, records.into_iter().map(|(record, _)| record).collect::<Vec<_>>());
    }

    #[test]
    fn silver_gives_back_the_rows_as_kept(rows in rows()) {
        let rows: Vec<_> = rows.iter().map(|((tenant, device, metric), cells)| {
            let (at, value, score, alert, expected, outcome, quality, seq, sub, (arrived, opinion)) = *cells;
            SilverRow {
                tenant, device, metric, at, value, score, alert, expected, outcome, quality, seq, sub, arrived, opinion,
            }
        }).collect();
        let mut writer = SilverWriter::new();
        for row in &rows {
            writer.push(row);
        }
        let reader = SilverReader::new(writer.finish().unwrap(), MIB).unwrap();
        prop_assert_eq!(reader.rows().collect::<Vec<_>>(), rows.iter().map(|row| row.kept()).collect::<Vec<_>>());
    }
}
