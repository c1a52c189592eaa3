//! Memory for objects that are held whole while they are copied or proven: many small ones at once, or one large one.

use tokio::sync::{Semaphore, SemaphorePermit};

/// What objects may have in memory together, in MiB; a larger one goes alone.
const MEMORY_MIB: u32 = 256;

/// Room for objects.
#[derive(Debug)]
pub(crate) struct Room(Semaphore);

impl Room {
    /// All of it is free.
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(MEMORY_MIB as usize))
    }

    /// Waits until there is room for an object of so many bytes, and keeps it until what is returned is dropped.
    pub(crate) async fn hold(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let mib = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).saturating_add(1).min(MEMORY_MIB);
        // Closed by nobody: an error here would be that of a place without memory.
        self.0.acquire_many(mib).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn small_objects_go_together_and_a_large_one_alone() {
        let room = Room::new();
        let small = [room.hold(1).await, room.hold(100 << 20).await];
        let is_full = |room: &Room| room.0.available_permits() < MEMORY_MIB as usize;
        assert!(is_full(&room) && small.iter().all(Option::is_some));
        let large = room.hold(1 << 30);
        tokio::pin!(large);
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut large).await.is_err());
        drop(small);
        assert!(large.await.is_some());
    }
}
