//! Old backups go: their manifests first, then what no manifest names any more.
//!
//! A backup that is being made names what it has in lists, page by page, and has contents that no list names yet. So nothing is
//! removed while one is being made ([`FRESH_SECONDS`]), nor what was written after the pruning began. What it cannot know is of a
//! backup that begins while contents are already being removed: one may find a content that nobody named, not copy it again, and
//! lose it; the next `create` sees that, and writes it anew.

use std::collections::BTreeSet;

use anomaly_core::Timestamp;

use crate::create;
use crate::list::{self, Line};
use crate::manifest::{self, All, Manifest, NAME};
use crate::objects::{Found, Objects};
use crate::place::{self, BACKUPS, Id, OBJECTS};
use crate::{BackupError, Step, Watch};

/// Names of a page.
const PAGE: usize = 1_000;
/// For so long after it was last written to, a backup that is not whole counts as one that is being made: a day, which is longer
/// than a page of the largest objects takes.
const FRESH_SECONDS: i64 = 24 * 60 * 60;

/// What prune may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// Whole backups of each environment and Region that stay.
    pub keep: usize,
    /// Whether nothing is removed.
    pub is_rehearsal: bool,
    /// Whether a backup that is being made is no reason to stop.
    pub force: bool,
}

/// What goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Backups.
    pub backups: Vec<Id>,
    /// Contents and pieces of backups.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Leaves the newest whole backups of each environment and Region, and what is not whole and younger than they, as of `now`.
///
/// # Errors
/// The place's; [`BackupError::Refused`] while a backup is being made; [`BackupError::Damaged`] and [`BackupError::Format`]: with a
/// manifest or list that cannot be read nothing is known to be nobody's.
pub async fn prune(
    place: &(impl Objects + Sync),
    means: Means,
    now: Timestamp,
    watch: Watch<'_>,
) -> Result<Pruned, BackupError> {
    let Means { keep, is_rehearsal, force } = means;
    let All { whole, open, wrong } = manifest::all(place).await?;
    if let Some(wrong) = wrong.into_iter().next() {
        return Err(wrong);
    }
    let mut whole: Vec<Manifest> = whole.into_iter().map(|sealed| sealed.manifest).collect();
    let is_careful = !force && !is_rehearsal;
    if is_careful {
        // Also those that the next run would not take up: somebody may be at one, and is to find what it has written.
        refuse_fresh(place, &open, now).await?;
    }
    whole.sort_by_key(|manifest| std::cmp::Reverse(manifest.begun));
    let mut pruned = Pruned::default();
    let mut kept: Vec<(String, String)> = Vec::new();
    let mut named: BTreeSet<String> = BTreeSet::new();
    let mut staying = Vec::new();
    for id in open {
        // The next run takes up none that is older than a whole one.
        let begun = create::begun(place, &id).await?;
        let is_old = begun.is_some_and(|begun| {
            let is_newer = |one: &Manifest| {
                one.begun >= begun.at
                    && one.subject.environment == begun.subject.environment
                    && one.subject.region == begun.subject.region
            };
            whole.iter().any(is_newer)
        });
        if is_old { &mut pruned.backups } else { &mut staying }.push(id);
    }
    let (mut lists, mut whole_ids) = (Vec::new(), Vec::new());
    for manifest in &whole {
        let of = (manifest.subject.environment.clone(), manifest.subject.region.clone());
        if kept.iter().filter(|known| **known == of).count() < keep {
            kept.push(of);
            lists.extend(manifest.lake.iter().flat_map(|area| &area.lists));
            whole_ids.push(manifest.id.clone());
            named.extend(manifest.documents.iter().map(|document| document.blob.sha256.as_str().to_owned()));
        } else {
            pruned.backups.push(manifest.id.clone());
        }
    }
    // Those that the manifests name, and not those that happen to lie there: without one of them, what it named is nobody's.
    for list in lists {
        names(&list::lines(&place::read(place, list).await?, &list.key)?, &mut named);
    }
    for id in &staying {
        names_of(place, id, &mut named).await?;
    }
    staying.extend(whole_ids);
    for id in pruned.backups.clone() {
        // First it is no backup any more, then its pieces go.
        if !is_rehearsal {
            let manifest = id.key(NAME);
            if let Some(bytes) = place.measure(&manifest).await? {
                (pruned.objects, pruned.bytes) = (pruned.objects + 1, pruned.bytes + bytes);
                place.remove(&manifest).await?;
            }
        }
        let pieces = format!("{BACKUPS}{}/", id.as_str());
        sweep(place, &pieces, is_rehearsal, |_| true, &mut pruned, watch).await?;
    }
    if is_careful {
        // One may have begun meanwhile.
        let mut begun = manifest::ids(place).await?;
        begun.retain(|id| !staying.contains(id) && !pruned.backups.contains(id));
        refuse_fresh(place, &begun, now).await?;
    }
    let is_nobodys =
        |found: &Found| found.changed < now && found.key.rsplit('/').next().is_none_or(|hash| !named.contains(hash));
    sweep(place, OBJECTS, is_rehearsal, is_nobodys, &mut pruned, watch).await?;
    Ok(pruned)
}

/// What a backup that is not whole names so far.
async fn names_of(place: &impl Objects, id: &Id, named: &mut BTreeSet<String>) -> Result<(), BackupError> {
    let prefix = id.key("lists/");
    let mut after = String::new();
    loop {
        let page = place.page(&prefix, &after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.key);
        for found in page {
            let Some(bytes) = place.read(&found.key).await? else { continue };
            names(&list::lines(&bytes, &found.key)?, named);
        }
    }
}

fn names(lines: &[Line], named: &mut BTreeSet<String>) {
    named.extend(lines.iter().map(|line| line.sha256.as_str().to_owned()));
}

async fn sweep(
    place: &impl Objects,
    prefix: &str,
    is_rehearsal: bool,
    goes: impl Fn(&Found) -> bool,
    pruned: &mut Pruned,
    watch: Watch<'_>,
) -> Result<(), BackupError> {
    let mut after = String::new();
    loop {
        let page = place.page(prefix, &after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.key);
        for found in page.into_iter().filter(|found| goes(found)) {
            if !is_rehearsal {
                place.remove(&found.key).await?;
            }
            (pruned.objects, pruned.bytes) = (pruned.objects + 1, pruned.bytes + found.bytes);
        }
        watch(Step { what: prefix.trim_end_matches('/'), count: pruned.objects, bytes: pruned.bytes });
    }
}

/// Refuses where one of these backups is being made: something of it is fresh.
async fn refuse_fresh(place: &impl Objects, open: &[Id], now: Timestamp) -> Result<(), BackupError> {
    let since = now.millis().saturating_sub(FRESH_SECONDS * 1_000);
    for id in open {
        let mut after = String::new();
        loop {
            let page = place.page(&id.key(""), &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.key);
            if page.iter().any(|found| found.changed.millis() >= since) {
                return Err(BackupError::Refused(format!(
                    "the backup `{}` is not whole, and something was written to it in the last {} hours: finish it with `millrace \
                     backup create`, or say --force if nobody makes it any more",
                    id.as_str(),
                    FRESH_SECONDS / 3_600
                )));
            }
        }
    }
    Ok(())
}
