//! What is missing, on this machine or in the account, before an environment can be deployed.
//!
//! Only what this command itself needs is asked of AWS: CloudFormation reaches the other services from where it is.

use std::path::Path;

use crate::code;
use crate::plan::FUNCTIONS;

/// A thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it is.
    pub health: Health,
    /// What was seen.
    pub found: String,
    /// What to do; empty where it is well.
    pub remedy: String,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Fine,
    /// Not needed at once, or it could not be found out.
    Unknown,
    /// Nothing can be deployed.
    Missing,
}

impl Health {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
        }
    }
}

impl Finding {
    /// Something that is well.
    #[must_use]
    pub fn fine(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), health: Health::Fine, found: found.into(), remedy: String::new() }
    }

    /// Something that is not.
    #[must_use]
    pub fn amiss(health: Health, check: &str, found: impl Into<String>, remedy: &str) -> Self {
        Self { check: check.to_owned(), health, found: found.into(), remedy: remedy.to_owned() }
    }
}

/// Looks at this machine: the zips in `code`, and the programs in the folders of `path`, the variable `PATH`.
#[must_use]
pub fn machine(code: &Path, path: Option<&std::ffi::OsStr>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut has_all = true;
    for (_, function) in FUNCTIONS {
        let check = format!("zip of {function}");
        findings.push(match code::find(code, function) {
            Ok(zip) => Finding::fine(&check, zip.key),
            Err(error) => {
                has_all = false;
                let remedy = "run `cargo xtask package --arch arm64` in the repository, or name the folder with --code";
                Finding::amiss(Health::Missing, &check, error.to_string(), remedy)
            }
        });
    }
    let tool =
        path.into_iter().flat_map(std::env::split_paths).map(|dir| dir.join("cargo-lambda")).find(|it| it.is_file());
    findings.push(match tool {
        Some(tool) => Finding::fine("cargo-lambda", tool.display().to_string()),
        None if has_all => Finding::fine("cargo-lambda", "not installed, and not needed: the zips are there"),
        None => Finding::amiss(
            Health::Unknown,
            "cargo-lambda",
            "not in PATH",
            "`cargo xtask package` installs it for the repository; elsewhere `pip install cargo-lambda`",
        ),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_zips_is_told_how_to_get_them() {
        let dir = tempfile::tempdir().unwrap();
        let findings = machine(dir.path(), Some(dir.path().as_os_str()));
        let missing: Vec<_> = findings.iter().filter(|finding| finding.health == Health::Missing).collect();
        assert_eq!(missing.len(), FUNCTIONS.len());
        assert!(findings.iter().all(|finding| finding.health == Health::Fine || !finding.remedy.is_empty()));
        for (_, function) in FUNCTIONS {
            std::fs::create_dir(dir.path().join(function)).unwrap();
            std::fs::write(dir.path().join(function).join("bootstrap.zip"), function).unwrap();
        }
        assert!(machine(dir.path(), None).iter().all(|finding| finding.health == Health::Fine));
    }
}
