//! Where things are: the checkout, its target folder, and which packages are Lambda functions.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::process::capture;

/// The compiler that lints.
pub(crate) const CLIPPY: &str = "clippy-driver";
/// What `cargo clippy -- -D warnings` tells it, in its form.
pub(crate) const CLIPPY_ARGS: &str = "-Dwarnings__CLIPPY_HACKERY__";

/// The checkout that this xtask was compiled from.
pub(crate) struct Repository {
    root: PathBuf,
    target: PathBuf,
    functions: Vec<String>,
    is_linting: bool,
}

impl Repository {
    /// Asks cargo once about the workspace.
    ///
    /// # Errors
    /// `cargo metadata` fails, or answers in a form this does not know.
    pub(crate) fn open() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .context("crates/xtask is expected two folders below the root of the checkout")?
            .to_owned();
        let answer =
            capture(Command::new("cargo").args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&root))?;
        let metadata: Value = serde_json::from_str(&answer).context("`cargo metadata` did not answer in JSON")?;
        let target = metadata["target_directory"]
            .as_str()
            .ok_or_else(|| anyhow!("`cargo metadata` names no target_directory"))?
            .into();
        let packages = metadata["packages"].as_array().ok_or_else(|| anyhow!("`cargo metadata` lists no packages"))?;
        let functions = packages
            .iter()
            .filter(|package| package["metadata"]["lambda"].is_object())
            .filter_map(|package| package["name"].as_str().map(str::to_owned))
            .collect();
        Ok(Self { root, target, functions, is_linting: false })
    }

    /// A file or folder of the checkout.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A file or folder that is made, never committed.
    pub(crate) fn target(&self, relative: &str) -> PathBuf {
        self.target.join(relative)
    }

    /// The packages that carry `[package.metadata.lambda]`.
    pub(crate) fn functions(&self) -> &[String] {
        &self.functions
    }

    /// The same, whose tests are compiled by clippy: see [`Self::cargo_for_tests`].
    pub(crate) fn linting(self) -> Self {
        Self { is_linting: true, ..self }
    }

    /// `cargo`, to be run at the root of the checkout.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.root);
        cargo
    }

    /// The same for what the tests run.
    ///
    /// Continuous integration compiles it with clippy's driver, which is the compiler with more lints (`RUSTC_WORKSPACE_WRAPPER`, Cargo
    /// Book, "Environment variables", is how `cargo clippy` calls it, too). `cargo clippy` itself leaves nothing that can be
    /// run, so that all the dependencies would be compiled a second time. The driver switches optimisations of the compiler's middle off
    /// (`mir_opt_level` in rust-clippy's `src/driver.rs`): nothing that is measured or deployed is compiled by it.
    pub(crate) fn cargo_for_tests(&self) -> Command {
        let mut cargo = self.cargo();
        if self.is_linting {
            cargo.env("RUSTC_WORKSPACE_WRAPPER", CLIPPY).env("CLIPPY_ARGS", CLIPPY_ARGS);
        }
        cargo
    }
}
