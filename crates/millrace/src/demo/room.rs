//! Whether the disk has room for what is left of a run, as far as that can be told.

use std::fs;
use std::path::Path;

/// What a message takes in the lake, all layers and its share of the snapshots, rounded up: measured on plants of 6 to 50
/// devices and 2 to 7 days.
const BYTES_PER_MESSAGE: u64 = 100;
/// The database with its log.
const TABLES_BYTES: u64 = 5 << 20;

/// A sentence about the room that is missing for a run of `messages` in `dir`, or `None` when there is enough or nobody
/// can tell. What the folder holds already is counted as done.
pub(super) fn lacking(dir: &Path, messages: u64) -> Option<String> {
    let needed = (messages * BYTES_PER_MESSAGE + TABLES_BYTES).saturating_sub(bytes(dir));
    let disk = rustix::fs::statvfs(dir).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    (free < needed).then(|| {
        format!(
            "the disk of `{}` has {} free, what is left of this run needs about {}",
            dir.display(),
            megabytes(free),
            megabytes(needed)
        )
    })
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Bytes of the files below a folder. What cannot be read counts as nothing.
fn bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_and_what_fits_is_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lake")).unwrap();
        fs::write(dir.path().join("lake/object"), [0; 1_000]).unwrap();
        assert_eq!(bytes(dir.path()), 1_000);
        assert_eq!(lacking(dir.path(), 0), None);
        let words = lacking(dir.path(), 1 << 50).unwrap();
        assert!(words.contains("MB free") && words.contains("needs about"), "{words}");
    }
}
