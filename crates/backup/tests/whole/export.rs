//! DynamoDB's own export: asked for, waited for, and believed as far as its manifests go. The service is a server that answers as the
//! API Reference says; what it exports is written by hand, in the form of the Developer Guide and with its checksums.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use anomaly_core::Timestamp;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use backup::BackupError;
use backup::aws::{Bucket, Exports, Tables};
use backup::folder::Folder;
use backup::objects::{Objects as _, Put};
use backup::place::Id;
use backup::tables::{How, TakeTables as _, Taken, rows};
use base64_simd::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::plant::quiet;

/// When the exports are of, seconds since 1970.
const EXPORT_TIME: i64 = 1_790_000_000;

/// What the service says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Completed,
    /// First that it is at work, and without a description; then that it is done.
    CompletedLater,
    Failed,
    NoPointInTimeRecovery,
}

/// A request: its operation and its body.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

fn table_arn(table: &str) -> String {
    format!("arn:aws:dynamodb:eu-central-1:123456789012:table/{table}")
}

fn export_arn(table: &str) -> String {
    format!("{}/export/01790000000000-{:08x}", table_arn(table), table.len())
}

/// The name of an export without its table's.
fn export_of(table: &str) -> String {
    export_arn(table).rsplit('/').next().unwrap().to_owned()
}

/// The items that a table has when it is read.
fn scanned(table: &str) -> Value {
    match table {
        "checkpoints" => json!([{"pk": {"S": "plant"}, "epoch": {"N": "2"}}]),
        _ => {
            json!([{"pk": {"S": "acme#pump-1"}, "sk": {"S": "I#1"}}, {"pk": {"S": "acme#pump-2"}, "sk": {"S": "I#1"}}])
        }
    }
}

fn answer(says: Says, operation: &str, body: &Value, asked_before: usize) -> (u16, Value) {
    let name = |value: &Value| value.as_str().unwrap().split('/').nth(1).unwrap_or_default().to_owned();
    let table = body["TableName"]
        .as_str()
        .map_or_else(|| body.get("TableArn").or(body.get("ExportArn")).map(name).unwrap_or_default(), str::to_owned);
    match (operation, says) {
        ("DescribeTable", _) => (200, json!({"Table": {"TableName": table, "TableArn": table_arn(&table)}})),
        ("ExportTableToPointInTime", Says::NoPointInTimeRecovery) => {
            let code = "com.amazonaws.dynamodb.v20120810#PointInTimeRecoveryUnavailableException";
            (400, json!({"__type": code, "message": "it is off"}))
        }
        ("ExportTableToPointInTime", _) => {
            (200, json!({"ExportDescription": {"ExportArn": export_arn(&table), "ExportStatus": "IN_PROGRESS"}}))
        }
        ("DescribeExport", Says::Failed) => (
            200,
            json!({"ExportDescription": {"ExportStatus": "FAILED", "FailureCode": "S3AccessDenied",
                "FailureMessage": "no access to the bucket"}}),
        ),
        ("DescribeExport", Says::CompletedLater) if asked_before == 0 => (200, json!({})),
        ("DescribeExport", _) => {
            let count = scanned(&table).as_array().unwrap().len();
            let done = json!({"ExportStatus": "COMPLETED", "ExportTime": EXPORT_TIME, "ItemCount": count});
            (200, json!({"ExportDescription": done}))
        }
        ("Scan", _) => {
            let is_first = body["Segment"].as_u64().unwrap_or(0) == 0;
            (200, json!({"Items": if is_first { scanned(&table) } else { json!([]) }}))
        }
        other => panic!("{other:?} was asked"),
    }
}

/// DynamoDB, and what it was asked.
async fn service(says: Says) -> (aws_sdk_dynamodb::Client, Asked) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let of_server = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let mut connection = BufReader::new(connection);
            let (mut operation, mut length, mut line) = (String::new(), 0, String::new());
            while connection.read_line(&mut line).await.unwrap() > 2 {
                let (name, value) = line.split_once(": ").unwrap_or_default();
                match name.to_ascii_lowercase().as_str() {
                    "x-amz-target" => operation = value.trim().rsplit('.').next().unwrap().to_owned(),
                    "content-length" => length = value.trim().parse().unwrap(),
                    _ => {}
                }
                line.clear();
            }
            let mut body = vec![0; length];
            connection.read_exact(&mut body).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let before = of_server.lock().unwrap().iter().filter(|(one, _)| *one == operation).count();
            let (status, said) = answer(says, &operation, &body, before);
            of_server.lock().unwrap().push((operation, body));
            let said = said.to_string();
            let head = format!(
                "HTTP/1.1 {status} Answer\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\nConnection: \
                 close\r\n\r\n",
                said.len()
            );
            connection.write_all((head + &said).as_bytes()).await.unwrap();
        }
    });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("made-up", "made-up", None, None, "test"))
        .endpoint_url(url)
        .build();
    (aws_sdk_dynamodb::Client::from_conf(config), asked)
}

