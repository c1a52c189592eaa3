//! A backup beside what is live: what both have, what is missing there, what is newer there.
//!
//! A restored environment counts as equal where it has what a restore makes of an item: a shard's checkpoint that ends the former
//! stream's batches, a device's state without the former stream's number.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use platform::model::ContentHash;
use telemetry::sequence::SequenceNumber;

use crate::item::{self, Item, Record};
use crate::list::{Cursor, LINES_MAX, Line};
use crate::manifest::{Area, Manifest};
use crate::objects::{Found, Objects};
use crate::scan::{ItemStore, Table, keys};
use crate::tables;
use crate::{BackupError, Step, Watch, area};

/// Objects that are read at once.
const AT_ONCE: usize = 16;
/// Keys of one question.
const KEYS_MAX: usize = 100;
/// Names that are told of a kind.
const NAMES_MAX: usize = 20;

/// How an area or a table compares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub name: String,
    /// Both have it.
    pub equal: u64,
    /// The backup has it, and what is live has not.
    pub missing: u64,
    /// Both have it, otherwise: what is live has changed since, or is damaged.
    pub differs: u64,
    /// What is live has it, and the backup has not.
    pub newer: u64,
    /// Some that are not equal.
    pub names: Vec<String>,
}

impl Part {
    /// None yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Whether nothing is otherwise.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.missing == 0 && self.differs == 0 && self.newer == 0
    }

    /// Notes one.
    pub fn note(&mut self, name: &str, how: Comparison) {
        let count = match how {
            Comparison::Equal => &mut self.equal,
            Comparison::Missing => &mut self.missing,
            Comparison::Differs => &mut self.differs,
            Comparison::Newer => &mut self.newer,
        };
        *count += 1;
        if how != Comparison::Equal && self.names.len() < NAMES_MAX {
            self.names.push(name.to_owned());
        }
    }
}

/// How one thing compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Both have it.
    Equal,
    /// What is live has it not.
    Missing,
    /// Both have it, otherwise.
    Differs,
    /// The backup has it not.
    Newer,
}

/// A live listing, gone through in order of key.
pub(crate) struct Live<'l, O> {
    objects: &'l O,
    prefix: &'l str,
    page: std::vec::IntoIter<Found>,
    next: Option<Found>,
    after: Option<String>,
}

impl<'l, O: Objects> Live<'l, O> {
    pub(crate) fn new(objects: &'l O, prefix: &'l str) -> Self {
        Self { objects, prefix, page: Vec::new().into_iter(), next: None, after: Some(String::new()) }
    }

    pub(crate) async fn take(&mut self) -> Result<Option<Found>, BackupError> {
        if let Some(found) = self.next.take() {
            return Ok(Some(found));
        }
        loop {
            if let Some(found) = self.page.next() {
                return Ok(Some(found));
            }
            let Some(after) = self.after.take() else { return Ok(None) };
            let page = self.objects.page(self.prefix, &after, LINES_MAX).await?;
            self.after = page.last().filter(|_| page.len() == LINES_MAX).map(|last| last.key.clone());
            self.page = page.into_iter();
        }
    }

    /// The object of a key. Keys are asked for in order; those that are passed over go to `newer`.
    pub(crate) async fn find(
        &mut self,
        key: &str,
        mut newer: impl FnMut(&Found),
    ) -> Result<Option<Found>, BackupError> {
        while let Some(found) = self.take().await? {
            if found.key.as_str() < key {
                newer(&found);
            } else if found.key == key {
                return Ok(Some(found));
            } else {
                self.next = Some(found);
                break;
            }
        }
        Ok(None)
    }
}

/// The prefix of an area's keys; `None`: they are looked up one by one.
pub(crate) fn prefix(area: &Area) -> Option<String> {
    match area.name.as_str() {
        area::SNAPSHOTS => None,
        area::PROFILES => Some("state/profiles/".to_owned()),
        name => Some(format!("{name}/")),
    }
}

/// Compares a lake. With `is_quick` contents are not read.
///
/// # Errors
/// [`BackupError::Damaged`], the place's and the lake's.
pub async fn lake<P: Objects + Sync, O: Objects + Sync>(
    place: &P,
    manifest: &Manifest,
    lake: &O,
    is_quick: bool,
    watch: Watch<'_>,
) -> Result<Vec<Part>, BackupError> {
    let mut parts = Vec::new();
    for one in &manifest.lake {
        let mut part = Part::new(&one.name);
        let mut cursor = Cursor::new(place, &one.lists);
        let prefix = prefix(one);
        let mut there = prefix.as_deref().map(|prefix| Live::new(lake, prefix));
        loop {
            let mut page: Vec<(Line, Option<u64>)> = Vec::new();
            while page.len() < LINES_MAX {
                let Some(line) = cursor.take().await? else { break };
                let bytes = match &mut there {
                    Some(there) => there
                        .find(&line.key, |found| part.note(&found.key, Comparison::Newer))
                        .await?
                        .map(|found| found.bytes),
                    None => lake.measure(&line.key).await?,
                };
                page.push((line, bytes));
            }
            if page.is_empty() {
                break;
            }
            let looked = stream::iter(page).map(|(line, bytes)| async move {
                let how = of_object(lake, &line, bytes, is_quick).await?;
                Ok::<_, BackupError>((line.key, how))
            });
            let looked: Vec<(String, Comparison)> = looked.buffered(AT_ONCE).try_collect().await?;
            for (key, how) in &looked {
                part.note(key, *how);
            }
            watch(Step { what: &one.name, count: part.equal, bytes: 0 });
        }
        if let Some(mut live) = there {
            while let Some(found) = live.take().await? {
                part.note(&found.key, Comparison::Newer);
            }
        }
        parts.push(part);
    }
    Ok(parts)
}

