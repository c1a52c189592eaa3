//! What an export has written, read as DynamoDB says that it is (Amazon DynamoDB Developer Guide, "DynamoDB table export output
//! format", full export):
//!
//! ```text
//! {prefix}/AWSDynamoDB/{export}/_started
//! {prefix}/AWSDynamoDB/{export}/data/….json.gz          items, a line each; nothing in those of empty partitions
//! {prefix}/AWSDynamoDB/{export}/manifest-files.json     which data files there are, a line each, with their MD5
//! {prefix}/AWSDynamoDB/{export}/manifest-summary.json   of which table, how many items; written last
//! ```
//!
//! Beside each of the two manifests lies its MD5 in base64. The guide calls those files `.checksum`; what DynamoDB writes are `.md5`
//! (seen on AWS by `scylladb`'s tests of exports, and by others). They are looked at where they are.
//!
//! Another export may lie beside it, begun by an earlier run below the same prefix. Nothing is believed for lying there: a file counts
//! that the manifest names, with the hash and the count that it has there.

use std::collections::BTreeSet;

use base64_simd::STANDARD;
use md5::{Digest as _, Md5};
use platform::model::ContentHash;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::BackupError;
use crate::objects::Objects;
use crate::place::Blob;
use crate::scan::{Table, keys};
use crate::tables::{Rows, TableParts};

/// The form in which items are asked for.
const FORMAT: &str = "DYNAMODB_JSON";
/// All items, and not what has changed in a stretch of time. Exports from before there were others do not say.
const FULL: &str = "FULL_EXPORT";

/// An export that DynamoDB calls complete.
#[derive(Debug)]
pub(super) struct Export<'e> {
    /// Of what.
    pub(super) table: Table,
    /// The prefix below which it was to be written, as a key of the place.
    pub(super) below: String,
    /// Its name.
    pub(super) arn: &'e str,
    /// The table's.
    pub(super) table_arn: &'e str,
}

/// `manifest-summary.json`, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    export_arn: String,
    table_arn: String,
    item_count: u64,
    output_format: String,
    export_type: Option<String>,
}

/// A line of `manifest-files.json`, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataFile {
    item_count: u64,
    md5_checksum: String,
    /// Whole, from the bucket's root.
    #[serde(rename = "dataFileS3Key")]
    s3_key: String,
}

