//! The inputs that mutations start from, as files that people can look at and add to.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::target::Target;

/// The folder of the corpora: `corpus/` of this crate.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The inputs of a target in the order of their file names, so that a seed means the same on every machine.
///
/// # Errors
/// What the file system says; a corpus without an input is [`io::ErrorKind::NotFound`].
pub fn read(target: Target) -> io::Result<Vec<Vec<u8>>> {
    let folder = folder().join(target.name());
    let about = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let files: io::Result<Vec<PathBuf>> =
        fs::read_dir(&folder).map_err(about)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files = files.map_err(about)?;
    files.sort();
    if files.is_empty() {
        return Err(about(io::Error::new(io::ErrorKind::NotFound, "no input; put at least one file there")));
    }
    files.iter().map(|file| fs::read(file).map_err(about)).collect()
}
