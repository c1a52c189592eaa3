//! Secrets from a folder, a file each: for one machine, or where an orchestrator mounts them.
//!
//! A file that anybody but its owner may read is not used: what is wrong is said, instead of being found out by others.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{SECRET_BYTES_MAX, Secret, SecretError, SecretRef, Secrets};

/// Permissions of group and others.
const OTHERS: u32 = 0o077;

/// Reads files of one folder.
#[derive(Debug, Clone)]
pub struct FolderSecrets {
    folder: PathBuf,
}

impl FolderSecrets {
    /// The secrets of this folder. Folders below it are not read.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn read(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let name = reference.as_str();
        if name.contains('/') || name.starts_with('.') {
            return Err(not_allowed(
                reference,
                "it names no file of the folder".to_owned(),
                "leave out `/` and a leading `.`",
            ));
        }
        let path = self.folder.join(name);
        // A pipe would block at opening.
        let is_file = path.metadata().map_err(|error| unreadable(reference, &path, &error))?.is_file();
        if !is_file {
            return Err(not_allowed(reference, format!("{} is not a file", path.display()), "store the key in a file"));
        }
        let file = File::open(&path).map_err(|error| unreadable(reference, &path, &error))?;
        let mode = file.metadata().map_err(|error| unreadable(reference, &path, &error))?.permissions().mode();
        if mode & OTHERS != 0 {
            let why = format!("{} has mode {:o}, readable by others than its owner", path.display(), mode & 0o777);
            return Err(not_allowed(reference, why, &format!("chmod 600 {}", path.display())));
        }
        // Room for all that is read, so that growing leaves no copy behind.
        let mut text = String::with_capacity(SECRET_BYTES_MAX + 1);
        file.take(SECRET_BYTES_MAX as u64 + 1)
            .read_to_string(&mut text)
            .map_err(|error| unreadable(reference, &path, &error))?;
        Secret::new(reference, text)
    }
}

impl Secrets for FolderSecrets {
    async fn secret(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let (folder, owned) = (self.clone(), reference.clone());
        let read = tokio::task::spawn_blocking(move || folder.read(&owned)).await;
        read.unwrap_or_else(|error| {
            Err(SecretError::Unavailable { reference: reference.clone(), why: format!("reading was cut off: {error}") })
        })
    }
}

fn unreadable(reference: &SecretRef, path: &Path, error: &io::Error) -> SecretError {
    let reference = reference.clone();
    match error.kind() {
        io::ErrorKind::NotFound => {
            SecretError::NotFound { reference, remedy: format!("store it in {} with mode 600", path.display()) }
        }
        io::ErrorKind::PermissionDenied => not_allowed(
            &reference,
            format!("{} may not be read", path.display()),
            "give the file to the user that runs this",
        ),
        io::ErrorKind::InvalidData => not_allowed(&reference, format!("{} is not UTF-8", path.display()), "store text"),
        _ => SecretError::Unavailable { reference, why: format!("{}: {error}", path.display()) },
    }
}

fn not_allowed(reference: &SecretRef, why: String, remedy: &str) -> SecretError {
    SecretError::NotAllowed { reference: reference.clone(), why, remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};

    use super::*;

    /// A folder with one secret `key` of this mode, and what reading `name` of it gives.
    async fn read(mode: u32, name: &str) -> Result<Secret, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path().join("key"), "geheim\n").unwrap();
        set_permissions(folder.path().join("key"), Permissions::from_mode(mode)).unwrap();
        create_dir(folder.path().join("sub")).unwrap();
        FolderSecrets::new(folder.path()).secret(&SecretRef::new(name).unwrap()).await
    }

    #[tokio::test]
    async fn a_file_of_its_owner_is_read() {
        assert_eq!(read(0o600, "key").await.unwrap().reveal(), "geheim");
        assert_eq!(read(0o400, "key").await.unwrap().reveal(), "geheim");
    }

    #[tokio::test]
    async fn a_file_that_others_may_read_is_refused_with_the_remedy() {
        for mode in [0o644, 0o640, 0o604, 0o660] {
            let error = read(mode, "key").await.unwrap_err().to_string();
            assert!(error.contains("readable by others") && error.contains("chmod 600"), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
    }

    #[tokio::test]
    async fn nothing_outside_the_folder_is_read() {
        for name in ["../key", "sub/key", "/etc/passwd", "..", ".hidden"] {
            assert!(matches!(read(0o600, name).await, Err(SecretError::NotAllowed { .. })), "{name}");
        }
        assert!(matches!(read(0o600, "sub").await, Err(SecretError::NotAllowed { .. })));
        assert!(matches!(read(0o600, "other").await, Err(SecretError::NotFound { .. })));
    }
}