impl Export<'_> {
    /// The files of the export, each read once. `told` is how many items DynamoDB says it has.
    ///
    /// `None`: there is no summary of it: it was done by something else that writes nothing.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] for whatever is not as the manifests say, and the place's.
    pub(super) async fn read(
        &self,
        place: &impl Objects,
        told: Option<u64>,
    ) -> Result<Option<TableParts>, BackupError> {
        let base = format!("{}/AWSDynamoDB/{}", self.below, self.name());
        let summary = format!("{base}/manifest-summary");
        let Some(text) = proven(place, &summary).await? else { return Ok(None) };
        let items = self.summary(&format!("{summary}.json"), &text, told)?;
        let files = format!("{base}/manifest-files");
        let Some(text) = proven(place, &files).await? else {
            return Err(BackupError::damaged(format!("{files}.json"), "it is not there"));
        };
        let (mut parts, mut rows, mut names) = (Vec::new(), 0, BTreeSet::new());
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let file: DataFile = json(&format!("{files}.json"), line)?;
            let key = self.key(&base, &format!("{files}.json"), &file)?;
            if !names.insert(key.clone()) {
                return Err(BackupError::damaged(format!("{files}.json"), format!("it names `{key}` twice")));
            }
            let blob = self.data(place, key, &file).await?;
            rows += file.item_count;
            // The file of an empty partition says nothing.
            parts.extend(blob.filter(|_| file.item_count > 0));
        }
        if rows != items {
            let reason = format!("its files have {rows} items, and the summary says {items}");
            return Err(BackupError::damaged(base, reason));
        }
        Ok(Some(TableParts { name: self.table.name().to_owned(), rows, parts }))
    }

    /// Its name without the table's.
    fn name(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or(self.arn)
    }

    /// How many items it has, if the summary is of this very export.
    fn summary(&self, name: &str, text: &[u8], told: Option<u64>) -> Result<u64, BackupError> {
        let summary: Summary = json(name, text)?;
        let is = |what: &str, found: &str, wanted: &str| {
            let reason = || format!("it is of the {what} `{found}`, and `{wanted}` was asked for");
            if found == wanted { Ok(()) } else { Err(BackupError::damaged(name, reason())) }
        };
        is("export", &summary.export_arn, self.arn)?;
        is("table", &summary.table_arn, self.table_arn)?;
        is("format", &summary.output_format, FORMAT)?;
        is("kind", summary.export_type.as_deref().unwrap_or(FULL), FULL)?;
        match told {
            Some(told) if told != summary.item_count => {
                let reason = format!("it says {} items, and DynamoDB {told}", summary.item_count);
                Err(BackupError::damaged(name, reason))
            }
            _ => Ok(summary.item_count),
        }
    }

    /// The key at the place of a data file.
    fn key(&self, base: &str, manifest: &str, file: &DataFile) -> Result<String, BackupError> {
        let within = format!("AWSDynamoDB/{}/data/", self.name());
        match file.s3_key.rsplit_once(&within) {
            Some((_, name)) if !name.is_empty() => Ok(format!("{base}/data/{name}")),
            _ => {
                let reason = format!("it names `{}`, which is of another export", file.s3_key);
                Err(BackupError::damaged(manifest, reason))
            }
        }
    }

    /// A data file, if it is what the manifest says. `None`: it has nothing.
    async fn data(&self, place: &impl Objects, key: String, file: &DataFile) -> Result<Option<Blob>, BackupError> {
        let Some(bytes) = place.read(&key).await? else {
            return Err(BackupError::damaged(key, "it is not there, and the export's manifest names it"));
        };
        let found = md5(&bytes);
        if found != file.md5_checksum {
            let reason = format!("its MD5 is {found}, and the export's manifest says {}", file.md5_checksum);
            return Err(BackupError::damaged(key, reason));
        }
        let blob = Blob { key, bytes: bytes.len() as u64, sha256: ContentHash::of(&bytes) };
        let mut count = 0;
        if !bytes.is_empty() {
            let wanted = if self.table == Table::Checkpoints { 1 } else { 2 };
            for row in Rows::new(bytes, &blob.key) {
                if keys(self.table, &row?.item).len() != wanted {
                    let reason = format!("it has an item without the keys of the {}", self.table.name());
                    return Err(BackupError::damaged(blob.key, reason));
                }
                count += 1;
            }
        }
        if count != file.item_count {
            let reason = format!("it has {count} items, and the export's manifest says {}", file.item_count);
            return Err(BackupError::damaged(blob.key, reason));
        }
        Ok(Some(blob).filter(|blob| blob.bytes > 0))
    }
}

/// A manifest, whose MD5 is right where there is one beside it.
async fn proven(place: &impl Objects, name: &str) -> Result<Option<Vec<u8>>, BackupError> {
    let Some(text) = place.read(&format!("{name}.json")).await? else { return Ok(None) };
    let told = place.read(&format!("{name}.md5")).await?;
    let (found, told) = (md5(&text), told.map(|told| String::from_utf8_lossy(&told).trim().to_owned()));
    match told {
        Some(told) if told != found => {
            let reason = format!("its MD5 is {found}, and {name}.md5 says {told}");
            Err(BackupError::damaged(format!("{name}.json"), reason))
        }
        _ => Ok(Some(text)),
    }
}

fn md5(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(Md5::digest(bytes))
}

fn json<T: DeserializeOwned>(name: &str, text: &[u8]) -> Result<T, BackupError> {
    serde_json::from_slice(text).map_err(|error| BackupError::damaged(name, error))
}
