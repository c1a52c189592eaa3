//! The manifest: what a backup has, and the hash that holds all of it.
//!
//! It has the hash of every list, part and document, and its own over its very bytes; the lists have the hash of every object. So a
//! byte that was changed anywhere is found from here. It also has the hash of the manifest before it at the place.

use std::collections::BTreeSet;

use anomaly_core::Timestamp;
use platform::model::{ContentHash, HashRange};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::BackupError;
use crate::objects::{Objects, Put};
use crate::place::{BACKUPS, Blob, Id};
use crate::tables::Taken;

/// The version of what is written here. One with another is refused.
pub const FORMAT: u32 = 1;
/// The manifest's name within a backup.
pub const NAME: &str = "manifest.json";

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The environment; of one machine, the folder's name.
    pub environment: String,
    /// The Region; `local` on one machine.
    pub region: String,
    /// The stream and its shards, where they are known from outside the tables.
    pub stream: Option<StreamFacts>,
}

/// A stream as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamFacts {
    /// Its name.
    pub name: String,
    /// Its shards with their hash keys, those that were closed and not yet forgotten included.
    pub shards: Vec<(String, HashRange)>,
}

/// An area of the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// Its name.
    pub name: String,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Lists of them, in order of key.
    pub lists: Vec<Blob>,
}

/// Something that is told of the environment beside its data: JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What it is.
    pub name: String,
    /// Where it is.
    pub blob: Blob,
}

/// The manifest before this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its backup.
    pub id: Id,
    /// The hash that it has of itself.
    pub sha256: ContentHash,
}

/// What a backup has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The release that wrote it.
    pub release: String,
    /// The backup.
    pub id: Id,
    /// What it is of.
    pub subject: Subject,
    /// When it was begun: what was committed before is in it.
    pub begun: Timestamp,
    /// The tables.
    pub tables: Taken,
    /// The lake.
    pub lake: Vec<Area>,
    /// Objects that a checkpoint names and that the lake did not have any more when this was made.
    pub missing: Vec<String>,
    /// Configuration.
    pub documents: Vec<Document>,
    /// The newest backup before, of the same environment.
    pub previous: Option<Link>,
}

impl Manifest {
    /// Objects of the lake, and their bytes.
    #[must_use]
    pub fn lake_size(&self) -> (u64, u64) {
        self.lake.iter().fold((0, 0), |(objects, bytes), area| (objects + area.objects, bytes + area.bytes))
    }
}

/// A manifest and the hash that it has of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The manifest.
    pub manifest: Manifest,
    /// The hash.
    pub sha256: ContentHash,
}

#[derive(Serialize, Deserialize)]
struct Envelope<'e> {
    #[serde(borrow)]
    manifest: &'e RawValue,
    sha256: ContentHash,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

fn encode(manifest: &Manifest) -> Result<Vec<u8>, serde_json::Error> {
    let text = serde_json::to_string_pretty(manifest)?;
    let raw = RawValue::from_string(text)?;
    let sha256 = ContentHash::of(raw.get().as_bytes());
    serde_json::to_vec(&Envelope { manifest: &raw, sha256 })
}

/// Reads a manifest; `place` is for the message.
///
/// # Errors
/// [`BackupError::Damaged`] or [`BackupError::Format`].
pub fn decode(bytes: &[u8], place: &str) -> Result<Sealed, BackupError> {
    let wrong = |error: serde_json::Error| BackupError::damaged(place, error);
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(wrong)?;
    let found = ContentHash::of(envelope.manifest.get().as_bytes());
    if found != envelope.sha256 {
        let reason = format!("its SHA-256 is {found}, and it says {}", envelope.sha256);
        return Err(BackupError::damaged(place, reason));
    }
    let FormatOnly { format } = serde_json::from_str(envelope.manifest.get()).map_err(wrong)?;
    if format != u64::from(FORMAT) {
        return Err(BackupError::Format { place: place.to_owned(), found: format, known: FORMAT });
    }
    let manifest = serde_json::from_str(envelope.manifest.get()).map_err(wrong)?;
    Ok(Sealed { manifest, sha256: found })
}

