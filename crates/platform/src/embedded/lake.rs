//! Objects as files: the key is the path below the folder.
//!
//! An object appears whole or not at all: its bytes are written and synced under another name, then linked to the final
//! one, which fails where that exists. What a killed process leaves half written is in `.incoming` and is swept on open.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use super::failure;
use crate::model::Key;
use crate::ports::{Listed, PutError, StoreError, Stored, Stretch, Tagged};

const PUT: &str = "put object";
const GET: &str = "get object";
const LIST: &str = "list objects";

/// Where bytes wait for their name. Inside the lake, because a link cannot leave its file system.
const INCOMING: &str = ".incoming";

/// A folder of objects.
#[derive(Debug)]
pub(super) struct Lake {
    root: PathBuf,
    writable: bool,
    /// Numbers the files in `.incoming`; the folder's lock keeps other processes out.
    next: AtomicU64,
}

/// A file in `.incoming`. It goes when this goes; what outlives the process is swept on the next open.
struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(error = &error as &dyn std::error::Error, "a temporary file stays until the next start");
        }
    }
}

impl Lake {
    /// Makes the folder and sweeps what was left half written.
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        let incoming = root.join(INCOMING);
        fs::create_dir_all(&incoming)?;
        for entry in fs::read_dir(&incoming)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(Self { root, writable: true, next: AtomicU64::new(0) })
    }

    pub(super) fn read_only(root: PathBuf) -> Self {
        Self { root, writable: false, next: AtomicU64::new(0) }
    }

    /// A checked key cannot lead out of the folder: it has no empty, `.` or `..` segment and no backslash.
    fn path(&self, verb: &'static str, key: &Key) -> Result<PathBuf, StoreError> {
        if key.as_str().split('/').next() == Some(INCOMING) {
            return Err(failure::permanent(verb, key, "names below `.incoming` are for files that are being written"));
        }
        Ok(self.root.join(key.as_str()))
    }

    pub(super) fn put_if_absent(&self, key: &Key, body: &[u8]) -> Result<Stored, PutError> {
        if !self.writable {
            return Err(failure::read_only(PUT, key).into());
        }
        let path = self.path(PUT, key)?;
        let failed = |error| PutError::from(failure::of_write(PUT, key, body.len(), error));
        if path.exists() {
            return compare(key, &path, body);
        }
        let folder = path.parent().unwrap_or(&self.root);
        make_folder(folder).map_err(failed)?;
        let incoming = self.write_incoming(body).map_err(failed)?;
        match fs::hard_link(&incoming.0, &path) {
            Ok(()) => sync_folder(folder).map(|()| Stored::New).map_err(failed),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => compare(key, &path, body),
            Err(error) => Err(failed(error)),
        }
    }

    fn write_incoming(&self, body: &[u8]) -> io::Result<Incoming> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let incoming = Incoming(self.root.join(INCOMING).join(number.to_string()));
        let mut file = File::create(&incoming.0)?;
        file.write_all(body)?;
        file.sync_all()?;
        Ok(incoming)
    }

    pub(super) fn get(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get_tagged(key, bytes_max)?.map(|found| found.bytes))
    }

    pub(super) fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        let failed = |error| failure::of_io(GET, key, error);
        let Some((file, metadata)) = self.open_object(key)? else { return Ok(None) };
        let too_large = |bytes: u64| {
            failure::permanent(GET, key, format!("it has {bytes} bytes or more, the limit is {bytes_max}"))
        };
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        if metadata.len() > limit {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if read > bytes_max {
            return Err(too_large(read as u64));
        }
        Ok(Some(Tagged { bytes, tag: tag(&metadata) }))
    }

    pub(super) fn read_range(&self, key: &Key, offset: u64, bytes_max: usize) -> Result<Option<Stretch>, StoreError> {
        let failed = |error| failure::of_io(GET, key, error);
        let Some((mut file, metadata)) = self.open_object(key)? else { return Ok(None) };
        // No file system goes as far as the numbers do.
        file.seek(SeekFrom::Start(offset.min(metadata.len()))).map_err(failed)?;
        let left = metadata.len().saturating_sub(offset);
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or(usize::MAX).min(bytes_max));
        file.take(u64::try_from(bytes_max).unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(Stretch { bytes, object_bytes: metadata.len(), tag: tag(&metadata) }))
    }

    /// `None`: there is no object of that name.
    fn open_object(&self, key: &Key) -> Result<Option<(File, fs::Metadata)>, StoreError> {
        let failed = |error| failure::of_io(GET, key, error);
        let file = match File::open(self.path(GET, key)?) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            // A segment of the key is an object, so there is no object of that name.
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        Ok((!metadata.is_dir()).then_some((file, metadata)))
    }

    fn folder(&self, prefix: &str) -> Result<PathBuf, StoreError> {
        let folder =
            prefix.strip_suffix('/').ok_or_else(|| failure::permanent(LIST, &prefix, "a prefix ends with `/`"))?;
        let key = Key::new(folder).map_err(|error| failure::permanent(LIST, &prefix, error.to_string()))?;
        self.path(LIST, &key)
    }

    pub(super) fn list_folders(&self, prefix: &str, count_max: usize) -> Result<Vec<String>, StoreError> {
        let failed = |error| failure::of_io(LIST, &prefix, error);
        let entries = match fs::read_dir(self.folder(prefix)?) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // A folder without an object is none in S3.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && has_object(&entry.path()).map_err(failed)? {
                names.push(name);
            }
            check_folders(prefix, names.len(), count_max)?;
        }
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn list(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        let folder = self.folder(prefix)?;
        let mut listed = Vec::new();
        let mut folders = vec![(folder, prefix.to_owned())];
        while let Some((folder, prefix)) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
                Err(error) => return Err(failure::of_io(LIST, &prefix, error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| failure::of_io(LIST, &prefix, error))?;
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                let metadata = match fs::metadata(entry.path()) {
                    Ok(metadata) => metadata,
                    // Removed meanwhile, or a symbolic link to nothing.
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) => return Err(failure::of_io(LIST, &name, error)),
                };
                // A folder behind a symbolic link could contain itself, so only real folders are entered.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push((entry.path(), format!("{name}/")));
                } else if metadata.is_file() {
                    push_object(&mut listed, name, &metadata);
                }
                if listed.len() > count_max {
                    let remedy = format!("there are more than {count_max} objects, the limit: remove some");
                    return Err(failure::permanent(LIST, &prefix, remedy));
                }
            }
        }
        listed.sort_by(|a: &Listed, b| a.key.cmp(&b.key));
        Ok(listed)
    }
}

