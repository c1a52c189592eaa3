//! An area of a backup beside the same area of a lake, page by page in order of key: for who compares, and for who restores.

use std::cmp::Ordering;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use platform::model::ContentHash;

use crate::compare::Comparison;
use crate::list::{Cursor, LINES_MAX, Line};
use crate::manifest::Area;
use crate::objects::{Found, Objects};
use crate::room::Room;
use crate::{BackupError, area};

/// Objects that are looked at at once.
const AT_ONCE: usize = 16;

/// A key of the backup, of the lake, or of both.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The key.
    pub(crate) key: String,
    /// What the backup has of it; `None`: nothing.
    pub(crate) line: Option<Line>,
    /// How they compare.
    pub(crate) how: Comparison,
}

/// What the listing says of the lake's object.
#[derive(Debug, Clone, Copy)]
enum There {
    /// It has so many bytes.
    Is(u64),
    /// It is not there.
    IsNot,
    /// There is no listing: it is to be looked up.
    Unknown,
}

/// Both, from the beginning on.
pub(crate) struct Beside<'b, P, O> {
    cursor: Cursor<'b, P>,
    line: Option<Line>,
    lake: &'b O,
    there: Option<Live<'b, O>>,
    room: Room,
}

impl<'b, P: Objects, O: Objects + Sync> Beside<'b, P, O> {
    /// Nothing is looked at yet.
    pub(crate) fn new(place: &'b P, area: &'b Area, lake: &'b O) -> Self {
        let there = prefix(&area.name).map(|prefix| Live::new(lake, prefix));
        Self { cursor: Cursor::new(place, &area.lists), line: None, lake, there, room: Room::new() }
    }

    /// The next of both in order of key; none at the end. Of which lines the content is not read, `is_quick` says: their size tells.
    pub(crate) async fn page(&mut self, is_quick: impl Fn(&Line) -> bool) -> Result<Vec<Looked>, BackupError> {
        let mut page = Vec::new();
        while page.len() < LINES_MAX {
            let Some((key, line, there)) = self.next().await? else { break };
            let is_quick = line.as_ref().is_some_and(&is_quick);
            page.push((key, line, there, is_quick));
        }
        let (lake, room) = (self.lake, &self.room);
        let looked = stream::iter(page).map(|(key, line, there, is_quick)| async move {
            let how = match &line {
                None => Comparison::Newer,
                Some(line) => of_object(lake, line, there, is_quick, room).await?,
            };
            Ok::<_, BackupError>(Looked { key, line, how })
        });
        looked.buffered(AT_ONCE).try_collect().await
    }

    async fn next(&mut self) -> Result<Option<(String, Option<Line>, There)>, BackupError> {
        if self.line.is_none() {
            self.line = self.cursor.take().await?;
        }
        let Some(there) = &mut self.there else {
            return Ok(self.line.take().map(|line| (line.key.clone(), Some(line), There::Unknown)));
        };
        let found = there.take().await?;
        let Some(line) = self.line.take() else {
            return Ok(found.map(|found| (found.key, None, There::Is(found.bytes))));
        };
        let Some(found) = found else {
            return Ok(Some((line.key.clone(), Some(line), There::IsNot)));
        };
        Ok(Some(match found.key.cmp(&line.key) {
            Ordering::Less => {
                self.line = Some(line);
                (found.key, None, There::Is(found.bytes))
            }
            Ordering::Equal => (found.key, Some(line), There::Is(found.bytes)),
            Ordering::Greater => {
                there.next = Some(found);
                (line.key.clone(), Some(line), There::IsNot)
            }
        }))
    }
}

/// A live listing, gone through in order of key.
struct Live<'l, O> {
    objects: &'l O,
    prefix: String,
    page: std::vec::IntoIter<Found>,
    next: Option<Found>,
    after: Option<String>,
}

impl<'l, O: Objects> Live<'l, O> {
    fn new(objects: &'l O, prefix: String) -> Self {
        Self { objects, prefix, page: Vec::new().into_iter(), next: None, after: Some(String::new()) }
    }

    async fn take(&mut self) -> Result<Option<Found>, BackupError> {
        if let Some(found) = self.next.take() {
            return Ok(Some(found));
        }
        loop {
            if let Some(found) = self.page.next() {
                return Ok(Some(found));
            }
            let Some(after) = self.after.take() else { return Ok(None) };
            let page = self.objects.page(&self.prefix, &after, LINES_MAX).await?;
            self.after = page.last().filter(|_| page.len() == LINES_MAX).map(|last| last.key.clone());
            self.page = page.into_iter();
        }
    }
}

/// The prefix of an area's keys; `None`: they are looked up one by one.
fn prefix(area: &str) -> Option<String> {
    match area {
        area::SNAPSHOTS => None,
        area::PROFILES => Some("state/profiles/".to_owned()),
        name => Some(format!("{name}/")),
    }
}

async fn of_object(
    lake: &impl Objects,
    line: &Line,
    there: There,
    is_quick: bool,
    room: &Room,
) -> Result<Comparison, BackupError> {
    let bytes = match there {
        There::Is(bytes) => Some(bytes),
        There::IsNot => None,
        There::Unknown => lake.measure(&line.key).await?,
    };
    Ok(match bytes {
        None => Comparison::Missing,
        Some(bytes) if bytes != line.bytes => Comparison::Differs,
        Some(_) if is_quick => Comparison::Equal,
        Some(bytes) => {
            let _room = room.hold(bytes).await;
            match lake.read(&line.key).await? {
                None => Comparison::Missing,
                Some(body) if ContentHash::of(&body) == line.sha256 => Comparison::Equal,
                Some(_) => Comparison::Differs,
            }
        }
    })
}
