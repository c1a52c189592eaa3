//! `infra/analytics.yaml` says what `infra/sql`, the writers and this crate say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anomaly_core::Timestamp;
use datafusion::arrow::datatypes::DataType;
use kinesis_scorer::chain;
use lake::engine::Cell;
use lake::question::{Kind, Question};
use lake::table::{Form, TABLES, Table};
use platform::model::Key;
use platform::ports::ListObjects as _;
use telemetry::bronze::BronzeWriter;
use telemetry::quarantine::{QuarantineRecord, QuarantineWriter};
use telemetry::sequence::SequenceNumber;

use crate::plant::Folder;

fn infra() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra")
}

/// The texts of `infra/sql`, by name.
fn questions() -> BTreeMap<String, String> {
    let files = fs::read_dir(infra().join("sql")).unwrap().map(|entry| entry.unwrap().path());
    let named =
        |path: PathBuf| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap());
    files.map(named).collect()
}

/// The resources of the template of a type: their lines, without the indent that all have.
fn resources(kind: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(infra().join("analytics.yaml")).unwrap();
    let mut all: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        let is_name = line.len() > 2 && line.starts_with("  ") && line.as_bytes()[2].is_ascii_alphabetic();
        if is_name {
            all.push(Vec::new());
        }
        if let Some(resource) = all.last_mut() {
            resource.push(line.to_owned());
        }
    }
    let of_kind = format!("Type: {kind}");
    all.retain(|resource| resource.iter().any(|line| line.trim() == of_kind));
    assert!(!all.is_empty(), "{kind}");
    all
}

/// What stands behind `name:` in a resource.
fn value<'r>(resource: &'r [String], name: &str) -> &'r str {
    let begins = format!("{name}: ");
    let found = resource.iter().find_map(|line| line.trim_start().strip_prefix(&begins));
    found.unwrap_or_else(|| panic!("no `{name}` in {resource:?}"))
}

/// Names and types in the list under `name:`.
fn listed(resource: &[String], name: &str) -> Vec<(String, String)> {
    let begins = format!("{name}:");
    let items = resource.iter().skip_while(|line| line.trim() != begins).skip(1);
    let item = |line: &String| {
        let inner = line.trim().strip_prefix("- {Name: ")?.strip_suffix('}')?;
        inner.split_once(", Type: ").map(|(name, of)| (name.to_owned(), of.to_owned()))
    };
    items.map_while(item).collect()
}

struct Glue {
    columns: Vec<(String, String)>,
    partitions: Vec<(String, String)>,
    lines: Vec<String>,
}

fn glue() -> BTreeMap<String, Glue> {
    let tables = resources("AWS::Glue::Table").into_iter().map(|lines| {
        let (columns, partitions) = (listed(&lines, "Columns"), listed(&lines, "PartitionKeys"));
        (value(&lines, "Name").to_owned(), Glue { columns, partitions, lines })
    });
    tables.collect()
}

fn pairs<'p>(columns: impl IntoIterator<Item = (&'p str, &'p str)>) -> Vec<(String, String)> {
    columns.into_iter().map(|(name, of)| (name.to_owned(), of.to_owned())).collect()
}

