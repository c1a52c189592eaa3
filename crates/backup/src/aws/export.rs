//! Tables exported by DynamoDB itself to the place of the backup: as they were at one instant, and at no cost to who uses them.
//!
//! It needs point-in-time recovery, which `infra/storage.yaml` turns on, and a bucket. Where the service cannot do it, the tables are
//! read instead, and the manifest says so.

use std::time::Duration;

use account::Trouble;
use anomaly_core::Timestamp;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
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
    /// Exports both tables as of now, by DynamoDB's clock; `begun` stands for it where DynamoDB does not say. `None`: it cannot be
    /// done here.
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
            match self.begin(bucket, table, id).await? {
                Some(arn) => begun_exports.push((table, arn)),
                None => return Ok(None),
            }
        }
        let (mut tables, mut at) = (Vec::new(), None);
        for (table, arn) in begun_exports {
            let Some(told) = self.wait(table, &arn, watch).await? else { return Ok(None) };
            at = [at, told.at].into_iter().flatten().min();
            let Some(parts) = read(place, table, id, &arn, told.items).await? else {
                tracing::warn!(table = self.name(table), "the export has written nothing, the tables are read");
                return Ok(None);
            };
            tables.push(parts);
        }
        Ok(Some(Taken { how: How::Export, at: at.unwrap_or(begun), tables }))
    }

    /// Begins an export, or finds the one that an earlier run of this backup began: the token is the backup's own.
    async fn begin(&self, bucket: &Bucket, table: Table, id: &Id) -> Result<Option<String>, BackupError> {
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

    /// Waits until an export is there. `None`: it has failed; the backup's token would find the same one again.
    async fn wait(&self, table: Table, arn: &str, watch: Watch<'_>) -> Result<Option<Told>, BackupError> {
        for look in 0..LOOKS_MAX {
            let described = self.dynamodb.describe_export().export_arn(arn).send().await;
            let described = described.map_err(|error| failed(Trouble::of("DescribeExport", arn, &error)))?;
            let Some(export) = described.export_description() else { continue };
            let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
            let count = number(export.item_count());
            let bytes = number(export.billed_size_bytes()).unwrap_or_default();
            watch(Step { what: table.name(), count: count.unwrap_or_default(), bytes });
            match export.export_status() {
                Some(ExportStatus::Completed) => {
                    let at = export.export_time().and_then(|at| at.to_millis().ok());
                    let at = at.and_then(|at| Timestamp::from_millis(at).ok());
                    return Ok(Some(Told { items: count, at }));
                }
                Some(ExportStatus::Failed) => {
                    let why = export.failure_message().unwrap_or("DynamoDB does not say why");
                    tracing::warn!(table = self.name(table), why, "the export has failed, the tables are read");
                    return Ok(None);
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

/// What DynamoDB says of an export.
struct Told {
    items: Option<u64>,
    /// What was written before is in it.
    at: Option<Timestamp>,
}

fn prefix(id: &Id, table: Table) -> String {
    id.key(&format!("tables/{}", table.name()))
}

/// The files of an export, each read once for its hash: `{prefix}/AWSDynamoDB/{export}/data/….json.gz` (Amazon DynamoDB Developer
/// Guide, "DynamoDB table export output format").
///
/// Another export may lie beside it, begun by an earlier run below the same prefix.
///
/// `None`: there is no summary of it, which DynamoDB writes last: it was done by something else that writes nothing.
async fn read(
    place: &impl Objects,
    table: Table,
    id: &Id,
    arn: &str,
    told: Option<u64>,
) -> Result<Option<TableParts>, BackupError> {
    let export = arn.rsplit('/').next().unwrap_or(arn);
    let prefix = format!("{}/AWSDynamoDB/{export}/", prefix(id, table));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::folder::Folder;
    use crate::objects::Put;

    #[tokio::test]
    async fn of_two_exports_below_one_prefix_each_is_read_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (place, table) = (Folder::new(dir.path()), Table::Results);
        let id = Id::parse("prod-1").unwrap();
        for (export, rows) in [("01-a", 2), ("02-b", 3)] {
            let base = format!("{}/AWSDynamoDB/{export}", prefix(&id, table));
            let lines: Vec<_> = (0..rows).map(|row| json!({"Item": {"pk": {"S": row.to_string()}}})).collect();
            let data = list::pack(&lines).unwrap();
            place.put(&format!("{base}/data/x.json.gz"), &data, Put::New).await.unwrap();
            place.put(&format!("{base}/manifest-summary.json"), b"{}", Put::New).await.unwrap();
        }
        let arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/results/export/02-b";
        let parts = read(&place, table, &id, arn, Some(3)).await.unwrap().unwrap();
        assert_eq!((parts.rows, parts.parts.len()), (3, 1));
        let none = "arn:aws:dynamodb:eu-central-1:123456789012:table/results/export/03-c";
        assert_eq!(read(&place, table, &id, none, Some(3)).await.unwrap(), None);
    }
}
