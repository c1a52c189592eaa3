//! A backup is made: the tables, then the lake, then the manifest.
//!
//! The tables go first. An object is written before the checkpoint that names it, and never changed, so that all that the tables
//! name is in the lake when it is listed afterwards. What was committed meanwhile is kept as well, and named by nobody.
//!
//! A run that was cut off anywhere is taken up by the next: its tables, once they are whole, and every page of its lists. An object
//! is read when no backup before has it with the same tag, or its content is not at the place any more.

use std::collections::BTreeSet;

use anomaly_core::Timestamp;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use platform::model::ContentHash;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::area::{self, SNAPSHOTS};
use crate::list::{self, Cursor, LINES_MAX, Line};
use crate::manifest::{self, All, Area, Document, FORMAT, Link, Manifest, Sealed, Subject};
use crate::objects::{Found, Objects};
use crate::place::{self, Blob, Contents, Id, Trust};
use crate::room::Room;
use crate::tables::{self, TakeTables, Taken};
use crate::{BackupError, Step, Watch};

/// Objects that are copied at once.
const AT_ONCE: usize = 16;

/// What a backup is made of.
#[derive(Debug)]
pub struct Source<'s, L, T> {
    /// What it is of.
    pub subject: Subject,
    /// The lake.
    pub lake: &'s L,
    /// The tables.
    pub tables: &'s T,
    /// Configuration, by name.
    pub documents: &'s [(String, Value)],
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The backup.
    pub sealed: Sealed,
    /// Objects of the lake that were read, and their bytes: the others an earlier backup had.
    pub read: (u64, u64),
    /// Whether an earlier run was taken up.
    pub is_resumed: bool,
    /// The Region that has the say over the stream, where it is another than that of the backup: its detectors are the ones that a
    /// restore brings back, as far as they were replicated.
    pub active_elsewhere: Option<String>,
}

/// What an open backup says of itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct Begun {
    format: u32,
    pub(crate) subject: Subject,
    pub(crate) at: Timestamp,
}

/// What a backup without a manifest says of itself; `None`: nothing.
pub(crate) async fn begun(place: &impl Objects, id: &Id) -> Result<Option<Begun>, BackupError> {
    let key = id.key("begun.json");
    let Some(bytes) = place.read(&key).await? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| BackupError::damaged(&key, error))
}

/// Makes a backup of `source` at `place`; `now` is when it begins, unless an earlier run is taken up. With [`Trust::Hash`] nothing
/// is taken over from an earlier backup or run: every object is read, and what is damaged at the place is written anew.
///
/// # Errors
/// [`BackupError`]. The same call goes on from there.
pub async fn create<L: Objects + Sync, T: TakeTables, P: Objects + Sync>(
    source: &Source<'_, L, T>,
    place: &P,
    now: Timestamp,
    trust: Trust,
    watch: Watch<'_>,
) -> Result<Made, BackupError> {
    let History { open, previous } = history(place, &source.subject).await?;
    let open = open.filter(|_| trust == Trust::Size);
    let is_resumed = open.is_some();
    let (id, begun) = match open {
        Some(open) => open,
        None => (Id::new(&source.subject.environment, now), now),
    };
    if !is_resumed {
        let record = Begun { format: FORMAT, subject: source.subject.clone(), at: begun };
        write_json(place, id.key("begun.json"), &record).await?;
    }
    let taken = tables_of(source, place, &id, begun, watch).await?;
    let living = tables::living(&tables::checkpoints(place, &taken, &source.subject).await?, &source.subject);
    let copier = Copier {
        lake: source.lake,
        place,
        trust,
        contents: if trust == Trust::Size { Contents::list(place).await? } else { Contents::default() },
        room: Room::new(),
        read: std::sync::Mutex::default(),
    };
    let known = previous.as_ref().filter(|_| trust == Trust::Size);
    let mut lake = Vec::new();
    for (name, prefix) in area::areas(&source.lake.folders("").await?) {
        let before = known.and_then(|sealed| sealed.manifest.lake.iter().find(|area| area.name == name));
        let lists = before.map_or(&[][..], |area| &area.lists);
        lake.push(copier.area(&id, &name, &prefix, begun, lists, watch).await?);
    }
    let mut missing = Vec::new();
    let names = area::snapshots(&living);
    let before = known.and_then(|sealed| sealed.manifest.lake.iter().find(|area| area.name == SNAPSHOTS));
    lake.push(copier.snapshots(&id, names, before.map_or(&[][..], |area| &area.lists), &mut missing, watch).await?);
    let mut documents = Vec::new();
    for (name, value) in source.documents {
        let text = serde_json::to_vec_pretty(value).map_err(|error| BackupError::damaged(name, error))?;
        documents.push(Document { name: name.clone(), blob: place::keep(place, &text, trust).await? });
    }
    let manifest = Manifest {
        format: FORMAT,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        id,
        subject: source.subject.clone(),
        begun,
        tables: taken,
        lake,
        missing,
        documents,
        previous: previous.map(|Sealed { manifest, sha256 }| Link { id: manifest.id, sha256 }),
    };
    let sha256 = manifest::seal(place, &manifest).await?;
    let read = copier.read.lock().map_or((0, 0), |read| *read);
    let active = tables::epoch(place, &manifest.tables).await?.map(|epoch| epoch.active);
    let active_elsewhere = active.filter(|active| *active != manifest.subject.region);
    Ok(Made { sealed: Sealed { manifest, sha256 }, read, is_resumed, active_elsewhere })
}

