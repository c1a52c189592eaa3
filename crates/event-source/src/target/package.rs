//! The zip that is deployed, unpacked to a temporary folder.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zip::ZipArchive;
use zip::result::ZipError;

/// Most bytes of an unpacked package (AWS Lambda Developer Guide, "Lambda quotas").
const PACKAGE_BYTES_MAX: u64 = 250 * 1024 * 1024;
/// How a zip begins.
const SIGNATURE: &[u8; 4] = b"PK\x03\x04";

/// An unpacked package. The folder goes away with it.
#[derive(Debug)]
pub struct Package(TempDir);

/// Why a zip cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The file or the folder.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not a zip of this kind.
    #[error("the zip cannot be read: {0}")]
    Zip(#[from] ZipError),
    /// A name that leaves the folder.
    #[error("the zip has `{0}`, which would be written outside its folder")]
    Outside(String),
    /// More than Lambda takes.
    #[error("the zip has more than {PACKAGE_BYTES_MAX} bytes when it is unpacked, the limit of Lambda")]
    TooLarge,
    /// Not a function of a custom runtime.
    #[error("the zip has no file `bootstrap` at its top; `cargo lambda build --output-format zip` makes one")]
    NoBootstrap,
}

impl Package {
    /// Unpacks a zip; `None` for a file that is none.
    ///
    /// # Errors
    /// [`PackageError`] when the file cannot be read, or the zip is not the package of a function.
    pub fn open(path: &Path) -> Result<Option<Self>, PackageError> {
        let mut file = File::open(path)?;
        let mut signature = Vec::with_capacity(SIGNATURE.len());
        file.by_ref().take(SIGNATURE.len() as u64).read_to_end(&mut signature)?;
        if signature != SIGNATURE {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("millrace-function-").tempdir()?;
        unpack(&mut ZipArchive::new(file)?, folder.path())?;
        let package = Self(folder);
        if package.bootstrap().is_file() { Ok(Some(package)) } else { Err(PackageError::NoBootstrap) }
    }

    /// The program that is started.
    #[must_use]
    pub fn bootstrap(&self) -> PathBuf {
        self.0.path().join("bootstrap")
    }
}

fn unpack(archive: &mut ZipArchive<File>, folder: &Path) -> Result<(), PackageError> {
    let mut left = PACKAGE_BYTES_MAX;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry
            .enclosed_name()
            .ok_or_else(|| PackageError::Outside(entry.name().unwrap_or_default().into_owned()))?;
        let path = folder.join(name);
        if entry.is_dir() {
            fs::create_dir_all(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mode = entry.unix_mode();
        // What it says of its size may be wrong; what it holds is counted.
        let written = io::copy(&mut entry.by_ref().take(left + 1), &mut File::create(&path)?)?;
        left = left.checked_sub(written).ok_or(PackageError::TooLarge)?;
        if let Some(mode) = mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o777))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip(entries: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = ZipWriter::new(file.reopen().unwrap());
        for (name, content) in entries {
            writer.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap();
        file
    }

    #[test]
    fn a_package_is_unpacked_with_its_modes_and_goes_away() {
        let file = zip(&[("bootstrap", b"#!/bin/sh\n"), ("lib/x.txt", b"x")]);
        let package = Package::open(file.path()).unwrap().unwrap();
        let program = package.bootstrap();
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(program.with_file_name("lib").join("x.txt").is_file());
        drop(package);
        assert!(!program.exists());
    }

    #[test]
    fn what_is_no_package_is_told_apart() {
        let mut plain = tempfile::NamedTempFile::new().unwrap();
        plain.write_all(b"\x7fELF").unwrap();
        assert!(Package::open(plain.path()).unwrap().is_none());
        assert!(matches!(Package::open(zip(&[("main", b"")]).path()), Err(PackageError::NoBootstrap)));
        let climbing = Package::open(zip(&[("../bootstrap", b"")]).path());
        assert!(matches!(climbing, Err(PackageError::Outside(_))), "{climbing:?}");
    }
}
