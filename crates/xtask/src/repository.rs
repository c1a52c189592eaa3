//! Where things are: the checkout, its target folder, and which packages are Lambda functions.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::process::capture;

/// The checkout that this xtask was compiled from.
pub(crate) struct Repository {
    root: PathBuf,
    target: PathBuf,
    functions: Vec<String>,
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
        Ok(Self { root, target, functions })
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

    /// `cargo`, to be run at the root of the checkout.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.root);
        cargo
    }
}
