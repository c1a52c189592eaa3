//! Old backups go: their manifests first, then what no manifest names any more.
//!
//! A backup that is being made is not in the way: its contents are younger than the pruning, and what it has taken over from an
//! earlier one it names in its lists, which are gone through as well.

use std::collections::BTreeSet;

use crate::create;
use crate::list::{self, Line};
use crate::manifest::{self, Manifest, NAME};
use crate::objects::Objects;
use crate::place::{BACKUPS, Id, OBJECTS};
use crate::{BackupError, Step, Watch};

/// Names of a page.
const PAGE: usize = 1_000;

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

/// Leaves the newest `keep` whole backups of each environment and Region, and what is not whole and younger than they. With
/// `is_rehearsal` nothing is removed. Nobody may make a backup at the place meanwhile.
///
/// # Errors
/// The place's, and [`BackupError::Damaged`]: with a list that cannot be read nothing is known to be nobody's.
pub async fn prune(
    place: &(impl Objects + Sync),
    keep: usize,
    is_rehearsal: bool,
    watch: Watch<'_>,
) -> Result<Pruned, BackupError> {
    let mut whole = Vec::new();
    let mut open = Vec::new();
    for id in manifest::ids(place).await? {
        match manifest::load(place, &id).await? {
            Some(sealed) => whole.push(sealed.manifest),
            None => open.push(id),
        }
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
            let is_newer =
                |one: &Manifest| one.begun >= begun.at && one.subject.environment == begun.subject.environment;
            whole.iter().any(is_newer)
        });
        if is_old { &mut pruned.backups } else { &mut staying }.push(id);
    }
    for manifest in &whole {
        let of = (manifest.subject.environment.clone(), manifest.subject.region.clone());
        if kept.iter().filter(|known| **known == of).count() < keep {
            kept.push(of);
            staying.push(manifest.id.clone());
            named.extend(manifest.documents.iter().map(|document| document.blob.sha256.as_str().to_owned()));
        } else {
            pruned.backups.push(manifest.id.clone());
        }
    }
    for id in &staying {
        names_of(place, id, &mut named).await?;
    }
    for id in &pruned.backups {
        // First it is no backup any more, then its pieces go.
        if !is_rehearsal {
            let manifest = id.key(NAME);
            if let Some(bytes) = place.measure(&manifest).await? {
                (pruned.objects, pruned.bytes) = (pruned.objects + 1, pruned.bytes + bytes);
                place.remove(&manifest).await?;
            }
        }
        sweep(
            place,
            &format!("{BACKUPS}{}/", id.as_str()),
            is_rehearsal,
            |_| true,
            &mut pruned.objects,
            &mut pruned.bytes,
            watch,
        )
        .await?;
    }
    let is_nobodys = |key: &str| key.rsplit('/').next().is_none_or(|hash| !named.contains(hash));
    sweep(place, OBJECTS, is_rehearsal, is_nobodys, &mut pruned.objects, &mut pruned.bytes, watch).await?;
    Ok(pruned)
}

async fn names_of(place: &impl Objects, id: &Id, named: &mut BTreeSet<String>) -> Result<(), BackupError> {
    let prefix = id.key("lists/");
    let mut after = String::new();
    loop {
        let page = place.page(&prefix, &after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.key);
        for found in page {
            let Some(bytes) = place.read(&found.key).await? else { continue };
            let lines: Vec<Line> = list::lines(&bytes, &found.key)?;
            named.extend(lines.iter().map(|line| line.sha256.as_str().to_owned()));
        }
    }
}

async fn sweep(
    place: &impl Objects,
    prefix: &str,
    is_rehearsal: bool,
    goes: impl Fn(&str) -> bool,
    objects: &mut u64,
    bytes: &mut u64,
    watch: Watch<'_>,
) -> Result<(), BackupError> {
    let mut after = String::new();
    loop {
        let page = place.page(prefix, &after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.key);
        for found in page.into_iter().filter(|found| goes(&found.key)) {
            if !is_rehearsal {
                place.remove(&found.key).await?;
            }
            (*objects, *bytes) = (*objects + 1, *bytes + found.bytes);
        }
        watch(Step { what: prefix.trim_end_matches('/'), count: *objects, bytes: *bytes });
    }
}
