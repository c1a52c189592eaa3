//! Tables exported by DynamoDB itself to the place of the backup: as they were at one instant, and at no cost to who uses them.
//!
//! It needs point-in-time recovery, which `infra/storage.yaml` turns on, and a bucket. Where the service cannot do it, the tables are
//! read instead, and the manifest says so.

use std::time::Duration;

use account::Trouble;
use anomaly_core::Timestamp;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::primitives::DateTime;
use aws_sdk_dynamodb::types::{ExportFormat, ExportStatus};
use platform::model::ContentHash;

use super::Tables;
use super::bucket::Bucket;
use super::failed;
use crate::item::Row;
use crate::list;
use crate::objects::Objects;
use crate::place::{Blob, Id};
use crate::scan::Table;
use crate::tables::{How, TableParts, Taken};
use crate::{BackupError, Step, Watch};

/// How often an export is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long an export may take: those of AWS take minutes for tables of any size.
const LOOKS_MAX: u32 = 6 * 60 * 6;
/// Answers of who cannot export: an emulator, a table without point-in-time recovery.
const CANNOT: [&str; 4] =
    ["PointInTimeRecoveryUnavailableException", "UnknownOperationException", "InvalidAction", "NotImplemented"];

impl Tables {
    /// Exports both tables as of `begun`. `None`: it cannot be done here.
    pub(super) async fn export<P: Objects + Sync>(
        &self,
        place: &P,
        id: &Id,
        begun: Timestamp,
        watch: Watch<'_>,
    ) -> Result<Option<Taken>, BackupError> {
        let Some(bucket) = &self.exports else { return Ok(None) };
        let mut begun_exports = Vec::new();
        for table in Table::ALL {
            match self.begin(bucket, table, id, begun).await? {
                Some(arn) => begun_exports.push((table, arn)),
                None => return Ok(None),
            }
        }
        let mut tables = Vec::new();
        for (table, arn) in begun_exports {
            let told = self.wait(table, &arn, watch).await?;
            let Some(parts) = read(place, table, id, told).await? else {
                tracing::warn!(table = self.name(table), "the export has written nothing, the tables are read");
                return Ok(None);
            };
            tables.push(parts);
        }
        Ok(Some(Taken { how: How::Export, at: begun, tables }))
    }

    /// Begins an export, or finds the one that an earlier run of this backup began: the token is the backup's own.
    async fn begin(
        &self,
        bucket: &Bucket,
        table: Table,
        id: &Id,
        begun: Timestamp,
    ) -> Result<Option<String>, BackupError> {
        let name = self.name(table);
        let described = self.dynamodb.describe_table().table_name(name).send().await;
        let described = described.map_err(|error| failed(Trouble::of("DescribeTable", name, &error)))?;
        let Some(arn) = described.table().and_then(|table| table.table_arn()) else { return Ok(None) };
        let token = ContentHash::of(format!("{} {name}", id.as_str()).as_bytes());
        let export = self
            .dynamodb
            .export_table_to_point_in_time()
            .table_arn(arn)
            .s3_bucket(bucket.bucket())
            .s3_prefix(bucket.full(&prefix(id, table)))
            .export_format(ExportFormat::DynamodbJson)
            .export_time(DateTime::from_secs(begun.millis().div_euclid(1_000)))
            .client_token(&token.as_str()[..36]);
        match export.send().await {
            Ok(answer) => Ok(answer.export_description().and_then(|one| one.export_arn()).map(str::to_owned)),
            Err(error) => {
                let code = error.as_service_error().and_then(|error| error.code());
                if code.is_some_and(|code| CANNOT.contains(&code))
                    || error.raw_response().is_some_and(|raw| raw.status().as_u16() == 501)
                {
                    tracing::info!(table = name, code, "DynamoDB cannot export the table, it is read");
                    return Ok(None);
                }
                Err(failed(Trouble::of("ExportTableToPointInTime", name, &error)).into())
            }
        }
    }

    /// Waits until an export is there. Returns how many items it says it has.
    async fn wait(&self, table: Table, arn: &str, watch: Watch<'_>) -> Result<Option<u64>, BackupError> {
        for look in 0..LOOKS_MAX {
            let described = self.dynamodb.describe_export().export_arn(arn).send().await;
            let described = described.map_err(|error| failed(Trouble::of("DescribeExport", arn, &error)))?;
            let Some(export) = described.export_description() else { continue };
            let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
            let count = number(export.item_count());
            let bytes = number(export.billed_size_bytes()).unwrap_or_default();
            watch(Step { what: table.name(), count: count.unwrap_or_default(), bytes });
            match export.export_status() {
                Some(ExportStatus::Completed) => return Ok(count),
                Some(ExportStatus::Failed) => {
                    let why = export.failure_message().unwrap_or("DynamoDB does not say why");
                    return Err(BackupError::Refused(format!("the export of `{}` failed: {why}", self.name(table))));
                }
                // An emulator is done at once.
                _ => tokio::time::sleep(LOOK_EVERY.min(Duration::from_secs(1 + u64::from(look)))).await,
            }
        }
        Err(BackupError::Refused(format!(
            "the export of `{}` was not there after {} hours: run the same command again, which waits for it",
            self.name(table),
            LOOKS_MAX / 360
        )))
    }
}

fn prefix(id: &Id, table: Table) -> String {
    id.key(&format!("tables/{}", table.name()))
}

/// The files of an export, each read once for its hash: `{prefix}/AWSDynamoDB/{export}/data/….json.gz` (Amazon DynamoDB Developer
/// Guide, "DynamoDB table export output format").
///
/// `None`: there is no summary of it, which DynamoDB writes last: it was done by something else that writes nothing.
async fn read(
    place: &impl Objects,
    table: Table,
    id: &Id,
    told: Option<u64>,
) -> Result<Option<TableParts>, BackupError> {
    let prefix = format!("{}/", prefix(id, table));
    let (mut parts, mut rows, mut after) = (Vec::new(), 0, String::new());
    let mut has_summary = false;
    loop {
        let page = place.page(&prefix, &after, list::LINES_MAX).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.key);
        has_summary |= page.iter().any(|found| found.key.ends_with("/manifest-summary.json"));
        let data = page.into_iter().filter(|found| found.key.contains("/data/") && found.key.ends_with(".json.gz"));
        for found in data {
            let Some(bytes) = place.read(&found.key).await? else { continue };
            rows += list::lines::<Row>(&bytes, &found.key)?.len() as u64;
            parts.push(Blob { key: found.key, bytes: bytes.len() as u64, sha256: ContentHash::of(&bytes) });
        }
    }
    if !has_summary {
        return Ok(None);
    }
    if told.is_some_and(|told| told != rows) {
        let reason = format!("its files have {rows} items, and DynamoDB says {}", told.unwrap_or_default());
        return Err(BackupError::damaged(prefix, reason));
    }
    Ok(Some(TableParts { name: table.name().to_owned(), rows, parts }))
}