fn id() -> Id {
    Id::parse("prod-1").unwrap()
}

/// Both tables, taken by an environment whose place is a bucket of another account; what is read of it lies in a folder.
async fn take(says: Says, place: &Folder) -> (Result<Taken, BackupError>, Vec<(String, Value)>) {
    let (client, asked) = service(says).await;
    let s3 = aws_sdk_s3::Config::builder().behavior_version(aws_sdk_s3::config::BehaviorVersion::latest()).build();
    let to = Bucket::new(aws_sdk_s3::Client::from_conf(s3), "plant-backups", "millrace");
    let exports = Exports { to, owner: Some("210987654321".into()) };
    let tables = Tables::new(client, "results", "checkpoints", Some(exports));
    let begun = Timestamp::from_millis(EXPORT_TIME * 1_000 + 7).unwrap();
    let taken = tables.take(place, &id(), begun, &quiet).await;
    let asked = asked.lock().unwrap().clone();
    (taken, asked)
}

fn md5(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(Md5::digest(bytes))
}

fn gzip(lines: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(lines.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

/// An export before it is written.
struct Form {
    table: &'static str,
    summary: Value,
    files: Vec<Value>,
    data: Vec<(&'static str, Vec<u8>)>,
    /// The checksum beside the manifest of the files, if it is not the right one.
    md5_of_files: Option<String>,
    /// Whether that manifest is written.
    has_files: bool,
}

impl Form {
    /// Of the items that the table has: a file each, the file of an empty partition, and one that is empty altogether.
    fn new(table: &'static str) -> Self {
        let items = scanned(table);
        let line = |item: &Value| format!("{}\n", json!({ "Item": item }));
        let names = ["bafybeiczss3yxay3o4abnabbb.json.gz", "gkes5o3lnrhoznhnkyax3hxvya.json.gz"];
        let mut data: Vec<(&str, Vec<u8>)> =
            names.into_iter().zip(items.as_array().unwrap()).map(|(name, item)| (name, gzip(&line(item)))).collect();
        data.extend([("of-nothing.json.gz", gzip("")), ("without-a-byte.json.gz", Vec::new())]);
        let count = items.as_array().unwrap().len();
        let base = format!("{}/AWSDynamoDB/{}", Self::prefix(table), export_of(table));
        let files = data.iter().enumerate().map(|(index, (name, bytes))| {
            json!({
                "itemCount": u64::from(index < count), "md5Checksum": md5(bytes), "etag": "af83d6f217c19b8b0fff8023d8ca4716-1",
                "dataFileS3Key": format!("millrace/{base}/data/{name}"),
            })
        });
        let summary = json!({
            "version": "2020-06-30", "exportArn": export_arn(table), "startTime": "2026-09-21T14:13:20.028Z",
            "endTime": "2026-09-21T14:18:43.897Z", "tableArn": table_arn(table), "tableId": "12345a12-abcd-123a-ab12-1234abc12345",
            "exportTime": "2026-09-21T14:13:20.028Z", "s3Bucket": "plant-backups",
            "s3Prefix": format!("millrace/{}", Self::prefix(table)), "s3SseAlgorithm": "AES256", "s3SseKmsKeyId": null,
            "manifestFilesS3Key": format!("millrace/{base}/manifest-files.json"), "billedSizeBytes": 4096, "itemCount": count,
            "outputFormat": "DYNAMODB_JSON", "outputView": null, "exportType": "FULL_EXPORT",
        });
        Self { table, summary, files: files.collect(), data, md5_of_files: None, has_files: true }
    }

    fn prefix(table: &str) -> String {
        format!("backups/prod-1/tables/{table}")
    }

    async fn write(self, place: &Folder) {
        let base = format!("{}/AWSDynamoDB/{}", Self::prefix(self.table), export_of(self.table));
        let put = async |name: &str, bytes: &[u8]| {
            place.put(&format!("{base}/{name}"), bytes, Put::New).await.unwrap();
        };
        put("_started", b"").await;
        for (name, bytes) in &self.data {
            put(&format!("data/{name}"), bytes).await;
        }
        let files = self.files.iter().map(Value::to_string).chain([String::new()]).collect::<Vec<_>>().join("\n");
        if self.has_files {
            put("manifest-files.json", files.as_bytes()).await;
        }
        put("manifest-files.md5", self.md5_of_files.unwrap_or_else(|| md5(files.as_bytes())).as_bytes()).await;
        let summary = self.summary.to_string();
        put("manifest-summary.json", summary.as_bytes()).await;
        put("manifest-summary.md5", md5(summary.as_bytes()).as_bytes()).await;
    }
}

#[tokio::test]
async fn an_export_in_the_form_of_the_developer_guide_is_taken_as_it_is() {
    for says in [Says::Completed, Says::CompletedLater] {
        let at = tempdir().unwrap();
        let place = Folder::new(at.path());
        Form::new("checkpoints").write(&place).await;
        Form::new("results").write(&place).await;
        // Of an earlier run, below the same prefix.
        let earlier = "backups/prod-1/tables/results/AWSDynamoDB/01780000000000-ffffffff/data/x.json.gz";
        place.put(earlier, &gzip("no item"), Put::New).await.unwrap();
        let (taken, asked) = take(says, &place).await;
        let taken = taken.unwrap();
        assert_eq!((taken.how, taken.at.millis()), (How::Export, EXPORT_TIME * 1_000));
        let found = |name: &str| taken.table(name).map(|table| (table.rows, table.parts.len())).unwrap();
        assert_eq!((found("checkpoints"), found("results")), ((1, 1), (2, 2)));
        let mut items = Vec::new();
        for part in &taken.table("results").unwrap().parts {
            items.extend(rows(&place, part).await.unwrap().map(|row| Value::Object(row.unwrap().item)));
        }
        assert_eq!(Value::Array(items), scanned("results"));

        let exports: Vec<&Value> =
            asked.iter().filter(|(one, _)| one == "ExportTableToPointInTime").map(|(_, body)| body).collect();
        let [checkpoints, results] = exports.as_slice() else { panic!("{asked:?}") };
        assert_eq!(
            checkpoints["TableArn"],
            table_arn("checkpoints"),
            "a finding more than the checkpoints know of is one"
        );
        for export in [checkpoints, results] {
            assert_eq!(
                (&export["S3Bucket"], &export["S3BucketOwner"]),
                (&json!("plant-backups"), &json!("210987654321"))
            );
            assert_eq!(export["ExportFormat"], "DYNAMODB_JSON");
            assert_eq!(export.get("ExportTime"), None, "now, by DynamoDB's clock");
        }
        assert_eq!(results["S3Prefix"], "millrace/backups/prod-1/tables/results");
        let name_of = |export: &Value| export["ClientToken"].as_str().unwrap().to_owned();
        assert!(name_of(results).len() == 36 && name_of(results) != name_of(checkpoints));
        let (_, again) = take(says, &place).await;
        assert!(
            again.iter().any(|(_, body)| body["ClientToken"] == name_of(results).as_str()),
            "a run finds its own export"
        );
    }
}

#[tokio::test]
async fn where_an_export_fails_or_cannot_be_the_tables_are_read() {
    for says in [Says::Failed, Says::NoPointInTimeRecovery] {
        let at = tempdir().unwrap();
        let place = Folder::new(at.path());
        // What it wrote before it failed is no table.
        Form { has_files: false, ..Form::new("results") }.write(&place).await;
        let (taken, asked) = take(says, &place).await;
        let taken = taken.unwrap();
        assert_eq!(taken.how, How::Scan, "{says:?}");
        assert_eq!(
            taken.tables.iter().map(|table| (&*table.name, table.rows)).collect::<Vec<_>>(),
            [("checkpoints", 1), ("results", 2)]
        );
        assert!(taken.tables.iter().flat_map(|table| &table.parts).all(|part| !part.key.contains("AWSDynamoDB")));
        let scans: Vec<&str> = asked
            .iter()
            .filter(|(one, _)| one == "Scan")
            .map(|(_, body)| body["TableName"].as_str().unwrap())
            .collect();
        assert_eq!(scans[0], "checkpoints", "{scans:?}");
    }
}

#[tokio::test]
async fn a_complete_export_that_has_written_nothing_is_an_emulators_and_the_tables_are_read() {
    let at = tempdir().unwrap();
    let (taken, _) = take(Says::Completed, &Folder::new(at.path())).await;
    assert_eq!(taken.unwrap().how, How::Scan);
}

/// An export of the results that is not as it should be is refused with these words.
async fn refused(change: impl FnOnce(&mut Form), words: &[&str]) {
    let at = tempdir().unwrap();
    let place = Folder::new(at.path());
    Form::new("checkpoints").write(&place).await;
    let mut form = Form::new("results");
    change(&mut form);
    form.write(&place).await;
    let (taken, asked) = take(Says::Completed, &place).await;
    let refused = taken.unwrap_err();
    assert!(matches!(refused, BackupError::Damaged { .. }), "{refused}");
    for part in words {
        assert!(refused.to_string().contains(part), "`{part}` is not in: {refused}");
    }
    assert!(asked.iter().all(|(one, _)| one != "Scan"));
}

#[tokio::test]
async fn a_data_file_that_is_damaged_missing_or_cut_short_is_found() {
    refused(|form| form.data[0].1[12] ^= 1, &["bafybei", "its MD5 is"]).await;
    refused(|form| form.data[1].1.truncate(20), &["gkes5o3", "its MD5 is"]).await;
    refused(|form| drop(form.data.remove(0)), &["bafybei", "it is not there"]).await;
    // A line fewer in the manifest, too: its own count tells.
    refused(|form| drop(form.files.remove(0)), &["its files have 1 items", "the summary says 2"]).await;
    refused(|form| form.files[0]["itemCount"] = json!(2), &["bafybei", "it has 1 items"]).await;
    refused(|form| form.files[1] = form.files[0].clone(), &["twice"]).await;
}

#[tokio::test]
async fn a_manifest_that_is_damaged_missing_or_of_something_else_is_found() {
    refused(|form| form.md5_of_files = Some(md5(b"")), &["manifest-files.json", "manifest-files.md5 says"]).await;
    refused(|form| form.has_files = false, &["manifest-files.json", "it is not there"]).await;
    refused(|form| form.summary["itemCount"] = json!(3), &["it says 3 items, and DynamoDB 2"]).await;
    let other = table_arn("telemetry");
    refused(|form| form.summary["tableArn"] = json!(other), &["manifest-summary.json", "of the table", "telemetry"])
        .await;
    refused(|form| form.summary["exportArn"] = json!(export_arn("checkpoints")), &["of the export"]).await;
    refused(|form| form.summary["outputFormat"] = json!("ION"), &["of the format `ION`"]).await;
    refused(|form| form.summary["exportType"] = json!("INCREMENTAL_EXPORT"), &["of the kind `INCREMENTAL_EXPORT`"])
        .await;
    refused(|form| form.summary = json!({"version": "2030-01-01"}), &["manifest-summary.json", "missing field"]).await;
    let foreign = "millrace/backups/prod-1/tables/results/AWSDynamoDB/01780000000000-ffffffff/data/x.json.gz";
    refused(|form| form.files[0]["dataFileS3Key"] = json!(foreign), &["which is of another export"]).await;
}

#[tokio::test]
async fn items_of_another_table_are_found_whatever_the_manifests_say() {
    let foreign = gzip(&format!("{}\n", json!({"Item": {"pk": {"S": "plant"}, "epoch": {"N": "2"}}})));
    let change = |form: &mut Form| {
        form.files[0]["md5Checksum"] = json!(md5(&foreign));
        form.data[0].1 = foreign;
    };
    refused(change, &["bafybei", "an item without the keys of the results"]).await;
}

#[tokio::test]
async fn an_export_from_before_there_were_kinds_of_them_and_without_checksums_is_a_full_one() {
    let at = tempdir().unwrap();
    let place = Folder::new(at.path());
    for table in ["checkpoints", "results"] {
        let mut form = Form::new(table);
        form.summary.as_object_mut().unwrap().retain(|name, _| name != "exportType" && name != "outputView");
        form.write(&place).await;
        for manifest in ["summary", "files"] {
            let export = export_of(table);
            place
                .remove(&format!("{}/AWSDynamoDB/{export}/manifest-{manifest}.md5", Form::prefix(table)))
                .await
                .unwrap();
        }
    }
    assert_eq!(take(Says::Completed, &place).await.0.unwrap().how, How::Export);
}