/// What of a subject is at a place.
struct History {
    /// The newest that is not whole and younger than all that are.
    open: Option<(Id, Timestamp)>,
    /// The newest that is.
    previous: Option<Sealed>,
}

async fn history(place: &impl Objects, subject: &Subject) -> Result<History, BackupError> {
    let mut found = History { open: None, previous: None };
    let is_of = |other: &Subject| other.environment == subject.environment && other.region == subject.region;
    let All { whole, open, wrong } = manifest::all(place).await?;
    wrong.iter().for_each(manifest::pass_over);
    found.previous =
        whole.into_iter().filter(|sealed| is_of(&sealed.manifest.subject)).max_by_key(|one| one.manifest.begun);
    for id in open {
        let begun = match begun(place, &id).await {
            Ok(Some(begun)) => begun,
            Ok(None) => continue,
            Err(error @ BackupError::Damaged { .. }) => {
                manifest::pass_over(&error);
                continue;
            }
            Err(error) => return Err(error),
        };
        if is_of(&begun.subject) && begun.format == FORMAT {
            let newest = found.open.into_iter().chain([(id, begun.at)]).max_by_key(|(_, at)| *at);
            found.open = newest;
        }
    }
    let newest = found.previous.as_ref().map(|sealed| sealed.manifest.begun);
    found.open = found.open.filter(|(_, at)| newest.is_none_or(|newest| newest < *at));
    Ok(found)
}

async fn write_json(place: &impl Objects, key: String, value: &impl Serialize) -> Result<(), BackupError> {
    let text = serde_json::to_vec(value).map_err(|error| BackupError::damaged(&key, error))?;
    place::write(place, key, &text).await.map(drop)
}

async fn tables_of<L, T: TakeTables, P: Objects + Sync>(
    source: &Source<'_, L, T>,
    place: &P,
    id: &Id,
    begun: Timestamp,
    watch: Watch<'_>,
) -> Result<Taken, BackupError> {
    let key = id.key("tables/tables.json");
    if let Some(bytes) = place.read(&key).await? {
        return serde_json::from_slice(&bytes).map_err(|error| BackupError::damaged(&key, error));
    }
    let taken = source.tables.take(place, id, begun, watch).await?;
    write_json(place, key, &taken).await?;
    Ok(taken)
}

/// Copies objects of a lake that the place has not yet.
struct Copier<'c, L, P> {
    lake: &'c L,
    place: &'c P,
    trust: Trust,
    /// What the place had when this began.
    contents: Contents,
    room: Room,
    read: std::sync::Mutex<(u64, u64)>,
}

