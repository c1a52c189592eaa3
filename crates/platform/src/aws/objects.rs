//! The lake in S3.

use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;

use super::Aws;
use super::failure::Call;
use crate::model::{ContentHash, Key};
use crate::ports::{Listed, PutError, StoreError, Stored, Stretch, Tagged};

/// Most keys of one answer of `ListObjectsV2`.
const PAGE_KEYS_MAX: usize = 1000;

/// `If-None-Match: *` and an object of that name is there (Amazon S3 User Guide, "Conditional writes").
const PRECONDITION_FAILED: u16 = 412;

/// A range that begins at the end of the object or beyond it (RFC 9110, section 15.5.17); an empty object has no other.
const RANGE_NOT_SATISFIABLE: u16 = 416;

impl Aws {
    fn lake<'a>(&self, verb: &'static str, action: &'static str, target: &'a str) -> Call<'a> {
        let resource = format!("bucket `{}`", self.settings.bucket);
        Call { verb, target, action, resource, setting: "MILLRACE_BUCKET" }
    }

    pub(super) async fn put_new_object(&self, key: &Key, body: &[u8]) -> Result<Stored, PutError> {
        let call = self.lake("put object", "s3:PutObject", key.as_str());
        let put = self.s3.put_object().bucket(&self.settings.bucket).key(key.as_str()).if_none_match("*");
        match put.body(ByteStream::from(body.to_vec())).send().await {
            Ok(_) => Ok(Stored::New),
            Err(error) if error.raw_response().map(|raw| raw.status().as_u16()) == Some(PRECONDITION_FAILED) => {
                self.compare(key, body, error).await
            }
            Err(error) => Err(call.failed(error).into()),
        }
    }

    /// The name is taken: by equal bytes (perhaps by a try of this very call whose answer was lost) or by others.
    async fn compare(
        &self,
        key: &Key,
        body: &[u8],
        refused: impl std::error::Error + Send + Sync + 'static,
    ) -> Result<Stored, PutError> {
        let call = self.lake("put object", "s3:GetObject", key.as_str());
        let Some(output) = self.open_object(key, &call).await? else {
            let remedy = "S3 says that the object is there and then that it is not: try again".to_owned();
            return Err(call.unavailable(remedy, refused).into());
        };
        if length(&output) != Some(body.len()) {
            return Err(PutError::Conflict(key.clone()));
        }
        let stored = read(output.body, body.len(), &call).await?;
        match stored {
            Some(stored) if ContentHash::of(&stored) == ContentHash::of(body) => Ok(Stored::AlreadyThere),
            _ => Err(PutError::Conflict(key.clone())),
        }
    }

    pub(super) async fn read_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let call = self.lake("get object", "s3:GetObject", key.as_str());
        match self.open_object(key, &call).await? {
            Some(output) => read_whole(output, bytes_max, &call).await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn read_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        let call = self.lake("get object", "s3:GetObject", key.as_str());
        let Some(output) = self.open_object(key, &call).await? else { return Ok(None) };
        let tag = tag(output.e_tag()).to_owned();
        Ok(Some(Tagged { bytes: read_whole(output, bytes_max, &call).await?, tag }))
    }

    pub(super) async fn read_stretch(
        &self,
        key: &Key,
        offset: u64,
        bytes_max: usize,
    ) -> Result<Option<Stretch>, StoreError> {
        let call = self.lake("get object", "s3:GetObject", key.as_str());
        // Both ends of a range are in it, so there is none without a byte.
        let Some(last) = (bytes_max as u64).checked_sub(1).map(|more| offset.saturating_add(more)) else {
            return self.measure(key, &call).await;
        };
        let get = self.s3.get_object().bucket(&self.settings.bucket).key(key.as_str());
        match get.range(format!("bytes={offset}-{last}")).send().await {
            Ok(output) => {
                let tag = tag(output.e_tag()).to_owned();
                // `bytes 0-99/1234`; an answer without it is the whole object.
                let told = output.content_range().and_then(|range| range.rsplit_once('/')?.1.parse().ok());
                let object_bytes = told.or_else(|| length(&output).map(|bytes| bytes as u64)).unwrap_or_default();
                let bytes = read(output.body, bytes_max, &call).await?;
                let unasked = || call.permanent(format!("more than the {bytes_max} bytes that were asked for came"));
                Ok(Some(Stretch { bytes: bytes.ok_or_else(unasked)?, object_bytes, tag }))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) if error.raw_response().map(|raw| raw.status().as_u16()) == Some(RANGE_NOT_SATISFIABLE) => {
                self.measure(key, &call).await
            }
            Err(error) => Err(call.failed(error)),
        }
    }

    /// The object without a byte of it.
    async fn measure(&self, key: &Key, call: &Call<'_>) -> Result<Option<Stretch>, StoreError> {
        match self.s3.head_object().bucket(&self.settings.bucket).key(key.as_str()).send().await {
            Ok(output) => {
                let object_bytes = output.content_length().and_then(|bytes| u64::try_from(bytes).ok());
                let tag = tag(output.e_tag()).to_owned();
                Ok(Some(Stretch { bytes: Vec::new(), object_bytes: object_bytes.unwrap_or_default(), tag }))
            }
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(call.failed(error)),
        }
    }

    async fn open_object(&self, key: &Key, call: &Call<'_>) -> Result<Option<GetObjectOutput>, StoreError> {
        match self.s3.get_object().bucket(&self.settings.bucket).key(key.as_str()).send().await {
            Ok(output) => Ok(Some(output)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(call.failed(error)),
        }
    }

    pub(super) async fn list_bucket(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        let call = self.lake("list objects", "s3:ListBucket", prefix);
        if !prefix.ends_with('/') {
            return Err(call.permanent("a prefix ends with `/`".to_owned()));
        }
        let page_max = i32::try_from(count_max.saturating_add(1).min(PAGE_KEYS_MAX)).unwrap_or(i32::MAX);
        let base = self.s3.list_objects_v2().bucket(&self.settings.bucket).prefix(prefix).max_keys(page_max);
        let mut listed = Vec::new();
        let mut token = None;
        loop {
            let page = base.clone().set_continuation_token(token.take()).send().await;
            let page = page.map_err(|error| call.failed(error))?;
            for object in page.contents.unwrap_or_default() {
                let tag = tag(object.e_tag()).to_owned();
                match Key::new(object.key.unwrap_or_default()) {
                    Ok(key) => listed.push(Listed { key, tag }),
                    // Consoles make `folder/` objects; nobody here reads or writes such a name.
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "an object in the lake is passed over"
                        );
                    }
                }
            }
            if listed.len() > count_max {
                return Err(call.permanent(format!("there are more than {count_max} objects, the limit: remove some")));
            }
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(listed);
            }
        }
    }

    pub(super) async fn list_levels(&self, prefix: &str, count_max: usize) -> Result<Vec<String>, StoreError> {
        let call = self.lake("list folders", "s3:ListBucket", prefix);
        if !prefix.ends_with('/') {
            return Err(call.permanent("a prefix ends with `/`".to_owned()));
        }
        let base = self.s3.list_objects_v2().bucket(&self.settings.bucket).prefix(prefix).delimiter("/");
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let page = base.clone().set_continuation_token(token.take()).send().await;
            let page = page.map_err(|error| call.failed(error))?;
            let folders = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix);
            names.extend(folders.filter_map(|folder| Some(folder.strip_prefix(prefix)?.strip_suffix('/')?.to_owned())));
            if names.len() > count_max {
                return Err(call.permanent(format!("there are more than {count_max} folders, the limit: remove some")));
            }
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    /// The cheapest request of S3 that the role may make.
    pub(super) async fn reach_bucket(&self) -> Result<(), StoreError> {
        let call = self.lake("list objects", "s3:ListBucket", "config/");
        let list = self.s3.list_objects_v2().bucket(&self.settings.bucket).prefix("config/").max_keys(1);
        list.send().await.map(drop).map_err(|error| call.failed(error))
    }
}

