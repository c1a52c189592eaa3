//! The law: killed between any two writes, or in one that lands, the next run comes to the same objects.

use std::sync::atomic::{AtomicU32, Ordering};

use lake::Hour;
use lake::seal::Window;
use platform::embedded::Local;
use platform::model::{Checkpoint, Key, ShardId, ShardInfo};
use platform::ports::{
    GetObject, ListCheckpoints, ListFolders, ListObjects, ListShards, Listed, PutError, PutIfAbsent, StoreError, Stored,
};

use crate::plant::{Folder, roll};

/// A world whose process dies at one of its writes.
struct Mortal {
    world: Local,
    /// Writes that are left, and whether the last lands.
    left: AtomicU32,
    lands: bool,
}

impl PutIfAbsent for Mortal {
    async fn put_if_absent(&self, key: &Key, body: &[u8]) -> Result<Stored, PutError> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match left {
            Ok(2..) => self.world.put_if_absent(key, body).await,
            Ok(_) if self.lands => {
                self.world.put_if_absent(key, body).await?;
                Err(StoreError::permanent("put object", key.as_str(), "killed").into())
            }
            _ => Err(StoreError::permanent("put object", key.as_str(), "killed").into()),
        }
    }
}

impl GetObject for Mortal {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.world.get_object(key, bytes_max).await
    }
}

impl ListObjects for Mortal {
    async fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        self.world.list_objects(prefix, count_max).await
    }
}

impl ListFolders for Mortal {
    async fn list_folders(&self, prefix: &str, count_max: usize) -> Result<Vec<String>, StoreError> {
        self.world.list_folders(prefix, count_max).await
    }
}

impl ListShards for Mortal {
    async fn list_shards(&self, stream: &str) -> Result<Vec<ShardInfo>, StoreError> {
        self.world.list_shards(stream).await
    }
}

impl ListCheckpoints for Mortal {
    async fn list_checkpoints(&self, region: &str, stream: &str) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        self.world.list_checkpoints(region, stream).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_the_next_run_comes_to_the_same() {
    let plant = Folder::new().await;
    let window = Window { until: Hour::parse("2026-01-05", "02"), ..Window::default() };
    let whole = plant.copy();
    roll(&whole.open(), &whole.engine(), &window).await.unwrap();
    let expected = whole.gold();
    let writes = expected.len() as u32;
    assert_eq!(writes, 2 * (1 + 2 + 2), "two hours: a list, two products of an object and a marker each");
    for write in 1..=writes {
        for lands in [false, true] {
            let folder = plant.copy();
            let mortal = Mortal { world: folder.open(), left: AtomicU32::new(write), lands };
            let engine = folder.engine();
            assert!(roll(&mortal, &engine, &window).await.is_err());
            let left = folder.gold().len() as u32;
            assert_eq!(left, write - 1 + u32::from(lands), "it died in write {write}");
            roll(&mortal.world, &engine, &window).await.unwrap();
            assert_eq!(folder.gold(), expected, "killed at write {write}, which landed: {lands}");
        }
    }
}
