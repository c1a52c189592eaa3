//! What is asked of the world.

use platform::ports::{GetObject, ListCheckpoints, ListFolders, ListObjects, ListShards, PutIfAbsent};

/// All that sealing, writing and verifying need.
pub trait LakeWorld:
    ListCheckpoints + ListShards + ListObjects + ListFolders + GetObject + PutIfAbsent + Send + Sync
{
}

impl<W> LakeWorld for W where
    W: ListCheckpoints + ListShards + ListObjects + ListFolders + GetObject + PutIfAbsent + Send + Sync
{
}