#[test]
fn each_saved_query_is_the_text_of_its_file() {
    let mut saved: BTreeMap<String, String> = BTreeMap::new();
    for resource in resources("AWS::Athena::NamedQuery") {
        let text = resource.iter().skip_while(|line| line.trim() != "QueryString: |").skip(1);
        let text: Vec<&str> = text.take_while(|line| line.starts_with("        ")).map(|line| &line[8..]).collect();
        assert!(saved.insert(value(&resource, "Name").to_owned(), text.join("\n")).is_none());
    }
    let files: BTreeMap<String, String> =
        questions().into_iter().map(|(name, text)| (name, Question::new(&text).for_athena().unwrap())).collect();
    assert_eq!(saved.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
    for (name, text) in files {
        assert_eq!(saved[&name], text, "{name}");
    }
}

#[test]
fn parameters_stand_once_in_the_order_of_the_header() {
    for (name, text) in questions() {
        let question = Question::new(&text);
        let header: Vec<&str> = question.parameters().unwrap().iter().map(|parameter| parameter.name).collect();
        assert_eq!(question.placeholders(), header, "{name}");
        let marks = question.for_athena().unwrap().matches('?').count();
        assert_eq!(marks, header.len(), "{name}: Athena counts question marks in comments, too");
    }
}

#[test]
fn the_catalogue_has_the_tables_of_this_crate() {
    let glue = glue();
    assert_eq!(glue.len(), TABLES.len());
    for Table { name, folder, partitions, columns, form } in TABLES {
        let found = &glue[*name];
        assert_eq!(found.columns, pairs(columns.iter().map(|(name, of)| (*name, of.glue()))), "{name}");
        let of = |partition: &&'static str| (*partition, Table::partition_type(partition).glue());
        assert_eq!(found.partitions, pairs(partitions.iter().map(of)), "{name}");
        let form = if *form == Form::Parquet { "parquet" } else { "json" };
        assert_eq!(value(&found.lines, "classification"), form, "{name}");
        let location = format!("!Sub \"s3://${{LakeBucketName}}/{folder}\"");
        assert_eq!(value(&found.lines, "Location"), location, "{name}");
    }
}

#[test]
fn silver_has_the_columns_of_its_schema_and_readings_those_and_the_run() {
    let column = |line: &'static str| {
        let (physical, rest) = line.trim().strip_prefix("REQUIRED ")?.strip_suffix(';')?.split_once(' ')?;
        let (name, logical) = rest.split_once(" (").unwrap_or((rest, ""));
        let of = match (physical, logical) {
            ("BYTE_ARRAY", "UTF8)") => "string",
            ("BYTE_ARRAY", "") => "binary",
            ("INT64", "TIMESTAMP(MILLIS,true))") => "timestamp",
            ("DOUBLE", "") => "double",
            ("FLOAT", "") => "float",
            ("INT32", "") => "int",
            other => panic!("{other:?}"),
        };
        Some((name, of))
    };
    let mut schema = pairs(telemetry::silver::SCHEMA.lines().filter_map(column));
    assert_eq!(schema.len(), 13);
    let opinion = telemetry::silver::OPINION.strip_prefix("OPTIONAL FLOAT ").unwrap();
    let with_opinions = [&schema[..], &pairs([(opinion, "float")])].concat();
    assert_eq!(glue()["silver"].columns, with_opinions);
    schema.push(("run".to_owned(), "string".to_owned()));
    assert_eq!(glue()["readings"].columns, schema);
}

/// Keys of the lines of an object, in the order in which they first stand.
fn keys(object: &[u8]) -> Vec<String> {
    let text = zstd::bulk::decompress(object, 1 << 20).unwrap();
    let mut keys = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let parsed: serde_json::Value = serde_json::from_slice(line).unwrap();
        let mut own: Vec<&String> = parsed.as_object().unwrap().keys().collect();
        let text = std::str::from_utf8(line).unwrap();
        own.sort_by_key(|key| text.find(&format!("\"{key}\":")).unwrap());
        keys.extend(own.into_iter().filter(|key| !keys.contains(*key)).cloned().collect::<Vec<_>>());
    }
    keys
}

#[test]
fn bronze_and_quarantine_have_the_keys_that_their_writers_write() {
    let names = |table: &str| glue()[table].columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let (seq, arrived): (SequenceNumber, _) = ("7".parse().unwrap(), Timestamp::MIN);
    let mut bronze = BronzeWriter::new();
    let mut quarantine = QuarantineWriter::new();
    for is_json in [true, false] {
        bronze.push(&seq, arrived, "p", b"{}", is_json);
        let record = QuarantineRecord {
            seq,
            arrived,
            partition_key: "p".into(),
            sub: 0,
            reason: "r".into(),
            detail: "d".into(),
            data: b"{}".as_slice().into(),
        };
        quarantine.push(&record, is_json);
    }
    assert_eq!(keys(&bronze.finish().unwrap()), names("bronze"));
    assert_eq!(keys(&quarantine.finish().unwrap()), names("quarantine"));
}

