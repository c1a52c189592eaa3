//! The lake in S3.

use aws_sdk_s3::primitives::ByteStream;

use super::Aws;
use crate::lake::Lake;
use account::{Kind, Trouble};

impl Lake for Aws {
    async fn get(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        match self.s3.get_object().bucket(bucket).key(key).send().await {
            Ok(found) => {
                let unread = |message: String| Trouble {
                    action: "GetObject",
                    subject: key.to_owned(),
                    kind: Kind::Transient,
                    message,
                };
                let body = found.body.collect().await.map_err(|error| unread(error.to_string()))?;
                Ok(Some(body.to_vec()))
            }
            Err(error) => match Trouble::of("GetObject", key, &error) {
                missing if missing.kind == Kind::Missing => Ok(None),
                other => Err(other),
            },
        }
    }

    async fn put(&self, bucket: &str, key: &str, body: Vec<u8>) -> Result<(), Trouble> {
        let answer = self.s3.put_object().bucket(bucket).key(key).body(ByteStream::from(body)).send().await;
        answer.map(drop).map_err(|error| Trouble::of("PutObject", key, &error))
    }

    async fn put_if_absent(&self, bucket: &str, key: &str, body: Vec<u8>) -> Result<bool, Trouble> {
        let call = self.s3.put_object().bucket(bucket).key(key).if_none_match("*").body(ByteStream::from(body));
        match call.send().await.map_err(|error| Trouble::of("PutObject", key, &error)) {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.kind == Kind::AlreadyThere => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    async fn keys(&self, bucket: &str, prefix: &str, count_max: usize) -> Result<Vec<String>, Trouble> {
        let mut pages = self.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("ListObjectsV2", prefix, &error))?;
            keys.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
            if keys.len() >= count_max {
                break;
            }
        }
        keys.truncate(count_max);
        Ok(keys)
    }

    async fn folders(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, Trouble> {
        let call = self.s3.list_objects_v2().bucket(bucket).prefix(prefix).delimiter("/");
        let mut pages = call.into_paginator().send();
        let mut folders = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("ListObjectsV2", prefix, &error))?;
            folders.extend(page.common_prefixes().iter().filter_map(|one| one.prefix()).map(str::to_owned));
        }
        folders.sort();
        Ok(folders)
    }

    async fn delete(&self, bucket: &str, key: &str) -> Result<(), Trouble> {
        let answer = self.s3.delete_object().bucket(bucket).key(key).send().await;
        answer.map(drop).map_err(|error| Trouble::of("DeleteObject", key, &error))
    }
}
