//! The zips of the functions, and the keys they are stored under.
//!
//! A key is made of the content: the same zip is uploaded once, and another one is a change that CloudFormation sees.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// A zip on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zip {
    /// The file.
    pub path: PathBuf,
    /// Where it is stored.
    pub key: String,
}

/// Why a zip cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// There is none.
    #[error("no zip of `{function}` at {}: build it with `cargo xtask package`, or say where it is with --code DIR", .path.display())]
    Missing {
        /// The function.
        function: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Finds the zip of a function in the folder that `cargo xtask package` fills: `DIR/FUNCTION/bootstrap.zip`.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn find(dir: &Path, function: &'static str) -> Result<Zip, CodeError> {
    let path = dir.join(function).join("bootstrap.zip");
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Zip { key: key(function, &bytes), path }),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Err(CodeError::Missing { function, path }),
        Err(source) => Err(CodeError::Unreadable { path, source }),
    }
}

/// `FUNCTION/HASH.zip`, of the first 64 bits of the content's SHA-256.
fn key(function: &str, bytes: &[u8]) -> String {
    let mut key = format!("{function}/");
    for byte in &Sha256::digest(bytes)[..8] {
        let _written = write!(key, "{byte:02x}");
    }
    key.push_str(".zip");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zip_is_known_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let error = find(dir.path(), "alert-fanout").unwrap_err().to_string();
        assert!(error.contains("cargo xtask package"), "{error}");
        std::fs::create_dir(dir.path().join("alert-fanout")).unwrap();
        std::fs::write(dir.path().join("alert-fanout/bootstrap.zip"), b"abc").unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(find(dir.path(), "alert-fanout").unwrap().key, "alert-fanout/ba7816bf8f01cfea.zip");
    }
}
