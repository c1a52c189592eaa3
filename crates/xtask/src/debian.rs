//! Programs of Debian packages that a chore needs: found, or installed where that is possible.
//!
//! Only root may install. Whoever is not, or has no Debian, is told the package's name; what then cannot be done is the
//! chore's to say.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process::{capture, run, succeeds};

/// Where the program is, or `None`, with a notice, where it is not and cannot be had.
///
/// # Errors
/// The shell that looks for it does not run.
pub(crate) fn program(name: &str, package: &str) -> Result<Option<PathBuf>> {
    if let Some(found) = find(name)? {
        return Ok(Some(found));
    }
    let is_root = capture(Command::new("id").arg("--user")).is_ok_and(|user| user.trim() == "0");
    if is_root && succeeds(Command::new("apt-get").arg("--version")) {
        eprintln!("    {name} is not installed, trying the Debian package {package}");
        if let Err(error) = install(package) {
            eprintln!("    {package} cannot be installed: {error:#}");
        }
    }
    let found = find(name)?;
    if found.is_none() {
        eprintln!("    NO {name}: install the Debian package {package}; the tests that need it are skipped");
    }
    Ok(found)
}

/// From the lists that are there, or else from new ones.
fn install(package: &str) -> Result<()> {
    let install = || {
        run(Command::new("apt-get")
            .args(["install", "--quiet", "--yes", "--no-install-recommends", package])
            .env("DEBIAN_FRONTEND", "noninteractive"))
    };
    install().or_else(|_| {
        run(Command::new("apt-get").args(["update", "--quiet"]))?;
        install()
    })
}

fn find(name: &str) -> Result<Option<PathBuf>> {
    let script = format!("command -v {name} || true");
    let found = capture(Command::new("sh").args(["-c", &script]))?;
    Ok(Some(found.trim()).filter(|path| !path.is_empty()).map(PathBuf::from))
}