/// How an object of the lake compares, of which `bytes` is the size. With `is_quick` its content is not read.
pub(crate) async fn of_object(
    lake: &impl Objects,
    line: &Line,
    bytes: Option<u64>,
    is_quick: bool,
) -> Result<Comparison, BackupError> {
    Ok(match bytes {
        None => Comparison::Missing,
        Some(bytes) if bytes != line.bytes => Comparison::Differs,
        Some(_) if is_quick => Comparison::Equal,
        Some(_) => match lake.read(&line.key).await? {
            None => Comparison::Missing,
            Some(body) if ContentHash::of(&body) == line.sha256 => Comparison::Equal,
            Some(_) => Comparison::Differs,
        },
    })
}

/// Compares the tables of an environment.
///
/// # Errors
/// [`BackupError::Damaged`], the place's and the store's.
pub async fn items(
    place: &impl Objects,
    manifest: &Manifest,
    store: &impl ItemStore,
    watch: Watch<'_>,
) -> Result<Vec<Part>, BackupError> {
    let mut parts = Vec::new();
    for table in Table::ALL {
        let (mut part, mut known) = (Part::new(table.name()), 0);
        for blob in manifest.tables.table(table.name()).into_iter().flat_map(|table| &table.parts) {
            let rows = tables::rows(place, blob).await?;
            for chunk in rows.chunks(KEYS_MAX) {
                let items: Vec<&Item> = chunk.iter().map(|row| &row.item).collect();
                for (item, live) in beside(store, table, &items).await? {
                    known += u64::from(live.as_ref().is_some_and(|live| is_counted(table, live)));
                    part.note(&item::name(item), of_item(table, item, live.as_ref()));
                }
                watch(Step { what: table.name(), count: part.equal, bytes: 0 });
            }
        }
        part.newer = count(store, table).await?.saturating_sub(known);
        parts.push(part);
    }
    Ok(parts)
}

async fn count(store: &impl ItemStore, table: Table) -> Result<u64, BackupError> {
    let (mut count, mut after) = (0, None);
    loop {
        let (items, next) = store.scan(table, (0, 1), after).await?;
        count += items.iter().filter(|item| is_counted(table, item)).count() as u64;
        after = next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

/// Whether an item says more than what a restore has made of a backup: a shard without a record and an epoch do not.
fn is_counted(table: Table, item: &Item) -> bool {
    match (table, item::of_checkpoints(item)) {
        (Table::Checkpoints, Ok(Record::Checkpoint(_, checkpoint))) => checkpoint.last_seq > SequenceNumber::ZERO,
        (Table::Checkpoints, Ok(Record::Epoch(..))) => false,
        _ => true,
    }
}

/// Items, each with the live one of its keys.
pub(crate) async fn beside<'i>(
    store: &impl ItemStore,
    table: Table,
    items: &[&'i Item],
) -> Result<Vec<(&'i Item, Option<Item>)>, BackupError> {
    let wanted = items.iter().map(|item| keys(table, item)).collect();
    let found = store.get(table, wanted).await?;
    let mut by_name: BTreeMap<String, Item> = found.into_iter().map(|item| (item::name(&item), item)).collect();
    Ok(items.iter().map(|item| (*item, by_name.remove(&item::name(item)))).collect())
}

/// How an item of the backup compares with the live one of its keys.
pub(crate) fn of_item(table: Table, item: &Item, live: Option<&Item>) -> Comparison {
    let Some(live) = live else { return Comparison::Missing };
    if live == item {
        return Comparison::Equal;
    }
    let is_equal = match table {
        Table::Results => item::text(item, "kind") == Some("state") && *live == rested(item),
        Table::Checkpoints => match (item::of_checkpoints(item), item::of_checkpoints(live)) {
            (Ok(Record::Checkpoint(_, was)), Ok(Record::Checkpoint(_, is))) => {
                is.last_seq == SequenceNumber::ZERO && is.batch == was.batch && is.version > was.version
            }
            (Ok(Record::Epoch(_, was)), Ok(Record::Epoch(_, is))) => is.epoch > was.epoch,
            _ => false,
        },
    };
    if is_equal { Comparison::Equal } else { Comparison::Differs }
}

/// A device's state as a new stream may change it: before every record, and of no epoch.
pub(crate) fn rested(item: &Item) -> Item {
    let mut item = item.clone();
    item.insert("seq".to_owned(), item::of_text(SequenceNumber::ZERO.as_str()));
    item.remove("epoch");
    item
}