/// Writes a manifest: from here on the backup is one.
///
/// # Errors
/// The place's.
pub async fn seal(place: &impl Objects, manifest: &Manifest) -> Result<ContentHash, BackupError> {
    let key = manifest.id.key(NAME);
    let bytes = encode(manifest).map_err(|error| BackupError::damaged(&key, error))?;
    place.put(&key, &bytes, Put::Replace).await?;
    Ok(decode(&bytes, &key)?.sha256)
}

/// Reads the manifest of a backup; `None`: it is not whole.
///
/// # Errors
/// [`BackupError::Damaged`] or [`BackupError::Format`], and the place's.
pub async fn load(place: &impl Objects, id: &Id) -> Result<Option<Sealed>, BackupError> {
    let key = id.key(NAME);
    match place.read(&key).await? {
        Some(bytes) => decode(&bytes, &key).map(Some),
        None => Ok(None),
    }
}

/// Names of all backups of a place, whole or not, the oldest of each environment first.
///
/// # Errors
/// The place's.
pub async fn ids(place: &impl Objects) -> Result<Vec<Id>, BackupError> {
    Ok(place.folders(BACKUPS).await?.iter().filter_map(|name| Id::parse(name)).collect())
}

/// What is at a place.
#[derive(Debug, Default)]
pub struct All {
    /// Whole backups.
    pub whole: Vec<Sealed>,
    /// Backups without a manifest.
    pub open: Vec<Id>,
    /// Why a manifest cannot be understood: [`BackupError::Damaged`] or [`BackupError::Format`].
    pub wrong: Vec<BackupError>,
}

/// Reads all manifests of a place.
///
/// # Errors
/// The place's.
pub async fn all(place: &impl Objects) -> Result<All, BackupError> {
    let mut all = All::default();
    for id in ids(place).await? {
        match load(place, &id).await {
            Ok(Some(sealed)) => all.whole.push(sealed),
            Ok(None) => all.open.push(id),
            Err(error @ (BackupError::Damaged { .. } | BackupError::Format { .. })) => all.wrong.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Tells of a backup that cannot be understood where another does as well.
pub(crate) fn pass_over(error: &BackupError) {
    tracing::warn!(error = error as &dyn std::error::Error, "a backup is passed over");
}

/// The backup that is asked for; where none is, the newest whole one of `environment`. Without an environment the place must have
/// backups of one alone. What cannot be understood is passed over while there is another.
///
/// # Errors
/// [`BackupError::None`]; [`BackupError::Refused`] for a backup of another environment, or where there are several; those of
/// [`load`].
pub async fn choose(place: &impl Objects, id: Option<&Id>, environment: Option<&str>) -> Result<Sealed, BackupError> {
    let none = || BackupError::None { place: place.name(), id: id.map(|id| id.as_str().to_owned()) };
    if let Some(id) = id {
        let sealed = load(place, id).await?.ok_or_else(none)?;
        let of = &sealed.manifest.subject.environment;
        return match environment.filter(|environment| environment != of) {
            None => Ok(sealed),
            Some(asked) => Err(BackupError::Refused(format!(
                "the backup `{}` is of `{of}`, and `{asked}` was asked for: if that is meant, say --from-environment {of}",
                id.as_str()
            ))),
        };
    }
    let All { mut whole, wrong, .. } = all(place).await?;
    let names: BTreeSet<String> = whole.iter().map(|sealed| sealed.manifest.subject.environment.clone()).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    if let Some(environment) = environment {
        whole.retain(|sealed| sealed.manifest.subject.environment == environment);
    } else if names.contains(", ") {
        return Err(BackupError::Refused(format!(
            "{} has backups of {names}: say which is meant with --from-environment NAME",
            place.name()
        )));
    }
    let Some(newest) = whole.into_iter().max_by_key(|sealed| sealed.manifest.begun) else {
        return Err(match (wrong.into_iter().next(), environment) {
            (Some(wrong), _) => wrong,
            (None, Some(environment)) if !names.is_empty() => BackupError::Refused(format!(
                "{} has no backup of `{environment}`, and some of {names}: if that is meant, say --from-environment NAME",
                place.name()
            )),
            _ => none(),
        });
    };
    wrong.iter().for_each(pass_over);
    Ok(newest)
}
