//! A backup beside what is live: what both have, what is missing there, what is newer there.
//!
//! A restored environment counts as equal where it has what a restore makes of an item: a device's state without the former stream's
//! number, and the checkpoints that `shards` knows of.

mod shards;

use std::collections::BTreeMap;

use telemetry::sequence::SequenceNumber;

use crate::beside::Beside;
use crate::item::{self, Item};
use crate::manifest::{Area, Manifest};
use crate::objects::Objects;
use crate::restore::Target;
use crate::scan::{ItemStore, Table, keys};
use crate::tables;
use crate::{BackupError, Step, Watch, area};

pub(crate) use shards::{has_moved_on, is_end_of};

/// Keys of one question.
pub(crate) const KEYS_MAX: usize = 100;
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
    /// Both have it, and what is live has gone on since where no restore touches it: the checkpoint of another Region, or of a shard
    /// that the stream has closed. That is no difference.
    pub moved_on: u64,
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
            Comparison::MovedOn => &mut self.moved_on,
        };
        *count += 1;
        if !matches!(how, Comparison::Equal | Comparison::MovedOn) && self.names.len() < NAMES_MAX {
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
    /// It goes on where no restore touches it.
    MovedOn,
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
    let of_backup = manifest.lake.iter().map(|one| one.name.as_str());
    let known: Vec<&str> = of_backup.collect();
    let mut areas = manifest.lake.clone();
    // What the lake has got since.
    for (name, _) in area::areas(&lake.folders("").await?) {
        if !known.contains(&name.as_str()) {
            areas.push(Area { name, objects: 0, bytes: 0, lists: Vec::new() });
        }
    }
    let mut parts = Vec::new();
    for one in &areas {
        let mut part = Part::new(&one.name);
        let mut beside = Beside::new(place, one, lake);
        loop {
            let page = beside.page(|_| is_quick).await?;
            if page.is_empty() {
                break;
            }
            for looked in &page {
                part.note(&looked.key, looked.how);
            }
            watch(Step { what: &one.name, count: part.equal, bytes: 0 });
        }
        parts.push(part);
    }
    Ok(parts)
}

/// Compares the tables of an environment.
///
/// # Errors
/// [`BackupError::Damaged`], the place's and the store's.
pub async fn items<P: Objects + Sync, O: Objects + Sync, S: ItemStore>(
    place: &P,
    manifest: &Manifest,
    target: &Target<'_, O, S>,
    watch: Watch<'_>,
) -> Result<Vec<Part>, BackupError> {
    Ok(vec![
        shards::compare(place, manifest, target, watch).await?,
        results(place, manifest, target.items, watch).await?,
    ])
}

async fn results(
    place: &impl Objects,
    manifest: &Manifest,
    store: &impl ItemStore,
    watch: Watch<'_>,
) -> Result<Part, BackupError> {
    let table = Table::Results;
    let (mut part, mut known) = (Part::new(table.name()), 0);
    for blob in manifest.tables.table(table.name()).into_iter().flat_map(|table| &table.parts) {
        let mut rows = tables::rows(place, blob).await?;
        loop {
            let items = rows.chunk(KEYS_MAX)?;
            if items.is_empty() {
                break;
            }
            for (item, live) in beside(store, table, &items).await? {
                known += u64::from(live.is_some());
                part.note(&item::name(item), of_result(item, live.as_ref()));
            }
            watch(Step { what: table.name(), count: part.equal, bytes: 0 });
        }
    }
    let (mut count, mut after) = (0_u64, None);
    loop {
        let (items, next) = store.scan(table, (0, 1), after).await?;
        count += items.len() as u64;
        after = next;
        if after.is_none() {
            break;
        }
    }
    part.newer = count.saturating_sub(known);
    Ok(part)
}

/// Items, each with the live one of its keys.
pub(crate) async fn beside<'i>(
    store: &impl ItemStore,
    table: Table,
    items: &'i [Item],
) -> Result<Vec<(&'i Item, Option<Item>)>, BackupError> {
    let wanted = items.iter().map(|item| keys(table, item)).collect();
    let found = store.get(table, wanted).await?;
    let mut by_name: BTreeMap<String, Item> = found.into_iter().map(|item| (item::name(&item), item)).collect();
    Ok(items.iter().map(|item| (item, by_name.remove(&item::name(item)))).collect())
}

/// How an item of the results compares with the live one of its keys.
pub(crate) fn of_result(item: &Item, live: Option<&Item>) -> Comparison {
    let Some(live) = live else { return Comparison::Missing };
    let is_equal = live == item || (item::text(item, "kind") == Some("state") && *live == rested(item));
    if is_equal { Comparison::Equal } else { Comparison::Differs }
}

/// A device's state as a new stream may change it: before every record, and of no epoch.
pub(crate) fn rested(item: &Item) -> Item {
    let mut item = item.clone();
    item.insert("seq".to_owned(), item::of_text(SequenceNumber::ZERO.as_str()));
    item.remove("epoch");
    item
}
