//! Objects, and items, whose calls are cut off: the program is gone before one, or after it has happened and before it is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use backup::item::Item;
use backup::objects::{Became, Found, Objects, Put};
use backup::scan::{ItemStore, Over, Table};
use platform::ports::StoreError;

/// Calls until the cut, and on which side of the call it is.
#[derive(Debug)]
pub(crate) struct Cut<'o, O> {
    inner: &'o O,
    left: &'o AtomicUsize,
    after: bool,
}

impl<'o, O> Cut<'o, O> {
    pub(crate) fn new(inner: &'o O, left: &'o AtomicUsize, after: bool) -> Self {
        Self { inner, left, after }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let is_cut = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1)));
        let is_cut = is_cut.is_ok_and(|left| left <= 1);
        let gone = || StoreError::permanent("call", "store", "the program is gone");
        if is_cut && !self.after {
            return Err(gone());
        }
        let done = call.await?;
        if is_cut { Err(gone()) } else { Ok(done) }
    }
}

impl<O: Objects + Sync> Objects for Cut<'_, O> {
    fn name(&self) -> String {
        self.inner.name()
    }
    async fn page(&self, prefix: &str, after: &str, count_max: usize) -> Result<Vec<Found>, StoreError> {
        self.call(self.inner.page(prefix, after, count_max)).await
    }
    async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.call(self.inner.folders(prefix)).await
    }
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(self.inner.read(key)).await
    }
    async fn measure(&self, key: &str) -> Result<Option<u64>, StoreError> {
        self.call(self.inner.measure(key)).await
    }
    async fn put(&self, key: &str, body: &[u8], how: Put) -> Result<Became, StoreError> {
        self.call(self.inner.put(key, body, how)).await
    }
    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.call(self.inner.remove(key)).await
    }
}

impl<S: ItemStore + Sync> ItemStore for Cut<'_, S> {
    async fn scan(
        &self,
        table: Table,
        segment: (u32, u32),
        after: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        self.call(self.inner.scan(table, segment, after)).await
    }
    async fn get(&self, table: Table, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        self.call(self.inner.get(table, keys)).await
    }
    async fn put(&self, table: Table, item: &Item, over: Over) -> Result<bool, StoreError> {
        self.call(self.inner.put(table, item, over)).await
    }
}
