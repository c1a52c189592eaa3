//! The lake in S3.

use account::{Kind, Trouble};
use anomaly_core::Timestamp;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{self, ReplicationStatus};

use super::Aws;
use crate::ports::{Copying, Listed, Looked, Object, Objects};

/// Most keys of one answer of `ListObjectsV2`.
const PAGE: usize = 1_000;

impl Objects for Aws {
    async fn put(&self, key: &str, body: Vec<u8>) -> Looked<()> {
        let put = self.s3.put_object().bucket(&self.bucket).key(key).body(ByteStream::from(body));
        put.send().await.map(drop).map_err(|error| Trouble::of("PutObject", key, &error))
    }

    async fn get(&self, key: &str, bytes_max: usize) -> Looked<Option<Vec<u8>>> {
        let found = match self.s3.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(found) => found,
            // A bucket that is not there is another matter.
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(Trouble::of("GetObject", key, &error)),
        };
        let trouble = |kind, message| Trouble { action: "GetObject", subject: key.to_owned(), kind, message };
        let mut body = found.body;
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk.map_err(|error| trouble(Kind::Transient, error.to_string()))?);
            if bytes.len() > bytes_max {
                return Err(trouble(Kind::Refused, format!("it has more than {bytes_max} bytes, the limit")));
            }
        }
        Ok(Some(bytes))
    }

    async fn list(&self, prefix: &str, count_max: usize) -> Looked<Listed<Object>> {
        let page_max = i32::try_from(count_max.saturating_add(1).min(PAGE)).unwrap_or(i32::MAX);
        let list = self.s3.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(page_max);
        let mut pages = list.into_paginator().send();
        let mut listed = Listed::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("ListObjectsV2", prefix, &error))?;
            listed.all.extend(page.contents().iter().filter_map(object));
            if listed.all.len() > count_max {
                listed.all.truncate(count_max);
                listed.is_cut = true;
                break;
            }
        }
        Ok(listed)
    }

    async fn copying(&self, key: &str) -> Looked<Option<Copying>> {
        match self.s3.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(found) => match found.replication_status() {
                None => Ok(Some(Copying::None)),
                Some(ReplicationStatus::Complete | ReplicationStatus::Completed) => Ok(Some(Copying::Completed)),
                Some(ReplicationStatus::Pending) => Ok(Some(Copying::Pending)),
                Some(ReplicationStatus::Replica) => Ok(Some(Copying::Replica)),
                Some(ReplicationStatus::Failed) => Ok(Some(Copying::Failed)),
                Some(other) => {
                    let message = format!("the replication status `{other}` is not known to this release");
                    Err(Trouble { action: "HeadObject", subject: key.to_owned(), kind: Kind::Refused, message })
                }
            },
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(Trouble::of("HeadObject", key, &error)),
        }
    }
}

/// An object without key or time cannot be compared, and S3 lists none.
fn object(object: &types::Object) -> Option<Object> {
    let modified = object.last_modified().and_then(|at| at.to_millis().ok());
    Some(Object {
        key: object.key()?.to_owned(),
        bytes: object.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        tag: object.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
        modified: Timestamp::from_millis(modified?).ok()?,
    })
}
