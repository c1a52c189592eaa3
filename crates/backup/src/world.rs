//! Objects as the scorer sees its lake: enough of it to put a shard's state together.

use platform::model::{ContentHash, Key};
use platform::ports::{GetObject, PutError, PutIfAbsent, StoreError, Stored};

use crate::objects::{Became, Objects, Put};

/// A lake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LakeOf<'o, O>(pub(crate) &'o O);

impl<O: Objects + Sync> GetObject for LakeOf<'_, O> {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.0.read(key.as_str()).await?;
        match found {
            Some(bytes) if bytes.len() > bytes_max => {
                let remedy = format!("it has {} bytes, the limit is {bytes_max}", bytes.len());
                Err(StoreError::permanent("get object", key.as_str(), remedy))
            }
            found => Ok(found),
        }
    }
}

impl<O: Objects + Sync> PutIfAbsent for LakeOf<'_, O> {
    async fn put_if_absent(&self, key: &Key, body: &[u8]) -> Result<Stored, PutError> {
        if self.0.put(key.as_str(), body, Put::New).await? == Became::Stored {
            return Ok(Stored::New);
        }
        let there = self.0.read(key.as_str()).await?;
        match there {
            Some(there) if ContentHash::of(&there) == ContentHash::of(body) => Ok(Stored::AlreadyThere),
            _ => Err(PutError::Conflict(key.clone())),
        }
    }
}