fn is_missing(error: &SdkError<GetObjectError>) -> bool {
    error.as_service_error().is_some_and(|error| error.is_no_such_key() || error.code() == Some("NoSuchKey"))
}

fn length(output: &GetObjectOutput) -> Option<usize> {
    output.content_length().and_then(|bytes| usize::try_from(bytes).ok())
}

fn tag(e_tag: Option<&str>) -> &str {
    e_tag.unwrap_or_default().trim_matches('"')
}

/// The bytes; more than `bytes_max` are a permanent error.
async fn read_whole(output: GetObjectOutput, bytes_max: usize, call: &Call<'_>) -> Result<Vec<u8>, StoreError> {
    let told = length(&output);
    if told.is_none_or(|told| told <= bytes_max)
        && let Some(bytes) = read(output.body, bytes_max, call).await?
    {
        return Ok(bytes);
    }
    let bytes = told.unwrap_or(bytes_max + 1);
    Err(call.permanent(format!("it has {bytes} bytes or more, the limit is {bytes_max}")))
}

/// `None`: there are more than `bytes_max`.
async fn read(mut body: ByteStream, bytes_max: usize, call: &Call<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let mut bytes = Vec::new();
    loop {
        let chunk = body.try_next().await;
        match chunk.map_err(|error| call.unavailable("the object broke off while it was read".to_owned(), error))? {
            None => return Ok(Some(bytes)),
            Some(chunk) if bytes.len() + chunk.len() > bytes_max => return Ok(None),
            Some(chunk) => bytes.extend_from_slice(&chunk),
        }
    }
}
