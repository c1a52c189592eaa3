//! Recorded data: what people have is read, and what cannot be read is named with its file, line and column.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod lake_plant;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anomaly_core::{DeviceName, Quality, TenantName, Timestamp};
use proptest::prelude::*;
use telemetry::bronze::BronzeWriter;
use telemetry::history::{Defaults, Form, History, HistoryError, HistoryRow};
use telemetry::sequence::SequenceNumber;
use telemetry::silver::{SilverRow, SilverWriter};
use tempfile::TempDir;

fn defaults() -> Defaults<'static> {
    Defaults { tenant: TenantName::new("acme").unwrap(), device: DeviceName::new("machine").unwrap() }
}

/// A folder with one file in it.
fn stored(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn read(name: &str, content: impl AsRef<[u8]>) -> Result<(Form, Vec<HistoryRow>), HistoryError> {
    let (_folder, path) = stored(name, content);
    let history = History::open(&path, &defaults())?;
    Ok((history.form(), history.collect::<Result<_, _>>()?))
}

/// A row in short: `tenant/device millis metric=value …`.
fn short(row: &HistoryRow) -> String {
    let mut text = format!("{}/{} {}", row.tenant, row.device, row.at.millis());
    for value in &row.values {
        let number = value.value.map_or("-".to_owned(), |number| number.to_string());
        _ = write!(text, " {}={number}", value.metric);
    }
    text
}

fn check(name: &str, content: &str, form: Form, expected: &[&str]) {
    let (found, rows) = read(name, content).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found, form, "{content}");
    assert_eq!(rows.iter().map(short).collect::<Vec<_>>(), expected, "{content}");
    assert!(rows.iter().zip(1..).all(|(row, number)| row.number == number));
}

