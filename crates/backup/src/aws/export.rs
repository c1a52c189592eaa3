//! Tables exported by DynamoDB itself to the place of the backup: as they were at one instant, and at no cost to who uses them.
//!
//! It needs point-in-time recovery, which `infra/storage.yaml` turns on, and a bucket. Where the service cannot do it, the tables are
//! read instead, and the manifest says so. What is read of an export is the matter of `output`.

mod output;

use std::time::Duration;

use account::Trouble;
use anomaly_core::Timestamp;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{ExportFormat, ExportStatus};
use platform::model::ContentHash;

use self::output::Export;
use super::bucket::Bucket;
use super::{Tables, failed};
use crate::objects::Objects;
use crate::place::Id;
use crate::scan::Table;
use crate::tables::{How, Taken};
use crate::{BackupError, Step, Watch};

/// How often an export is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long an export may take: those of AWS take minutes for tables of any size.
const LOOKS_MAX: u32 = 6 * 60 * 6;
/// Answers of who cannot export: an emulator, a table without point-in-time recovery.
const CANNOT: [&str; 4] =
    ["PointInTimeRecoveryUnavailableException", "UnknownOperationException", "InvalidAction", "NotImplemented"];

/// Where DynamoDB exports to.
#[derive(Debug, Clone)]
pub struct Exports {
    /// The place of the backup.
    pub to: Bucket,
    /// The account of that bucket, if it is another: DynamoDB must be told (Amazon DynamoDB API Reference,
    /// `ExportTableToPointInTime`, `S3BucketOwner`).
    pub owner: Option<String>,
}

impl Tables {
    /// Exports both tables as of now, by DynamoDB's clock, the checkpoints a moment before the results; `begun` stands for it where
    /// DynamoDB does not say. `None`: it cannot be done here.
    pub(super) async fn export<P: Objects + Sync>(
        &self,
        place: &P,
        id: &Id,
        begun: Timestamp,
        watch: Watch<'_>,
    ) -> Result<Option<Taken>, BackupError> {
        let Some(exports) = &self.exports else { return Ok(None) };
        let mut begun_exports = Vec::new();
        for table in Table::ALL {
            match self.begin(exports, table, id).await? {
                Some(export) => begun_exports.push((table, export)),
                None => return Ok(None),
            }
        }
        let (mut tables, mut at) = (Vec::new(), None);
        for (table, Begun { table_arn, export_arn }) in begun_exports {
            let Some(told) = self.wait(table, &export_arn, watch).await? else { return Ok(None) };
            at = [at, told.at].into_iter().flatten().min();
            let export = Export { table, below: prefix(id, table), arn: &export_arn, table_arn: &table_arn };
            let Some(parts) = export.read(place, told.items).await? else {
                tracing::warn!(
                    table = self.name(table),
                    "the export has written nothing, the tables are read item by item"
                );
                return Ok(None);
            };
            tables.push(parts);
        }
        Ok(Some(Taken { how: How::Export, at: at.unwrap_or(begun), tables }))
    }

    /// Begins an export, or finds the one that an earlier run of this backup began: the token is the backup's own.
    async fn begin(&self, exports: &Exports, table: Table, id: &Id) -> Result<Option<Begun>, BackupError> {
        let name = self.name(table);
        let described = self.dynamodb.describe_table().table_name(name).send().await;
        let described = described.map_err(|error| failed(Trouble::of("DescribeTable", name, &error)))?;
        let Some(arn) = described.table().and_then(|table| table.table_arn()) else { return Ok(None) };
        let token = ContentHash::of(format!("{} {name}", id.as_str()).as_bytes());
        let export = self
            .dynamodb
            .export_table_to_point_in_time()
            .table_arn(arn)
            .s3_bucket(exports.to.bucket())
            .set_s3_bucket_owner(exports.owner.clone())
            .s3_prefix(exports.to.full(&prefix(id, table)))
            .export_format(ExportFormat::DynamodbJson)
            .client_token(&token.as_str()[..36]);
        match export.send().await {
            Ok(answer) => {
                let export_arn = answer.export_description().and_then(|one| one.export_arn());
                Ok(export_arn.map(|export_arn| Begun { table_arn: arn.to_owned(), export_arn: export_arn.to_owned() }))
            }
            Err(error) => {
                let code = error.as_service_error().and_then(|error| error.code());
                if code.is_some_and(|code| CANNOT.contains(&code))
                    || error.raw_response().is_some_and(|raw| raw.status().as_u16() == 501)
                {
                    let code = code.unwrap_or("NotImplemented");
                    tracing::warn!(
                        table = name,
                        code,
                        "DynamoDB cannot export the table, the tables are read item by item"
                    );
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
            if let Some(export) = described.export_description() {
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
                        let why = export.failure_message().or(export.failure_code()).unwrap_or("DynamoDB does not say");
                        let table = self.name(table);
                        tracing::warn!(table, why, "the export has failed, the tables are read item by item");
                        return Ok(None);
                    }
                    _ => {}
                }
            }
            // An emulator is done at once.
            tokio::time::sleep(LOOK_EVERY.min(Duration::from_secs(1 + u64::from(look)))).await;
        }
        Err(BackupError::Refused(format!(
            "the export of `{}` was not there after {} hours: run the same command again, which waits for it",
            self.name(table),
            LOOKS_MAX / 360
        )))
    }
}

/// An export that DynamoDB has taken on.
struct Begun {
    table_arn: String,
    export_arn: String,
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
