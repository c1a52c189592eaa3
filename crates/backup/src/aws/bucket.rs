//! A bucket, or what lies below a prefix of one.

use account::Trouble;
use anomaly_core::Timestamp;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types;
use platform::ports::{StoreError, StoreErrorKind};

use super::failed;
use crate::objects::{Became, Found, OBJECT_BYTES_MAX, Objects, Put};

/// `If-None-Match: *` and an object of that name is there (Amazon S3 User Guide, "Conditional writes").
const PRECONDITION_FAILED: u16 = 412;
/// Most keys of one answer of `ListObjectsV2`.
const PAGE: usize = 1_000;

/// Objects of a bucket whose keys begin with a prefix. Clones share connections.
#[derive(Debug, Clone)]
pub struct Bucket {
    s3: aws_sdk_s3::Client,
    name: String,
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl Bucket {
    /// Objects of `name` below `prefix`, which is empty for all of them.
    #[must_use]
    pub fn new(s3: aws_sdk_s3::Client, name: &str, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { s3, name: name.to_owned(), prefix }
    }

    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.name
    }

    /// The key in the bucket of a key of ours.
    #[must_use]
    pub fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn own(&self, object: &types::Object) -> Option<Found> {
        let changed = object.last_modified().and_then(|at| at.to_millis().ok());
        Some(Found {
            key: object.key()?.strip_prefix(&self.prefix)?.to_owned(),
            bytes: object.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            tag: object.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
            changed: changed.and_then(|at| Timestamp::from_millis(at).ok()).unwrap_or(Timestamp::MIN),
        })
    }
}

impl Objects for Bucket {
    fn name(&self) -> String {
        format!("s3://{}/{}", self.name, self.prefix).trim_end_matches('/').to_owned()
    }

    async fn page(&self, prefix: &str, after: &str, count_max: usize) -> Result<Vec<Found>, StoreError> {
        let mut found: Vec<Found> = Vec::new();
        let mut after = after.to_owned();
        while found.len() < count_max {
            let ask = self.s3.list_objects_v2().bucket(&self.name).prefix(self.full(prefix));
            let ask = ask.max_keys(i32::try_from(PAGE.min(count_max - found.len())).unwrap_or(i32::MAX));
            let ask = if after.is_empty() { ask } else { ask.start_after(self.full(&after)) };
            let page = ask.send().await;
            let page = page.map_err(|error| failed(Trouble::of("ListObjectsV2", &self.full(prefix), &error)))?;
            // A name that ends with a slash is a folder that a console has made.
            let own = page.contents().iter().filter_map(|object| self.own(object));
            found.extend(own.filter(|found| !found.key.ends_with('/')));
            let last = page.contents().last().and_then(types::Object::key);
            match last.and_then(|key| key.strip_prefix(&self.prefix)) {
                Some(last) if page.is_truncated() == Some(true) => last.clone_into(&mut after),
                _ => break,
            }
        }
        Ok(found)
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let whole = self.full(prefix);
        let list = self.s3.list_objects_v2().bucket(&self.name).prefix(&whole).delimiter("/");
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let page = list.clone().set_continuation_token(token.take()).send().await;
            let page = page.map_err(|error| failed(Trouble::of("ListObjectsV2", &whole, &error)))?;
            let folders = page.common_prefixes().iter().filter_map(types::CommonPrefix::prefix);
            names.extend(folders.filter_map(|name| Some(name.strip_prefix(&whole)?.strip_suffix('/')?.to_owned())));
            token = page.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                names.sort();
                return Ok(names);
            }
        }
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let output = match self.s3.get_object().bucket(&self.name).key(self.full(key)).send().await {
            Ok(output) => output,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) if is_archived(&error) => {
                let remedy = "it lies in Glacier: restore it there first (`aws s3api restore-object`), then run the same \
                              command again";
                return Err(StoreError::permanent("GetObject", self.full(key), remedy));
            }
            Err(error) => return Err(failed(Trouble::of("GetObject", &self.full(key), &error))),
        };
        let told = output.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
        if told > OBJECT_BYTES_MAX {
            let remedy = format!("it has {told} bytes, the limit is {OBJECT_BYTES_MAX}");
            return Err(StoreError::permanent("GetObject", self.full(key), remedy));
        }
        match output.body.collect().await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) => Err(StoreError {
                kind: StoreErrorKind::Unavailable,
                verb: "GetObject",
                target: self.full(key),
                remedy: "the object broke off while it was read: run the same command again".to_owned(),
                source: Some(Box::new(error)),
            }),
        }
    }

    async fn measure(&self, key: &str) -> Result<Option<u64>, StoreError> {
        match self.s3.head_object().bucket(&self.name).key(self.full(key)).send().await {
            Ok(output) => Ok(output.content_length().and_then(|bytes| u64::try_from(bytes).ok())),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(failed(Trouble::of("HeadObject", &self.full(key), &error))),
        }
    }

    async fn put(&self, key: &str, body: &[u8], how: Put) -> Result<Became, StoreError> {
        let put = self.s3.put_object().bucket(&self.name).key(self.full(key)).body(ByteStream::from(body.to_vec()));
        let put = if how == Put::New { put.if_none_match("*") } else { put };
        match put.send().await {
            Ok(_) => Ok(Became::Stored),
            Err(error) if error.raw_response().map(|raw| raw.status().as_u16()) == Some(PRECONDITION_FAILED) => {
                Ok(Became::Taken)
            }
            Err(error) => Err(failed(Trouble::of("PutObject", &self.full(key), &error))),
        }
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let remove = self.s3.delete_object().bucket(&self.name).key(self.full(key)).send().await;
        remove.map(drop).map_err(|error| failed(Trouble::of("DeleteObject", &self.full(key), &error)))
    }
}

fn is_missing(error: &SdkError<GetObjectError>) -> bool {
    error.as_service_error().is_some_and(|error| error.is_no_such_key() || error.code() == Some("NoSuchKey"))
}

fn is_archived(error: &SdkError<GetObjectError>) -> bool {
    error.as_service_error().is_some_and(GetObjectError::is_invalid_object_state)
}
