//! `sim` and `teeth`: the deterministic simulation of the pipeline, in release.

use anyhow::Result;

use crate::process::run;
use crate::repository::Repository;

const PACKAGE: &str = "simulation";

/// Runs seeds; the arguments are those of the program.
///
/// # Errors
/// The program does not build, or a seed fails: its output says which, why, and how to see it again.
pub(crate) fn seeds(repository: &Repository, arguments: &[String]) -> Result<()> {
    run(repository.cargo().args(["run", "--release", "--quiet", "--package", PACKAGE, "--"]).args(arguments))
}

/// Seeds each known bug and says which check catches it.
///
/// # Errors
/// The program does not build, or a bug is not caught.
pub(crate) fn teeth(repository: &Repository, arguments: &[String]) -> Result<()> {
    let options = ["run", "--release", "--quiet", "--package", PACKAGE, "--features", "teeth", "--", "--teeth"];
    run(repository.cargo().args(options).args(arguments))
}
