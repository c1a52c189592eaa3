//! `soak`: the embedded mode under hundreds of kills and disks of many sizes, in release.

use std::process::Command;

use anyhow::Result;

use crate::process::{run, step};
use crate::repository::Repository;

/// Builds `millrace` and the program that torments it, and runs that; the arguments are the program's.
///
/// # Errors
/// One of them does not build, or something differs from an undisturbed run: the output says what.
pub(crate) fn embedded(repository: &Repository, arguments: &[String]) -> Result<()> {
    step("millrace and the soak, release", || {
        let options = ["build", "--release", "--quiet", "--package", "millrace", "--bins", "--example", "soak"];
        run(repository.cargo().args(options))
    })?;
    let built = |name: &str| repository.target("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    run(Command::new(built("examples/soak")).arg("--program").arg(built("millrace")).args(arguments))
}
