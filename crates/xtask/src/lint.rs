//! The checks that run nothing of ours: formatting, lints, licences and advisories, CloudFormation templates.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{run, step, succeeds};
use crate::repository::Repository;
use crate::suite::FEATURES;
use crate::venv;

/// `cargo fmt --check`.
///
/// # Errors
/// A file is not formatted; `cargo fmt` mends it.
pub(crate) fn formatting(repository: &Repository) -> Result<()> {
    step("formatting", || run(repository.cargo().args(["fmt", "--all", "--check"])))
}

/// Clippy over everything that is compiled, tests too, with no warning left.
///
/// # Errors
/// There is a warning.
pub(crate) fn clippy(repository: &Repository) -> Result<()> {
    step("clippy", || {
        run(repository
            .cargo()
            .args(["clippy", "--workspace", "--all-targets", "--quiet"])
            .args(FEATURES)
            .args(["--", "-D", "warnings"]))
    })
}

/// `cargo deny check`, if the tool is there: licences, advisories, banned crates and sources, as `deny.toml` says.
///
/// # Errors
/// A rule of `deny.toml` is broken.
pub(crate) fn dependencies(repository: &Repository) -> Result<()> {
    if !succeeds(repository.cargo().args(["deny", "--version"])) {
        eprintln!("==> dependencies: NOT CHECKED, cargo-deny is not installed (`cargo install --locked cargo-deny`)");
        return Ok(());
    }
    step("dependencies", || run(repository.cargo().args(["deny", "check"])))
}

/// cfn-lint over every template in `infra/`.
///
/// # Errors
/// The linter finds something, a warning included, or there is no template.
pub(crate) fn templates(repository: &Repository) -> Result<()> {
    let venv = venv::ready(repository)?;
    step("CloudFormation templates", || {
        let folder = repository.path("infra");
        let mut templates = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                templates.push(path);
            }
        }
        if templates.is_empty() {
            bail!("no template in {}", folder.display());
        }
        templates.sort();
        run(Command::new(venv.tool("cfn-lint")).arg("--").args(&templates))
    })
}
