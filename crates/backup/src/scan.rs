//! Tables of DynamoDB read item by item, in the form of an export: where DynamoDB cannot export them itself.
//!
//! The checkpoints go first. What is committed while the results are read may then be among them and in no checkpoint, and is a
//! finding like any other; the other way round, detectors would have told what nobody finds any more.

use std::future::Future;

use anomaly_core::Timestamp;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use platform::ports::StoreError;
use serde::{Deserialize, Serialize};

use crate::item::{Item, Row};
use crate::list;
use crate::objects::Objects;
use crate::place::{self, Blob, Id};
use crate::tables::{CHECKPOINTS, How, RESULTS, TableParts, Taken};
use crate::{BackupError, Step, Watch};

/// Segments of the results that are read at once.
const SEGMENTS: u32 = 4;
/// Items of a part at most: some megabytes.
const PART_ITEMS_MAX: usize = 5_000;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Table {
    /// Checkpoints and epochs.
    Checkpoints,
    /// Anomalies, states, incidents.
    Results,
}

impl Table {
    /// Both, in the order in which they are taken.
    pub const ALL: [Self; 2] = [Self::Checkpoints, Self::Results];

    /// Its name in a backup.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checkpoints => CHECKPOINTS,
            Self::Results => RESULTS,
        }
    }
}

/// When an item is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Where there is none of its keys.
    Nothing,
    /// Where the one that is there has this version.
    Version(u64),
    /// In any case.
    Anything,
}

/// Two tables, item by item. Every verb is safe to repeat.
pub trait ItemStore {
    /// Items of a segment behind `after`, strongly consistent, and where to go on; `None`: that was the end.
    fn scan(
        &self,
        table: Table,
        segment: (u32, u32),
        after: Option<Item>,
    ) -> impl Future<Output = Result<(Vec<Item>, Option<Item>), StoreError>> + Send;

    /// The items of these keys that are there, in any order; strongly consistent. At most 100 keys.
    fn get(&self, table: Table, keys: Vec<Item>) -> impl Future<Output = Result<Vec<Item>, StoreError>> + Send;

    /// Puts an item; false: the condition does not hold.
    fn put(&self, table: Table, item: &Item, over: Over) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// An item's keys.
#[must_use]
pub fn keys(table: Table, item: &Item) -> Item {
    let names: &[&str] = if table == Table::Checkpoints { &["pk"] } else { &["pk", "sk"] };
    names.iter().filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone()))).collect()
}

/// Takes both tables.
///
/// # Errors
/// The store's and the place's.
pub async fn take(
    store: &impl ItemStore,
    place: &impl Objects,
    id: &Id,
    begun: Timestamp,
    watch: Watch<'_>,
) -> Result<Taken, BackupError> {
    let mut tables = Vec::new();
    for table in Table::ALL {
        let segments = if table == Table::Checkpoints { 1 } else { SEGMENTS };
        let count = std::sync::atomic::AtomicU64::new(0);
        let tell = |items: usize| {
            let count = count.fetch_add(items as u64, std::sync::atomic::Ordering::Relaxed) + items as u64;
            watch(Step { what: table.name(), count, bytes: 0 });
        };
        let tell = &tell;
        let of = |segment| async move { segment_of(store, place, id, table, (segment, segments), tell).await };
        let taken: Vec<(u64, Vec<Blob>)> =
            stream::iter((0..segments).map(of)).buffered(SEGMENTS as usize).try_collect().await?;
        tables.push(TableParts {
            name: table.name().to_owned(),
            rows: taken.iter().map(|(rows, _)| rows).sum(),
            parts: taken.into_iter().flat_map(|(_, parts)| parts).collect(),
        });
    }
    Ok(Taken { how: How::Scan, at: begun, tables })
}

async fn segment_of(
    store: &impl ItemStore,
    place: &impl Objects,
    id: &Id,
    table: Table,
    segment: (u32, u32),
    tell: &impl Fn(usize),
) -> Result<(u64, Vec<Blob>), BackupError> {
    let (mut rows, mut parts, mut held) = (0, Vec::new(), Vec::<Row>::new());
    let mut after = None;
    loop {
        let (items, next) = store.scan(table, segment, after).await?;
        tell(items.len());
        rows += items.len() as u64;
        held.extend(items.into_iter().map(|item| Row { item }));
        let is_end = next.is_none();
        if held.len() >= PART_ITEMS_MAX || (is_end && !held.is_empty()) {
            let name = format!("tables/{}/{:02}-{:06}.json.gz", table.name(), segment.0, parts.len());
            parts.push(place::write(place, id.key(&name), &list::pack(&held)?).await?);
            held.clear();
        }
        if is_end {
            return Ok((rows, parts));
        }
        after = next;
    }
}