/// Checks that reading stops at this line and column (0: not named) with a message that has these words.
fn refused(content: impl AsRef<[u8]>, line: u64, column: usize, words: &[&str]) {
    let shown = String::from_utf8_lossy(content.as_ref()).into_owned();
    let error = read("run.csv", content).map(|_| shown.clone()).unwrap_err();
    let text = error.to_string();
    assert_eq!((error.line.unwrap_or(0), error.column.unwrap_or(0)), (line, column), "{shown}\n{text}");
    assert!(text.contains("run.csv"), "{text}");
    for words in words {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
}

#[test]
fn csv_of_one_device_is_read_with_missing_values() {
    let content =
        "timestamp,temp,Volume Flow\n2020-03-01 00:00:00,1.5,-2\n1583020801, ,1e3\n2020-03-01T00:00:02Z,NaN,nan\n";
    let rows = [
        "acme/machine 1583020800000 temp=1.5 Volume Flow=-2",
        "acme/machine 1583020801000 temp=- Volume Flow=1000",
        "acme/machine 1583020802000 temp=- Volume Flow=-",
    ];
    check("run.csv", content, Form::CsvWide, &rows);
    check("run.csv", &format!("\u{feff}{}", content.replace('\n', "\r\n")), Form::CsvWide, &rows);
    check("run.csv", &content.replace(',', ";"), Form::CsvWide, &rows);
    check("run.tsv", &content.replace(',', "\t"), Form::CsvWide, &rows);
    check("no-end", content.trim_end(), Form::CsvWide, &rows);
}

#[test]
fn csv_with_a_value_column_alone_is_a_metric_of_that_name() {
    check(
        "nab.csv",
        "timestamp,value\n2014-04-01 00:00:00,19.7\n",
        Form::CsvWide,
        &["acme/machine 1396310400000 value=19.7"],
    );
}

#[test]
fn csv_of_many_devices_may_be_wide_with_a_device_column() {
    let content = "device,timestamp,temp\nfan-1,1583020800,1\nfan-2,1583020800,2\n";
    check("run.csv", content, Form::CsvWide, &["acme/fan-1 1583020800000 temp=1", "acme/fan-2 1583020800000 temp=2"]);
}

#[test]
fn csv_in_long_form_gathers_the_lines_of_one_instant() {
    let content = "value,METRIC,device,timestamp,tenant\n\
        1,a,d1,1583020800,t1\n2,b,d1,1583020800,t1\n3,a,d2,1583020800,t1\n4,a,d2,1583020800,t1\n,a,d2,1583020801,t2\n";
    check(
        "long.csv",
        content,
        Form::CsvLong,
        &[
            "t1/d1 1583020800000 a=1 b=2",
            "t1/d2 1583020800000 a=3",
            "t1/d2 1583020800000 a=4",
            "t2/d2 1583020801000 a=-",
        ],
    );
    let (_, rows) = read("q.csv", "timestamp,metric,value,quality\n1583020800,a,1,bad\n1583020800,b,1,\n").unwrap();
    let qualities: Vec<_> = rows[0].values.iter().map(|value| value.quality).collect();
    assert_eq!((qualities, &*rows[0].device), (vec![Quality::Bad, Quality::Good], "machine"));
}

#[test]
fn a_header_that_does_not_say_what_its_columns_are_is_refused() {
    refused("", 0, 0, &["empty"]);
    refused(" \n\n", 0, 0, &["empty"]);
    refused("temp,pressure\n1,2\n", 1, 0, &["no column `timestamp`", "add one"]);
    refused("Time,temp\n1583020800,2\n", 1, 0, &["no column `timestamp`", "rename the column `Time`"]);
    refused("timestamp,a,b,a\n", 1, 4, &["`a` in column 2"]);
    refused("timestamp,Timestamp\n", 1, 2, &["in column 1"]);
    refused("timestamp,a,\n", 1, 3, &["no name"]);
    refused("timestamp\n1583020800\n", 1, 0, &["no metric"]);
    refused("timestamp,a#b\n", 1, 2, &["metric name"]);
    refused("2020-03-01 00:00:00,1,2\n", 1, 1, &["the first line is data", "put a header"]);
    refused("timestamp,1.5\n", 1, 2, &["the first line is data"]);
    refused("timestamp,device,metric\n", 1, 3, &["no column `value`"]);
    refused("timestamp,device,metric,value,pressure\n", 1, 5, &["mixes two forms", "`pressure`"]);
    let wide = (0..65).fold(String::new(), |header, index| header + &format!(",m{index}"));
    refused(format!("timestamp{wide}\n"), 1, 0, &["65 metrics, the limit is 64"]);
}

#[test]
fn a_cell_that_cannot_be_read_stops_with_its_place_and_the_remedy() {
    let header = "timestamp,temp,press\n1583020800,1,2\n";
    refused(header.replace("1583020800,1,2\n", ""), 0, 0, &["not one row"]);
    refused(format!("{header}\n1583020801,1\n"), 4, 0, &["expected 3 cells", "found 2", "leave a cell empty"]);
    refused(format!("\u{feff}{header}\n1583020801,1\n").replace('\n', "\r\n"), 4, 0, &["found 2"]);
    refused(format!("{header}1583020801,1,x"), 3, 3, &["`x`"]);
    refused(format!("{header}1583020801,1,5,3\n"), 3, 0, &["expected 3 cells", "found 4", "decimal point"]);
    refused(format!("{header}1583020801,1,abc\n"), 3, 3, &["a number for `press`", "`abc`"]);
    refused(format!("{header}1583020801,\"1,5\",2\n"), 3, 2, &["a number for `temp`", "`1,5`"]);
    refused(format!("{header}1583020801,inf,2\n"), 3, 2, &["a number", "`inf`"]);
    refused(format!("{header}1583020801,1e999,2\n"), 3, 2, &["a number", "`1e999`"]);
    refused(format!("{header}yesterday,1,2\n"), 3, 1, &["a time from 1980 to 2200", "`yesterday`", "ISO 8601"]);
    refused(format!("{header},1,2\n"), 3, 1, &["a time", "``"]);
    refused([header.as_bytes(), b"1583020801,\xff,2\n"].concat(), 3, 0, &["not UTF-8"]);
    refused(format!("{header}1583020801,\u{1b}[31m,2\n"), 3, 2, &[r"`\u{1b}[31m`"]);
    refused("timestamp,device,metric,value\n1583020800,a/b,m,1\n", 2, 2, &["device name"]);
    refused("timestamp,device,metric,value\n1583020800,d,,1\n", 2, 3, &["metric name"]);
    refused("timestamp,metric,value,quality\n1583020800,m,1,fine\n", 2, 4, &["`good`, `uncertain` or `bad`"]);
}

#[test]
fn rows_before_a_bad_one_are_given_and_none_after_it() {
    let (_folder, path) = stored("run.csv", "timestamp,a\n1583020800,1\n1583020801,x\n1583020802,3\n");
    let results: Vec<_> = History::open(&path, &defaults()).unwrap().collect();
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn files_of_other_kinds_are_named_with_what_to_do() {
    refused([0x1f, 0x8b, 8, 0], 0, 0, &["gzip", "unpack"]);
    refused(b"PK\x03\x04aaaa", 0, 0, &["spreadsheet", "save it as CSV"]);
    refused(b"\xff\xfet\0i\0", 0, 0, &["UTF-16", "UTF-8"]);
    refused(b"\x7fELF\0\0", 0, 0, &["binary"]);
    refused("[\n {\"timestamp\": 1}\n]\n", 0, 0, &["over many lines", "one payload a line"]);
    refused("{\n \"timestamp\": 1\n}\n", 0, 0, &["over many lines"]);
    let error = History::open(&PathBuf::from("/nowhere/run.csv"), &defaults()).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/run.csv: it cannot be read: "), "{error}");
    let folder = TempDir::new().unwrap();
    assert!(History::open(folder.path(), &defaults()).unwrap_err().to_string().contains("no `.ndjson.zst`"));
}

#[test]
fn ndjson_takes_every_json_shape_of_the_stream() {
    let content = r#"{"deviceId":"d1","sensorType":"temperature","value":25.5,"timestamp":1583020800000}
{"topic":"tenants/beta/devices/d2/telemetry","ts":1583020800,"temperature":83.2,"vibration":0.19}

[{"bn":"d3:","bt":1583020800,"n":"temp","v":1},{"n":"temp","t":1,"v":2}]
{"timestamp":"2020-03-01T00:00:00Z","temp":1.5,"note":null}
{"timestamp":"2020-03-01 00:00:00.5","temp":2.5}
{"device":"d4","ts":"2020-03-01 00:00:01","temp":3.5}
"#;
    check(
        "run.ndjson",
        content,
        Form::Ndjson,
        &[
            "acme/d1 1583020800000 temperature=25.5",
            "beta/d2 1583020800000 temperature=83.2 vibration=0.19",
            "acme/d3 1583020800000 temp=1",
            "acme/d3 1583020801000 temp=2",
            "acme/machine 1583020800000 temp=1.5",
            "acme/machine 1583020800500 temp=2.5",
            "acme/d4 1583020801000 temp=3.5",
        ],
    );
}

#[test]
fn a_payload_that_cannot_be_read_stops_with_its_line() {
    let good = "{\"ts\":1583020800,\"a\":1}\n";
    refused(format!("{good}{{\"a\":2}}\n"), 2, 0, &["no time", "`\"timestamp\"`"]);
    refused(format!("{good}{{\"ts\":1583020800,\"a\":}}\n"), 2, 0, &["not_json"]);
    refused(format!("{good}\n{{\"ts\":1583020800}}\n"), 3, 0, &["unknown_shape"]);
    refused(format!("{good}{{\"ts\":\"soon\",\"a\":1}}\n"), 2, 0, &["time_impossible", "`soon`"]);
    refused(format!("{good}{{\"ts\":1583020800,\"a\":\"NaN\"}}\n"), 2, 0, &["not_finite"]);
    refused(format!("{good}[{{\"n\":\"d:t\",\"v\":1}}]\n"), 2, 0, &["no time"]);
    refused(format!("{good}{}", "{\"a\":1,".repeat(200_000)), 2, 0, &["one payload a line"]);
}

fn seq(number: u32) -> SequenceNumber {
    number.to_string().parse().unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// Records `first..=last` of one device, each a second after the one before, the value its number.
fn bronze(first: u32, last: u32) -> Vec<u8> {
    let mut writer = BronzeWriter::new();
    for number in first..=last {
        let millis = 1_583_020_800_000 + i64::from(number) * 1000;
        let payload = format!("{{\"device\":\"d\",\"ts\":{millis},\"v\":{number}}}");
        writer.push(&seq(number), at(millis + 40), "d", payload.as_bytes(), true);
    }
    writer.finish().unwrap()
}

fn values(rows: &[HistoryRow]) -> Vec<f64> {
    rows.iter().flat_map(|row| &row.values).filter_map(|value| value.value).collect()
}

#[test]
fn bronze_is_read_packed_or_not_with_its_arrival() {
    let (form, rows) = read("x.ndjson.zst", bronze(1, 3)).unwrap();
    assert_eq!((form, values(&rows)), (Form::Bronze, vec![1.0, 2.0, 3.0]));
    assert_eq!(rows[0].arrived.millis() - rows[0].at.millis(), 40);
    let text = telemetry::bronze::BronzeReader::new(&bronze(1, 3), 1 << 20).unwrap().text().to_vec();
    assert_eq!(values(&read("x.ndjson", text).unwrap().1), [1.0, 2.0, 3.0]);
}

#[test]
fn poison_in_bronze_is_counted_as_it_was_when_it_arrived() {
    let mut writer = BronzeWriter::new();
    writer.push(&seq(1), at(1_583_020_800_000), "d", b"junk", false);
    writer.push(&seq(2), at(1_583_020_800_000), "d", br#"{"device":"d","v":7}"#, true);
    let (_folder, path) = stored("x.ndjson.zst", writer.finish().unwrap());
    let mut history = History::open(&path, &defaults()).unwrap();
    let rows: Vec<_> = history.by_ref().map(Result::unwrap).collect();
    assert_eq!((values(&rows), rows[0].at, history.refused()), (vec![7.0], at(1_583_020_800_000), 1));
}

#[test]
fn a_folder_of_bronze_is_read_in_order_and_each_record_once() {
    let lake = TempDir::new().unwrap();
    let store = |name: &str, object: Vec<u8>| {
        let path = lake.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, object).unwrap();
    };
    store("bronze/dt=2020-03-01/hour=00/r/s/shard-1/0-3.ndjson.zst", bronze(1, 3));
    store("bronze/dt=2020-03-01/hour=00/r/s/shard-1/0-5.v2-abc.ndjson.zst", bronze(1, 5));
    store("bronze/dt=2020-03-01/hour=01/r/s/shard-1/5-8.ndjson.zst", bronze(4, 8));
    store("bronze/dt=2020-03-01/hour=00/r/s/shard-2/0-2.ndjson.zst", bronze(1, 2));
    store("quarantine/dt=2020-03-01/hour=00/r/s/shard-1/0-3.ndjson.zst", b"never looked at".to_vec());
    let read = |path: &str| -> Vec<f64> {
        let history = History::open(&lake.path().join(path), &defaults()).unwrap();
        values(&history.map(Result::unwrap).collect::<Vec<_>>())
    };
    assert_eq!(read(""), [1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 2.0, 6.0, 7.0, 8.0]);
    assert_eq!(read("bronze/dt=2020-03-01/hour=01"), [4.0, 5.0, 6.0, 7.0, 8.0]);
    fs::create_dir_all(lake.path().join("mixed")).unwrap();
    store("mixed/a.ndjson.zst", bronze(1, 1));
    store("mixed/b.parquet", SilverWriter::new().finish().unwrap());
    let error = History::open(&lake.path().join("mixed"), &defaults()).unwrap_err().to_string();
    assert!(error.contains("bronze and silver"), "{error}");
}

#[test]
fn silver_is_read_row_by_row_as_it_was_scored() {
    let mut writer = SilverWriter::new();
    lake_plant::batch(3, |row| writer.push(row), |_, _, _, _| ());
    let (form, rows) = read("x.parquet", writer.finish().unwrap()).unwrap();
    assert_eq!((form, rows.len()), (Form::Silver, 3));
    assert!(rows.iter().all(|row| row.values.len() == 5 && row.arrived.millis() - row.at.millis() == 40));
    assert_eq!(&*rows[2].device, "pump-02");
    let mut writer = SilverWriter::new();
    let row = lake_plant::row(seq(1), at(1_583_020_800_000));
    writer.push(&row);
    writer.push(&SilverRow { metric: "b", ..row });
    writer.push(&SilverRow { sub: 3, ..row });
    let (_, rows) = read("x.parquet", writer.finish().unwrap()).unwrap();
    assert_eq!(rows.iter().map(|row| row.values.len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(rows[0].values[0].quality, Quality::Uncertain);
}

#[test]
fn a_damaged_object_stops_with_its_name() {
    let mut damaged = bronze(1, 3);
    let end = damaged.len() - 6;
    damaged[end] ^= 1;
    refused(damaged, 0, 0, &["damaged"]);
    refused(b"PAR1 and nothing else", 0, 0, &["silver object"]);
}

proptest! {
    #[test]
    fn what_is_written_as_csv_is_read_back(
        rows in proptest::collection::vec(
            (Timestamp::MIN.millis()..=Timestamp::MAX.millis(), proptest::collection::vec(proptest::option::of(proptest::num::f64::NORMAL), 3)),
            1..30,
        )
    ) {
        let mut text = "timestamp,a,b,c\n".to_owned();
        for (millis, cells) in &rows {
            let cells: Vec<_> = cells.iter().map(|cell| cell.map_or(String::new(), |number| number.to_string())).collect();
            writeln!(text, "{},{}", at(*millis), cells.join(",")).unwrap();
        }
        let (_, back) = read("run.csv", text).unwrap();
        let back: Vec<_> = back.iter().map(|row| {
            (row.at.millis(), row.values.iter().map(|value| value.value).collect::<Vec<_>>())
        }).collect();
        prop_assert_eq!(back, rows);
    }

    #[test]
    fn no_content_makes_the_reader_panic(content in "\\PC{0,20}|timestamp,[a-c\",;]{0,6}\n[0-9a-z\",.\n-]{0,60}|\\{[\\PC\n]{0,40}") {
        let _judged = read("any", content);
    }
}