/// More folders than are asked for.
fn check_folders(prefix: &str, count: usize, count_max: usize) -> Result<(), StoreError> {
    if count <= count_max {
        return Ok(());
    }
    let remedy = format!("there are more than {count_max} folders, the limit: remove some");
    Err(failure::permanent(LIST, &prefix, remedy))
}

/// Whether there is a file in the folder or in one below it.
fn has_object(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || has_object(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Changes whenever somebody writes the file.
fn tag(metadata: &fs::Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    format!("{}-{}", metadata.len(), modified.unwrap_or_default().as_nanos())
}

/// People put files into the folder too; one whose name is no key cannot be read as an object.
fn push_object(listed: &mut Vec<Listed>, name: String, metadata: &fs::Metadata) {
    match Key::new(name) {
        Ok(key) => listed.push(Listed { key, tag: tag(metadata) }),
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a file in the lake is passed over"),
    }
}

/// The name is taken: by equal bytes or by others. Whoever linked it may have been killed before the folder was synced.
fn compare(key: &Key, path: &Path, body: &[u8]) -> Result<Stored, PutError> {
    let failed = |error| PutError::from(failure::of_io(PUT, key, error));
    if fs::metadata(path).map_err(failed)?.is_dir() {
        return Err(failed(io::Error::from(ErrorKind::IsADirectory)));
    }
    if fs::read(path).map_err(failed)? != body {
        return Err(PutError::Conflict(key.clone()));
    }
    path.parent().map_or(Ok(()), sync_folder).map_err(failed)?;
    Ok(Stored::AlreadyThere)
}

/// Makes a folder and those above it, each on disk before what goes into it.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(above) = folder.parent() else { return Ok(()) };
    make_folder(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !folder.is_dir() => Err(match error.kind() {
            ErrorKind::AlreadyExists => ErrorKind::NotADirectory.into(),
            _ => error,
        }),
        _ => sync_folder(above),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
