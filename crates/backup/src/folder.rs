//! Objects as files: the key is the path below the folder.
//!
//! An object appears whole or not at all: its bytes are written and synced under another name beside it, which then becomes the
//! final one. What a killed process leaves half written has [`HALF`] in its name; no listing shows it, and the next put of that
//! object takes its place.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anomaly_core::Timestamp;
use platform::model::Key;
use platform::ports::StoreError;

use crate::objects::{Became, Found, OBJECT_BYTES_MAX, Objects, Put};

/// Ends the name of what is not whole yet.
const HALF: &str = ".half";
/// Where the store of one machine keeps what is not whole yet.
const INCOMING: &str = ".incoming";

/// A folder of objects.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

fn failed(verb: &'static str, path: &Path, error: io::Error) -> StoreError {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "give this user access to it",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room and run the same command again",
        _ => "see to it and run the same command again",
    };
    let mut failure = StoreError::permanent(verb, path.display().to_string(), format!("{error}; {remedy}"));
    failure.source = Some(Box::new(error));
    failure
}

impl Folder {
    /// Objects below `root`, which is made by the first put.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A checked key cannot lead out of the folder.
    fn path(&self, verb: &'static str, key: &str) -> Result<PathBuf, StoreError> {
        let checked = Key::new(key).map_err(|error| StoreError::permanent(verb, key, error.to_string()))?;
        Ok(self.root.join(checked.as_str()))
    }

    fn find(&self, prefix: &str, after: &str, count_max: usize) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        // The folder that the prefix names is where to begin; what follows its last slash is a beginning of names.
        let folder = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
        let root = self.root.join(folder);
        walk(&root, folder, prefix, after, count_max, &mut found)
            .map_err(|error| failed("list objects", &root, error))?;
        Ok(found)
    }

    fn store(&self, path: &Path, body: &[u8], how: Put) -> io::Result<Became> {
        if how == Put::New && path.exists() {
            return Ok(Became::Taken);
        }
        let above = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(above)?;
        let mut half = path.as_os_str().to_owned();
        half.push(HALF);
        let mut file = File::create(&half)?;
        file.write_all(body)?;
        file.sync_all()?;
        fs::rename(&half, path)?;
        File::open(above)?.sync_all()?;
        Ok(Became::Stored)
    }
}

/// Files below a folder in the order of their keys: a folder's name counts with the slash behind it.
fn walk(
    folder: &Path,
    key: &str,
    prefix: &str,
    after: &str,
    count_max: usize,
    found: &mut Vec<Found>,
) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name == INCOMING || name.ends_with(HALF) {
            continue;
        }
        names.push((format!("{key}{name}{}", if is_folder { "/" } else { "" }), entry.path()));
    }
    names.sort();
    for (key, path) in names {
        if found.len() >= count_max {
            return Ok(());
        }
        if key.ends_with('/') {
            let is_behind = key.as_str() > after || after.starts_with(&key);
            if is_behind && (key.starts_with(prefix) || prefix.starts_with(&key)) {
                walk(&path, &key, prefix, after, count_max, found)?;
            }
        } else if key.as_str() > after && key.starts_with(prefix) {
            found.extend(object(key, &path)?);
        }
    }
    Ok(())
}

/// `None`: it has gone meanwhile, or its name is no key.
fn object(key: String, path: &Path) -> io::Result<Option<Found>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if Key::new(key.as_str()).is_err() {
        tracing::warn!(path = %path.display(), "a file whose name is no key is passed over");
        return Ok(None);
    }
    let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let changed = i64::try_from(since.as_millis()).ok().and_then(|ms| Timestamp::from_millis(ms).ok());
    Ok(Some(Found {
        key,
        bytes: metadata.len(),
        tag: format!("{}-{}", metadata.len(), since.as_nanos()),
        changed: changed.unwrap_or(Timestamp::MIN),
    }))
}

impl Objects for Folder {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    async fn page(&self, prefix: &str, after: &str, count_max: usize) -> Result<Vec<Found>, StoreError> {
        self.find(prefix, after, count_max)
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let root = self.root.join(prefix);
        let failed = |error| failed("list folders", &root, error);
        let entries = match fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                names.extend(entry.file_name().into_string().ok().filter(|name| name != INCOMING));
            }
        }
        names.sort();
        Ok(names)
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path("read object", key)?;
        match self.measure(key).await? {
            None => return Ok(None),
            Some(bytes) if bytes > OBJECT_BYTES_MAX => {
                let remedy = format!("it has {bytes} bytes, the limit is {OBJECT_BYTES_MAX}");
                return Err(StoreError::permanent("read object", key, remedy));
            }
            Some(_) => {}
        }
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read object", &path, error)),
        }
    }

    async fn measure(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let path = self.path("measure object", key)?;
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(failed("measure object", &path, error)),
        }
    }

    async fn put(&self, key: &str, body: &[u8], how: Put) -> Result<Became, StoreError> {
        let path = self.path("put object", key)?;
        self.store(&path, body, how).map_err(|error| failed("put object", &path, error))
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path("remove object", key)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove object", &path, error)),
            _ => {}
        }
        // A folder without an object is none; the first that has one cannot be removed.
        let above = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
        for folder in above {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_of_any_size_are_one_listing_in_the_order_of_keys() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        let keys = ["a-b/x", "a/b/c", "a/b.d", "a/b/d", "a0", "b/1", "b/2"];
        for key in keys {
            folder.put(key, key.as_bytes(), Put::New).await.unwrap();
        }
        let mut sorted = keys;
        sorted.sort_unstable();
        for size in 1..9 {
            let (mut all, mut after) = (Vec::new(), String::new());
            loop {
                let page = folder.page("", &after, size).await.unwrap();
                let Some(last) = page.last() else { break };
                after.clone_from(&last.key);
                all.extend(page.into_iter().map(|found| found.key));
            }
            assert_eq!(all, sorted, "{size}");
        }
        let below = folder.page("a/b", "a/b.d", 9).await.unwrap();
        assert_eq!(below.iter().map(|found| found.key.as_str()).collect::<Vec<_>>(), ["a/b/c", "a/b/d"]);
        assert_eq!(folder.folders("").await.unwrap(), ["a", "a-b", "b"]);
    }

    #[tokio::test]
    async fn what_is_there_stays_unless_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        assert_eq!(folder.put("a/b", b"1", Put::New).await.unwrap(), Became::Stored);
        assert_eq!(folder.put("a/b", b"2", Put::New).await.unwrap(), Became::Taken);
        assert_eq!(folder.read("a/b").await.unwrap().unwrap(), b"1");
        assert_eq!(folder.put("a/b", b"2", Put::Replace).await.unwrap(), Became::Stored);
        assert_eq!(folder.read("a/b").await.unwrap().unwrap(), b"2");
        folder.remove("a/b").await.unwrap();
        folder.remove("a/b").await.unwrap();
        assert_eq!(folder.measure("a/b").await.unwrap(), None);
        assert!(folder.read("../x").await.is_err());
    }
}