#[tokio::test]
async fn what_is_stored_of_a_question_has_the_columns_of_its_answer() {
    let folder = tempfile::TempDir::new().unwrap();
    let engine = lake::Engine::open(folder.path(), lake::engine::Means { memory_bytes: 64 << 20, threads: 1 }).unwrap();
    let questions = questions();
    for (name, table) in
        [("summary_hour", "gold_summary"), ("zscore", "gold_anomalies"), ("zscore_robust", "gold_anomalies")]
    {
        let question = Question::new(&questions[name]);
        let parameters = question.parameters().unwrap();
        let any = |kind| if kind == Kind::Text { "2026-01-01" } else { "1" };
        let values: Vec<(&str, &str)> = parameters.iter().map(|one| (one.name, any(one.kind))).collect();
        let answer = engine.ask(&question.bind(&values).unwrap()).await.unwrap();
        let schema = answer.schema();
        let of = |of: &DataType| match of {
            DataType::Utf8 | DataType::Utf8View => "string",
            DataType::Timestamp(..) => "timestamp",
            DataType::Float64 => "double",
            DataType::Float32 => "float",
            DataType::Int64 => "bigint",
            DataType::Int32 => "int",
            DataType::Binary | DataType::BinaryView => "binary",
            other => panic!("{name}: {other}"),
        };
        let answered = schema.fields().iter().map(|field| (field.name().as_str(), of(field.data_type())));
        assert_eq!(pairs(answered.chain([("run", "string")])), glue()[table].columns, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn places_name_all_partitions_in_order_and_the_scorers_objects_lie_there() {
    for (name, table) in glue() {
        let template = value(&table.lines, "storage.location.template");
        let folder = TABLES.iter().find(|table| table.name == name).unwrap().folder;
        let keys: Vec<String> = table.partitions.iter().map(|(name, _)| format!("{name}=${{!{name}}}/")).collect();
        assert_eq!(template, format!("!Sub \"s3://${{LakeBucketName}}/{folder}{}\"", keys.concat()), "{name}");
    }
    let folder = Folder::new().await;
    let table = &glue()["silver"];
    let template = value(&table.lines, "storage.location.template");
    let digits = value(&table.lines, "projection.hour.digits");
    assert_eq!((value(&table.lines, "projection.dt.format"), digits), ("yyyy-MM-dd", "\"2\""));
    let place = template.split_once("${LakeBucketName}/").unwrap().1.trim_end_matches('"');
    let place = place.replace("${!dt}", "2026-01-05").replace("${!hour}", "01");
    assert!(!folder.open().list_objects(&place, 10_000).await.unwrap().is_empty(), "{place}");
    check_positions(&folder).await;
}

/// What SQL reads from names, beside what the scorer's own reader of names reads.
async fn check_positions(folder: &Folder) {
    let engine = folder.engine();
    let questions = questions();
    let glance = &questions["glance"];
    let (_, steps) = glance.split_once("\nplaces AS (").unwrap();
    let (steps, _) = steps.split_once(",\nfollowed AS (").unwrap();
    let of_objects = "split_part(key, '/', 4) AS region";
    assert!(questions["objects"].contains(of_objects));
    let real = folder.open().list_objects("silver/", 10_000).await.unwrap().swap_remove(5).key;
    let suffixed = Key::new(real.as_str().replace(".parquet", "-0123456789ab.parquet")).unwrap();
    for (key, suffix) in [(&real, ""), (&suffixed, "0123456789ab")] {
        let place = lake::place::place(key).unwrap();
        let name = chain::read(key, &place.shard.to_string()).unwrap();
        assert_eq!(name.suffix, !suffix.is_empty());
        let text = |text: &str| Cell::Text(text.to_owned());
        let expected = vec![
            text(key.as_str()),
            text(&place.shard.region),
            text(&place.shard.stream),
            text(&place.shard.shard),
            Cell::Number(name.version as f64),
            text(name.before),
            text(name.id),
            text(suffix),
        ];
        let sql = format!("WITH scored AS (SELECT '{key}' AS key),\nplaces AS ({steps}\nSELECT * FROM batches");
        assert_eq!(engine.ask(&sql).await.unwrap().rows().await.unwrap().unwrap(), [expected]);
        let sql = format!("SELECT {of_objects} FROM (SELECT '{key}' AS key) AS keys");
        assert_eq!(engine.ask(&sql).await.unwrap().rows().await.unwrap().unwrap(), [[text(&place.shard.region)]]);
    }
}
