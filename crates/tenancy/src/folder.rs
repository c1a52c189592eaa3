//! A device's files: `DIR/TENANT/DEVICE/private.key` and `certificate.pem`.
//!
//! The folder is for its owner alone (700), the key can be read by nobody else (600) from its first byte on. A file appears
//! whole or not at all. `unfinished` stands beside them from before a certificate is asked for until it is active: who finds it
//! goes on, and a certificate that somebody switched off is not taken for one that was never switched on.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::keys::{KeyError, PrivateKey};

const KEY: &str = "private.key";
const CERTIFICATE: &str = "certificate.pem";
const UNFINISHED: &str = "unfinished";
const RETIRING: &str = "retiring";
const NEXT: &str = "next";

/// Why a file is not there, or not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read or written.
    #[error("{}: cannot be {verb}", .path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no key.
    #[error("{}: {source}; put it aside, then a new one is made", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
}

/// The folder of one device's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    dir: PathBuf,
}

impl Files {
    /// Those of a device below `certificates`.
    #[must_use]
    pub fn of(certificates: &Path, tenant: &str, device: &str) -> Self {
        Self { dir: certificates.join(tenant).join(device) }
    }

    /// Those that take their place when the rotation is finished.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { dir: self.dir.join(NEXT) }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of the key.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.dir.join(KEY)
    }

    /// The file of the certificate.
    #[must_use]
    pub fn certificate_path(&self) -> PathBuf {
        self.dir.join(CERTIFICATE)
    }

    /// The key, or `None` where there is no file.
    ///
    /// # Errors
    /// It cannot be read, or is no key.
    pub fn key(&self) -> Result<Option<PrivateKey>, FileError> {
        let path = self.key_path();
        let Some(text) = read(&path)? else { return Ok(None) };
        PrivateKey::from_pem(Zeroizing::new(text)).map(Some).map_err(|source| FileError::Key { path, source })
    }

    /// The certificate, or `None` where there is no file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn certificate(&self) -> Result<Option<String>, FileError> {
        read(&self.certificate_path())
    }

    /// Makes a key and writes it, before anybody is asked to sign anything.
    ///
    /// # Errors
    /// It cannot be made or written.
    pub fn make_key(&self) -> Result<PrivateKey, FileError> {
        let path = self.key_path();
        let key = PrivateKey::generate().map_err(|source| FileError::Key { path: path.clone(), source })?;
        self.mark()?;
        write(&path, key.pem(), 0o600)?;
        Ok(key)
    }

    /// Writes the certificate.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_certificate(&self, pem: &str) -> Result<(), FileError> {
        if self.certificate()?.as_deref() == Some(pem) {
            return Ok(());
        }
        write(&self.certificate_path(), pem, 0o644)
    }

    /// Notes that a certificate is under way.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn mark(&self) -> Result<(), FileError> {
        make_dir(&self.dir)?;
        write(&self.dir.join(UNFINISHED), "", 0o600)
    }

    /// Whether one is.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.dir.join(UNFINISHED).exists()
    }

    /// Notes that none is any more.
    ///
    /// # Errors
    /// The note cannot be taken away.
    pub fn unmark(&self) -> Result<(), FileError> {
        forget(&self.dir.join(UNFINISHED))
    }

    /// Puts key and certificate aside, into `former-` and the beginning of the certificate's id.
    ///
    /// # Errors
    /// They cannot be moved.
    pub fn put_aside(&self, id: &str) -> Result<PathBuf, FileError> {
        let aside = self.dir.join(format!("former-{}", id.get(..12).unwrap_or(id)));
        make_dir(&aside)?;
        for name in [CERTIFICATE, KEY] {
            let (from, to) = (self.dir.join(name), aside.join(name));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                answer => answer.map_err(failed("moved", &from))?,
            }
        }
        Ok(aside)
    }

    /// Notes which certificates go when a rotation is finished.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note_retiring(&self, ids: &[String]) -> Result<(), FileError> {
        write(&self.dir.join(RETIRING), &ids.join("\n"), 0o600)
    }

    /// Which those are, or `None` where no rotation is being finished.
    ///
    /// # Errors
    /// The note cannot be read.
    pub fn retiring(&self) -> Result<Option<Vec<String>>, FileError> {
        Ok(read(&self.dir.join(RETIRING))?.map(|text| text.lines().map(str::to_owned).collect()))
    }

    /// Forgets which those were.
    ///
    /// # Errors
    /// The note cannot be taken away.
    pub fn forget_retiring(&self) -> Result<(), FileError> {
        forget(&self.dir.join(RETIRING))
    }

    /// Puts the files of [`Self::next`] into the place of these, and takes that folder away. Safe to repeat from any point.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn take_next(&self) -> Result<(), FileError> {
        let next = self.next();
        // The key first: a certificate without its key would look whole, and a key without its certificate does not.
        for (name, mode) in [(KEY, 0o600), (CERTIFICATE, 0o644)] {
            if let Some(text) = read(&next.dir.join(name))?.map(Zeroizing::new) {
                write(&self.dir.join(name), &text, mode)?;
            }
        }
        for name in [CERTIFICATE, KEY, UNFINISHED] {
            forget(&next.dir.join(name))?;
        }
        match fs::remove_dir(&next.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            answer => answer.map_err(failed("removed", &next.dir)),
        }
    }
}

/// Writes a file that is no secret, in a folder that is made for it.
///
/// # Errors
/// It cannot be written.
pub fn write_open(path: &Path, text: &str) -> Result<(), FileError> {
    if let Some(dir) = path.parent() {
        make_dir(dir)?;
    }
    write(path, text, 0o644)
}

/// The text of a file, or `None` where there is none.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { verb, path, source }
}

/// Folders for the owner alone. One that is there keeps the rights it has.
fn make_dir(dir: &Path) -> Result<(), FileError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(failed("made", dir))
}

/// Whole or not at all: beside it, then in its place.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    let beside = path.with_extension("part");
    let written = (|| {
        forget_file(&beside)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let mut file = options.open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    written.map_err(failed("written", path))
}

fn forget(path: &Path) -> Result<(), FileError> {
    forget_file(path).map_err(failed("removed", path))
}

fn forget_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_a_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(dir.path(), "acme", "pump-7");
        let key = files.make_key().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files.key_path()), 0o600);
        assert_eq!(mode(files.dir()), 0o700);
        assert_eq!(mode(&dir.path().join("acme")), 0o700);
        assert_eq!(files.key().unwrap().unwrap().pem(), key.pem());
        assert!(files.is_unfinished());
    }

    #[test]
    fn what_is_next_takes_the_place_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(dir.path(), "acme", "pump-7");
        files.make_key().unwrap();
        files.write_certificate("old").unwrap();
        let key = files.next().make_key().unwrap();
        files.next().write_certificate("new").unwrap();
        for _ in 0..2 {
            files.take_next().unwrap();
            assert_eq!(files.certificate().unwrap().as_deref(), Some("new"));
            assert_eq!(files.key().unwrap().unwrap().pem(), key.pem());
            assert!(!files.next().dir().exists());
        }
    }
}