impl<L: Objects + Sync, P: Objects + Sync> Copier<'_, L, P> {
    /// An area, page by page.
    async fn area(
        &self,
        id: &Id,
        name: &str,
        prefix: &str,
        begun: Timestamp,
        before: &[Blob],
        watch: Watch<'_>,
    ) -> Result<Area, BackupError> {
        let mut area = Area { name: name.to_owned(), objects: 0, bytes: 0, lists: Vec::new() };
        let mut after = self.resume(id, &mut area).await?.unwrap_or_default();
        let mut known = Cursor::new(self.place, before);
        loop {
            let page = self.lake.page(prefix, &after, LINES_MAX).await?;
            let Some(last) = page.last() else { return Ok(area) };
            after.clone_from(&last.key);
            let is_last = page.len() < LINES_MAX;
            let kept = page.into_iter().filter(|found| area::is_kept(found, begun));
            let lines = self.lines(kept.collect(), &mut known).await?;
            self.write(id, &mut area, &lines, watch).await?;
            if is_last {
                return Ok(area);
            }
        }
    }

    /// The snapshots of these names; those that are not there go to `missing`.
    async fn snapshots(
        &self,
        id: &Id,
        names: BTreeSet<String>,
        before: &[Blob],
        missing: &mut Vec<String>,
        watch: Watch<'_>,
    ) -> Result<Area, BackupError> {
        let mut area = Area { name: SNAPSHOTS.to_owned(), objects: 0, bytes: 0, lists: Vec::new() };
        let mut found = Vec::new();
        for key in names {
            match self.lake.measure(&key).await? {
                // A snapshot is never changed: its size is all the tag it needs.
                Some(bytes) => found.push(Found { key, bytes, tag: bytes.to_string(), changed: Timestamp::MIN }),
                None => missing.push(key),
            }
        }
        let mut known = Cursor::new(self.place, before);
        for page in found.chunks(LINES_MAX) {
            let lines = self.lines(page.to_vec(), &mut known).await?;
            self.write(id, &mut area, &lines, watch).await?;
        }
        Ok(area)
    }

    /// What an earlier run has of the area. Returns its last key. From the first page on of which a content has gone, its pages are
    /// made again.
    async fn resume(&self, id: &Id, area: &mut Area) -> Result<Option<String>, BackupError> {
        let (mut last, mut is_whole) = (None, true);
        let prefix = id.key(&format!("lists/{}/", area.name));
        let mut after = String::new();
        loop {
            let page = self.place.page(&prefix, &after, LINES_MAX).await?;
            let Some(end) = page.last() else { return Ok(last) };
            after.clone_from(&end.key);
            for Found { key, .. } in page {
                let Some(bytes) = self.place.read(&key).await? else { continue };
                let lines: Vec<Line> = list::lines(&bytes, &key)?;
                is_whole &= lines.iter().all(|line| self.contents.has(&line.sha256, line.bytes));
                if !is_whole {
                    self.place.remove(&key).await?;
                    continue;
                }
                area.objects += lines.len() as u64;
                area.bytes += lines.iter().map(|line| line.bytes).sum::<u64>();
                last = lines.last().map(|line| line.key.clone()).or(last);
                area.lists.push(Blob { key, bytes: bytes.len() as u64, sha256: ContentHash::of(&bytes) });
            }
        }
    }

    async fn write(&self, id: &Id, area: &mut Area, lines: &[Line], watch: Watch<'_>) -> Result<(), BackupError> {
        if lines.is_empty() {
            return Ok(());
        }
        let key = id.key(&format!("lists/{}/{:06}.ndjson.gz", area.name, area.lists.len()));
        area.lists.push(place::write(self.place, key, &list::pack(lines)?).await?);
        area.objects += lines.len() as u64;
        area.bytes += lines.iter().map(|line| line.bytes).sum::<u64>();
        watch(Step { what: &area.name, count: area.objects, bytes: area.bytes });
        Ok(())
    }

    /// The lines of a page, each content kept.
    async fn lines(&self, page: Vec<Found>, known: &mut Cursor<'_, P>) -> Result<Vec<Line>, BackupError> {
        let mut work = Vec::with_capacity(page.len());
        for found in page {
            let before = known.find(&found.key).await?;
            let same = before.filter(|line| {
                line.bytes == found.bytes && line.tag == found.tag && self.contents.has(&line.sha256, line.bytes)
            });
            work.push(async move {
                match same {
                    Some(line) => Ok(Some(line)),
                    None => self.copy(found).await,
                }
            });
        }
        let lines: Vec<Option<Line>> = stream::iter(work).buffered(AT_ONCE).try_collect().await?;
        Ok(lines.into_iter().flatten().collect())
    }

    /// `None`: it has gone since it was listed.
    async fn copy(&self, found: Found) -> Result<Option<Line>, BackupError> {
        let _room = self.room.hold(found.bytes).await;
        let Some(body) = self.lake.read(&found.key).await? else { return Ok(None) };
        let blob = place::keep(self.place, &body, self.trust).await?;
        if let Ok(mut read) = self.read.lock() {
            *read = (read.0 + 1, read.1 + blob.bytes);
        }
        Ok(Some(Line { key: found.key, bytes: blob.bytes, sha256: blob.sha256, tag: found.tag }))
    }
}
