//! The checks that run nothing of ours: formatting, lints, licences and advisories, CloudFormation templates.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{run, step, succeeds};
use crate::repository::{CLIPPY, CLIPPY_ARGS, Repository};
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

/// The same in one go with compiling what the tests run, which is left in the target folder.
///
/// # Errors
/// There is a warning, or something does not compile; or clippy lets pass what it must not.
pub(crate) fn clippy_and_build(repository: &Repository) -> Result<()> {
    step("clippy, and everything that the tests run", || {
        must_bite(repository)?;
        run(repository.cargo_for_tests().args(["build", "--workspace", "--all-targets"]).args(FEATURES))
    })
}

/// A way of calling clippy that lints nothing would look like code without a warning.
fn must_bite(repository: &Repository) -> Result<()> {
    let folder = repository.target("clippy");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lets_pass = |name: &str, text: &str| -> Result<bool> {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        let mut driver = Command::new(CLIPPY);
        driver.current_dir(&folder).env("CLIPPY_ARGS", CLIPPY_ARGS).args(["--crate-type", "lib", "--emit", "metadata"]);
        Ok(succeeds(driver.arg(file)))
    };
    if !lets_pass("right.rs", "pub fn is_none(text: &str) -> bool {\n    text.is_empty()\n}\n")? {
        bail!("`{CLIPPY}` does not run: `rustup component add clippy` installs it");
    }
    if lets_pass("wrong.rs", "pub fn is_none(text: &str) -> bool {\n    text.len() == 0\n}\n")? {
        bail!("`{CLIPPY}` finds nothing wrong with {}", folder.join("wrong.rs").display());
    }
    Ok(())
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
